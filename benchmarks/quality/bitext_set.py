"""Translations of a suite's folder: sentences of many languages and their English sides, DIR/SET/pairs.jsonl."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError

from .suite import TEXT, Field, name_of, read_rows, shown

__all__ = ["PAIRS", "Bitext", "read_bitexts", "read_chosen"]

PAIRS = "pairs.jsonl"  # the file that a set is known by
LANGUAGE = re.compile("[A-Za-z0-9_-]{1,32}")
FIELDS = {
    "language": Field(
        lambda value: isinstance(value, str) and bool(LANGUAGE.fullmatch(value)), "a language's code, such as deu,"
    ),
    "text": TEXT,
    "english": TEXT,
}
NAMED = 8  # languages that a refusal names


@dataclass(frozen=True)
class Bitext:
    """The sentences of one language.

    Attributes:
        name: of the set's folder.
        language: its code, as the file has it: ISO 639-3 in Tatoeba's.
        texts, english: N, translations of each other.
    """

    name: str
    language: str
    texts: Sequence[str]
    english: Sequence[str]

    @property
    def title(self) -> str:
        """Set and language, which tell it from others."""
        return f"{self.name}/{self.language}"

    @property
    def digest(self) -> str:
        """Twelve hex digits that change with all that a score comes of."""
        return hashlib.sha256(json.dumps([self.texts, self.english]).encode()).hexdigest()[:12]


def read_bitexts(path: Path) -> list[Bitext]:
    """The languages of the set in a folder, in the order of their codes, each row checked.

    Raises:
        InputError: the file is damaged, too large or holds no row, or a row is not what it should be, which is told
            with file and line.
    """
    name = path.absolute().name
    sides: dict[str, tuple[list[str], list[str]]] = {}
    try:
        for _, row in read_rows(path, name_of(path, PAIRS), FIELDS, _each_field_once):
            texts, english = sides.setdefault(row["language"], ([], []))
            texts.append(row["text"])
            english.append(row["english"])
    except InputError as fault:
        raise InputError(f"{name}/{fault}") from fault
    if not sides:
        raise InputError(f"{name}/{name_of(path, PAIRS)}: it holds no row")
    return [Bitext(name, language, *sides[language]) for language in sorted(sides)]


def read_chosen(paths: Sequence[Path], languages: Sequence[str] | None) -> tuple[list[Bitext], dict[str, str]]:
    """The languages of sets, all or those that are chosen; and of each set that cannot be read its name and why.

    Raises:
        InputError: a language is chosen that no set has, or there is no set to choose of.
    """
    if languages is not None and not (paths and languages):
        what = "no language is named" if paths else "there are no translations here (DIR/SET/pairs.jsonl.gz)"
        raise InputError(f"languages are chosen of translations, and {what}")
    there: list[Bitext] = []
    faults: dict[str, str] = {}
    for path in paths:
        try:
            there += read_bitexts(path)
        except InputError as fault:
            faults[path.absolute().name] = str(fault)
    known = list(dict.fromkeys(each.language for each in there))
    unknown = [language for language in languages or () if language not in known]
    if unknown and not faults:
        some = ", ".join(known[:NAMED]) + (", ..." if len(known) > NAMED else "")
        raise InputError(f"no translations of {', '.join(map(shown, unknown))}; of {len(known)} there are: {some}")
    return [each for each in there if languages is None or each.language in languages], faults


def _each_field_once(fields: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which Python alone would take the last field of a name."""
    found = dict(fields)
    if len(found) < len(fields):
        names = [name for name, _ in fields]
        raise ValueError(f"{shown(next(name for name in names if names.count(name) > 1))} stands in it twice")
    return found
