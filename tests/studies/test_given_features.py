"""The loader of the features that are given beside the project."""

from __future__ import annotations

import json

import numpy as np

from edge_potion.benchmarks.studies.given_features import write_given_features
from edge_potion.trainer.shards import open_features
from edge_potion.trainer.teacher_files import teacher_digest


def test_given_features_become_shards(shared, shared_sentences, teacher_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_potion.benchmarks.studies.given_features.ROWS", 120_000)
    assert write_given_features(shared, tmp_path, teacher_folder) == 300_000
    found = open_features(tmp_path)
    assert len(found.files) == 3
    first = next(found.shards())
    assert first.texts[:5000] == shared_sentences
    values = np.load(shared / "minilm-features" / "vectors.int8.npy", mmap_mode="r")[7].astype(np.float32)
    scale = np.load(shared / "minilm-features" / "scales.f32.npy")[7]
    assert np.array_equal(first.vectors[7], (values * scale).astype(np.float16))
    assert json.loads((tmp_path / "features.json").read_text())["teacher_digest"] == teacher_digest(teacher_folder)
