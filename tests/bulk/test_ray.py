"""edge_potion.ray on a real cluster of two nodes: the vectors of encode, whatever is lost meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_potion import EdgeModel, InputError
from edge_potion.codes import DTYPES, quantize
from edge_potion.ray import embed

pytestmark = pytest.mark.peers  # half a minute for Ray's processes to start

BLOCKS, BLOCK_ROWS = 40, 250


@pytest.fixture(scope="module")
def table(sentences) -> pa.Table:
    """Texts with nulls among them, their numbers, and columns of other types."""
    rows = BLOCKS * BLOCK_ROWS
    texts = [None if row % 97 == 0 else f"{sentences[row % len(sentences)]} {row}" for row in range(rows)]
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "text": texts,
            "tags": pa.array([["a", None]] * rows, pa.list_(pa.string())),
            "at": pa.array(range(rows), pa.timestamp("us")),
        }
    )


def dataset_of(table: pa.Table, *, seconds_a_block: float = 0):
    """In blocks; where it is to be disturbed, each takes its time."""
    import ray.data

    blocks = [table.slice(begin, BLOCK_ROWS) for begin in range(0, len(table), BLOCK_ROWS)]
    dataset = ray.data.from_arrow(blocks)
    if not seconds_a_block:
        return dataset

    def slowly(batch):
        time.sleep(seconds_a_block)
        return batch

    return dataset.map_batches(slowly, batch_format="pyarrow", batch_size=None)


def in_order(parts) -> pa.Table:
    return pa.concat_tables(parts).sort_by("id").combine_chunks()


def expected(table: pa.Table, dtype: str = "float32", model=None, **words) -> pa.Table:
    """The table with the vectors of `encode`."""
    texts = table["text"].to_pylist()
    is_null = np.array([text is None for text in texts])
    vectors = EdgeModel.from_pretrained(model, threads=1).encode([text or "" for text in texts], **words)
    codes = quantize(vectors, dtype)
    values = pa.array(np.where(is_null[:, None], 0, codes.values).astype(codes.values.dtype).ravel())
    lists = pa.FixedSizeListArray.from_arrays(values, codes.values.shape[1], mask=pa.array(is_null))
    with_vectors = table.append_column("vector", lists)
    return (
        with_vectors
        if codes.scales is None
        else with_vectors.append_column("scale", pa.array(codes.scales, mask=is_null))
    )


def batches_of(dataset):
    return dataset.iter_batches(batch_format="pyarrow", batch_size=None)


@pytest.mark.parametrize(
    "dtype", ["float32", *(pytest.param(each, marks=pytest.mark.slow) for each in DTYPES if each != "float32")]
)
def test_every_row_keeps_its_columns_and_gets_the_vector_of_encode(ray_cluster, table, dtype):
    some = table.slice(0, 4 * BLOCK_ROWS)
    found = in_order(batches_of(embed(dataset_of(some), dtype=dtype, truncate_dim=60, workers=2)))
    wanted = expected(some, dtype, truncate_dim=60)
    assert found.schema.types == wanted.schema.types and found.equals(wanted.combine_chunks())


@pytest.mark.slow
def test_what_is_written_as_parquet_holds_plain_lists_of_fixed_size(ray_cluster, table, tmp_path):
    some = table.slice(0, 2 * BLOCK_ROWS)
    embed(dataset_of(some), dtype="float16", workers=1).write_parquet(str(tmp_path / "out"))
    files = sorted((tmp_path / "out").glob("*.parquet"))
    assert all(pq.read_schema(file).field("vector").type == pa.list_(pa.float16(), 256) for file in files)
    assert in_order(map(pq.read_table, files)).equals(expected(some, "float16").combine_chunks())


@pytest.mark.slow
def test_an_actor_that_is_killed_in_the_middle_changes_nothing(ray_cluster, table):
    found = []
    for batch in batches_of(embed(dataset_of(table, seconds_a_block=0.1), workers=2, batch_size=BLOCK_ROWS)):
        found.append(batch)
        if len(found) == 3:
            ray_cluster.kill_an_actor("Embedder")
    assert in_order(found).equals(expected(table).combine_chunks())


@pytest.mark.slow
def test_a_node_that_is_lost_in_the_middle_changes_nothing(ray_cluster, table):
    ray_cluster.second_node()
    found = []
    for batch in batches_of(embed(dataset_of(table, seconds_a_block=0.1), workers=3, batch_size=BLOCK_ROWS)):
        found.append(batch)
        if len(found) == 3:
            ray_cluster.lose_second_node()
    assert in_order(found).equals(expected(table).combine_chunks())


@pytest.mark.slow
def test_a_model_reaches_the_workers_by_its_content(ray_cluster, hand_bundle, table):
    """Its folder is gone before anything runs."""
    some = table.slice(0, 2 * BLOCK_ROWS)
    wanted = expected(some, model=hand_bundle)
    dataset = embed(dataset_of(some), model=hand_bundle, workers=2)
    shutil.rmtree(hand_bundle)
    assert in_order(batches_of(dataset)).equals(wanted.combine_chunks())
    (parcel,) = {folder.name for folder in ray_cluster.folder.glob("*/parcel-*")}
    damaged = next(ray_cluster.folder.glob(f"*/{parcel}/config.json"))
    damaged.write_text("{}")
    assert in_order(batches_of(dataset)).equals(wanted.combine_chunks())
    assert damaged.read_text() != "{}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"column": "id"}, "column 'id' is of type int64; texts, as strings, were expected"),
        ({"column": "texts"}, "there is no column 'texts'; the dataset has 'id', 'text'"),
        ({"out_column": "tags"}, "has a column 'tags' already"),
        ({"dtype": "int4"}, "there is no dtype 'int4'"),
        ({"truncate_dim": 257}, "truncate_dim is 257"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": (3, 2)}, "workers is 3"),
        ({"model": "no/such/model"}, "no such folder: no/such/model"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(ray_cluster, table, words, message):
    with pytest.raises(InputError, match=message):
        embed(dataset_of(table), **words)


def test_what_is_known_only_when_it_runs_is_refused_with_the_columns_name(ray_cluster, table):
    from ray.exceptions import RayTaskError

    numbers = dataset_of(table.slice(0, 10)).map_batches(lambda batch: {"text": [1] * len(batch["id"])})
    with pytest.raises(RayTaskError, match="column 'text' is of type int64; texts, as strings, were expected"):
        embed(numbers, workers=1).take_all()

    def with_bytes(batch):
        import pyarrow as pa

        wrong = pa.array([b"\xff"], pa.binary()).view(pa.string())
        return pa.table({"text": wrong})

    invalid = dataset_of(table.slice(0, 1)).map_batches(with_bytes, batch_format="pyarrow")
    with pytest.raises(RayTaskError, match="column 'text' holds what is no text"):
        embed(invalid, workers=1).take_all()


def test_texts_that_are_all_null_get_null_vectors(ray_cluster):
    import ray.data

    nothing = pa.table({"text": pa.nulls(3), "kept": [1, 2, 3]})
    found = pa.concat_tables(batches_of(embed(ray.data.from_arrow(nothing), dtype="int8", workers=1)))
    assert found["vector"].null_count == found["scale"].null_count == 3 and found["kept"].to_pylist() == [1, 2, 3]


def test_importing_it_loads_no_ray_and_a_missing_ray_names_the_extra():
    script = """
import importlib.machinery, sys
real = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: None if name == "ray" else real(name, *rest)
import edge_potion.ray
print([name for name in ("ray", "pyarrow", "torch", "onnxruntime") if name in sys.modules])
try:
    edge_potion.ray.embed(None)
except edge_potion.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\nembedding on Ray needs ray: pip install 'edge-potion[ray]'\n", done.stderr
