"""How many phrases config.json and a graph tell of; without numpy, which a command that lists models does not need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_potion.errors import ModelFormatError

if TYPE_CHECKING:
    from edge_potion.bundle import Bundle

__all__ = ["MOST_PHRASES", "check_phrases", "phrases_told"]

MOST_PHRASES = 2**24


def phrases_told(config: Mapping[str, Any], file: Path) -> int:
    """P, of how many phrases the config.json `file` tells; 0 where it says nothing of them.

    Raises:
        ModelFormatError: it is no number of phrases.
    """
    told = config.get("phrases", 0)
    if type(told) is not int or not 0 <= told <= MOST_PHRASES:
        raise ModelFormatError(f"{file}: phrases is {told!r}; a whole number up to {MOST_PHRASES:,} was expected")
    return told


def check_phrases(bundle: Bundle, graph: str, stated: Mapping[str, str]) -> None:
    """Hold what the metadata of a graph states of phrases to config.json.

    Raises:
        ModelFormatError: they are of different models.
    """
    found = stated.get("phrases", "0")
    if found != str(bundle.phrases):
        raise ModelFormatError(
            f"{bundle.folder}: the graph {graph!r} has {found[:100]} phrases, and config.json tells of "
            f"{bundle.phrases}; export the bundle again"
        )
