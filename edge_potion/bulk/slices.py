"""Slices of an input: as many rows as go into one shard, named by their place, cut at the same rows every time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_potion.bulk.inputs import Input
from edge_potion.bulk.parquet_rows import group_starts
from edge_potion.errors import InputError
from edge_potion.records import SEPARATORS, BadRecord, names_of, separated_records, separator_of
from edge_potion.text_lines import Block, name_of, read_blocks

__all__ = ["Header", "Slice", "header_in", "slices_of", "tasks_of"]

SLICE_BYTES = 2**26  # most of lines that are held as one slice, however few they are


@dataclass(frozen=True)
class Header:
    """The first line of a .csv or .tsv.

    Attributes:
        names: of the columns.
        separator: between fields.
    """

    names: tuple[str, ...]
    separator: str


@dataclass(frozen=True)
class Slice:
    """A part of an input.

    Attributes:
        input: that it is of.
        number: its place in it, from 0.
        first: its first row, or the number of its first line, from 1.
        rows: how many rows a .parquet file has in it; how many lines any other has, of which each holds a row at most.
        size_bytes: of the file, that are behind it; as they are stored, so that all slices have the size of the file.
        group: the row group of a .parquet file in which it begins, behind its input's number; None for others.
        block: its lines; None for .parquet, of which whoever works on it reads the rows.
        header: of a .csv or .tsv; None for others.
        digest: SHA-256 of the lines of an input that can be read once only; "" for others.
    """

    input: Input
    number: int
    first: int
    rows: int
    size_bytes: int
    group: tuple[int, int] | None = None
    block: Block | None = None
    header: Header | None = None
    digest: str = ""

    @property
    def name(self) -> str:
        """Of its shard, without ending."""
        return f"{self.input.number:05d}-{self.number:06d}"


def slices_of(input: Input, rows: int) -> Iterator[Slice]:
    """The slices of an input, in order; the lines of one are in memory, and no more is read than the next one needs.

    A slice of a .parquet file is `rows` rows. Of another file it is `rows` lines, or fewer where they are more than
    `SLICE_BYTES`; a record of a .csv that goes over the end is the slice's as a whole.

    Raises:
        InputError: the file cannot be read.
    """
    if input.kind == ".parquet":
        return _parquet_slices(input, rows)
    return _separated_slices(input, rows) if input.kind in SEPARATORS else _line_slices(input, rows)


def tasks_of(slices: Iterator[Slice], longest: int) -> Iterator[tuple[Slice, ...]]:
    """Slices that one worker does best: at most `longest` that begin in one row group of a .parquet file, else each
    alone. A row group is read from its beginning, so that who reads its middle has unpacked all before."""
    held: list[Slice] = []
    for part in slices:
        if held and (part.group is None or part.group != held[-1].group or len(held) == longest):
            yield tuple(held)
            held = []
        held.append(part)
    if held:
        yield tuple(held)


def header_in(input: Input) -> Header | None:
    """The header of a .csv or .tsv; None where it is empty.

    Raises:
        InputError: the first record is none.
    """
    blocks = read_blocks(input.path)
    lines = (line for block in blocks for line in block.lines("surrogateescape"))
    return _header_of(lines, input)[0]


def _parquet_slices(input: Input, rows: int) -> Iterator[Slice]:
    starts = group_starts(input.path)
    total = int(starts[-1])
    for number, begin in enumerate(range(0, total, rows)):
        count = min(rows, total - begin)
        size = _share(input, begin + count, total) - _share(input, begin, total)
        group = int(np.searchsorted(starts, begin, "right")) - 1
        yield Slice(input, number, begin + 1, count, size, (input.number, group))


def _share(input: Input, rows: int, total: int) -> int:
    return (input.size_bytes or 0) * rows // total


class _Meter:
    """How many bytes were read since it was looked at last."""

    def __init__(self) -> None:
        self._bytes = 0

    def hear(self, count: int) -> None:
        self._bytes += count

    def since(self) -> int:
        count, self._bytes = self._bytes, 0
        return count


def _line_slices(input: Input, rows: int) -> Iterator[Slice]:
    meter = _Meter()
    parts: list[bytes] = []
    lines = size = number = 0
    first = 1
    end = b"\n"

    def cut() -> Slice:
        nonlocal parts, lines, size, number, first
        data = end.join(parts)
        part = Slice(
            input, number, first, lines, meter.since(), None, Block(data, end, first), digest=_digest_of(input, data)
        )
        first, number, parts, lines, size = first + lines, number + 1, [], 0, 0
        return part

    for block in read_blocks(input.path, meter.hear):
        rest, end = block.data, block.end
        while True:
            count = rest.count(end) + 1
            if count <= rows - lines and len(rest) < SLICE_BYTES - size:
                parts.append(rest)
                lines, size = lines + count, size + len(rest) + 1
                break
            place = _end_of_what_fits(rest, end, count, rows - lines, SLICE_BYTES - size)
            if place >= 0:
                parts.append(rest[:place])
                lines += rest.count(end, 0, place) + 1
            yield cut()
            if place == len(rest):
                break
            rest = rest[place + 1 :]
    if lines:
        yield cut()


def _end_of_what_fits(data: bytes, end: bytes, count: int, lines: int, size: int) -> int:
    """Where the last of `count` lines ends of which all up to it are at most `lines` and `size` bytes; -1: none is."""
    if not lines:
        return -1
    place = len(data)
    if count > lines:
        place = int(np.flatnonzero(np.frombuffer(data, np.uint8) == end[0])[lines - 1])
    return place if place < size else data.rfind(end, 0, max(size, 0))


def _separated_slices(input: Input, rows: int) -> Iterator[Slice]:
    meter = _Meter()
    taken: list[str] = []  # lines since the last cut; what csv read, and no more
    blocks = read_blocks(input.path, meter.hear)

    size = 0  # characters of them

    def recorded() -> Iterator[str]:
        nonlocal size
        for block in blocks:
            for line in block.lines("surrogateescape"):
                taken.append(line)
                size += len(line) + 1
                yield line

    lines = recorded()
    header, _ = _header_of(lines, input)
    if header is None:
        return
    first, number, size = len(taken) + 1, 0, 0
    taken.clear()

    def cut() -> Slice:
        data = "\n".join(taken).encode("utf-8", "surrogateescape")
        block = Block(data, b"\n", first)
        return Slice(input, number, first, len(taken), meter.since(), None, block, header, _digest_of(input, data))

    for _ in separated_records(lines, name_of(input.path), header.separator, first):
        if len(taken) >= rows or size >= SLICE_BYTES // 4:  # a character has 4 bytes at most
            yield cut()
            first, number, size = first + len(taken), number + 1, 0
            taken.clear()
    if taken:
        yield cut()


def _header_of(lines: Iterator[str], input: Input) -> tuple[Header | None, int]:
    """And how many lines it has."""
    head = next(lines, None)
    if head is None:
        return None, 0
    separator = separator_of(head, SEPARATORS[input.kind])

    def again() -> Iterator[str]:
        yield head
        yield from lines

    name = name_of(input.path)
    number, record = next(separated_records(again(), name, separator))
    if isinstance(record, BadRecord):
        raise InputError(f"{name}, line {number}: {record}") from record
    return Header(tuple(names_of(record)), separator), number


def _digest_of(input: Input, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if input.is_stream else ""
