"""A model with phrases in bulk: in this process, in spawned ones, by the command, and on Ray, held to the oracle."""

from __future__ import annotations

import json
import multiprocessing
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.bulk.encode_files import encode_files
from edge_potion.golden import cosines
from edge_potion.static_model import Card

from .inputs import bytes_of, put_parquet, table_of, vectors_of

COUNT = 1200
WORDS = ("the", "cat", "sat", "on", "mat", "dogs", "a", "b", "☃", ".")  # "the cat", "cat sat", "a b", "b a", "dog ##s"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Texts that hold phrases, overlap, repeat, and are broken by what is unknown; and some without a known token."""
    source = random.Random(0)
    found = [" ".join(source.choices(WORDS, k=source.randrange(1, 12))) for _ in range(COUNT)]
    return [*found[:-4], "a b a b a", "☃", "the ☃ cat", "the cat " * 30]


@pytest.fixture
def model(phrase_model) -> StaticModel:
    """Of vectors of any length, so that a phrase that is lost changes more than a direction."""
    return replace(phrase_model, card=Card("hand", normalize=False, max_tokens=16))


@pytest.fixture
def bundle(model, tmp_path) -> Path:
    return export(model, tmp_path / "bundle", quantize=["int8", "float32"]).folder


def assert_are_the_oracles(found: np.ndarray, model: StaticModel, lines: list[str]) -> None:
    """Within int8, where the same texts without phrases are not."""
    wanted = model.encode(lines)
    without = replace(model, phrases=None, table=model.table[: model.pieces]).encode(lines)
    known = wanted.any(axis=1)
    assert found.shape == wanted.shape and not found[~known].any()
    assert cosines(found, wanted)[known].min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(wanted, axis=1), rtol=0.02)
    changed = np.abs(wanted - without).max(axis=1) > 0.5
    assert changed.sum() > COUNT // 2
    assert np.abs(found - wanted).max() < np.abs(wanted - without)[changed].max(axis=1).min()


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_hold_the_oracles_vectors_by_this_process_and_by_spawned_ones(workers, bundle, model, lines, tmp_path):
    source = put_parquet(tmp_path / "t.parquet", lines)
    summary = encode_files(source, tmp_path / "out", model=bundle, workers=workers, shard_rows=300)
    table = table_of(tmp_path / "out")
    assert (summary.rows, summary.shards, summary.dim) == (COUNT, 4, 8)
    assert_are_the_oracles(vectors_of(table), model, lines)
    np.testing.assert_array_equal(vectors_of(table), EdgeModel.from_pretrained(bundle, threads=1).encode(lines))


def test_the_command_writes_the_oracles_vectors_to_a_file_and_to_a_folder(bundle, model, lines, tmp_path, door):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
    given = ("encode", tmp_path / "t.jsonl", "--model", bundle)
    for out in ("v.npy", "folder/"):
        ended = door(*given, "--out", f"{tmp_path}/{out}")
        assert ended.code == 0, ended.stderr
    found = np.load(tmp_path / "v.npy")
    assert_are_the_oracles(found, model, lines)
    np.testing.assert_array_equal(vectors_of(table_of(tmp_path / "folder")), found)


def vectors_by(model: EdgeModel | StaticModel, texts: list[str]) -> np.ndarray:
    """What a spawned process runs."""
    return model.encode(texts)


def test_a_model_that_is_sent_to_a_spawned_process_finds_its_phrases_there(bundle, model, lines):
    edge = EdgeModel.from_pretrained(bundle)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(vectors_by, [(edge, lines[:600]), (edge, lines[600:]), (model, lines)])
    assert_are_the_oracles(np.concatenate(found[:2]), model, lines)
    np.testing.assert_array_equal(found[2], model.encode(lines))


@pytest.mark.slow
@pytest.mark.peers  # half a minute for Ray's processes to start
def test_on_ray_a_dataset_and_a_folder_of_shards_have_the_oracles_vectors(ray_cluster, bundle, model, lines, tmp_path):
    import ray.data

    from edge_potion.ray import embed

    table = pa.table({"id": range(COUNT), "text": lines})
    dataset = embed(ray.data.from_arrow([table.slice(0, 700), table.slice(700)]), model=bundle, workers=1)
    parts = dataset.iter_batches(batch_format="pyarrow", batch_size=None)
    assert_are_the_oracles(vectors_of(pa.concat_tables(parts).sort_by("id").combine_chunks()), model, lines)
    source = put_parquet(tmp_path / "t.parquet", lines)
    for engine in ("local", "ray"):
        encode_files(source, tmp_path / engine, model=bundle, engine=engine, workers=1, shard_rows=500)
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "ray")
