"""One bundle in every library that can load it, for real: their vectors, and that they leave the folder as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_potion import StaticModel, export
from edge_potion.benchmarks.studies.runtimes import RUNTIMES, Runtime, held_to_oracle, run_all
from edge_potion.benchmarks.studies.runtimes_page import runtimes_table
from edge_potion.golden import Golden

from ..models import pieces_of

PRECISIONS = ["float32", "int8", "float16"]
BY_NAME = {runtime.name: runtime for runtime in RUNTIMES}


@pytest.fixture(scope="module")
def whole_bundle(tmp_path_factory) -> Path:
    """The built-in model without its phrases, which some know nothing of, with every graph at every precision."""
    out = tmp_path_factory.mktemp("runtimes") / "bundle"
    return export(pieces_of(StaticModel.from_pretrained()), out, quantize=PRECISIONS, token_embeddings=True).folder


@pytest.fixture
def changed_bundle(whole_bundle, tmp_path) -> Path:
    """A copy to damage, of a time when bundles had no manifest that would tell."""
    folder = shutil.copytree(whole_bundle, tmp_path / "bundle")
    (folder / "manifest.json").unlink()
    return folder


def rows_of(folder: Path, runtime: Runtime) -> Sequence[dict[str, Any]]:
    """Its rows; skips where it is not installed."""
    rows = list(run_all(folder, [runtime]))
    if {row["status"] for row in rows} == {"absent"}:
        pytest.skip(f"{rows[0]['reason']} (`make test` builds it)")
    return rows


@pytest.mark.peers
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_a_library_gives_our_vectors_from_the_folder_as_it_is(runtime, built, whole_bundle):
    before = {file: file.read_bytes() for file in whole_bundle.rglob("*") if file.is_file()}
    rows = rows_of(whole_bundle, runtime)
    assert [row["reason"] for row in rows] == [None] * len(rows)
    takes_all = runtime.graph is not None and not runtime.smallest
    assert {row["precision"] for row in rows} == (set(PRECISIONS) if takes_all else {rows[0]["precision"]})
    for row in rows:
        assert row["status"] == "passed" and all(row["versions"].values())
        assert row["least_cosine"] >= 0.9999
        assert row["agree"] + sum(each["texts"] for each in row["strays"]) == row["texts"] == 216
    after = {file: file.read_bytes() for file in whole_bundle.rglob("*") if file.is_file()}
    assert after == before
    assert runtime.packages[0] in runtimes_table({"rows": rows})


@pytest.mark.peers
def test_an_oracle_that_says_otherwise_fails_the_library(built, changed_bundle):
    golden = json.loads((changed_bundle / "golden.json").read_text(encoding="utf-8"))
    golden["vectors"][golden["texts"].index("#hashtag @mention")][0] += 0.1
    (changed_bundle / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    (row,) = rows_of(changed_bundle, BY_NAME["model2vec"])
    assert row["status"] == "FAILED" and row["reason"].startswith("1 text strays for no known reason: ")
    assert "**FAILED**" in runtimes_table({"rows": [row]})


@pytest.mark.peers
def test_a_graph_that_cannot_be_loaded_fails_alone_and_tells_no_folder(built, changed_bundle):
    (changed_bundle / "onnx" / "model_fp16.onnx").write_bytes(b"no graph")
    rows = {row["precision"]: row for row in rows_of(changed_bundle, BY_NAME["onnxruntime, tokenizers"])}
    assert {precision: row["status"] for precision, row in rows.items()} == {
        "int8": "passed",
        "float16": "FAILED",
        "float32": "passed",
    }
    assert "model_fp16.onnx" in rows["float16"]["reason"] and str(changed_bundle) not in rows["float16"]["reason"]


def test_a_library_that_is_not_installed_is_absent(whole_bundle):
    """With an empty cache, which tests have."""
    (row,) = run_all(whole_bundle, [BY_NAME["model2vec"]])
    assert row["status"] == "absent" and "benchmarks.speed.environments model2vec" in row["reason"]


def by_hand(*cosines: float) -> tuple[np.ndarray, Golden]:
    """Vectors of these cosines to the oracle's."""
    found = np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in cosines], np.float32)
    count = len(cosines)
    oracle = np.tile(np.float32([1, 0]), (count, 1))
    return found, Golden(list("abcd"[:count]), [[5]] * count, oracle, np.ones(count, np.int64), True)


def test_a_text_may_stray_only_where_its_class_is_known_to():
    found, golden = by_hand(1, 0.5, 0.9)
    classes: list[set[str]] = [set(), {"odd"}, set()]
    held = held_to_oracle(found, golden, classes, {"odd": "why"})
    assert held["status"] == "FAILED" and held["reason"] == "1 text strays for no known reason: 'c' (0.90000)"
    held = held_to_oracle(found, golden, [set(), {"odd"}, {"odd", "other"}], {"odd": "why"})
    assert held["status"] == "passed" and held["strays"] == [{"class": "odd", "texts": 2, "why": "why"}]
    assert (held["agree"], held["least_cosine"]) == (1, 1.0)


def test_what_is_said_of_a_library_must_be_true():
    found, golden = by_hand(1, 1)
    held = held_to_oracle(found, golden, [set(), {"odd"}], {"odd": "why"})
    assert held["status"] == "FAILED" and held["reason"] == "said to differ for texts odd, and does not"
    assert held_to_oracle(found, golden, [set(), set()], {"odd": "why"})["status"] == "passed"


def test_a_vector_of_nan_and_one_of_another_shape_agree_with_nothing():
    found, golden = by_hand(1, 1)
    found[1] = np.nan
    assert held_to_oracle(found, golden, [set(), set()], {})["status"] == "FAILED"
    assert held_to_oracle(found[:1], golden, [set(), set()], {})["reason"] == "vectors of shape (1, 2); (2, 2) expected"
