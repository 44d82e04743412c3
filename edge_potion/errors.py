"""The errors a caller can meet, and what each one tells them to do.

    EdgePotionError            anything below; the CLI prints it as one line and exits 1
    ├── InputError             a text, an argument, a name or a path from the caller is not usable
    ├── AccessError            a disk takes nothing more, or the model hub does not answer; an OSError too
    ├── RecipeError            a recipe holds an unknown key or an impossible value
    ├── ModelFormatError       a model folder or a bundle is missing, truncated, foreign or inconsistent
    ├── ProviderError          an execution provider is absent, or cannot run the precision asked for
    │   ├── EngineError        the native engine is not here, or does not run what was asked for
    │   └── FallBackError      it is there, and left the work to another; holds what ran where
    ├── ParityError            an exported bundle strays from the numpy oracle
    └── MissingExtraError      an optional dependency is not installed; holds the pip line that installs it

A message says what was found, what was expected and what to do. Any other exception is a bug and keeps its
traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

__all__ = [
    "AccessError",
    "EdgePotionError",
    "EngineError",
    "FallBackError",
    "InputError",
    "MissingExtraError",
    "ModelFormatError",
    "ParityError",
    "ProviderError",
    "RecipeError",
    "require",
]


class EdgePotionError(Exception):
    """Base of every error that edge-potion raises on purpose."""


class InputError(EdgePotionError, ValueError):
    """A text, an argument, a name or a path given by the caller is not usable."""


class AccessError(EdgePotionError, OSError):
    """What lies outside of this process is not to be had: a place cannot be written to, the hub does not answer."""


class RecipeError(EdgePotionError, ValueError):
    """A recipe holds an unknown key or an impossible value."""


class ModelFormatError(EdgePotionError):
    """A model folder or a bundle is missing, truncated, foreign or inconsistent."""


class ProviderError(EdgePotionError):
    """An execution provider is absent, fell back to another, or cannot run the precision asked for."""


class EngineError(ProviderError):
    """The native engine is not here, or does not run what was asked for."""


class FallBackError(ProviderError):
    """A provider left the table or the pooling to another one.

    Attributes:
        ran_on: names of the graph's nodes by the provider that runs them.
    """

    def __init__(self, message: str, ran_on: Mapping[str, Sequence[str]]) -> None:
        super().__init__(message)
        self.ran_on = ran_on


class ParityError(EdgePotionError):
    """An exported bundle strays from the numpy oracle."""


class MissingExtraError(EdgePotionError, ImportError):
    """An optional dependency is not installed."""


def require(*modules: str, extra: str, purpose: str) -> None:
    """Raise MissingExtraError, with the pip line that helps, unless every module can be imported.

    Looks the modules up without importing them, so it costs next to nothing.
    """
    # A folder of that name on the import path, such as a bundle's onnx/, has a spec without an origin.
    missing = [name for name in modules if (spec := find_spec(name)) is None or spec.origin is None]
    if missing:
        raise MissingExtraError(f"{purpose} needs {', '.join(missing)}: pip install 'edge-potion[{extra}]'")
