"""A tokenizer's normalizer as passes over code points, with their tables: asked of its object, so that they are it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import NFD, NFKD, Normalizer

from edge_potion.errors import ModelFormatError

from .canonical import compose_tables, order_tables
from .graph_builder import GraphBuilder
from .precompiled import grapheme_tables
from .unicode_tables import ITSELF, STEP, map_tables, normalizer_of, value_of
from .unigram_tables import LEAVE_OUT

__all__ = ["Pass", "Passes", "passes_of"]

# What looks at each character by itself.
CONTEXT_FREE = ("Nmt", "Lowercase", "StripAccents")
CANONICAL = {"NFD": (NFD, False), "NFKD": (NFKD, False), "NFC": (NFD, True), "NFKC": (NFKD, True)}
BLANK, BLANKS, SPACES, META = " ", " {2,}", r"\s+", "▁"
CONTROL = 4  # of a grapheme's classes
# Stand for a NUL where nothing happens to it: controls, and what is no character.
UNUSED = (*range(0x1, 0x9), *range(0xE, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0), 0xFFFE, 0xFFFF, 0xFDD0)


@dataclass(frozen=True)
class Pass:
    """One pass over the code points of a text.

    Attributes:
        kind: "map" (each becomes others), "graphemes" (so do short graphemes), "order" (canonical order of marks) or
            "compose" (canonical composition).
        tables: by the names of docs/bundle-format.md, without the number of the pass.
    """

    kind: str
    tables: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Passes:
    """What a normalizer does: passes one after another, then the ends.

    Attributes:
        steps: the passes.
        collapses: whether a run of two or more blanks becomes one.
        strip: "", "left", "right" or "both": where white space is taken off a text.
        like_nul: characters that all of this treats as it treats NUL, the best first; None where NUL is dropped.
        most_characters: that one code point becomes, at most.
    """

    steps: tuple[Pass, ...] = ()
    collapses: bool = False
    strip: str = ""
    like_nul: tuple[int, ...] | None = ()
    most_characters: int = 1

    def facts(self) -> Mapping[str, str]:
        """Of metadata_props: `passes`, `collapse_spaces`, `strip`."""
        return {
            "passes": " ".join(step.kind for step in self.steps),
            "collapse_spaces": json.dumps(self.collapses),
            "strip": self.strip,
        }

    def add_to(self, graph: GraphBuilder) -> None:
        """The tables of all passes, as initializers."""
        for number, step in enumerate(self.steps):
            for name, table in step.tables.items():
                graph.table(f"pass{number}_{name}", lambda table=table: table)  # type: ignore[misc]


def passes_of(tokenizer: Tokenizer) -> Passes:
    """The passes of a tokenizer's normalizer: seconds where none with these settings was seen before.

    Raises:
        ModelFormatError: passes cannot do what it does; names what it is.
    """
    content = json.loads(tokenizer.to_str())
    splits = "WhitespaceSplit" in json.dumps(content["pre_tokenizer"])
    return _passes(json.dumps(content["normalizer"]), splits)


@cache
def _passes(settings: str, splits_at_whitespace: bool) -> Passes:
    parts = list(_flat(json.loads(settings)))
    body, collapses, strip = _without_ends(parts, splits_at_whitespace)
    steps: list[Pass] = []
    free: list[Callable[[str], str]] = []  # what looks at each character by itself: one map

    def end_map() -> None:
        if free:
            steps.append(Pass("map", map_tables(_one_after_another(free))))
            free.clear()

    for part in body:
        if _is_free(part):
            free.append(normalizer_of(part).normalize_str)
        elif part["type"] in CANONICAL:
            decomposition, composes = CANONICAL[part["type"]]
            free.append(decomposition().normalize_str)
            end_map()
            steps += [Pass("order", order_tables()), *([Pass("compose", compose_tables())] if composes else [])]
        else:
            end_map()
            steps.append(_graphemes(part))
    end_map()
    whole = normalizer_of({"type": "Sequence", "normalizers": parts})
    longest = 1
    for step in steps:
        longest *= _longest(step)
    return Passes(tuple(steps), collapses, strip, _like_nul(whole, steps), longest)


def _flat(part: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
        return
    for inner in part["normalizers"]:
        yield from _flat(inner)


def _without_ends(
    parts: Sequence[Mapping[str, Any]], splits_at_whitespace: bool
) -> tuple[list[Mapping[str, Any]], bool, str]:
    """The parts before those that take blanks away at the end, and what these do."""
    body, collapses, sides = list(parts), False, set[str]()
    while body:
        part = body[-1]
        pattern = part["pattern"].get("Regex") if part["type"] == "Replace" else None
        if part["type"] == "Strip":
            sides |= {side for side in ("left", "right") if part[f"strip_{side}"]}
        elif pattern == BLANKS and (part["content"] == BLANK or (part["content"] == META and not splits_at_whitespace)):
            collapses = True
        elif pattern == SPACES and part["content"] == BLANK:
            # Each white space becomes a blank, then a run of them one.
            collapses = True
            body[-1] = {"type": "Replace", "pattern": {"Regex": r"\s"}, "content": BLANK}
            break
        else:
            break
        body.pop()
    return body, collapses, "both" if len(sides) == 2 else "".join(sides)


def _is_free(part: Mapping[str, Any]) -> bool:
    if part["type"] != "Replace":
        return part["type"] in CONTEXT_FREE
    pattern = part["pattern"]
    return len(pattern.get("String", "")) == 1 or pattern.get("Regex") == r"\s"


def _one_after_another(functions: Sequence[Callable[[str], str]]) -> Callable[[str], str]:
    every = tuple(functions)

    def normalize(text: str) -> str:
        for function in every:
            text = function(text)
        return text

    return normalize


def _graphemes(part: Mapping[str, Any]) -> Pass:
    kind = part["type"]
    if kind == "Precompiled":
        return Pass("graphemes", grapheme_tables(part["precompiled_charsmap"], normalizer_of(part)))
    told = f"{kind} {json.dumps(part.get('pattern'))}" if kind == "Replace" else kind
    raise ModelFormatError(
        "the text graph of Unigram is for the normalizers Precompiled, NFC, NFD, NFKC, NFKD, Nmt, Lowercase, "
        f"StripAccents, Replace of one character, and runs of blanks and Strip at the end, and here is {told}; "
        f"{LEAVE_OUT}"
    )


def _longest(step: Pass) -> int:
    """The most code points that one becomes."""
    if "entries" not in step.tables:
        return 1
    entries = [step.tables["entries"], step.tables.get("sequence_values", np.zeros(0, np.int32))]
    changed = np.concatenate(entries)
    return max(int((changed[changed >= 0] & (STEP - 1)).max(initial=1)), 1)


def _like_nul(whole: Normalizer, steps: Sequence[Pass]) -> tuple[int, ...] | None:
    beside = whole.normalize_str("a\0b")
    if beside == whole.normalize_str("ab"):
        return None
    if beside != "a\0b":
        return ()
    return tuple(code for code in UNUSED if all(_passes_by(step, code) for step in steps))


def _passes_by(step: Pass, code: int) -> bool:
    """Whether a pass treats a code point as it treats NUL: it does nothing, and nothing joins it."""
    tables = step.tables
    if "entries" in tables and value_of(tables["page_of"], tables["entries"], code) != ITSELF:
        return False
    if "classes" not in tables:
        return True
    found = value_of(tables["class_page_of"], tables["classes"], code)
    return found == value_of(tables["class_page_of"], tables["classes"], 0) or (
        step.kind == "graphemes" and found == CONTROL
    )
