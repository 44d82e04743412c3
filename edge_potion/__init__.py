"""edge-potion: static text embeddings from a sentence-transformer, in one small file, anywhere.

Every public name is loaded when it is first used, so `import edge_potion` costs nothing and pulls in neither
onnxruntime nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_potion.errors import (
        EdgePotionError,
        FallBackError,
        InputError,
        MissingExtraError,
        ModelFormatError,
        ParityError,
        ProviderError,
        RecipeError,
    )
    from edge_potion.runtime import EdgeModel
    from edge_potion.static_model import StaticModel
    from edge_potion.verbs import distill, export, train

    __version__: str

_HOME_OF = {
    "EdgeModel": "edge_potion.runtime",
    "StaticModel": "edge_potion.static_model",
    "distill": "edge_potion.verbs",
    "export": "edge_potion.verbs",
    "train": "edge_potion.verbs",
    "EdgePotionError": "edge_potion.errors",
    "FallBackError": "edge_potion.errors",
    "InputError": "edge_potion.errors",
    "MissingExtraError": "edge_potion.errors",
    "ModelFormatError": "edge_potion.errors",
    "ParityError": "edge_potion.errors",
    "ProviderError": "edge_potion.errors",
    "RecipeError": "edge_potion.errors",
}

__all__ = [
    "EdgeModel",
    "EdgePotionError",
    "FallBackError",
    "InputError",
    "MissingExtraError",
    "ModelFormatError",
    "ParityError",
    "ProviderError",
    "RecipeError",
    "StaticModel",
    "__version__",
    "distill",
    "export",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edge-potion")
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'edge_potion' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
