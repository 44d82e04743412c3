"""Columns that pass through: whole, in the same bytes whoever writes them, few at a time where they are long."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_potion import InputError
from edge_potion.bulk.encode_files import encode_files
from edge_potion.bulk.inputs import find_inputs
from edge_potion.bulk.row_bytes import bytes_of_rows
from edge_potion.bulk.rows import RowReader
from edge_potion.bulk.slices import slices_of

from .inputs import bytes_of, put_lines, table_of, texts


def test_workers_write_nested_types_as_this_process_does(tmp_path):
    count = 300
    columns = {
        "text": pa.array(texts(count)),
        "pair": pa.array([[number, None] for number in range(count)], pa.list_(pa.field("mine", pa.int32()), 2)),
        "kinds": pa.array([["x"], ["y", "x"], None] * (count // 3)).cast(
            pa.list_(pa.dictionary(pa.int32(), pa.string()))
        ),
        "id": pa.array([number.to_bytes(16, "big") for number in range(count)], pa.uuid()),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=70)
    for workers in (1, 2):
        out = tmp_path / str(workers)
        encode_files(tmp_path / "t.parquet", out, workers=workers, shard_rows=100, keep=["pair", "kinds", "id"])
        assert table_of(out)["pair"].combine_chunks().to_pylist() == columns["pair"].to_pylist()
        assert table_of(out).schema.field("id").type == pa.uuid()
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")


@pytest.mark.parametrize(
    ("first", "last"), [(["x"], "abc"), ({"a": 1}, {"a": 1, "b": 2}), (1, 1.5), ([{"a": 1}], [{"b": 1}])]
)
def test_a_kept_value_of_json_is_never_cut_to_what_the_first_rows_hold(tmp_path, first, last):
    put_lines(tmp_path / "t.jsonl", [json.dumps({"text": "a", "n": value}) for value in [*[first] * 1001, last]])
    with pytest.raises(InputError, match=r"t\.jsonl, line 1002: 'n' is .*, and the first rows say"):
        encode_files(tmp_path / "t.jsonl", tmp_path / "out", keep=["n"])


def test_a_kept_value_of_json_may_lack_keys_and_be_whole_or_nan(tmp_path):
    values = [{"a": 1.5, "b": ["x"]}, {"a": 2}, {}, None, {"a": float("nan"), "b": []}]
    put_lines(tmp_path / "t.jsonl", [json.dumps({"text": "a", "n": value}) for value in values])
    encode_files(tmp_path / "t.jsonl", tmp_path / "out", keep=["n"], format="jsonl", dtype="binary")
    rows = (tmp_path / "out" / "00000-000000.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["n"] for row in rows] == [
        {"a": 1.5, "b": ["x"]},
        {"a": 2.0, "b": None},
        {"a": None, "b": None},
        None,
        {"a": None, "b": []},
    ]


def test_a_column_with_a_dot_in_its_name_is_not_one_that_is_nested(tmp_path):
    columns = [pa.array([{"b": "no"}]), pa.array(["yes"]), pa.array(["no"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["a", "a.b", "text"]), tmp_path / "t.parquet")
    encode_files(tmp_path / "t.parquet", tmp_path / "out", text_column="a.b", keep=["a", "a.b"])
    row = table_of(tmp_path / "out").drop_columns(["row", "vector"]).to_pylist()
    assert row == [{"a": {"b": "no"}, "a.b": "yes"}]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["a", None, "bcd"]), [1, 0, 3]),
        (pa.array(["a", None, "b" * 20], pa.string_view()), [1, 0, 20]),
        (pa.array(["a", None, "a"]).dictionary_encode(), [1, 0, 1]),
        (pa.array([["a", "bb"], None, ["ccc", None]]), [3, 0, 3]),
        (pa.array([{"x": 1, "y": "ab"}, {"x": 2, "y": ""}, None]), [10, 8, 8]),
        (pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())), [9, 0, 0]),
        (pa.array([["a", "b"], ["c", "ddd"]], pa.list_(pa.string(), 2)), [2, 4]),
        (pa.array([datetime(2026, 1, 1)] * 2), [8, 8]),
        (pa.nulls(2), [0, 0]),
        (pa.array([], pa.list_(pa.string())), []),
    ],
)
def test_bytes_of_rows_are_those_of_their_values_also_from_the_middle_on(values, expected):
    assert bytes_of_rows(values).tolist() == expected
    assert bytes_of_rows(values.slice(1)).tolist() == expected[1:]


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("of", ["text", "kept", "nested"])
def test_rows_of_long_values_are_held_a_few_at_a_time_of_every_type(tmp_path, kind, of):
    """A dictionary of some bytes names a value of a MiB thousands of times."""
    values = pa.array(["word " * 200_000] * 600).cast(kind)
    columns = {"text": values if of == "text" else pa.array(["a"] * 600)}
    if of != "text":
        columns["kept"] = values if of == "kept" else pa.ListArray.from_arrays(np.arange(601, dtype=np.int32), values)
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    [part] = slices_of(find_inputs([str(tmp_path / "t.parquet")], tmp_path / "out")[0], 1000)
    kept = pq.read_schema(tmp_path / "t.parquet").remove(0) if of != "text" else pa.schema([])
    windows = [len(rows.numbers) for rows in RowReader("text", kept, 0).rows_of(part)]
    assert sum(windows) == 600 and max(windows) <= 17


def test_columns_of_any_type_pass_through_unchanged(tmp_path):
    count = 300
    numbers = list(range(count))
    columns = {
        "text": pa.array(texts(count)),
        "day": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * count, pa.timestamp("us", "Europe/Berlin")),
        "price": pa.array([Decimal(f"{number}.25") for number in numbers], pa.decimal128(12, 2)),
        "tags": pa.array([["a", None], [], None] * (count // 3), pa.list_(pa.string())),
        "place": pa.array(
            [{"x": number, "y": None} for number in numbers], pa.struct([("x", pa.int16()), ("y", pa.string())])
        ),
        "map": pa.array([[("k", number)] for number in numbers], pa.map_(pa.string(), pa.int64())),
        "raw": pa.array([bytes([number % 256]) * 3 for number in numbers], pa.binary()),
        "kind": pa.array(["x", "y", None] * (count // 3)).dictionary_encode(),
        "flag": pa.array([True, None, False] * (count // 3)),
        "big": pa.array(list(map(str, numbers)), pa.large_string()),
        "fixed": pa.array([b"four"] * count, pa.binary(4)),
        "nothing": pa.nulls(count),
    }
    given = pa.table(columns)
    pq.write_table(given, tmp_path / "t.parquet", row_group_size=70)
    names = [name for name in columns if name != "text"]
    encode_files(tmp_path / "t.parquet", tmp_path / "out", keep=names, shard_rows=110)
    table = table_of(tmp_path / "out")
    for name in names:
        assert table.schema.field(name).type == given.schema.field(name).type, name
        assert table[name].to_pylist() == given[name].to_pylist(), name


def test_kept_values_of_json_have_the_types_of_the_first_records(tmp_path):
    rows = [{"text": "a cat", "n": 1, "x": 1.5, "tags": ["a"]}, {"text": "a dog", "n": None, "x": 2, "tags": []}]
    put_lines(tmp_path / "t.jsonl", [json.dumps(row) for row in rows])
    encode_files(tmp_path / "t.jsonl", tmp_path / "out", keep=["n", "x", "tags"])
    table = table_of(tmp_path / "out")
    assert table.drop_columns(["row", "vector"]).to_pylist() == [
        {"n": 1, "x": 1.5, "tags": ["a"]},
        {"n": None, "x": 2.0, "tags": []},
    ]
    put_lines(
        tmp_path / "u.jsonl",
        [json.dumps({"text": "x", "n": number}) for number in range(2000)] + ['{"text": "y", "n": "z"}'],
    )
    with pytest.raises(InputError, match=r"u.jsonl, line 2001: 'n' is 'z', and the first rows say int64"):
        encode_files(tmp_path / "u.jsonl", tmp_path / "u", keep=["n"])


def test_shards_of_json_have_json_of_every_kept_type(tmp_path):
    table = pa.table(
        {
            "text": ["a cat", None],
            "day": pa.array([datetime(2026, 1, 2), None], pa.timestamp("s")),
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)),
            "x": [float("nan"), 1.5],
            "s": [{"a": [1]}, None],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    encode_files(
        tmp_path / "t.parquet", tmp_path / "out", keep=["day", "price", "x", "s"], format="jsonl", truncate_dim=2
    )
    rows = [json.loads(line) for line in (tmp_path / "out" / "00000-000000.jsonl").read_text().splitlines()]
    assert {key: rows[0][key] for key in ("row", "day", "price", "x", "s")} == {
        "row": 1,
        "day": "2026-01-02T00:00:00",
        "price": "1.50",
        "x": None,
        "s": {"a": [1]},
    }
    assert rows[1]["vector"] is None and rows[1]["x"] == 1.5
