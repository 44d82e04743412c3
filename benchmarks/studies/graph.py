"""The graph of an index beside the exact scan: which of the nearest ten it finds, in how long, and what it takes.

    python -m edge_potion.benchmarks.studies.graph SENTENCES [--rows N]... [--json GRAPH]

The built-in model's int8 vectors of real sentences are searched for those of 500 others. Where the file holds too few,
each is taken again with a word of the next one in the place of one of its own. Recall is held to the exact scan of
the same vectors. A graph of a million rows takes minutes of all cores. Other work on the machine falsifies the times:
run it alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import cycle, islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edge_potion import EdgeModel, InputError, quantize
from edge_potion.scan import highest, scan
from edge_potion.search.graph import GRAPH, GRAPH_ROWS, GRAPH_STARTS, Graph, write_graph
from edge_potion.texts import read_texts

from ..speed.machine import cpu_name, load_average, system_name
from .page_parts import table

__all__ = ["graph_table", "measured"]

SIZES = (100_000, 1_000_000)
QUERIES = 500
NEIGHBOURS = 10
ASKED = (100, 300, 1_000)  # vectors of the graph


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", help="file of texts")
    parser.add_argument("--rows", type=int, action="append", help="how many are searched; repeat it for more sizes")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = measured(arguments.sentences, arguments.rows or SIZES)
    print(graph_table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(sentences: str | Path, sizes: Sequence[int], queries: int = QUERIES) -> dict[str, Any]:
    """The report.

    Raises:
        InputError: the file holds too few sentences.
    """
    texts = list(islice(read_texts(sentences), queries + max(sizes)))
    if len(texts) <= queries:
        raise InputError(f"{sentences} holds {len(texts):,} sentences; more than {queries:,} were expected")
    model = EdgeModel.from_pretrained()
    asked, base = model.encode(texts[:queries]), texts[queries:]
    base = [*base, *islice(_mutated(base), max(sizes) - len(base))]
    return {
        "model": model.says.folder.name,
        "dim": model.dim,
        "neighbours": NEIGHBOURS,
        "queries": queries,
        "sentences": len(texts) - queries,
        "cpu": cpu_name(),
        "system": system_name(),
        "load_average": load_average(),
        "versions": {name: version(name) for name in ("edge-potion", "numpy", "usearch")},
        "sizes": [_of_size(model.encode(base[:rows]), asked) for rows in sizes],
    }


def graph_table(report: dict[str, Any]) -> str:
    """The sizes in Markdown."""
    rows = []
    for size in report["sizes"]:
        graph = f"{size['build_s']:,.0f} s, {size['bytes_a_row']:.0f} bytes a row"
        rows.append([f"{size['rows']:,}", "exact scan", f"{size['scan_ms']:.2f}", "1.000", ""])
        rows += [
            [f"{size['rows']:,}", f"graph, {one['asked']:,} asked", f"{one['ms']:.2f}", f"{one['recall']:.3f}", graph]
            for one in size["graph"]
        ]
    return table(("rows", "", "ms, median", f"recall@{report['neighbours']}", "made in"), rows)


def _mutated(texts: Sequence[str]) -> Iterator[str]:
    """Each text with one word of the next one in the place of one of its own, over and over."""
    source = np.random.default_rng(0)
    for text, other in cycle(pairwise([*texts, texts[0]])):
        words, others = text.split() or [""], other.split() or [""]
        words[source.integers(len(words))] = others[source.integers(len(others))]
        yield " ".join(words)


def _of_size(base: np.ndarray, queries: np.ndarray) -> dict[str, Any]:
    """What is told of (N, D) float32 that are searched for (Q, D)."""
    codes = quantize(base)
    values, scales = codes.values, codes.scales
    assert scales is not None

    def by_graph(query: np.ndarray) -> np.ndarray:
        near = graph.nearest(query, asked)
        assert near is not None
        return near[highest(scan(values[near], scales[near], query), NEIGHBOURS)]

    exact = _answers(lambda query: highest(scan(values, scales, query), NEIGHBOURS), queries)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.perf_counter()
        written = write_graph(folder, values)
        build_s = time.perf_counter() - begin
        size_bytes = sum(file.stat().st_size for file in folder.iterdir())
        begin = time.perf_counter()
        held = [
            np.fromfile(folder / file, kind)
            for file, kind in ((GRAPH, "u1"), (GRAPH_ROWS, "<u4"), (GRAPH_STARTS, "<u4"))
        ]
        graph = Graph(folder / GRAPH, held[0], held[1], held[2], values.shape[1], written.checksum)
        open_s = time.perf_counter() - begin
        for asked in ASKED:
            answers = _answers(by_graph, queries)
            pairs = zip(answers["rows"], exact["rows"], strict=True)
            recall = sum(len(np.intersect1d(*pair)) for pair in pairs) / NEIGHBOURS / len(queries)
            found.append({"asked": asked, "ms": answers["ms"], "recall": round(recall, 4)})
    return {
        "rows": len(values),
        "vectors": written.vectors,
        "build_s": round(build_s, 1),
        "open_s": round(open_s, 2),
        "bytes_a_row": round(size_bytes / len(values), 1),
        "scan_ms": exact["ms"],
        "graph": found,
    }


def _answers(answer: Callable[[np.ndarray], np.ndarray], queries: np.ndarray) -> dict[str, Any]:
    """Rows found for each query, and the median of the milliseconds."""
    rows, times_ms = [], []
    for query in queries:
        begin = time.perf_counter()
        rows.append(answer(query))
        times_ms.append((time.perf_counter() - begin) * 1000)
    return {"rows": rows, "ms": round(median(times_ms), 3)}


if __name__ == "__main__":
    main()
