"""The rows of a slice: texts, what is kept beside them, and what cannot be used, some thousands at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edge_potion.bulk.parquet_rows import ParquetReader
from edge_potion.bulk.row_bytes import bytes_of_rows
from edge_potion.bulk.slices import Header, Slice
from edge_potion.errors import InputError
from edge_potion.parquet_texts import parquet_errors
from edge_potion.records import BadRecord, checked_width, json_record, place_of, separated_records
from edge_potion.text_lines import BLOCK, LONGEST_TEXT, Block, name_of
from edge_potion.texts import is_unicode

__all__ = ["WINDOW_ROWS", "Bad", "RowReader", "Rows"]

WINDOW_ROWS = 2**14  # of a row group that is written
NULL, NOT_UTF8 = "null", "not UTF-8"  # reasons
WINDOW_BYTES = LONGEST_TEXT  # of texts and kept values; a window of more than one row has no more


class Bad(NamedTuple):
    """A row whose text cannot be used.

    Attributes:
        row: its number.
        reason: in few words, for a count.
        message: the file, where in it, what was found and what was expected.
    """

    row: int
    reason: str
    message: str


@dataclass(frozen=True)
class Rows:
    """Some rows.

    Attributes:
        numbers: (n,) int64, from 1: of rows in a .parquet file; elsewhere of the lines on which they begin.
        texts: Arrow strings, n of them; null where one cannot be used.
        kept: Arrow arrays of the columns that pass through, n values each.
        bad: what cannot be used, in order.
    """

    numbers: np.ndarray
    texts: Any
    kept: list[Any]
    bad: list[Bad]

    def part(self, begin: int, count: int) -> Rows:
        """Some rows of these; which of them are bad is not said again."""
        kept = [column.slice(begin, count) for column in self.kept]
        return Rows(self.numbers[begin : begin + count], self.texts.slice(begin, count), kept, [])

    def without_bad(self) -> Rows:
        """The rows whose texts can be used."""
        if not self.bad:
            return self
        good = self.texts.is_valid()
        kept = [column.filter(good) for column in self.kept]
        return Rows(self.numbers[good.to_numpy(zero_copy_only=False)], self.texts.filter(good), kept, [])


class RowReader:
    """Reads slices; of a .parquet file it goes on where the last slice ended.

    Args:
        text_column: key or column of the texts.
        kept: Arrow schema of the columns that pass through.
        window: rows at a time.
    """

    def __init__(self, text_column: str, kept: Any, window: int) -> None:
        self._text_column, self._kept = text_column, kept
        self._rows = max(window, WINDOW_ROWS)
        self._bytes = WINDOW_BYTES * -(-self._rows // WINDOW_ROWS)
        self._parquet: ParquetReader | None = None

    def rows_of(self, part: Slice) -> Iterator[Rows]:
        """The rows of a slice, cut at the same rows every time.

        Raises:
            InputError: the file cannot be read, or a kept value is not of its column's type.
        """
        if part.block is None:
            return self._parquet_rows(part)
        if part.input.kind == ".txt" and len(part.block.data) <= self._bytes:
            return self._short_lines(part, part.block)
        return self._records(part, part.block)

    def _parquet_rows(self, part: Slice) -> Iterator[Rows]:
        path, first, names = part.input.path, part.first, self._kept.names
        with parquet_errors(path):
            if self._parquet is None or self._parquet.path != path:
                if self._parquet is not None:
                    self._parquet.close()
                self._parquet = None
                self._parquet = ParquetReader(path, [self._text_column, *names], self._text_column)
            for batch in _windows(self._parquet.batches(first - 1, part.rows), self._rows, self._bytes):
                numbers = np.arange(first, first + len(batch), dtype=np.int64)
                first += len(batch)
                texts, bad = _usable(batch.column(self._text_column), numbers, path, self._text_column)
                yield Rows(numbers, texts, [_with_its_own_dictionary(batch.column(name)) for name in names], bad)

    def _short_lines(self, part: Slice, block: Block) -> Iterator[Rows]:
        """Lines of a .txt, without a step for each."""
        lines = block.lines("surrogateescape")
        for begin in range(0, len(lines), self._rows):
            some = lines[begin : begin + self._rows]
            numbers = np.arange(part.first + begin, part.first + begin + len(some), dtype=np.int64)
            texts, bad = _strings(some, numbers, part, "the text")
            yield Rows(numbers, texts, [texts] * len(self._kept), bad)

    def _records(self, part: Slice, block: Block) -> Iterator[Rows]:
        every = (line for piece in _pieces(block) for line in piece.lines("surrogateescape"))
        lines = enumerate(every, start=part.first)
        if part.input.kind == ".jsonl":
            records = self._json_records(lines)
        elif part.header is not None:
            records = self._separated_records(part, part.header, (line for _, line in lines))
        else:
            records = (_Record(number, line, []) for number, line in lines)
        held: list[_Record] = []
        size = 0
        for record in records:
            length = len(record.text) if isinstance(record.text, str) else 0
            if held and (len(held) == self._rows or size + length > self._bytes):
                yield self._rows_of(part, held)
                held, size = [], 0
            held.append(record)
            size += length
        if held:
            yield self._rows_of(part, held)

    def _json_records(self, lines: Iterator[tuple[int, str]]) -> Iterator[_Record]:
        names = self._kept.names
        for number, line in lines:
            if not line.strip():
                continue
            try:
                text, record = json_record(line, self._text_column)
            except BadRecord as bad:
                yield _Record(number, bad, [None] * len(names))
            else:
                yield _Record(number, text, [record.get(name) for name in names] if isinstance(record, dict) else [])

    def _separated_records(self, part: Slice, header: Header, lines: Iterator[str]) -> Iterator[_Record]:
        name, names = name_of(part.input.path), list(header.names)
        places = [place_of(column, names, f"{name}, its header") for column in (self._text_column, *self._kept.names)]
        for number, row in separated_records(lines, name, header.separator, part.first):
            try:
                if isinstance(row, BadRecord):
                    raise row
                if row:  # an empty line is no record
                    text, *kept = [checked_width(row, len(names), header.separator)[place] for place in places]
                    yield _Record(number, text, kept)
            except BadRecord as bad:
                yield _Record(number, bad, [])

    def _rows_of(self, part: Slice, records: list[_Record]) -> Rows:
        numbers = np.array([record.number for record in records], np.int64)
        usable = [record.text if isinstance(record.text, str) else None for record in records]
        texts, bad = _strings(usable, numbers, part, repr(self._text_column))
        bad += [
            Bad(number, text.reason, f"{name_of(part.input.path)}, line {number}: {text}")
            for number, text, _ in records
            if isinstance(text, BadRecord)
        ]
        kept = []
        for place, field in enumerate(self._kept):
            if field.name == self._text_column:
                kept.append(texts)
                continue
            values = [record.kept[place] if record.kept else None for record in records]
            kept.append(_typed(values, field, numbers, part))
        return Rows(numbers, texts, kept, sorted(bad))


def _pieces(block: Block) -> Iterator[Block]:
    """A block in parts, so that not all of its lines are str at once, which one letter may make four times as long."""
    begin, number = 0, block.number
    while True:
        end = block.data.find(block.end, begin + BLOCK)
        piece = Block(block.data[begin : end if end >= 0 else None], block.end, number)
        yield piece
        if end < 0:
            return
        begin, number = end + 1, number + piece.data.count(block.end) + 1


class _Record(NamedTuple):
    """A line or record: its number, its text or why there is none, and what is kept of it ([] for nothing there)."""

    number: int
    text: str | BadRecord
    kept: list[Any]


def _strings(texts: Sequence[str | None], numbers: np.ndarray, part: Slice, what: str) -> tuple[Any, list[Bad]]:
    """An Arrow array of texts, null where one is not Unicode."""
    import pyarrow as pa

    try:
        return pa.array(texts, pa.string()), []
    except UnicodeEncodeError:
        pass
    bad = []
    usable = list(texts)
    for place, text in enumerate(texts):
        if text is not None and not is_unicode(text):
            where = f"{name_of(part.input.path)}, line {numbers[place]}"
            bad.append(Bad(int(numbers[place]), NOT_UTF8, f"{where}: {what} is not UTF-8, or holds a lone surrogate"))
            usable[place] = None
    return pa.array(usable, pa.string()), bad


def _typed(values: list[Any], field: Any, numbers: np.ndarray, part: Slice) -> Any:
    """An Arrow array of kept values; InputError for one that is of another type."""
    import pyarrow as pa

    failures = (pa.ArrowException, TypeError, ValueError, OverflowError)
    try:
        column = pa.array(values, field.type)
        # Arrow takes 1.5 for the integer 1, and leaves out what a struct has no field for.
        held = column.to_pylist()
        if held == values:
            return column
        place = next((at for at in range(len(held)) if not _holds(held[at], values[at])), None)
        if place is None:
            return column
    except failures:
        place = next((at for at, value in enumerate(values) if not _fits(value, field.type, failures)), 0)
    shown = repr(values[place])
    raise InputError(
        f"{name_of(part.input.path)}, line {numbers[place]}: {field.name!r} is "
        f"{shown if len(shown) < 60 else f'{shown[:60]}...'}, and the first rows say {field.type}; make them alike, "
        f"or leave --keep {field.name} out"
    )


def _fits(value: Any, kind: Any, failures: tuple[type[Exception], ...]) -> bool:
    import pyarrow as pa

    try:
        pa.array([value], kind)
    except failures:
        return False
    return True


def _holds(held: Any, value: Any) -> bool:
    """Whether what Arrow holds is all of a value of JSON; it has null for a key that is not there."""
    if isinstance(value, dict) and isinstance(held, dict):
        return value.keys() <= held.keys() and all(_holds(inner, value.get(key)) for key, inner in held.items())
    if isinstance(value, list) and isinstance(held, list):
        return len(value) == len(held) and all(map(_holds, held, value))
    return bool(value == held or (value != value and held != held))  # NaN is not itself


def _usable(texts: Any, numbers: np.ndarray, path: str, column: str) -> tuple[Any, list[Bad]]:
    """Arrow strings of a column of texts, null where one is not UTF-8; and what cannot be used."""
    import pyarrow as pa

    kind = texts.type
    if pa.types.is_dictionary(kind):
        texts, kind = texts.dictionary_decode(), kind.value_type
    if pa.types.is_string_view(kind):
        texts = texts.cast(pa.large_string())
    bad = []
    if texts.null_count:
        message = f"no {column!r} there; a text was expected"
        missing = np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False))
        bad = [Bad(int(numbers[place]), NULL, f"{path}, row {numbers[place]}: {message}") for place in missing]
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = texts.cast(pa.large_binary()).to_pylist()
        for place, value in enumerate(values):
            try:
                value = value if value is None else value.decode("utf-8")
            except UnicodeDecodeError:
                row = int(numbers[place])
                bad.append(Bad(row, NOT_UTF8, f"{path}, row {row}: {column!r} is not UTF-8"))
                value = None
            values[place] = value
        texts = pa.array(values, pa.large_string())
    if len(texts) and bytes_of_rows(texts).max() > LONGEST_TEXT:
        place = int(bytes_of_rows(texts).argmax())
        raise InputError(f"{path}, row {numbers[place]}: a text of more than {LONGEST_TEXT:,} bytes; cut it up first")
    return texts, sorted(bad)


def _windows(batches: Iterator[Any], rows: int, size: int) -> Iterator[Any]:
    """Record batches of `rows` rows, or fewer where they have more than `size` bytes."""
    import pyarrow as pa

    held: list[Any] = []
    count = bytes_held = 0
    for batch in batches:
        sizes = np.cumsum(sum(bytes_of_rows(column) for column in batch.columns))  # (n,) up to each row
        begin = before = 0  # what of the batch was given away or is held
        while begin < len(batch):
            end = int(np.searchsorted(sizes, before + size - bytes_held, "right"))
            end = max(min(end, begin + rows - count), begin + (not held))
            if end > begin:
                held.append(batch.slice(begin, end - begin))
                count, bytes_held = count + end - begin, bytes_held + int(sizes[end - 1]) - before
                begin, before = end, int(sizes[end - 1])
            if begin < len(batch) or count == rows:
                yield held[0] if len(held) == 1 else pa.concat_batches(held)
                held, count, bytes_held = [], 0, 0
    if held:
        yield held[0] if len(held) == 1 else pa.concat_batches(held)


def _with_its_own_dictionary(column: Any) -> Any:
    """A column whose dictionary is that of its values in their order, and not what the file had before them."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column
    return column.dictionary_decode().dictionary_encode().cast(column.type)
