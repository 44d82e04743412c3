"""The study of the native engine runs, and its page says what its report says. Nothing here looks at time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_potion.benchmarks.speed import environments
from edge_potion.benchmarks.speed.jobs import Effort
from edge_potion.benchmarks.speed.peers import peers_environments
from edge_potion.benchmarks.studies import engine
from edge_potion.benchmarks.studies.engine_page import engine_page
from edge_potion.benchmarks.studies.pages import RESULTS, generated
from edge_potion.engine import absent

BRIEF = Effort(latency_calls=20, warmup_calls=1, batch_seconds=0.001, batches=engine.BATCHES)
NAMES = ["native", "native, plain loops", "ONNX Runtime"]
OTHERS = ["model2vec", "fastembed static", "laghu", "static-embed-runner", "tokie and numpy"]


@pytest.mark.slow
@pytest.mark.peers
def test_everybody_is_measured_at_every_size_and_the_page_shows_it(built, sentences, tmp_path):
    if reason := absent():
        pytest.skip(f"there is no native engine here: {reason}")
    for name in peers_environments(engine.PEERS):
        try:
            environments.python_of(name)
        except environments.Missing as missing:
            pytest.skip(f"{missing} (`make test` builds it)")
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this system has no /proc/PID/smaps_rollup to tell a process's memory by")
    texts = [f"{sentences[number % len(sentences)]} {number}" for number in range(2048)]
    report = engine.measured(engine.tokens_alone(tmp_path / "bundle"), texts, rounds=1, effort=BRIEF)
    assert json.loads(json.dumps(report)) == report
    assert [one["name"] for one in report["contestants"]] == [*NAMES, *OTHERS]
    for one in report["contestants"]:
        assert list(one["us_a_text"]) == list(one["times_native"]) == ["1", "32", "256", "1024"]
    assert report["contestants"][1]["versions"]["kernels"] == "scalar"
    two = ["1024"] if len(os.sched_getaffinity(0)) > 1 else []  # of 8,192 texts a call there are too few here
    assert [batch for batch in report["two_threads"] if batch == "1024"] == two
    assert list(report["first_vector_ms"]) == ["Python", "Python and numpy", "native", "ONNX Runtime", "model2vec"]
    memory = report["memory_mb"]
    assert 0 < memory["Python"]["private"]["median"] < memory["Python and numpy"]["private"]["median"]
    assert report["limits_ns"]["scalar"]["reading those rows, a row"] > 0
    assert memory["native"]["private_beyond_numpy"] < memory["model2vec"]["private_beyond_numpy"]
    page = engine_page(report, "x_engine.json")["results/engine.md"]
    assert all(f"| {name} |" in page.replace("**", "").replace("\\", "") for name in [*NAMES, *OTHERS])


def spread(middle: float) -> dict[str, float]:
    return {"median": middle, "low": middle, "high": 2 * middle}


def report_of_two() -> dict[str, Any]:
    times = {"1": spread(1.0), "1024": spread(1.0)}
    contestants = [
        {"name": name, "versions": {"x": "1"}, "us_a_text": sizes, "times_native": times, "p50_us": one, "p95_us": one}
        for name, sizes, one in (
            ("native", {"1": spread(3.0), "1024": spread(1.25)}, spread(4.5)),
            ("model2vec", {"1": spread(109.0), "1024": spread(51.3)}, spread(109.0)),
        )
    ]
    memory = {
        name: {"private": spread(mb), "pss": spread(mb)} for name, mb in (("Python and numpy", 20.0), ("native", 24.0))
    }
    for one in memory.values():
        one["private_beyond_numpy"] = one["private"]["median"] - 20.0
    return {
        "machine": {"cpu": "AMD EPYC", "cores": 2, "system": "Linux"},
        "python": "3.11.7",
        "load_before": 0.1,
        "texts": {"count": 16_384, "mean_characters": 106.0},
        "rounds": 9,
        "contestants": contestants,
        "two_threads": {"1024": spread(1.875)},
        "starts": 36,
        "first_vector_ms": {"Python": spread(12.0), "native": spread(90.0)},
        "processes": 8,
        "memory_mb": memory,
        "limits_ns": {"scalar": {"embedding, a text": 1500.0}, "avx2": {"embedding, a text": 1000.0}},
    }


def test_the_page_has_three_digits_of_every_number():
    page = engine_page(report_of_two(), "x_engine.json")["results/engine.md"]
    assert "| **native** | 3.00 (3.00-6.00) | 1.25 (1.25-2.50) | 4.50 (4.50-9.00) | 4.50 (4.50-9.00) |" in page
    assert "| model2vec | 1.00 (1.00-2.00) | 1.00 (1.00-2.00) |" in page
    assert "| embedding, a text | 1,500 | 1,000 |" in page
    assert "1.88 (1.88-3.75) times at 1,024 texts a call" in page
    assert "| **native** | 24.0 (24.0-48.0) | 4.00 | 24.0 (24.0-48.0) |" in page
    assert "two threads" not in engine_page({**report_of_two(), "two_threads": {}}, "x")["results/engine.md"].lower()


def test_the_page_is_there_once_the_study_has_been_run(tmp_path):
    for file in RESULTS.glob("*.json"):
        if not file.name.endswith("_engine.json"):
            shutil.copy(file, tmp_path)
    assert "results/engine.md" not in generated(tmp_path)
    (tmp_path / "2026-11-25_x86_64_engine.json").write_text(json.dumps(report_of_two()), encoding="utf-8")
    assert "x86_64_engine.json" in generated(tmp_path)["results/engine.md"].replace("\\", "")


def test_the_study_says_how_it_is_called():
    said = subprocess.run([sys.executable, "-m", engine.__name__, "--help"], capture_output=True, text=True, check=True)
    assert "SENTENCES [--bundle FOLDER]" in said.stdout
