"""The study of graphs runs, and its table holds what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_potion import InputError
from edge_potion.benchmarks.studies.graph import graph_table, measured
from edge_potion.search import graph

SENTENCES = Path(__file__).parents[1] / "data" / "sentences.txt"


def test_graphs_of_sentences_and_of_their_mutations_are_measured(monkeypatch):
    pytest.importorskip("usearch")
    monkeypatch.setattr(graph, "ROWS_SCANNED_MEANWHILE", 1)
    report = measured(SENTENCES, [1_200, 3_000], queries=20)
    assert json.loads(json.dumps(report)) == report
    assert [size["rows"] for size in report["sizes"]] == [1_200, 3_000] and report["sentences"] < 1_000
    for size in report["sizes"]:
        assert size["vectors"] <= size["rows"] and 256 < size["bytes_a_row"] < 600
        for one in size["graph"]:
            assert one["recall"] > 0.9
            assert f"| {size['rows']:,} | graph, {one['asked']:,} asked |" in graph_table(report)


def test_a_file_of_too_few_sentences_is_refused():
    with pytest.raises(InputError, match="more than 5,000 were expected"):
        measured(SENTENCES, [100], queries=5_000)
