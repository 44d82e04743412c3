"""The study of the server's load runs, and its page tells what its report holds. Nothing here is measured."""

from __future__ import annotations

import argparse
import shutil

import pytest

from edge_potion.benchmarks.speed.environments import Missing
from edge_potion.benchmarks.studies import serve
from edge_potion.benchmarks.studies.serve_page import serve_page

from ..models import DATA
from ..peers import built  # noqa: F401  # a fixture

TEXT, LIST = "a text, base64", "1,024 texts, base64"


def test_the_page_tells_what_part_of_the_empty_stack_and_of_encode_is_served():
    page = serve_page(report(), "a.json")["results/serve.md"]
    assert "| edge-potion serve | 6,000 (5,000–7,000) | 6,000 | 60% | 2.0 | 9.0 | 50 |" in page
    assert "| the same stack, empty | 10,000 (10,000–10,000) |  |  | 2.0 | 9.0 | 50 |" in page
    assert "of which ours serves 75% |  | 102,400 (102,400–102,400) |" in page
    assert "| edge-potion serve | 75 (70–80) | 76,800 |" in page
    assert "on all cores together" in page and page.count("connections:") == 2


@pytest.mark.slow
@pytest.mark.peers
def test_the_study_runs(built, tmp_path):  # noqa: F811
    if not shutil.which("wrk"):
        pytest.skip("wrk is not installed: `make load`")
    sentences = tmp_path / "sentences.txt"
    lines = DATA.read_text(encoding="utf-8").splitlines()
    sentences.write_text("".join(f"{line} {number}\n" for number in range(5) for line in lines), encoding="utf-8")
    asked = argparse.Namespace(sentences=str(sentences), transformer=None, rounds=1, seconds=1)
    try:
        found = serve.measured(tmp_path, asked)
    except Missing as reason:
        pytest.skip(str(reason))
    assert all(len(measure["runs"]) == 1 and measure["runs"][0]["answered"] for measure in found["measures"])
    assert "EdgeModel.encode" in serve_page(found, "a.json")["results/serve.md"]


def report() -> dict[str, object]:
    """By hand: two rounds of one core."""

    def measure(server: str, load: str, *requests_s: float) -> dict[str, object]:
        runs = [{"requests_s": one, "p50_ms": 2.0, "p99_ms": 9.0, "memory_mb": 50.0} for one in requests_s]
        return {"server": server, "load": load, "pinned": True, "runs": runs}

    return {
        "machine": {"cpu": "a processor", "cores": 2, "system": "Linux"},
        "python": "3.11.0",
        "packages": {"uvicorn": "0.54.0"},
        "usual": ["fastapi==0.165.0"],
        "infinity": ["infinity-emb==0.0.78"],
        "wrk": "wrk 4.1.0",
        "texts": 20_000,
        "list": 1024,
        "seconds": 5,
        "rounds": 2,
        "connections": {TEXT: 64, LIST: 4},
        "texts_a_request": {TEXT: 1, LIST: 1024},
        "measures": [
            measure("edge-potion serve", TEXT, 5_000, 7_000),
            measure("the same stack, empty", TEXT, 10_000, 10_000),
            measure("edge-potion serve", LIST, 70, 80),
        ],
        "encode_texts_s": {"pinned": [102_400.0, 102_400.0], "unpinned": [0.0, 0.0]},
    }
