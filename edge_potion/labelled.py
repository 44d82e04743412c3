"""A user's own rows, each of them checked: texts with their labels, and queries with the passages that answer them."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_potion.columns import read_columns
from edge_potion.errors import InputError
from edge_potion.labels import MOST_LABELS
from edge_potion.text_lines import PACKINGS
from edge_potion.texts import is_unicode

__all__ = ["Labelled", "Pairs", "TrainAndTest", "label_of", "read_labelled", "read_pairs", "read_train_and_test"]

MOST_ROWS = 2**21  # that are held in memory
LONGEST_LABEL = 200  # characters
SEPARATOR = "|"  # of the labels of one text
MISSING = ("nan", "null")  # what programs write for a label that is not there
PROSE_WORDS = 5  # of a label: more, in labels of which few come twice, are of free text
SHOWN = 3  # labels in an error


@dataclass(frozen=True)
class Labelled:
    """Texts and what each is labelled with.

    Attributes:
        texts: N of them, none blank.
        labels: of each its label; or a list of its labels (multi-label), each of them once.
        where: the file.
        numbers: of each the line on which it begins, or its row in a .parquet file; from 1.
    """

    texts: list[str]
    labels: list[str] | list[list[str]]
    where: str
    numbers: list[int]

    def at(self, place: int) -> str:
        """Where in the file one of them stands: "line 7"."""
        return f"{'row' if self.where.lower().endswith('.parquet') else 'line'} {self.numbers[place]}"


@dataclass(frozen=True)
class TrainAndTest:
    """What is learnt from, and what is held against it where the user has that."""

    train: Labelled
    test: Labelled | None


@dataclass(frozen=True)
class Pairs:
    """Queries, and of each a passage that answers it; a query comes as often as it has passages.

    Attributes:
        queries, passages: N of them, none blank.
        where: the file.
    """

    queries: list[str]
    passages: list[str]
    where: str


def read_labelled(
    path: str | Path, text_column: str = "text", label_column: str = "label", multi_label: bool = False
) -> Labelled:
    """Read rows to learn labels from: a .csv, .tsv, .jsonl (each also packed) or .parquet file with two columns.

    A label is a string without blanks at its ends; whole numbers and booleans become strings ("3", "true"). With
    `multi_label` it is a list of labels, or labels with | between them, and may be empty.

    Raises:
        InputError: the file cannot be read; a row is not usable, which is named; or no labels can be learnt from it.
    """
    rows = _read(path, text_column, label_column, multi_label)
    if fault := _unlearnable(rows, label_column):
        raise InputError(f"{path}: {fault}")
    return rows


def read_train_and_test(
    path: str | Path,
    test: str | Path | None = None,
    text_column: str = "text",
    label_column: str = "label",
    multi_label: bool = False,
) -> TrainAndTest:
    """Read rows to learn from, and those of the file `test`.

    A folder with train.jsonl and perhaps test.jsonl, as they are or packed, gives both.

    Raises:
        InputError: as `read_labelled`; or no label of the test is one of those that are learnt.
    """
    if folder := _folder(path):
        found = _split(folder, "train")
        if found is None:
            raise InputError(f"{path} is a folder without train.jsonl; that, or a file of rows, was expected")
        path, test = found, test or _split(folder, "test")
    train = read_labelled(path, text_column, label_column, multi_label)
    if test is None:
        return TrainAndTest(train, None)
    held_out = _read(test, text_column, label_column, multi_label)
    if not held_out.texts:
        raise InputError(f"{test}: it holds no row")
    told, known = _different(held_out.labels), set(_different(train.labels))
    if not known.intersection(told):
        raise InputError(f"{test}: no label of its rows, such as {_listed(told)}, is one of {train.where}'s")
    return TrainAndTest(train, held_out)


def read_pairs(path: str | Path, query_column: str = "query", passage_column: str = "passage") -> Pairs:
    """Read queries and their passages: a .csv, .tsv, .jsonl (each also packed) or .parquet file with two columns.

    Raises:
        InputError: the file cannot be read; a row is not usable, which is named; or there is one passage alone.
    """
    queries: list[str] = []
    passages: list[str] = []
    for row in read_columns(path, (query_column, passage_column)):
        query, passage = row.values
        _refuse_more(len(queries), row.where)
        queries.append(_text(query, query_column, row.where))
        passages.append(_text(passage, passage_column, row.where))
    if not queries:
        raise InputError(f"{path}: it holds no row")
    if len(set(passages)) < 2:
        raise InputError(f"{path}: all its rows have one passage; two that differ are the least to search among")
    return Pairs(queries, passages, str(path))


def _folder(path: str | Path) -> Path | None:
    try:
        folder = Path(path).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # a name that no file system takes: whoever reads it says so
        return None


def _split(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}.jsonl{packing}" for packing in ("", *PACKINGS))
    return next((file for file in files if file.exists()), None)


def _read(path: str | Path, text_column: str, label_column: str, multi_label: bool) -> Labelled:
    texts: list[str] = []
    labels: list[Any] = []
    numbers: list[int] = []
    for row in read_columns(path, (text_column, label_column)):
        text, label = row.values
        _refuse_more(len(texts), row.where)
        texts.append(_text(text, text_column, row.where))
        labels.append((_labels if multi_label else label_of)(label, label_column, row.where))
        numbers.append(row.number)
    return Labelled(texts, labels, str(path), numbers)


def _refuse_more(rows: int, where: str) -> None:
    if rows == MOST_ROWS:
        raise InputError(f"{where}: a file may have {MOST_ROWS:,} rows, and this has more; leave some out")


def _text(value: Any, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: {column!r} is {_shown(value)}; a text was expected")
    if not value.strip():
        raise InputError(f"{where}: {column!r} is {'blank' if value else 'empty'}; a text was expected")
    if not is_unicode(value):
        raise InputError(f"{where}: {column!r} holds a lone surrogate, which is no Unicode text")
    return value


def label_of(value: Any, column: str, where: str) -> str:
    """A label of a file as a string; InputError where it is none, which names the place `where` it stands."""
    at = f"{where}: {column!r}"
    if isinstance(value, float) and value.is_integer():  # what pandas makes of whole numbers, where one is missing
        value = int(value)
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int):
        value = str(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise InputError(f"{at} is {'null' if value is None else 'NaN'}; a label was expected")
    if isinstance(value, list):
        raise InputError(f"{at} is a list; one label was expected (several a text are multi-label)")
    if not isinstance(value, str):
        raise InputError(f"{at} is {_shown(value)}; a label is a string, a whole number or a boolean")
    label = value.strip()
    if not label or label.lower() in MISSING:
        raise InputError(f"{at} is {_shown(label) if label else 'empty'}; a label was expected")
    if len(label) > LONGEST_LABEL:
        raise InputError(
            f"{at} has {len(label):,} characters, and a label may have {LONGEST_LABEL}; is it the wrong column?"
        )
    if not is_unicode(label):
        raise InputError(f"{at} holds a lone surrogate, which is no Unicode text")
    return label


def _labels(value: Any, column: str, where: str) -> list[str]:
    """The labels of a text, each of them once; none for an empty list or an empty string."""
    if isinstance(value, str):
        value = value.split(SEPARATOR) if value.strip() else []
    several = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(label_of(one, column, where) for one in several))


def _unlearnable(rows: Labelled, column: str) -> str:
    """Why nothing can be learnt from rows; "" where something can."""
    if not rows.texts:
        return "it holds no row"
    given = [label for labels in rows.labels for label in ([labels] if isinstance(labels, str) else labels)]
    labels = _different(rows.labels)
    if len(labels) < 2:
        found = f"a single label, {_listed(labels)}" if labels else "no label"
        return f"its {len(rows.texts):,} rows have {found}; two or more were expected. Is {column!r} the wrong column?"
    found = f"{len(labels):,} different labels in {len(rows.texts):,} rows, such as {_listed(labels)}"
    if len(labels) > MOST_LABELS:
        return f"{found}; at most {MOST_LABELS:,} can be told apart. Is {column!r} the wrong column?"
    words = sum(len(label.split()) for label in labels) / len(labels)
    if len(labels) > len(given) / 2 and words > PROSE_WORDS:
        return f"{found}: free text, it seems, and names of classes were expected. Is {column!r} the wrong column?"
    return ""


def _different(labels: Sequence[str] | Sequence[list[str]]) -> list[str]:
    """Each label once, in the order in which they first come."""
    return list(dict.fromkeys(label for some in labels for label in ([some] if isinstance(some, str) else some)))


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(_shown, labels[:SHOWN]))


def _shown(value: Any) -> str:
    """A value from a file, in few letters."""
    return reprlib.repr(value).encode("utf-8", "backslashreplace").decode("utf-8")
