"""Vectors -> the pages of a Parquet column, nearly all of whose bytes are those of the array.

The column is a list that may be null, of values that may be null, as pyarrow writes any fixed_size_list:

    float32, float16   values in a row (PLAIN)
    int8, uint8        places in a dictionary of all 256 values (RLE_DICTIONARY) in 8 bits each, as Parquet has no
                       type of one byte; each value's place is its byte, so that the bytes of the array are the places

Before the values of a page stand its levels, in runs: where a row begins (repetition), and where a row is null
(definition). A general writer finds them, and what is in a dictionary, by a look at each value; here they follow from
the width and from which rows are null. Pages are of version 1, which every reader takes, and uncompressed.

https://github.com/apache/parquet-format, whose numbers stand here: Encodings.md and src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edge_potion.bulk.thrift import Kind, Struct, encode, i32, i64, listed, struct, varint

__all__ = ["VALUE_TYPES", "Chunk", "Page", "column_metadata", "pages"]

PAGE_BYTES = 1 << 20  # of values, as other writers have it: a reader holds whole pages
DATA_PAGE, DICTIONARY_PAGE = 0, 2
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
INT32, FLOAT, FIXED_LEN_BYTE_ARRAY = 1, 4, 7
UNCOMPRESSED = 0
NEW_ROW, SAME_ROW = 0, 1  # repetition levels
NULL_ROW, VALUE = 0, 3  # definition levels; 1 is a list of no values, 2 a value that is null
PLACE_BITS = 8  # of a value in the dictionary
GROUP = 8  # values are packed in groups of as many


class ValueType(NamedTuple):
    stored: str  # numpy's type of a value's bytes in a data page
    physical: int
    by_dictionary: bool


VALUE_TYPES = {
    "float32": ValueType("<f4", FLOAT, False),
    "float16": ValueType("<f2", FIXED_LEN_BYTE_ARRAY, False),
    "int8": ValueType("i1", INT32, True),
    "uint8": ValueType("u1", INT32, True),
}


class Page(NamedTuple):
    buffers: list[bytes | memoryview]
    levels: int  # values and null rows; of the dictionary's page, none


class Chunk(NamedTuple):
    """Where in the file the pages of a row group lie, and what they hold."""

    levels: int
    start: int
    data_start: int  # of the first page after the dictionary
    end: int


def pages(vectors: np.ndarray, valid: np.ndarray | None) -> Iterator[Page]:
    """Pages of (N, D) `vectors` of a type in `VALUE_TYPES`, null where `valid` (N,) bool is not; a dictionary first."""
    if VALUE_TYPES[vectors.dtype.name].by_dictionary:
        yield _dictionary_page(vectors.dtype)
    rows = max(1, PAGE_BYTES // (vectors.shape[1] * vectors.itemsize))
    for first in range(0, len(vectors), rows):
        some = slice(first, first + rows)
        yield _data_page(vectors[some], None if valid is None or valid[some].all() else valid[some])


def _dictionary_page(dtype: np.dtype) -> Page:
    values = np.arange(256, dtype=np.uint8).view(dtype).astype("<i4").tobytes()  # (256,)
    return Page([_header(DICTIONARY_PAGE, len(values), 7, {1: i32(256), 2: i32(PLAIN)}), values], 0)


def _data_page(vectors: np.ndarray, valid: np.ndarray | None) -> Page:
    rows, dim = vectors.shape
    row, null_row = _run(NEW_ROW, 1) + _run(SAME_ROW, dim - 1), _run(NEW_ROW, 1)
    if valid is None:
        repetitions, definitions = row * rows, _run(VALUE, rows * dim)
    else:
        repetitions = _by_row(valid, row, null_row)
        definitions = _by_row(valid, _run(VALUE, dim), _run(NULL_ROW, 1))
        vectors = vectors[valid]
    levels = vectors.size + rows - len(vectors)
    value_type = VALUE_TYPES[vectors.dtype.name]
    values = np.ascontiguousarray(vectors, value_type.stored).reshape(-1)
    encoding, opening, closing = PLAIN, b"", b""
    if value_type.by_dictionary:
        groups = -(-values.size // GROUP)
        encoding = RLE_DICTIONARY
        opening = bytes([PLACE_BITS]) + (varint(groups << 1 | 1) if groups else b"")
        closing = bytes(groups * GROUP - values.size)
    head = b"".join([_sized(repetitions), _sized(definitions), opening])
    counts = {1: i32(levels), 2: i32(encoding), 3: i32(RLE), 4: i32(RLE)}
    header = _header(DATA_PAGE, len(head) + values.nbytes + len(closing), 5, counts)
    return Page([header + head, values.view(np.uint8).data, closing], levels)


def _run(level: int, count: int) -> bytes:
    """The hybrid encoding's run of one level, all of which fit in a byte; none is no run."""
    return varint(count << 1) + bytes([level]) if count else b""


def _by_row(valid: np.ndarray, row: bytes, null_row: bytes) -> bytes:
    """`row` where `valid` (N,), else `null_row`, which is no longer."""
    runs = np.tile(np.frombuffer(row, np.uint8), (len(valid), 1))  # (N, bytes)
    kept = np.ones_like(runs, np.bool_)
    runs[~valid, : len(null_row)] = np.frombuffer(null_row, np.uint8)
    kept[~valid, len(null_row) :] = False
    return runs[kept].tobytes()


def _sized(levels: bytes) -> bytes:
    return len(levels).to_bytes(4, "little") + levels


def _header(kind: int, size: int, field: int, content: Struct) -> bytes:
    return encode({1: i32(kind), 2: i32(size), 3: i32(size), field: struct(content)})


def column_metadata(name: str, dtype: np.dtype, chunk: Chunk) -> Struct:
    """What the footer says of a chunk (`ColumnMetaData`)."""
    value_type, size = VALUE_TYPES[dtype.name], chunk.end - chunk.start
    said = {
        1: i32(value_type.physical),
        2: listed(Kind.I32, [PLAIN, RLE, *([RLE_DICTIONARY] if value_type.by_dictionary else [])]),
        3: listed(Kind.BINARY, [name.encode("utf-8"), b"list", b"element"]),
        4: i32(UNCOMPRESSED),
        5: i64(chunk.levels),
        6: i64(size),
        7: i64(size),
        9: i64(chunk.data_start),
    }
    return {**said, 11: i64(chunk.start)} if value_type.by_dictionary else said
