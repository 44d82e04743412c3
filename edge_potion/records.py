"""Records that stand in lines: of JSON a line, and of .csv and .tsv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from edge_potion.errors import InputError
from edge_potion.text_lines import LONGEST_TEXT

__all__ = [
    "SEPARATORS",
    "BadRecord",
    "checked_width",
    "header_of",
    "json_record",
    "names_of",
    "place_of",
    "separated_records",
    "separator_of",
]

SEPARATORS = {".csv": ",;", ".tsv": "\t"}  # of fields, by the kind of a file; the first where a header has none
LONGEST_NAME = 60  # characters of a column's name that errors show


class BadRecord(ValueError):
    """A record that cannot be used.

    Attributes:
        reason: for a count of such, in few words.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def json_record(line: str, column: str) -> tuple[str, Any]:
    """The text of a JSON object under `column`, or a JSON string itself; and the whole record.

    Raises:
        BadRecord: there is none.
    """
    reason = "no JSON object with a text"
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as failure:  # ValueError: no JSON, or an endless number
        raise BadRecord(reason, f"no JSON ({failure}); a JSON object a line was expected") from None
    text = record.get(column) if isinstance(record, dict) else record
    if isinstance(text, str):
        return text, record
    if not isinstance(record, dict):
        raise BadRecord(reason, f"a {type(record).__name__}; a JSON object with {column!r} was expected")
    if column in record:
        raise BadRecord(reason, f"{column!r} is of type {type(text).__name__}; a string was expected")
    raise BadRecord(reason, f"no {column!r}; {_other_columns(list(record))}")


def separator_of(header: str, separators: str) -> str:
    """What stands between the fields of a file, by its first line."""
    return next((mark for mark in separators if mark in header), separators[0])


def separated_records(
    lines: Iterable[str], name: str, separator: str, number: int = 1
) -> Iterator[tuple[int, list[str] | BadRecord]]:
    """Records of a .csv or .tsv, each with the number of its first line; lines are taken as records need them.

    Raises the `csv` module's limit of a field, which is one for the whole process.

    Args:
        lines: without their ends, the first of which begins a record.
        name: of the file, for errors.
        separator: of fields.
        number: of the first line.

    Raises:
        InputError: a record is longer than a text may be.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_TEXT))
    before = number - 1
    size = 0  # characters of the record so far: an open quote takes lines without end

    def with_ends() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += len(line) + 1
            if size > LONGEST_TEXT:
                raise InputError(
                    f"{name}, line {before + rows.line_num + 1}: a record of more than {LONGEST_TEXT:,} characters; "
                    "is a quote left open?"
                )
            yield line + "\n"

    rows = csv.reader(with_ends(), delimiter=separator, strict=True)
    while True:
        number, size = before + rows.line_num + 1, 0
        try:
            yield number, next(rows)
        except StopIteration:
            return
        except csv.Error as failure:
            yield number, BadRecord("no text", f"{failure}; fields with quotes, as in RFC 4180, were expected")


def checked_width(row: list[str], width: int, separator: str) -> list[str]:
    """The same record; BadRecord where it has another number of fields than the header."""
    if len(row) != width:
        message = f"{len(row)} fields, and the header has {width}; put quotes around what holds a {separator!r}"
        raise BadRecord("no text", message)
    return row


def header_of(record: tuple[int, list[str] | BadRecord], column: str, name: str) -> tuple[int, int]:
    """Of the first record of a file: which field holds the texts, and how many there are.

    Raises:
        InputError: it is no record, or has no such column.
    """
    number, row = record
    if isinstance(row, BadRecord):
        raise InputError(f"{name}, line {number}: {row}") from row
    return place_of(column, names_of(row), f"{name}, its header"), len(row)


def names_of(header: list[str]) -> list[str]:
    """Names of columns."""
    return [name.strip() for name in header]


def place_of(column: str, names: list[str], where: str) -> int:
    """Which of the columns has that name; InputError unless one has."""
    if names.count(column) > 1:
        raise InputError(f"{where}: there are {names.count(column)} columns {column!r}; rename one")
    if column not in names:
        raise InputError(f"{where}: no column {column!r}; {_other_columns(names)}")
    return names.index(column)


def _other_columns(names: list[str]) -> str:
    if not names:
        return "there is nothing in its place"
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names[:20]]
    listed = ", ".join(name if name.isprintable() else repr(name) for name in shown)
    return f"there are {listed}{', ...' if len(names) > 20 else ''}: name one with --text-column"
