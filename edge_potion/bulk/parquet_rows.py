"""Rows of a .parquet file from any row on, without unpacking what lies before their row group, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.bulk.row_bytes import bytes_of_rows
from edge_potion.errors import InputError
from edge_potion.parquet_texts import is_text, open_parquet
from edge_potion.records import place_of
from edge_potion.text_lines import BLOCK, LONGEST_TEXT

__all__ = ["ParquetReader", "group_starts", "schema_of"]

ROWS = 2**14  # that are unpacked at once, at most
BYTES = 2**25  # likewise, about


def group_starts(path: str) -> np.ndarray:
    """(G + 1,) int64: the rows before each row group of a file, and all of them.

    Raises:
        InputError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with open_parquet(Path(path)) as stream:
        meta = pq.ParquetFile(stream).metadata
        return np.cumsum([0, *(meta.row_group(number).num_rows for number in range(meta.num_row_groups))])


def schema_of(path: str, columns: Sequence[str], text_column: str) -> Any:
    """The Arrow schema of some columns of a file, as it says.

    Raises:
        InputError: it cannot be read, lacks a column, or the text's holds no text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_parquet(Path(path)) as stream:
        schema = pq.ParquetFile(stream).schema_arrow
    kind = schema.field(place_of(text_column, schema.names, path)).type
    if not is_text(kind):
        raise InputError(f"{path}: the column {text_column!r} is {kind}; text was expected")
    return pa.schema([schema.field(place_of(column, schema.names, path)) for column in columns])


class ParquetReader:
    """An open file that goes on where it was left.

    Args:
        path: of the file.
        columns: that are read, the text's among them.
        text_column: the text's.
    """

    def __init__(self, path: str, columns: Sequence[str], text_column: str) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self._columns, self._text_column = list(dict.fromkeys(columns)), text_column
        self._stream = Path(path).expanduser().open("rb")
        self._file = pq.ParquetFile(self._stream, pre_buffer=False, buffer_size=BLOCK)
        meta = self._file.metadata
        groups = range(meta.num_row_groups)
        self._starts = np.cumsum([0, *(meta.row_group(number).num_rows for number in groups)])
        self._next = int(self._starts[-1])  # row, from 0, that `_batches` gives next
        self._batches: Iterator[Any] = iter(())
        self._rest: Any = None  # of the last of them

    def close(self) -> None:
        self._stream.close()

    def batches(self, first: int, rows: int) -> Iterator[Any]:
        """Record batches of any length that hold `rows` rows from the row `first` (from 0) on."""
        group = int(np.searchsorted(self._starts, first, "right")) - 1
        if not self._starts[group] <= self._next <= first:  # behind us, or in a row group that is further on
            self._next, self._batches, self._rest = int(self._starts[group]), self._from(group), None
        while rows:
            batch = self._rest or next(self._batches, None)
            if batch is None:
                raise InputError(f"{self.path} has fewer rows than its footer tells of; it is damaged")
            begin = first - self._next  # rows that nobody asked for
            part = batch.slice(begin, rows) if begin < len(batch) else batch.slice(0, 0)
            end = min(begin, len(batch)) + len(part)
            self._next += end
            self._rest = batch.slice(end) if end < len(batch) else None  # for the slice after this one
            first, rows = first + len(part), rows - len(part)
            if len(part):
                yield part

    def _from(self, group: int) -> Iterator[Any]:
        for number in range(group, self._file.metadata.num_row_groups):
            yield from self._file.iter_batches(
                batch_size=self._rows_at_once(number), row_groups=[number], columns=self._columns, use_threads=False
            )

    def _rows_at_once(self, group: int) -> int:
        """Rows of a group whose values are no more than `BYTES`, about."""
        meta = self._file.metadata.row_group(group)
        size = longest = 0  # bytes a row: the mean, and of what the file holds once
        for chunk in (meta.column(number) for number in range(meta.num_columns)):
            path = chunk.path_in_schema
            if chunk.num_values and any(path == name or path.startswith(f"{name}.") for name in self._columns):
                size += chunk.total_uncompressed_size // meta.num_rows
                if chunk.has_dictionary_page and chunk.physical_type == "BYTE_ARRAY":
                    longest += self._longest_in_dictionary(group, path) * -(-chunk.num_values // meta.num_rows)
        if size > LONGEST_TEXT * len(self._columns):
            raise InputError(f"{self.path}: a row of more than {LONGEST_TEXT:,} bytes; cut it up first")
        return max(1, min(ROWS, BYTES // max(1, size + longest)))

    def _longest_in_dictionary(self, group: int, leaf: str) -> int:
        """Bytes of the longest value that the file holds once and rows name: a page of a few bytes may name it a
        million times."""
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self._stream, metadata=self._file.metadata, read_dictionary=[leaf], buffer_size=BLOCK)
        batch = next(file.iter_batches(batch_size=1, row_groups=[group], columns=[leaf]))
        sizes = (bytes_of_rows(values) for column in batch.columns for values in _dictionaries_of(column))
        longest = max((int(each.max(initial=0)) for each in sizes), default=0)
        if leaf == self._text_column and longest > LONGEST_TEXT:
            raise InputError(f"{self.path}: a text of more than {LONGEST_TEXT:,} bytes; cut it up first")
        return longest


def _dictionaries_of(column: Any) -> Iterator[Any]:
    """The dictionaries of an Arrow array and of what is nested in it."""
    import pyarrow.types as types

    if types.is_dictionary(column.type):
        yield column.dictionary
    elif types.is_struct(column.type):
        for place in range(column.type.num_fields):
            yield from _dictionaries_of(column.field(place))
    elif types.is_list(column.type) or types.is_large_list(column.type) or types.is_map(column.type):
        yield from _dictionaries_of(column.values)
