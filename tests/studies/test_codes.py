"""The study of codes runs, and its page says what its report says."""

from __future__ import annotations

import json

import pytest

from edge_potion import InputError
from edge_potion.benchmarks.studies import codes
from edge_potion.benchmarks.studies.codes_page import codes_page

SIZES = codes.Sizes(base=2000, queries=20, sample=300)


@pytest.fixture(scope="module")
def sentences_file(sentences, tmp_path_factory):
    """2,400 texts, some twice, and empty lines."""
    file = tmp_path_factory.mktemp("study") / "sentences.txt"
    file.write_text(
        "\n\n".join(f"{sentences[n // 2 % len(sentences)]} {n // 2}" for n in range(4800)), encoding="utf-8"
    )
    return file


def test_every_dtype_is_scored_and_the_page_shows_it(sentences_file):
    report = codes.measured(sentences_file, SIZES)
    assert json.loads(json.dumps(report)) == report
    recall = {(row["name"], row["dim"]): row["recall"] for row in report["codes"]}
    assert recall["float32", 256] == 1 and recall["float16", 256] > 0.98 and recall["int8", 256] > 0.95
    assert recall["binary", 256] < recall["int8", 256] and recall["float32", 64] < recall["float32", 128] < 1
    assert recall["int8, dot product of the values alone", 256] < recall["int8, cosine of the values alone", 256]
    assert sum(name.startswith("sentence-transformers int8") for name, _ in recall) == 4
    assert {row["name"]: row["bytes"] for row in report["codes"] if row["dim"] == 256 and "," not in row["name"]} == {
        "float32": 1024,
        "float16": 512,
        "int8": 260,
        "binary": 32,
    }
    for row in report["filters"]:
        by_float32 = list(row["within"]["float32"].values())
        assert row["alone"] < by_float32[0] and by_float32 == sorted(by_float32) and by_float32[-1] > 0.98
    page = codes_page(report, "x_codes.json")["results/codes.md"]
    assert f"| **int8** | 256 | 260 | {recall['int8', 256]:.3f} |" in page and "x\\_codes.json" in page


def test_a_file_of_too_few_sentences_is_refused(sentences_file):
    with pytest.raises(InputError, match=r"holds 2,400 sentences; 111,000 were expected"):
        codes.measured(sentences_file, codes.Sizes())
