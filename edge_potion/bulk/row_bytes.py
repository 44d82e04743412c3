"""How many bytes each row of an Arrow column has, so that as many rows are held as fit."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["bytes_of_rows"]


def bytes_of_rows(column: Any) -> np.ndarray:
    """(n,) int64: bytes of the values of each row of an Arrow array, nested ones and those of a dictionary too."""
    import pyarrow as pa
    import pyarrow.types as types

    kind, count = column.type, len(column)
    if isinstance(column, pa.ExtensionArray):
        return bytes_of_rows(column.storage)
    if types.is_dictionary(kind):
        sizes = np.append(bytes_of_rows(column.dictionary), 0)  # of null, last
        return sizes[column.indices.fill_null(len(column.dictionary)).to_numpy()]
    if types.is_struct(kind):
        return sum((bytes_of_rows(column.field(place)) for place in range(kind.num_fields)), _each(0, count))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        offsets = column.offsets.to_numpy()
        inner = column.values.slice(offsets[0], offsets[-1] - offsets[0])
        return np.diff(_ends(bytes_of_rows(inner))[offsets - offsets[0]])
    if types.is_fixed_size_list(kind):
        inner = column.values.slice(column.offset * kind.list_size, count * kind.list_size)
        return np.diff(_ends(bytes_of_rows(inner))[np.arange(count + 1) * kind.list_size])
    if types.is_string_view(kind) or types.is_binary_view(kind):
        views = np.frombuffer(column.buffers()[1] or b"", np.int32).reshape(-1, 4)  # the length comes first
        return views[column.offset : column.offset + count, 0].astype(np.int64)
    if types.is_string(kind) or types.is_binary(kind):
        return _by_offsets(column, np.int32)
    if types.is_large_string(kind) or types.is_large_binary(kind):
        return _by_offsets(column, np.int64)
    return _each(0 if types.is_null(kind) else -(-kind.bit_width // 8), count)


def _by_offsets(column: Any, of: type[np.generic]) -> np.ndarray:
    offsets = np.frombuffer(column.buffers()[1] or bytes(8), of)
    return np.diff(offsets[column.offset : column.offset + len(column) + 1].astype(np.int64))


def _each(size: int, count: int) -> np.ndarray:
    return np.full(count, size, np.int64)


def _ends(sizes: np.ndarray) -> np.ndarray:
    """(n + 1,): the bytes before each value, and all."""
    return np.append(np.int64(0), np.cumsum(sizes))
