"""Files with a column of vectors: what every reader finds in them is what pyarrow's own writer would have given."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from edge_potion.bulk.vector_file import VectorFile
from edge_potion.errors import InputError

DTYPES = ("int8", "uint8", "float32", "float16")
DIMS = (1, 3, 8, 255, 256, 257, 1024, 4096)
NO_COLUMNS = pa.schema([])
IDS = pa.schema([("id", pa.int64()), ("text", pa.string())])


class Group(NamedTuple):
    others: pa.RecordBatch
    vectors: np.ndarray
    valid: np.ndarray | None = None


def any_vectors(random: np.random.Generator, rows: int, dim: int, dtype: str) -> np.ndarray:
    """Every pattern of bits: of floats also NaN of all kinds, infinities, subnormal numbers, zeros of both signs."""
    return random.integers(0, 256, (rows, dim * np.dtype(dtype).itemsize), np.uint8).view(dtype)


def ids(rows: int, first: int = 0) -> pa.RecordBatch:
    numbers = range(first, first + rows)
    return pa.record_batch([list(numbers), [f"text {number}" for number in numbers]], schema=IDS)


def file_of(groups: list[Group], others: pa.Schema = IDS, metadata: Mapping[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    vectors = groups[0].vectors
    with VectorFile(stream, others, "vector", vectors.shape[1], vectors.dtype, metadata or {}) as file:
        for group in groups:
            file.write(*group)
    return stream.getvalue()


def table_of(group: Group) -> pa.Table:
    mask = None if group.valid is None else pa.array(~group.valid)
    dim = group.vectors.shape[1]
    column = pa.FixedSizeListArray.from_arrays(pa.array(group.vectors.reshape(-1)), dim, mask=mask)
    return pa.table([*group.others.columns, column], schema=group.others.schema.append(pa.field("vector", column.type)))


def assert_reads_as_pyarrows_own(data: bytes, groups: list[Group]) -> None:
    """Schema, row groups and values, whose bits are compared, as NaN equals nothing."""
    expected = pa.concat_tables(table_of(group) for group in groups)
    stream = io.BytesIO()
    pq.write_table(expected, stream)
    with pq.ParquetFile(io.BytesIO(data)) as file, pq.ParquetFile(stream) as theirs:
        assert file.schema.equals(theirs.schema)
        assert file.schema_arrow.equals(theirs.schema_arrow)
        rows = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
        assert rows == [len(group.vectors) for group in groups if len(group.vectors)]
        assert file.metadata.num_rows == sum(rows)
        found, own = file.read(), theirs.read()
    found.validate(full=True)
    assert found.schema.equals(own.schema)
    assert found.drop(["vector"]).equals(own.drop(["vector"]))
    assert_same_vectors(found["vector"], own["vector"])
    assert_same_vectors(found["vector"], expected["vector"])


def assert_same_vectors(one: pa.ChunkedArray, other: pa.ChunkedArray) -> None:
    assert one.type == other.type and one.is_valid().equals(other.is_valid())
    assert np.array_equal(bits(one), bits(other))


def bits(column: pa.ChunkedArray) -> np.ndarray:
    values = [chunk.drop_null().flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(values).view(np.uint8) if values else np.zeros(0, np.uint8)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_reads_as_what_pyarrow_writes(dtype, dim):
    random = np.random.default_rng(dim)
    groups = [
        Group(ids(rows), any_vectors(random, rows, dim, dtype), valid)
        for rows, valid in (
            (1, None),
            (7, np.array([False] + [True] * 6)),
            (7, np.array([True] * 6 + [False])),
            (9, np.zeros(9, np.bool_)),
            (9, np.ones(9, np.bool_)),
            (600, random.random(600) < 0.7),
            (1, np.array([False])),
        )
    ]
    assert_reads_as_pyarrows_own(file_of(groups), groups)


@pytest.mark.parametrize("seed", range(20))
def test_any_file_reads_as_what_pyarrow_writes(seed):
    random = np.random.default_rng(seed)
    dtype, dim = DTYPES[random.integers(4)], int(random.integers(1, 80))
    groups = []
    for _ in range(random.integers(1, 6)):
        rows = int(random.integers(0, 3000))
        valid = None if random.random() < 0.3 else random.random(rows) < random.random()
        groups.append(Group(ids(rows, first=len(groups)), any_vectors(random, rows, dim, dtype), valid))
    assert_reads_as_pyarrows_own(file_of(groups), groups)


@pytest.mark.parametrize("dtype", DTYPES)
def test_row_groups_of_many_pages_read_as_what_pyarrow_writes(dtype):
    """20,000 rows of 256 int8 values are five pages; nulls in one of them alone, and in each."""
    random = np.random.default_rng(0)
    vectors = any_vectors(random, 20_000, 256, dtype)
    once = np.ones(20_000, np.bool_)
    once[5000] = False
    groups = [Group(ids(20_000), vectors), Group(ids(20_000), vectors, once)]
    groups.append(Group(ids(20_000), vectors, random.random(20_000) < 0.99))
    assert_reads_as_pyarrows_own(file_of(groups), groups)


def test_many_values_of_one_column_are_one_page_and_more():
    vectors = any_vectors(np.random.default_rng(0), 3_000_000, 1, "int8")
    group = Group(pa.record_batch([], schema=NO_COLUMNS), vectors)
    found = pq.read_table(io.BytesIO(file_of([group], NO_COLUMNS)))
    assert np.array_equal(bits(found["vector"]), vectors.view(np.uint8)[:, 0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_may_be_the_only_column(dtype):
    random = np.random.default_rng(0)
    empty = pa.record_batch([], schema=NO_COLUMNS)
    groups = [Group(empty, any_vectors(random, rows, 12, dtype), random.random(rows) < 0.5) for rows in (5, 0, 400)]
    assert_reads_as_pyarrows_own(file_of(groups, NO_COLUMNS), groups)


@pytest.mark.parametrize("batch", [pa.record_batch([], schema=NO_COLUMNS), ids(0)])
def test_a_file_of_no_rows_has_its_schema(batch):
    empty, others = Group(batch, np.zeros((0, 5), np.float16)), batch.schema
    stream = io.BytesIO()
    with VectorFile(stream, others, "vector", 5, np.dtype("float16"), {"who": "wrote"}):
        pass
    for data in (stream.getvalue(), file_of([empty, empty], others, {"who": "wrote"})):
        found = pq.read_table(io.BytesIO(data))
        assert found.num_rows == 0 and found.schema.metadata == {b"who": b"wrote"}
        assert found.schema.equals(others.append(pa.field("vector", pa.list_(pa.float16(), 5))))
        assert pq.read_metadata(io.BytesIO(data)).num_row_groups == 0


def test_metadata_of_the_file_and_of_the_other_columns_is_kept():
    others = IDS.with_metadata({"their": "words", "both": "theirs"})
    group = Group(ids(3).cast(others), np.zeros((3, 2), np.int8))
    found = pq.read_schema(io.BytesIO(file_of([group], others, {"edge_potion.dtype": "int8", "both": "ours – ü"})))
    assert found.metadata == {b"their": b"words", b"both": "ours – ü".encode(), b"edge_potion.dtype": b"int8"}
    assert not pq.read_schema(io.BytesIO(file_of([Group(ids(3), group.vectors)]))).metadata


def kept_columns() -> Iterator[tuple[str, pa.Array]]:
    """Seven rows of every type of which Arrow gives back in Parquet what it was given."""
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    yield "string", pa.array(["a", None, "日本", "", "b", "\0", "x" * 5000])
    yield "large_string", pa.array(["a", None, "b", "c", "d", "e", "f"], pa.large_string())
    yield "string_view", pa.array(["a", None, "b" * 20, "c", "d", "e", "f"], pa.string_view())
    yield "binary", pa.array([b"\0\xff", None, b"", b"1", b"2", b"3", b"4"])
    yield "large_binary", pa.array([b"\0\xff", None, b"", b"1", b"2", b"3", b"4"], pa.large_binary())
    yield "fixed_size_binary", pa.array([b"abcd", None, b"efgh"] + [b"ijkl"] * 4, pa.binary(4))
    yield "dictionary", pa.array(["a", "b", None, "a", "b", "c", "a"]).dictionary_encode()
    yield "bool", pa.array([True, None, False, True, True, False, None])
    yield "null", pa.nulls(7)
    for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()):
        yield str(kind), pa.array([0, None, 1, 2, 3, 4, 127], kind)
    yield "half", pa.array(np.arange(7, dtype=np.float16))
    yield "float", pa.array([0.5, None, -0.0, 1, 2, 3, float("inf")], pa.float32())
    yield "double", pa.array([0.5, None, -0.0, 1, 2, 3, float("-inf")])
    yield "decimal128", pa.array([Decimal("1.23"), None] + [Decimal("-4.56")] * 5, pa.decimal128(30, 2))
    yield "decimal256", pa.array([Decimal("1.23"), None] + [Decimal("-4.56")] * 5, pa.decimal256(60, 2))
    yield "date", pa.array([when.date(), None] + [when.date()] * 5)
    for unit in ("ms", "us", "ns"):
        yield (
            f"timestamp {unit}",
            pa.array([when, None] + [when] * 5, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False),
        )
        zoned = pa.array([when, None] + [when] * 5, pa.timestamp("us", "Europe/Vienna"))
        yield f"timestamp {unit} of a zone", zoned.cast(pa.timestamp(unit, "Europe/Vienna"), safe=False)
    yield "time", pa.array([when.time(), None] + [when.time()] * 5)
    yield "duration", pa.array([1, None, 3, 4, 5, 6, 7], pa.duration("us"))
    yield "list", pa.array([[1, None], None, [], [2], [3, 4, 5], [6], [7]], pa.list_(pa.int16()))
    yield "large_list", pa.array([["a"], None, [], ["b"], ["c"], ["d"], ["e"]], pa.large_list(pa.string()))
    yield "fixed_size_list", pa.array([[1.0, 2.0]] * 7, pa.list_(pa.float32(), 2))
    struct = {"a": 1, "b": {"c": [{"d": "x"}, None]}}
    yield "struct", pa.array([struct, None, {"a": None, "b": None}, struct, struct, {"a": 2, "b": {"c": []}}, struct])
    yield "map", pa.array([[("a", 1)], None, []] + [[("b", 2), ("c", None)]] * 4, pa.map_(pa.string(), pa.int32()))
    yield "not null", pa.array([1, 2, 3, 4, 5, 6, 7])


def test_columns_of_every_type_pass_through():
    columns = dict(kept_columns())
    fields = [pa.field(name, column.type, nullable=name != "not null") for name, column in columns.items()]
    fields[0] = fields[0].with_metadata({"PARQUET:field_id": "42", "said": "of the field"})
    whole = pa.record_batch(list(columns.values()), schema=pa.schema(fields))
    vectors = np.arange(14, dtype=np.int8).reshape(7, 2)
    groups = [Group(whole, vectors), Group(whole.slice(2, 4), vectors[2:6]), Group(whole.slice(6), vectors[6:])]
    data = file_of(groups, whole.schema)
    assert_reads_as_pyarrows_own(data, groups)
    assert pq.read_schema(io.BytesIO(data)).field(0).metadata[b"said"] == b"of the field"
    for name in columns:  # each alone, by its place in the file
        expected = pa.concat_tables(table_of(group) for group in groups).select([name])
        found = pq.read_table(io.BytesIO(data), columns=[name])
        assert found[name].cast(expected[name].type).equals(expected[name]), name


def test_a_column_of_vectors_passes_through_beside_ours():
    others = pa.schema([("their vector", pa.list_(pa.float32(), 3)), ("list", pa.list_(pa.int8()))])
    columns = [pa.array([[1, 2, 3], [4, 5, 6]], others.field(0).type), pa.array([[1], None], others.field(1).type)]
    groups = [Group(pa.record_batch(columns, schema=others), np.ones((2, 4), np.int8), np.array([False, True]))] * 3
    assert_reads_as_pyarrows_own(file_of(groups, others), groups)


class Written(NamedTuple):
    file: Path
    table: pa.Table


@pytest.fixture(scope="module", params=DTYPES)
def written(request, tmp_path_factory) -> Written:
    """Three row groups of 5,000 rows with nulls, and numbers that every reader compares alike."""
    random = np.random.default_rng(3)
    groups = []
    for first in (0, 5000, 10_000):
        vectors = random.integers(0, 100, (5000, 24)).astype(request.param)
        groups.append(Group(ids(5000, first), vectors, random.random(5000) < 0.9))
    file = tmp_path_factory.mktemp("vectors") / f"{request.param}.parquet"
    file.write_bytes(file_of(groups, metadata={"who": "wrote"}))
    return Written(file, pa.concat_tables(table_of(group) for group in groups))


def test_pyarrow_reads_row_groups_columns_and_batches(written):
    with pq.ParquetFile(written.file) as file:
        assert file.read_row_group(1).equals(written.table.slice(5000, 5000))
        assert file.read_row_groups([2, 0], columns=["vector"]).equals(
            pa.concat_tables([written.table.slice(10_000), written.table.slice(0, 5000)]).select(["vector"])
        )
        batches = file.iter_batches(batch_size=777)
        assert pa.Table.from_batches(batches).combine_chunks().equals(written.table.combine_chunks())
        assert file.read(columns=["text"]).equals(written.table.select(["text"]))


@pytest.mark.parametrize(
    "options", [{"memory_map": True}, {"pre_buffer": False}, {"buffer_size": 4096}, {"use_threads": False}]
)
def test_pyarrow_reads_it_however_it_is_told_to(written, options):
    assert pq.read_table(written.file, **options).equals(written.table)


def test_pyarrow_reads_it_as_a_dataset(written):
    dataset = ds.dataset(written.file.parent, format="parquet")
    some = dataset.to_table(columns=["vector", "id"], filter=(ds.field("id") >= 4990) & (ds.field("id") < 5010))
    assert some.combine_chunks().equals(written.table.slice(4990, 20).select(["vector", "id"]).combine_chunks())
    assert dataset.count_rows() == 15_000
    whole = dataset.to_table(filter=ds.field("vector").is_valid())
    assert whole.num_rows == 15_000 - written.table["vector"].null_count


def test_duckdb_reads_it(written):
    found = duckdb.sql(f"SELECT id, text, vector FROM '{written.file}' ORDER BY id").fetchall()
    assert found == [tuple(row.values()) for row in written.table.to_pylist()]
    counted = duckdb.sql(f"SELECT count(*), count(vector), sum(vector[1]) FROM '{written.file}' WHERE id >= 7000")
    of_it = written.table.slice(7000)["vector"].to_pylist()
    expected = (8000, sum(row is not None for row in of_it), sum(row[0] for row in of_it if row))
    assert counted.fetchall() == [expected]
    nulls = duckdb.sql(f"SELECT count(*) FROM '{written.file}' WHERE vector IS NULL").fetchall()
    assert nulls == [(written.table["vector"].null_count,)]


def test_duckdb_finds_the_structure_that_is_meant(written):
    """An independent reader of the footer."""
    metadata = duckdb.sql(f"SELECT * FROM parquet_metadata('{written.file}') WHERE path_in_schema LIKE 'vector%'")
    names = [column[0] for column in metadata.description]
    chunks = [dict(zip(names, row, strict=True)) for row in metadata.fetchall()]
    packed = written.table["vector"].type.value_type.bit_width == 8
    assert [chunk["row_group_num_rows"] for chunk in chunks] == [5000] * 3
    for index, chunk in enumerate(chunks):
        nulls = written.table.slice(5000 * index, 5000)["vector"].null_count
        assert chunk["num_values"] == (5000 - nulls) * 24 + nulls
        assert chunk["path_in_schema"] == "vector, list, element" and chunk["compression"] == "UNCOMPRESSED"
        assert ("RLE_DICTIONARY" in chunk["encodings"]) == packed
        assert (chunk["dictionary_page_offset"] is not None) == packed
    schema = duckdb.sql(f"SELECT name, repetition_type, num_children FROM parquet_schema('{written.file}')").fetchall()
    assert [row[0] for row in schema][-3:] == ["vector", "list", "element"]
    assert [row[1] for row in schema][-3:] == ["OPTIONAL", "REPEATED", "OPTIONAL"]
    assert schema[0][2] == 3
    said = duckdb.sql(f"SELECT value FROM parquet_kv_metadata('{written.file}') WHERE key = 'who'").fetchall()
    assert said == [(b"wrote",)]


def test_polars_reads_it(written):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    for frame in (polars.read_parquet(written.file), polars.scan_parquet(written.file).collect()):
        assert frame.to_dicts() == written.table.to_pylist()
    late = polars.scan_parquet(written.file).filter(polars.col("id") > 9000).select("vector").collect()
    assert late["vector"].to_list() == written.table.slice(9001)["vector"].to_pylist()


def test_offsets_and_sizes_are_those_of_the_file(written):
    """Every byte between the magic and the footer belongs to a column of a row group, one after the other."""
    metadata, at = pq.read_metadata(written.file), 4
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = [group.column(place) for place in range(group.num_columns)]
        for column in columns:
            assert (column.dictionary_page_offset or column.data_page_offset) == at
            at += column.total_compressed_size
        assert group.total_byte_size == sum(column.total_uncompressed_size for column in columns)
    assert at == written.file.stat().st_size - metadata.serialized_size - 8


def test_a_row_of_256_int8_values_takes_six_bytes_more():
    """Five of levels; 16,384 rows share a dictionary of 1 KiB and four headers."""
    group = Group(pa.record_batch([], schema=NO_COLUMNS), np.zeros((16_384, 256), np.int8))
    assert len(file_of([group], NO_COLUMNS)) / 16_384 < 256 + 5.2


def test_the_same_calls_write_the_same_bytes():
    random = np.random.default_rng(0)
    groups = [Group(ids(900), any_vectors(random, 900, 33, "float16"), random.random(900) < 0.5) for _ in range(3)]
    assert file_of(groups, metadata={"a": "b"}) == file_of(groups, metadata={"a": "b"})
    apart = [group._replace(vectors=np.asfortranarray(group.vectors)) for group in groups]
    assert file_of(apart, metadata={"a": "b"}) == file_of(groups, metadata={"a": "b"})


def test_what_stands_in_null_rows_is_not_in_the_file():
    valid = np.arange(10) % 3 > 0
    zeros, noise = np.zeros((10, 5), np.int8), np.zeros((10, 5), np.int8)
    noise[~valid] = 77
    assert file_of([Group(ids(10), zeros, valid)]) == file_of([Group(ids(10), noise, valid)])


def test_a_block_that_fails_leaves_no_footer():
    stream = io.BytesIO()
    with (
        pytest.raises(RuntimeError, match="stopped"),
        VectorFile(stream, IDS, "vector", 2, np.dtype("int8"), {}) as file,
    ):
        file.write(ids(4), np.zeros((4, 2), np.int8))
        raise RuntimeError("stopped")
    del file
    assert stream.getvalue().startswith(b"PAR1") and not stream.getvalue().endswith(b"PAR1")


class FullDisk(io.BytesIO):
    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_disk_that_fills_is_told_wherever_it_happens():
    group = Group(ids(500), np.zeros((500, 9), np.int8))
    size = len(file_of([group, group]))
    for room in [*range(0, size, 101), size - 1]:
        with (
            pytest.raises(OSError, match="No space left"),
            VectorFile(FullDisk(room), IDS, "vector", 9, np.dtype("int8"), {}) as file,
        ):
            file.write(*group)
            file.write(*group)


@pytest.mark.parametrize(
    ("dim", "dtype", "name", "said"),
    [
        (0, "int8", "vector", "at least 1 value, not 0"),
        (4, "float64", "vector", "float32, float16, int8, uint8, not of float64"),
        (4, "int8", "text", "a column 'text' already"),
    ],
)
def test_a_file_that_cannot_be_is_refused(dim, dtype, name, said):
    with pytest.raises(InputError, match=said):
        VectorFile(io.BytesIO(), IDS, name, dim, np.dtype(dtype), {})


@pytest.mark.parametrize(
    ("others", "vectors", "valid", "said"),
    [
        (ids(3), np.zeros((3, 5), np.int8), None, r"int8 \(3, 5\) in a file of int8 \(N, 4\)"),
        (ids(3), np.zeros((3, 4), np.uint8), None, "uint8"),
        (ids(3), np.zeros(12, np.int8), None, r"\(12,\)"),
        (ids(3), np.zeros((3, 4), np.int8), np.ones(2, np.bool_), r"bool \(2,\), not bool \(3,\)"),
        (ids(3), np.zeros((3, 4), np.int8), np.ones(3, np.int8), "int8"),
        (ids(2), np.zeros((3, 4), np.int8), None, "3 vectors beside 2 rows"),
        (ids(3).select(["id"]), np.zeros((3, 4), np.int8), None, "in a file of id: int64"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(others, vectors, valid, said):
    stream = io.BytesIO()
    with VectorFile(stream, IDS, "vector", 4, np.dtype("int8"), {}) as file:
        with pytest.raises(InputError, match=said):
            file.write(others, vectors, valid)
        assert stream.getvalue() == b"PAR1"
        file.write(ids(3), np.ones((3, 4), np.int8))
    assert pq.read_table(stream)["vector"].to_pylist() == [[1] * 4] * 3
