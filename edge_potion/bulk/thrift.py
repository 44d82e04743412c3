"""Thrift's compact protocol: bytes -> a struct whose fields one may change -> bytes, the others as they were.

A struct is a dict from a field's number to its `Value`, in the order of the bytes. Nothing here knows what a field
means, so one that is newer than this file passes through like any other. Integers are Python's, strings and doubles the
bytes that they are. https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from edge_potion.errors import InputError

__all__ = [
    "Kind",
    "Sequenced",
    "Struct",
    "Value",
    "decode",
    "encode",
    "i32",
    "i64",
    "listed",
    "struct",
    "varint",
]

DEEPEST = 32  # structs and lists in each other; Parquet's footer has about eight
SHORT_LIST = 15  # lists of fewer say their length in four bits, and fields of a step of at most 15 their number
LONGEST_INTEGER = 10  # bytes of a 64-bit integer, seven bits in each


class Kind(IntEnum):
    STOP = 0
    TRUE = 1  # a boolean field has its value for a kind
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12
    UUID = 13


class Value(NamedTuple):
    kind: Kind
    content: Any  # int, bytes, Sequenced, Mapped, Struct; of a boolean, None


class Sequenced(NamedTuple):
    """A list or a set: contents of one kind, where a boolean is a byte."""

    kind: Kind
    contents: list[Any]


class Mapped(NamedTuple):
    key_kind: Kind
    value_kind: Kind
    contents: list[tuple[Any, Any]]


Struct = dict[int, Value]
INTEGERS = (Kind.I16, Kind.I32, Kind.I64)
FIXED_BYTES = {Kind.BYTE: 1, Kind.TRUE: 1, Kind.FALSE: 1, Kind.DOUBLE: 8, Kind.UUID: 16}  # booleans as in lists


def i32(content: int) -> Value:
    return Value(Kind.I32, content)


def i64(content: int) -> Value:
    return Value(Kind.I64, content)


def struct(content: Struct) -> Value:
    return Value(Kind.STRUCT, content)


def listed(kind: Kind, contents: Sequence[Any]) -> Value:
    return Value(Kind.LIST, Sequenced(kind, list(contents)))


def decode(data: bytes) -> Struct:
    """The struct that `data` is.

    Raises:
        InputError: they are no whole struct, or more than one.
    """
    reader = _Reader(data)
    fields = reader.struct(DEEPEST)
    if reader.place != len(data):
        raise InputError(f"damaged Thrift: the struct ends at byte {reader.place} of {len(data)}")
    return fields


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.place:
            raise InputError(f"damaged Thrift: {size} bytes from byte {self.place} of {len(self.data)}")
        self.place += size
        return self.data[self.place - size : self.place]

    def byte(self) -> int:
        return self.take(1)[0]

    def unsigned(self) -> int:
        number = 0
        for index in range(LONGEST_INTEGER):
            byte = self.byte()
            number |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return number
        raise InputError(f"damaged Thrift: an integer without end before byte {self.place}")

    def signed(self) -> int:
        number = self.unsigned()
        return number >> 1 ^ -(number & 1)

    def kind(self, number: int) -> Kind:
        if not Kind.STOP < number <= Kind.UUID:
            raise InputError(f"damaged Thrift: a value of kind {number} before byte {self.place}")
        return Kind(number)

    def struct(self, depth: int) -> Struct:
        fields: Struct = {}
        field = 0
        while header := self.byte():
            kind = self.kind(header & 0x0F)
            field = field + (header >> 4) if header >> 4 else self.signed()
            if field in fields:
                raise InputError(f"damaged Thrift: field {field} twice before byte {self.place}")
            fields[field] = Value(kind, None if kind in (Kind.TRUE, Kind.FALSE) else self.content(kind, depth))
        return fields

    def content(self, kind: Kind, depth: int) -> Any:
        if not depth:
            raise InputError(f"damaged Thrift: more than {DEEPEST} levels at byte {self.place}")
        if kind in INTEGERS:
            return self.signed()
        if kind in FIXED_BYTES:
            return self.take(FIXED_BYTES[kind])
        if kind is Kind.BINARY:
            return self.take(self.unsigned())
        if kind is Kind.STRUCT:
            return self.struct(depth - 1)
        return self.map(depth) if kind is Kind.MAP else self.sequence(depth)

    def sequence(self, depth: int) -> Sequenced:
        header = self.byte()
        count = header >> 4 if header >> 4 < SHORT_LIST else self.unsigned()
        kind = self.kind(header & 0x0F)
        return Sequenced(kind, [self.content(kind, depth - 1) for _ in range(self.counted(count))])

    def map(self, depth: int) -> Mapped:
        count = self.counted(self.unsigned())
        if not count:
            return Mapped(Kind.STOP, Kind.STOP, [])
        kinds = self.byte()
        key, value = self.kind(kinds >> 4), self.kind(kinds & 0x0F)
        return Mapped(
            key, value, [(self.content(key, depth - 1), self.content(value, depth - 1)) for _ in range(count)]
        )

    def counted(self, count: int) -> int:
        """A number of contents, each of which takes a byte at least: more cannot follow."""
        if count > len(self.data) - self.place:
            raise InputError(f"damaged Thrift: {count} contents at byte {self.place} of {len(self.data)}")
        return count


def encode(fields: Struct) -> bytes:
    """The bytes of a struct, each header in its shortest form."""
    data = bytearray()
    _write_struct(data, fields)
    return bytes(data)


def _write_struct(data: bytearray, fields: Struct) -> None:
    before = 0
    for field, (kind, content) in fields.items():
        if 0 < field - before <= 15:
            data.append((field - before) << 4 | kind)
        else:
            data.append(kind)
            _write_signed(data, field)
        before = field
        if kind not in (Kind.TRUE, Kind.FALSE):
            _write_content(data, kind, content)
    data.append(Kind.STOP)


def _write_content(data: bytearray, kind: Kind, content: Any) -> None:
    if kind in INTEGERS:
        _write_signed(data, content)
    elif kind in FIXED_BYTES:
        data += content
    elif kind is Kind.BINARY:
        data += varint(len(content))
        data += content
    elif kind is Kind.STRUCT:
        _write_struct(data, content)
    elif kind is Kind.MAP:
        _write_map(data, content)
    else:
        _write_sequence(data, content)


def _write_sequence(data: bytearray, sequence: Sequenced) -> None:
    count = len(sequence.contents)
    data.append(min(count, SHORT_LIST) << 4 | sequence.kind)
    if count >= SHORT_LIST:
        data += varint(count)
    for content in sequence.contents:
        _write_content(data, sequence.kind, content)


def _write_map(data: bytearray, mapped: Mapped) -> None:
    data += varint(len(mapped.contents))
    if mapped.contents:
        data.append(mapped.key_kind << 4 | mapped.value_kind)
    for key, value in mapped.contents:
        _write_content(data, mapped.key_kind, key)
        _write_content(data, mapped.value_kind, value)


def _write_signed(data: bytearray, number: int) -> None:
    data += varint(number << 1 if number >= 0 else ~number << 1 | 1)


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, the lowest first; Parquet has it too, outside of Thrift."""
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
