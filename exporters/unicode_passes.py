"""A tokenizer's normalizer as passes over code points, with their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from edge_potion.errors import ModelFormatError

__all__ = ["Passes", "passes_of"]


@dataclass(frozen=True)
class Pass:
    kind: str
    tables: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Passes:
    """What a normalizer does: passes one after another, then the ends.

    Attributes:
        collapses: whether a run of two or more blanks becomes one.
        strip: "", "left", "right" or "both": where white space is taken off a text.
        like_nul: characters that all of this treats as it treats NUL, the best first; None where NUL is dropped.
    """

    steps: tuple[Pass, ...] = ()
    collapses: bool = False
    strip: str = ""
    like_nul: tuple[int, ...] | None = ()

    def add_to(self, graph: object) -> None:
        """Nothing yet."""

    def facts(self) -> Mapping[str, str]:
        """Of metadata_props: `passes`, `collapse_spaces`, `strip`."""
        return {"passes": "", "collapse_spaces": "false", "strip": ""}


def passes_of(tokenizer: Tokenizer) -> Passes:
    """The passes of a tokenizer's normalizer: seconds where none with these settings was seen before.

    Raises:
        ModelFormatError: passes cannot do what it does; names what it is.
    """
    if tokenizer.normalizer is not None:
        raise ModelFormatError("the text graph is without normalizers yet; leave the graph out (--graphs bag,tokens)")
    return Passes()
