"""How many phrases a config.json tells of, read without numpy: a command that only lists models needs no more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_potion.errors import ModelFormatError

__all__ = ["MOST_PHRASES", "phrases_told"]

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
