"""The study of query encoders: three ways to search a set, and the teacher's vectors kept."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from edge_potion import InputError
from edge_potion.benchmarks.studies.query_encoder import WAYS, as_table, kept, measured

DOCUMENTS = {"d1": "bread", "d2": "snow", "d3": "tax"}
PLACES = {"bread": 0, "loaf": 0, "snow": 1, "tax": 2}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "retrieval" / "Three"
    folder.mkdir(parents=True)
    rows = {
        "corpus": [{"_id": name, "text": text} for name, text in DOCUMENTS.items()],
        "queries": [{"_id": "q1", "text": "loaf"}, {"_id": "q2", "text": "tax"}],
        "qrels": [{"query": "q1", "doc": "d1", "score": 1}, {"query": "q2", "doc": "d3", "score": 1}],
    }
    for name, each in rows.items():
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in each)
    return tmp_path


def test_who_encodes_queries_and_documents_is_told_apart(data):
    """The student's space is the teacher's with two axes changed: by itself all is found, with the teacher one half."""

    def teacher(texts):
        return np.eye(3, dtype=np.float32)[[PLACES[text] for text in texts]]

    def student(texts):
        return teacher(texts)[:, [1, 0, 2]]

    (found,) = measured(data, student, teacher)
    assert found.scores["teacher, teacher"] == found.scores["student, student"] == pytest.approx(100)
    assert 50 <= found.scores["student, teacher"] < 100
    table = as_table([found]).splitlines()
    assert list(WAYS) == ["teacher, teacher", "student, teacher", "student, student"]
    assert table[1].split()[:2] == ["Three", "100.0"] and table[2].startswith("mean")
    with pytest.raises(InputError, match="not of one width"):
        measured(data, lambda texts: teacher(texts)[:, :2], teacher)
    with pytest.raises(InputError, match="holds no retrieval set"):
        measured(data / "retrieval" / "Three", student, teacher)


def test_the_teachers_vectors_are_kept(small_teacher, tmp_path):
    texts = ["the council voted", "a loaf of bread"]
    first = kept(str(small_teacher), tmp_path / "cache")(texts)
    (file,) = (tmp_path / "cache").iterdir()
    np.save(file, first + 1)
    assert np.array_equal(kept(str(small_teacher), tmp_path / "cache")(texts), first + 1)
    assert not np.array_equal(kept(str(small_teacher), tmp_path / "cache")(texts[::-1]), first[::-1] + 1)
