"""Thrift's compact protocol: what pyarrow wrote passes through byte for byte, and damage is one clear error."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_potion.bulk.thrift import Kind, Sequenced, Value, decode, encode, i32, i64, listed, struct, varint
from edge_potion.errors import InputError


def footer_of(table: pa.Table, **options: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    data = stream.getvalue()
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


TABLE = pa.table(
    {
        **{f"number {index}": np.arange(100) + index for index in range(20)},
        "text": [f"text {index}" for index in range(100)],
        "nested": [{"list": [{"truth": True}] * (index % 3), "deep": {"real": 1.5}} for index in range(100)],
        "null": pa.nulls(100),
        "decimal": pa.array(range(100), pa.decimal128(20, 3)),
        "moment": pa.array(range(100), pa.timestamp("us", "Europe/Vienna")),
    }
)


def test_numbers_strings_and_structs_are_the_bytes_that_the_protocol_says():
    """By hand: a header is the step to the field's number in four bits, then the kind; integers zigzag."""
    fields = {
        1: i32(2),
        3: Value(Kind.BINARY, b"ab"),
        19: i64(-1),
        20: struct({1: Value(Kind.TRUE, None)}),
        21: listed(Kind.I32, [0, 300]),
    }
    data = b"\x15\x04" + b"\x28\x02ab" + b"\x06\x26\x01" + b"\x1c\x11\x00" + b"\x19\x25\x00\xd8\x04" + b"\x00"
    assert encode(fields) == data
    assert decode(data) == fields


@pytest.mark.parametrize(
    ("number", "data"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (1 << 20, b"\x80\x80\x40")]
)
def test_a_varint_has_seven_bits_a_byte(number, data):
    assert varint(number) == data


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",  # no field
        b"\x13\x7f\x00",  # a byte
        b"\x17" + bytes(range(8)) + b"\x00",  # a double
        b"\x1d" + bytes(range(16)) + b"\x00",  # a UUID
        b"\x11\x12\x00",  # true, then false
        b"\x19\x31\x01\x02\x00\x00",  # a list of booleans
        b"\x1a\x28\x01a\x00\x00",  # a set of strings
        b"\x1b\x00\x00",  # a map of nothing
        b"\x1b\x01\x8c\x01a\x15\x02\x00\x00",  # a map from a string to a struct
        b"\x19\xf3\x11" + bytes(17) + b"\x00",  # a list of 17 bytes
        b"\x05\x01\x02\x05\x80\x80\x02\x04\x00",  # field -1, then 16,384
        b"\x16\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",  # the least 64-bit integer
    ],
)
def test_every_kind_passes_through(data):
    assert encode(decode(data)) == data


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 7},
        {"version": "1.0", "write_statistics": False},
        {"write_page_index": True, "write_page_checksum": True, "data_page_version": "2.0"},
        {"sorting_columns": [pq.SortingColumn(0), pq.SortingColumn(20, descending=True, nulls_first=True)]},
    ],
)
def test_the_footer_that_pyarrow_wrote_passes_through_byte_for_byte(options):
    footer = footer_of(TABLE.replace_schema_metadata({"who": "wrote"}), **options)
    fields = decode(footer)
    assert fields[3] == i64(100) and fields[4].content.kind is Kind.STRUCT
    assert encode(fields) == footer


def test_a_field_that_is_put_in_stands_where_it_was_put():
    fields = decode(footer_of(TABLE))
    changed = encode({**fields, 3: i64(7), 99: Value(Kind.BINARY, b"new")})
    assert decode(changed) == {**fields, 3: i64(7), 99: Value(Kind.BINARY, b"new")}


def test_what_is_cut_anywhere_is_refused():
    footer = footer_of(TABLE.select(["text", "nested"]))
    for size in range(len(footer)):
        with pytest.raises(InputError, match="damaged Thrift"):
            decode(footer[:size])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x00", "the struct ends at byte 1 of 2"),
        (b"\x1e\x00", "kind 14"),
        (b"\x10\x00", "kind 0"),
        (b"\x15\x02\x05\x02\x02\x00", "field 1 twice"),
        (b"\x15" + b"\xff" * 11 + b"\x00", "an integer without end"),
        (b"\x18\xff\xff\xff\xff\x0f\x00", "bytes from byte 6"),
        (b"\x19\xf5\xff\xff\xff\xff\x0f\x00", "contents at byte 7 of 8"),
        (b"\x1b\xff\xff\xff\xff\x0f\x55\x00", "contents at byte 6 of 8"),
        (b"\x1c" * 5000 + b"\x00" * 5001, "more than 32 levels"),
        (b"\x19" + b"\x19" * 5000, "more than 32 levels"),
        (b"", "1 bytes from byte 0 of 0"),
    ],
)
def test_damage_is_told_with_its_place(data, said):
    with pytest.raises(InputError, match=said):
        decode(data)


def test_flipped_bytes_give_a_struct_or_the_error_and_nothing_else():
    footer, random = footer_of(TABLE.select(["text", "nested"])), np.random.default_rng(0)
    for _ in range(3000):
        damaged = bytearray(footer)
        for place in random.integers(len(footer), size=random.integers(1, 6)):
            damaged[place] = random.integers(256)
        try:
            assert isinstance(encode(decode(bytes(damaged))), bytes)
        except InputError as error:
            assert "damaged Thrift" in str(error)


def test_a_list_says_what_it_is_made_of():
    assert decode(b"\x19\x28\x01a\x01b\x00")[1].content == Sequenced(Kind.BINARY, [b"a", b"b"])
