"""Files of texts -> a folder of shards: every kind of input, dtype and format gives what EdgeModel.encode gives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_potion import EdgeModel, InputError
from edge_potion.bulk.encode_files import encode_files

from .inputs import bytes_of, manifest_of, put_csv, put_jsonl, put_lines, put_parquet, table_of, texts, vectors_of

COUNT = 2500


@pytest.fixture(scope="module")
def model() -> EdgeModel:
    return EdgeModel.from_pretrained(threads=1)


@pytest.fixture(scope="module")
def expected(model) -> np.ndarray:
    """(COUNT, 256) float32."""
    return model.encode(texts(COUNT))


@pytest.mark.parametrize(
    ("name", "put", "first"),
    [("t.parquet", put_parquet, 1), ("t.txt", put_lines, 1), ("t.jsonl", put_jsonl, 1), ("t.csv", put_csv, 2)],
)
def test_every_kind_of_input_gives_the_vectors_of_encode_in_its_order(tmp_path, expected, name, put, first):
    put(tmp_path / name, texts(COUNT))
    keep = ["text"] if name == "t.txt" else ["id", "text"]
    summary = encode_files(tmp_path / name, tmp_path / "out", shard_rows=900, keep=keep)
    table = table_of(tmp_path / "out")
    assert (summary.rows, summary.shards, summary.dim, summary.bad) == (COUNT, 3, 256, {})
    np.testing.assert_array_equal(vectors_of(table), expected)
    assert table["text"].to_pylist() == texts(COUNT)
    assert table["row"].to_pylist() == list(range(first, COUNT + first))  # of a .csv, the lines
    if "id" in keep:
        assert list(map(int, table["id"].to_pylist())) == list(range(COUNT))
    assert [len(pq.ParquetFile(file).read()) for file in sorted((tmp_path / "out").glob("*.parquet"))] == [
        900,
        900,
        700,
    ]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "binary"])
@pytest.mark.parametrize("format", ["parquet", "npy", "jsonl"])
def test_every_dtype_and_format_holds_the_codes_of_quantize(tmp_path, model, expected, dtype, format):
    put_parquet(tmp_path / "t.parquet", texts(COUNT))
    encode_files(tmp_path / "t.parquet", tmp_path / "out", dtype=dtype, format=format, shard_rows=2000)
    codes = model.quantize(expected, dtype)
    shards = sorted(file for file in (tmp_path / "out").glob(f"*.{format}") if "scale" not in file.name)
    scales = None
    if format == "npy":
        values = np.concatenate([np.load(file, mmap_mode="r") for file in shards])
        if dtype == "int8":
            scales = np.concatenate([np.load(file.with_suffix(".scale.npy")) for file in shards])
    elif format == "jsonl":
        rows = [json.loads(line) for file in shards for line in file.read_text(encoding="utf-8").splitlines()]
        values = np.array([row["vector"] for row in rows], codes.values.dtype)
        scales = np.array([row["scale"] for row in rows], np.float32) if dtype == "int8" else None
    else:
        table = table_of(tmp_path / "out")
        values = vectors_of(table)
        kind = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8(), "binary": pa.uint8()}[dtype]
        assert table.schema.field("vector").type == pa.list_(kind, 32 if dtype == "binary" else 256)
        scales = table["scale"].to_numpy() if dtype == "int8" else None
    assert values.dtype == codes.values.dtype
    np.testing.assert_array_equal(values, codes.values)
    if dtype == "int8":
        np.testing.assert_array_equal(scales, codes.scales)


def test_a_file_says_what_made_it_and_how_codes_are_read(tmp_path, model):
    put_lines(tmp_path / "t.txt", texts(3))
    encode_files(tmp_path / "t.txt", tmp_path / "out", dtype="int8")
    said = pq.read_schema(tmp_path / "out" / "00000-000000.parquet").metadata
    assert said[b"edge_potion.model"] == b"potion-256d-minilm"
    assert said[b"edge_potion.fingerprint"].decode() == model.fingerprint
    assert said[b"edge_potion.precision"] == b"int8" and said[b"edge_potion.dtype"] == b"int8"
    assert b"scale" in said[b"edge_potion.scale_rule"]


def test_other_libraries_read_a_folder_of_shards(tmp_path, expected):
    put_parquet(tmp_path / "t.parquet", texts(COUNT))
    out = tmp_path / "out"
    encode_files(tmp_path / "t.parquet", out, shard_rows=1000, keep=["id"])
    rows = duckdb.sql(f"select id, vector from '{out}/*.parquet' order by id").fetchall()
    np.testing.assert_array_equal(np.array([vector for _, vector in rows], np.float32), expected)
    frame = polars.read_parquet(f"{out}/*.parquet").sort("id")
    np.testing.assert_array_equal(frame["vector"].to_numpy(), expected)


def test_row_groups_are_bounded_and_cut_at_the_same_rows_whatever_the_inputs_are(tmp_path):
    put_parquet(tmp_path / "small.parquet", texts(40_000), row_group=700)
    put_parquet(tmp_path / "large.parquet", texts(40_000), row_group=40_000)
    for name in ("small", "large"):
        encode_files(tmp_path / f"{name}.parquet", tmp_path / name, dtype="binary", shard_rows=30_000)
    assert bytes_of(tmp_path / "small") == bytes_of(tmp_path / "large")
    groups = pq.ParquetFile(tmp_path / "small" / "00000-000000.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [16384, 30_000 - 16384]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_texts_of_any_arrow_type_of_text(tmp_path, expected, kind):
    values = (
        pa.array(texts(COUNT)).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts(COUNT), kind)
    )
    pq.write_table(pa.table({"text": values}), tmp_path / "t.parquet", row_group_size=999)
    encode_files(tmp_path / "t.parquet", tmp_path / "out", keep=["text"])
    np.testing.assert_array_equal(vectors_of(table_of(tmp_path / "out")), expected)
    assert table_of(tmp_path / "out").schema.field("text").type == kind


def test_truncate_dim_and_max_tokens_are_those_of_encode(tmp_path, model):
    put_lines(tmp_path / "t.txt", texts(50))
    encode_files(tmp_path / "t.txt", tmp_path / "out", truncate_dim=64, max_tokens=3)
    expected = model.encode(texts(50), truncate_dim=64, max_tokens=3)
    np.testing.assert_array_equal(vectors_of(table_of(tmp_path / "out")), expected)


def test_onnx_runtime_gives_the_same_bytes(tmp_path):
    put_lines(tmp_path / "t.txt", [*texts(200), "", "☃", "日本 and\0NUL", "x" * 5000])
    for engine in ("native", "onnxruntime"):
        encode_files(tmp_path / "t.txt", tmp_path / engine, model_engine=engine)
    assert bytes_of(tmp_path / "native") == bytes_of(tmp_path / "onnxruntime")


def test_a_prompt_of_the_model_stands_before_every_text_and_before_no_null(tmp_path, hand_folder):
    config = {"prompts": {"query": "the cat "}, "default_prompt_name": "query"}
    (hand_folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    pq.write_table(pa.table({"text": ["dog ran", None, "mat"]}), tmp_path / "t.parquet")
    encode_files(tmp_path / "t.parquet", tmp_path / "out", model=hand_folder)
    model = EdgeModel.from_pretrained(hand_folder)
    assert model.bundle.prompt == "the cat "
    got = table_of(tmp_path / "out")["vector"].to_pylist()
    np.testing.assert_array_equal(np.array([got[0], got[2]], np.float32), model.encode(["dog ran", "mat"]))
    assert got[1] is None


def test_equal_texts_are_embedded_once_with_the_same_vectors(tmp_path, monkeypatch):
    from edge_potion.engine import Engine

    values = [texts(10)[number % 10] for number in range(5000)]
    put_parquet(tmp_path / "t.parquet", [*values, None])
    encode_files(tmp_path / "t.parquet", tmp_path / "plain")
    seen: list[int] = []
    real = Engine.encode_utf8
    monkeypatch.setattr(
        Engine, "encode_utf8", lambda self, at, ends, cut: seen.append(len(ends) - 1) or real(self, at, ends, cut)
    )
    encode_files(tmp_path / "t.parquet", tmp_path / "once", dedupe_window=10_000)
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "once")
    assert sum(seen) == 11  # and one for the null


def test_inputs_stand_in_the_order_in_which_they_are_named_and_folders_by_name(tmp_path):
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    put_lines(folder / "b.txt", ["b"])
    put_lines(folder / "a.txt", ["a"])
    put_jsonl(folder / "below" / "c.jsonl", ["c"])
    put_lines(folder / "_no.txt", ["no"])
    put_lines(folder / ".hidden" / "no.txt", ["no"])
    (folder / "README.md").write_text("no")
    (folder / "x.npy").write_text("no")
    put_lines(tmp_path / "z1.txt", ["z1"])
    put_lines(tmp_path / "z2.txt", ["z2"])
    encode_files([tmp_path / "z1.txt", folder, f"{tmp_path}/z[2-9].txt"], tmp_path / "out", keep=["text"])
    assert table_of(tmp_path / "out")["text"].to_pylist() == ["z1", "a", "b", "c", "z2"]
    paths = [Path(file["path"]).name for file in manifest_of(tmp_path / "out")["inputs"]]
    assert paths == ["z1.txt", "a.txt", "b.txt", "c.jsonl", "z2.txt"]


def test_packed_lines_are_cut_as_the_same_lines_are(tmp_path):
    put_jsonl(tmp_path / "t.jsonl", texts(COUNT))
    (tmp_path / "u.jsonl.gz").write_bytes(gzip.compress((tmp_path / "t.jsonl").read_bytes()))
    encode_files(tmp_path / "t.jsonl", tmp_path / "t", shard_rows=400)
    encode_files(tmp_path / "u.jsonl.gz", tmp_path / "u", shard_rows=400)
    assert bytes_of(tmp_path / "t") == bytes_of(tmp_path / "u")


def test_records_of_csv_stay_whole_where_shards_are_cut(tmp_path):
    values = ['two\nlines, "quoted"', 'a 5" pipe', "plain", "", "\n\n"] * 40
    put_csv(tmp_path / "t.csv", values)
    encode_files(tmp_path / "t.csv", tmp_path / "out", shard_rows=7, keep=["text", "id"])
    table = table_of(tmp_path / "out")
    assert table["text"].to_pylist() == values
    assert table["id"].to_pylist() == [str(number) for number in range(len(values))]
    assert len(bytes_of(tmp_path / "out")) > 20


def test_columns_of_csv_are_found_by_name_in_each_file(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,cat\n")
    (tmp_path / "b.csv").write_text("text;id\ndog;2\n")
    (tmp_path / "c.tsv").write_text("other\ttext\tid\nx\tmat\t3\n")
    encode_files([tmp_path / name for name in ("a.csv", "b.csv", "c.tsv")], tmp_path / "out", keep=["id", "text"])
    table = table_of(tmp_path / "out")
    assert table["id"].to_pylist() == ["1", "2", "3"] and table["text"].to_pylist() == ["cat", "dog", "mat"]


def test_long_lines_make_smaller_slices_and_no_larger_memory(tmp_path, monkeypatch):
    from edge_potion.bulk import slices

    monkeypatch.setattr(slices, "SLICE_BYTES", 10_000)
    put_lines(tmp_path / "t.txt", ["word " * 700, "a", "b"] * 30)
    encode_files(tmp_path / "t.txt", tmp_path / "out", keep=["text"])
    sizes = [len(pq.read_table(file)) for file in sorted((tmp_path / "out").glob("*.parquet"))]
    assert sum(sizes) == 90 and max(sizes) <= 9
    assert table_of(tmp_path / "out")["text"].to_pylist() == ["word " * 700, "a", "b"] * 30


def test_nothing_at_all_is_a_whole_job(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "empty.csv").write_bytes(b"")
    put_parquet(tmp_path / "empty.parquet", [])
    inputs = [tmp_path / name for name in ("empty.txt", "empty.csv", "empty.parquet")]
    assert encode_files(inputs, tmp_path / "out").rows == 0
    assert manifest_of(tmp_path / "out")["complete"] is True


def test_a_rotation_is_stored_and_makes_the_codes(tmp_path, model):
    from edge_potion.rotation import Rotation

    put_lines(tmp_path / "t.txt", texts(2000))
    encode_files(tmp_path / "t.txt", tmp_path / "out", dtype="binary", rotate=True)
    rotation = Rotation.load(tmp_path / "out" / "_rotation.safetensors")
    expected = model.quantize(model.encode(texts(2000)), "binary", rotation).values
    np.testing.assert_array_equal(vectors_of(table_of(tmp_path / "out")), expected)


def test_two_workers_give_the_same_bytes_as_one(tmp_path):
    put_parquet(tmp_path / "a.parquet", texts(9000), row_group=4000)
    put_jsonl(tmp_path / "b.jsonl", texts(3000))
    put_csv(tmp_path / "c.csv", texts(3000))
    inputs = [tmp_path / name for name in ("a.parquet", "b.jsonl", "c.csv")]
    for workers in (1, 2):
        encode_files(inputs, tmp_path / str(workers), workers=workers, shard_rows=700, dtype="int8", keep=["text"])
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")
    first, second = (manifest_of(tmp_path / str(workers)) for workers in (1, 2))
    assert first == second


def test_a_dictionary_that_unpacks_to_gigabytes_is_read_a_few_rows_at_a_time(tmp_path):
    """A page of some bytes may name a text of a MiB ten thousand times."""
    from edge_potion.bulk.parquet_rows import ParquetReader

    values = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 5000, pa.int32()), pa.array(["word " * 200_000, "b"]))
    pq.write_table(pa.table({"text": values}), tmp_path / "t.parquet", store_schema=False)
    reader = ParquetReader(str(tmp_path / "t.parquet"), ["text"], "text")
    batch = next(reader.batches(0, 10_000))
    assert batch.nbytes < 2**26
    reader.close()


def test_the_caller_reads_what_is_wrong_with_an_argument(tmp_path):
    put_lines(tmp_path / "t.txt", ["a"])
    for options, message in (
        ({"dtype": "int4"}, "dtype is 'int4'; one of float32, float16, int8, binary"),
        ({"format": "csv"}, "format is 'csv'"),
        ({"on_bad": "stop"}, "on_bad is 'stop'"),
        ({"shard_rows": 0}, "shard_rows is 0"),
        ({"dedupe_window": -1}, "dedupe_window is -1"),
        ({"truncate_dim": 999}, "truncate_dim is 999, and the model has 256"),
        ({"keep": ["vector"]}, "a column 'vector' cannot be kept"),
        ({"keep": ["text", "text"]}, "'text' is to be kept twice"),
        ({"keep": ["id"]}, "has no column 'id'"),
        ({"keep": ["text"], "format": "npy"}, "an .npy file holds vectors alone"),
        ({"rotate": True}, "a rotation is for binary codes"),
        ({"workers": 0}, "workers is 0"),
        ({"engine": "spark"}, "engine is 'spark'"),
        ({"shards": 3}, "shards"),
        ({"model": tmp_path / "none"}, "no such folder"),
    ):
        with pytest.raises(InputError, match=message.replace(".", r"\.")):
            encode_files(tmp_path / "t.txt", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
