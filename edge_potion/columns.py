"""Some columns of a file of records (.csv, .tsv, .jsonl, .parquet) -> their values, each row with its number."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from edge_potion.errors import InputError
from edge_potion.parquet_texts import open_parquet, rows_at_once
from edge_potion.records import (
    LONGEST_NAME,
    SEPARATORS,
    BadRecord,
    checked_width,
    names_of,
    separated_records,
    separator_of,
)
from edge_potion.text_lines import read_blocks
from edge_potion.texts import kind_of

__all__ = ["Row", "read_columns"]

MOST_NAMES = 20  # of columns that an error lists


class Row(NamedTuple):
    """A record.

    Attributes:
        number: of the line on which it begins, or of the row of a .parquet file; from 1.
        where: the file and that number, as errors say it.
        values: of the columns that were asked for: strings in .csv and .tsv, elsewhere whatever stands there.
    """

    number: int
    where: str
    values: list[Any]


def read_columns(file: str | Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a file, in its order; its name says how it is read, as in `texts.read_texts`.

    Raises:
        InputError: the file cannot be read, is of a kind without columns, lacks a column (the nearest names are told
            first), or holds a record that cannot be read, which is named.
        MissingExtraError: .parquet without pyarrow, .zst without zstandard.
    """
    if len(set(columns)) < len(columns):
        raise InputError(f"{' and '.join(map(repr, columns))} are one column; name two that differ")
    kind = kind_of(file)
    if kind == ".parquet":
        return _parquet_rows(Path(file), columns)
    if kind == ".jsonl":
        return _json_rows(str(file), columns)
    if kind in SEPARATORS:
        return _separated_rows(str(file), columns, SEPARATORS[kind])
    raise InputError(f"{file} has no columns; a file that ends in .csv, .tsv, .jsonl or .parquet was expected")


def _lines(name: str) -> Iterator[str]:
    for block in read_blocks(name):
        try:
            yield from block.lines()
        except UnicodeDecodeError as failure:
            line = block.number + block.data.count(block.end, 0, failure.start)
            raise InputError(
                f"{name}, line {line}: the byte 0x{block.data[failure.start]:02x} is not UTF-8; if the file is in "
                "Latin-1, convert it first (iconv -f latin1 -t utf-8 OLD > NEW)"
            ) from None


def _separated_rows(name: str, columns: Sequence[str], separators: str) -> Iterator[Row]:
    lines = _lines(name)
    first = next(lines, None)
    if first is None:  # an empty file
        return
    separator = separator_of(first, separators)
    records = separated_records(chain([first], lines), name, separator)
    _, header = next(records)
    if isinstance(header, BadRecord):
        raise InputError(f"{name}, line 1: {header}")
    places = [_place_of(column, names_of(header), f"{name}, its header") for column in columns]
    for number, row in records:
        where = f"{name}, line {number}"
        try:
            if isinstance(row, BadRecord):
                raise row
            if row:  # an empty line is no record
                checked_width(row, len(header), separator)
                yield Row(number, where, [row[place] for place in places])
        except BadRecord as bad:
            raise InputError(f"{where}: {bad}") from None


def _json_rows(name: str, columns: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(_lines(name), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as failure:  # ValueError: no JSON, or an endless number
            raise InputError(f"{where}: no JSON ({failure}); a JSON object a line was expected") from None
        if not isinstance(record, dict):
            raise InputError(f"{where}: a {type(record).__name__}; a JSON object was expected")
        for column in columns:
            _place_of(column, list(record), where)
        yield Row(number, where, [record[column] for column in columns])


def _parquet_rows(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow.parquet as pq

    with open_parquet(file) as stream:
        table = pq.ParquetFile(stream)
        for column in columns:
            _place_of(column, table.schema_arrow.names, str(file))
        at_once = min(rows_at_once(table, column, str(file)) for column in columns)
        number = 0
        for batch in table.iter_batches(columns=list(columns), batch_size=at_once):
            held = [_values(batch.column(column), f"{file}, row", number, column) for column in columns]
            for values in zip(*held, strict=True):
                number += 1
                yield Row(number, f"{file}, row {number}", list(values))


def _values(column: Any, where: str, before: int, name: str) -> list[Any]:
    """The values of an Arrow column; InputError for a string that is not UTF-8."""
    try:
        values: list[Any] = column.to_pylist()
        return values
    except UnicodeDecodeError:
        for number, value in enumerate(column, start=before + 1):
            try:
                value.as_py()
            except UnicodeDecodeError:
                raise InputError(f"{where} {number}: {name!r} is not UTF-8") from None
        raise


def _place_of(column: str, names: Sequence[str], where: str) -> int:
    """Which of the columns has that name; InputError unless one has."""
    if names.count(column) == 1:
        return names.index(column)
    if column in names:
        raise InputError(f"{where}: there are {names.count(column)} columns {column!r}; rename one")
    if not any(names):
        raise InputError(f"{where}: no column {column!r}, and no other")
    nearest = sorted(names, key=lambda name: -difflib.SequenceMatcher(None, column.lower(), name.lower()).ratio())
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in nearest[:MOST_NAMES]]
    listed = ", ".join(name if name.isprintable() else repr(name) for name in shown)
    raise InputError(f"{where}: no column {column!r}; there are {listed}{', ...' if len(names) > MOST_NAMES else ''}")
