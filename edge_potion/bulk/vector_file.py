"""A Parquet file whose last column is vectors, written at the speed of memory; the other columns are pyarrow's work.

pyarrow writes the other columns of a row group, and our column follows. At the end pyarrow's footer is held back; its
row groups, told of our column and of where it moved the others to, go into the footer that pyarrow writes for the whole
schema without rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

import numpy as np

from edge_potion.bulk.thrift import Kind, Struct, decode, encode, i64, listed, struct
from edge_potion.bulk.vector_column import VALUE_TYPES, Chunk, column_metadata, pages
from edge_potion.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["VectorFile"]

MAGIC = b"PAR1"
LENGTH_BYTES = 4  # of the footer, told between it and the last magic
LARGEST_ROW_GROUP = 64 << 20  # rows; pyarrow cuts larger ones
# Of the other columns. For sentences and urls snappy takes as long, and for sentences 40 % more room.
OPTIONS = {"compression": "zstd", "compression_level": 1}

# Fields of parquet.thrift: of a footer (`FileMetaData`), a row group, and a column of it.
ROWS, ROW_GROUPS = 3, 4
COLUMNS, RAW_BYTES, GROUP_ROWS, START, STORED_BYTES = 1, 2, 3, 5, 6
COLUMN_END, COLUMN_METADATA = 2, 3
PLACES = (9, 10, 11)  # of a column's metadata: where its data, its index and its dictionary begin


class VectorFile:
    """Columns of schema `others`, then `name`: fixed_size_list<dtype>[dim], to `stream`, row group by row group.

    `stream` is at its start and takes all that it is given. `metadata` joins that of `others`, and goes before it. The
    file is whole after `close`; it has no footer where the `with` block failed. The same calls write the same bytes.

    Raises:
        InputError: a name that is taken, a width below 1, a type that is not in `VALUE_TYPES`.
    """

    def __init__(
        self,
        stream: BinaryIO,
        others: pa.Schema,
        name: str,
        dim: int,
        dtype: np.dtype,
        metadata: Mapping[str, str],
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if name in others.names:
            raise InputError(f"there is a column {name!r} already, which is to be the column of vectors")
        if dim < 1:
            raise InputError(f"vectors have at least 1 value, not {dim}")
        if dtype.name not in VALUE_TYPES:
            raise InputError(f"vectors are of {', '.join(VALUE_TYPES)}, not of {dtype}")
        self._name, self._dim, self._dtype = name, dim, dtype
        field = pa.field(name, pa.list_(pa.from_numpy_dtype(dtype), dim))
        said = {key.encode("utf-8"): value.encode("utf-8") for key, value in metadata.items()}
        self._schema = others.append(field).with_metadata({**(others.metadata or {}), **said})
        self._sink = _Sink(stream)
        self._others = pq.ParquetWriter(self._sink, others, store_schema=False, **OPTIONS)
        self._groups: list[_Group] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._close_others()

    def write(self, others: pa.RecordBatch, vectors: np.ndarray, valid: np.ndarray | None = None) -> None:
        """Write a row group: `vectors` (N, D) of the file's type, null where `valid` (N,) bool is not.

        Of no rows there is no row group. A batch of no columns need not know how many rows it has.

        Raises:
            InputError: shapes or types that fit neither the file nor each other.
        """
        self._check(others, vectors, valid)
        if len(vectors):
            self._others.write_batch(others, row_group_size=len(vectors))
            self._groups.append(_Group(len(vectors), self._write_column(vectors, valid)))

    def _check(self, others: pa.RecordBatch, vectors: np.ndarray, valid: np.ndarray | None) -> None:
        if vectors.dtype != self._dtype or vectors.ndim != 2 or vectors.shape[1] != self._dim:
            raise InputError(f"vectors of {vectors.dtype} {vectors.shape} in a file of {self._dtype} (N, {self._dim})")
        rows = len(vectors)
        if valid is not None and (valid.dtype != np.bool_ or valid.shape != (rows,)):
            raise InputError(f"what is valid is {valid.dtype} {valid.shape}, not bool ({rows},)")
        if not others.schema.equals(self._others.schema):
            raise InputError(f"other columns of {others.schema} in a file of {self._others.schema}")
        if others.num_columns and others.num_rows != rows:
            raise InputError(f"{rows} vectors beside {others.num_rows} rows of other columns")
        if rows > LARGEST_ROW_GROUP:
            raise InputError(f"{rows} rows in a row group, which has at most {LARGEST_ROW_GROUP}")

    def _write_column(self, vectors: np.ndarray, valid: np.ndarray | None) -> Chunk:
        start = data_start = self._sink.size
        levels = 0
        for page in pages(vectors, valid):
            for buffer in page.buffers:
                self._sink.write(buffer)
            if not page.levels:  # the dictionary
                data_start = self._sink.size
            levels += page.levels
        return Chunk(levels, start, data_start, self._sink.size)

    def close(self) -> None:
        """Write the footer: the file is whole."""
        groups = _footer(self._close_others())[ROW_GROUPS].content.contents
        ours = 0  # bytes of our column before the row group
        for written, group in zip(groups, self._groups, strict=True):
            _move(written, ours)
            self._add_column(written, group)
            ours += group.chunk.end - group.chunk.start
        footer = _footer(self._file_without_rows())
        footer[ROWS] = i64(sum(group.rows for group in self._groups))
        footer[ROW_GROUPS] = listed(Kind.STRUCT, groups)
        data = encode(footer)
        self._sink.stream.write(data + len(data).to_bytes(LENGTH_BYTES, "little") + MAGIC)

    def _close_others(self) -> bytes:
        """The end of the file that pyarrow would write, held back."""
        self._sink.held = bytearray()
        self._others.close()
        return bytes(self._sink.held)

    def _file_without_rows(self) -> bytes:
        import pyarrow.parquet as pq

        stream = BytesIO()
        pq.ParquetWriter(stream, self._schema, **OPTIONS).close()
        return stream.getvalue()

    def _add_column(self, written: Struct, group: _Group) -> None:
        chunk = group.chunk
        size = chunk.end - chunk.start
        said = column_metadata(self._name, self._dtype, chunk)
        columns = written[COLUMNS].content.contents
        columns.append({COLUMN_END: i64(0), COLUMN_METADATA: struct(said)})  # 0: it is not said behind the column too
        written[RAW_BYTES] = i64(written[RAW_BYTES].content + size)
        written[GROUP_ROWS] = i64(group.rows)  # without other columns, pyarrow knows of none
        written[STORED_BYTES] = i64(written[STORED_BYTES].content + size)
        if len(columns) == 1:
            written[START] = i64(chunk.start)


class _Group(NamedTuple):
    rows: int
    chunk: Chunk


class _Sink:
    """The stream as pyarrow sees it. It knows where the file is, and holds back the end of what pyarrow writes."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.size = 0
        self.held: bytearray | None = None

    def write(self, data: bytes | memoryview) -> None:
        if self.held is None:
            self.stream.write(data)
        else:
            self.held += data
        self.size += len(data)


def _move(group: Struct, size: int) -> None:
    """Have the columns of a row group that pyarrow wrote begin `size` bytes later: it counts what it writes itself."""
    _add(group, START, size)
    for column in group[COLUMNS].content.contents:
        _add(column, COLUMN_END, size)
        for place in PLACES:
            _add(column[COLUMN_METADATA].content, place, size)


def _add(fields: Struct, field: int, number: int) -> None:
    """Add to an integer, where it is there and not 0 for nowhere."""
    if field in fields and fields[field].content:
        fields[field] = i64(fields[field].content + number)


def _footer(end: bytes) -> Struct:
    """The footer of a file that ends so."""
    told = len(end) - len(MAGIC) - LENGTH_BYTES
    size = int.from_bytes(end[told : told + LENGTH_BYTES], "little")
    if not end.endswith(MAGIC) or size > told:
        raise InputError("pyarrow wrote a Parquet file whose end is not a footer")
    return decode(end[told - size : told])
