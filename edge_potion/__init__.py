"""edge-potion: static text embeddings from a sentence-transformer, in one small file, anywhere.

Every public name is loaded when it is first used, so `import edge_potion` costs nothing and pulls in neither
onnxruntime nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_potion.bulk.encode_files import encode_files
    from edge_potion.classifier import Decision, TextClassifier
    from edge_potion.codes import Codes, dequantize, quantize
    from edge_potion.errors import (
        AccessError,
        EdgePotionError,
        EngineError,
        FallBackError,
        InputError,
        MissingExtraError,
        ModelFormatError,
        ParityError,
        ProviderError,
        RecipeError,
    )
    from edge_potion.pruning.prune import prune
    from edge_potion.rotation import Rotation
    from edge_potion.runtime import EdgeModel
    from edge_potion.search.hit import Hit
    from edge_potion.search.index import Index
    from edge_potion.static_model import StaticModel
    from edge_potion.tokens import TokenIds
    from edge_potion.verbs import benchmark, distill, evaluate, export, train, verify

    __version__: str

_HOME_OF = {
    "EdgeModel": "edge_potion.runtime",
    "Hit": "edge_potion.search.hit",
    "Index": "edge_potion.search.index",
    "Rotation": "edge_potion.rotation",
    "StaticModel": "edge_potion.static_model",
    "TokenIds": "edge_potion.tokens",
    "encode_files": "edge_potion.bulk.encode_files",
    "prune": "edge_potion.pruning.prune",
    **dict.fromkeys(("Decision", "TextClassifier"), "edge_potion.classifier"),
    **dict.fromkeys(("Codes", "dequantize", "quantize"), "edge_potion.codes"),
    **dict.fromkeys(("benchmark", "distill", "evaluate", "export", "train", "verify"), "edge_potion.verbs"),
    **dict.fromkeys(
        (
            *("AccessError", "EdgePotionError", "EngineError", "FallBackError", "InputError"),
            *("MissingExtraError", "ModelFormatError", "ParityError", "ProviderError", "RecipeError"),
        ),
        "edge_potion.errors",
    ),
}
_RENAMED = {"distil": "distill", "SentenceTransformer": "EdgeModel"}

# Written out, as type checkers read no other form; a test holds it to the names above.
__all__ = [
    "AccessError",
    "Codes",
    "Decision",
    "EdgeModel",
    "EdgePotionError",
    "EngineError",
    "FallBackError",
    "Hit",
    "Index",
    "InputError",
    "MissingExtraError",
    "ModelFormatError",
    "ParityError",
    "ProviderError",
    "RecipeError",
    "Rotation",
    "StaticModel",
    "TextClassifier",
    "TokenIds",
    "__version__",
    "benchmark",
    "dequantize",
    "distill",
    "encode_files",
    "evaluate",
    "export",
    "prune",
    "quantize",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edge-potion")
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    called = f"; it is called {_RENAMED[name]}" if name in _RENAMED else ""
    raise AttributeError(f"module 'edge_potion' has no attribute {name!r}{called}")


def __dir__() -> list[str]:
    return sorted(__all__)
