"""The pages of the column of vectors, by hand: headers, levels, values."""

from __future__ import annotations

import numpy as np
import pytest

from edge_potion.bulk.thrift import decode, encode, i32, struct
from edge_potion.bulk.vector_column import Chunk, column_metadata, pages


def test_int8_is_places_in_a_dictionary_of_all_values():
    """By hand. Two rows of three and a null: levels in runs, as (count << 1, level), and a group of eight places."""
    vectors = np.array([[1, -1, 5], [9, 9, 9], [-128, 127, 0]], np.int8)
    dictionary, data = pages(vectors, np.array([True, False, True]))
    header, values = dictionary.buffers
    assert header == encode({1: i32(2), 2: i32(1024), 3: i32(1024), 7: struct({1: i32(256), 2: i32(0)})})
    assert np.frombuffer(values, "<i4").tolist() == [*range(128), *range(-128, 0)]
    repetitions = b"\x02\0\x04\1" + b"\x02\0" + b"\x02\0\x04\1"  # 0 begins a row, 1 goes on with it
    definitions = b"\x06\3" + b"\x02\0" + b"\x06\3"  # 3 is a value, 0 a null row
    places = b"\x08" + b"\x03" + bytes([1, 255, 5, 128, 127, 0, 0, 0])  # 8 bits; one group, packed; two to fill it up
    body = b"\x0a\0\0\0" + repetitions + b"\x06\0\0\0" + definitions + places
    counts = {1: i32(7), 2: i32(8), 3: i32(3), 4: i32(3)}
    header = encode({1: i32(0), 2: i32(len(body)), 3: i32(len(body)), 5: struct(counts)})
    assert b"".join(data.buffers) == header + body
    assert (dictionary.levels, data.levels) == (0, 7)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_floats_stand_as_they_are(dtype):
    vectors = np.array([[1.5, -0.0], [np.nan, np.inf]], dtype)
    (data,) = pages(vectors, None)
    body = b"\x08\0\0\0" + b"\x02\0\x02\1" * 2 + b"\x02\0\0\0" + b"\x08\3" + vectors.tobytes()
    counts = {1: i32(4), 2: i32(0), 3: i32(3), 4: i32(3)}
    header = encode({1: i32(0), 2: i32(len(body)), 3: i32(len(body)), 5: struct(counts)})
    assert b"".join(data.buffers) == header + body


def test_a_row_of_one_value_has_no_run_of_none():
    (data,) = pages(np.ones((2, 1), np.float32), None)
    assert b"".join(data.buffers).endswith(b"\x04\0\0\0" + b"\x02\0" * 2 + b"\x02\0\0\0" + b"\x04\3" + b"\0\0\x80?" * 2)


def test_a_page_of_null_rows_has_no_places():
    _, data = pages(np.ones((9, 4), np.uint8), np.zeros(9, np.bool_))
    assert b"".join(data.buffers).endswith(b"\x12\0\0\0" + b"\x02\0" * 9 + b"\x12\0\0\0" + b"\x02\0" * 9 + b"\x08")
    assert data.levels == 9


@pytest.mark.parametrize(
    ("dtype", "dim", "rows"),
    [("int8", 256, 4096), ("float32", 256, 1024), ("float16", 1000, 524), ("float32", 1 << 19, 1)],
)
def test_a_page_holds_whole_rows_of_about_a_mebibyte(dtype, dim, rows):
    vectors = np.zeros((2 * rows + 1, dim), dtype)
    levels = [page.levels for page in pages(vectors, None) if page.levels]
    assert levels == [rows * dim, rows * dim, dim]


def test_bytes_that_lie_in_a_row_are_not_copied():
    vectors = np.arange(4096, dtype=np.int8).reshape(16, 256)
    _, data = pages(vectors, None)
    assert np.shares_memory(np.frombuffer(data.buffers[1], np.int8), vectors)


def test_vectors_that_lie_apart_are_gathered():
    vectors = np.arange(4096, dtype=np.float32).reshape(16, 256)
    assert buffers(vectors[::2, :100]) == buffers(vectors[::2, :100].copy())
    assert buffers(np.asfortranarray(vectors)) == buffers(vectors)


def buffers(vectors: np.ndarray) -> list[bytes]:
    return [bytes(buffer) for page in pages(vectors, None) for buffer in page.buffers]


def test_the_footer_says_where_the_pages_lie():
    said = column_metadata("vector", np.dtype("int8"), Chunk(levels=7, start=4, data_start=1044, end=1100))
    assert (said[5].content, said[6].content, said[7].content) == (7, 1096, 1096)
    assert (said[11].content, said[9].content) == (4, 1044)
    assert 11 not in column_metadata("vector", np.dtype("float32"), Chunk(7, 4, 4, 1100))
    assert decode(encode(said)) == said
