"""The study of scans runs, and its table names who was measured."""

from __future__ import annotations

import json

import pytest

from edge_potion.benchmarks.studies.scan import OURS, REFERENCE, measured, scan_table


def test_every_contestant_is_measured_and_finds_what_is_nearest():
    pytest.importorskip("faiss")
    pytest.importorskip("usearch")
    report = measured([500, 3000], 4)
    assert json.loads(json.dumps(report)) == report
    assert [one["rows"] for one in report["searches"] if one["name"] == OURS] == [500, 3000]
    assert all(one["ratio"] == 1 for one in report["searches"] if one["name"] == OURS)
    for one in report["searches"]:
        assert one["recall"] == 1 if one["name"] == REFERENCE else one["recall"] >= 0.8
        assert f"| {one['name']} | {one['rows']:,} | {one['bytes']:,} |" in scan_table(report)
