"""Exact search of int8 codes beside numpy, faiss and usearch, on one core: milliseconds a query, and what is found.

    OMP_NUM_THREADS=1 python -m edge_potion.benchmarks.studies.scan [--rows N]... [--rounds N] [--json FILE]

Random unit vectors of 256 dimensions are searched for the nearest 10 of other ones. Every contestant answers a query a
round, by one thread on one pinned core; one after another, there and back, so that whatever else the machine does hits
all of them. Ratios are taken round by round. Recall is held to the float32 inner products. A million rows take 4 GB and
a minute. Other work on the machine falsifies the times: run it alone.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edge_potion.codes import quantize
from edge_potion.engine import kernels
from edge_potion.scan import highest, scan, scans_by

from ..speed.machine import cpu_name, load_average, system_name
from ..speed.process import pinned
from .page_parts import table

__all__ = ["measured", "scan_table"]

DIM = 256
NEIGHBOURS = 10
ROWS = (100_000, 1_000_000)
ROUNDS = 25
OURS = "edge-potion int8"
REFERENCE = "numpy float32"


@dataclass(frozen=True)
class Contestant:
    """Who answers: a query (D,) float32 -> (NEIGHBOURS,) rows, the best first; and what a row of its index takes."""

    name: str
    row_bytes: int
    answer: Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="how many are searched; repeat it for more sizes")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("numpy's threads are set before it starts: OMP_NUM_THREADS=1 was expected in the environment")
    report = measured(arguments.rows or ROWS, arguments.rounds)
    print(scan_table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """The report."""
    source = np.random.default_rng(0)
    with pinned(1):
        searches = [one for rows in sizes for one in _searches(rows, rounds, source)]
    return {
        "dim": DIM,
        "neighbours": NEIGHBOURS,
        "rounds": rounds,
        "scans_by": f"{scans_by()} {kernels()}" if scans_by() == "native" else scans_by(),
        "cpu": cpu_name(),
        "system": system_name(),
        "load_average": load_average(),
        "versions": {name: version(name) for name in ("edge-potion", "numpy", "faiss-cpu", "usearch")},
        "searches": searches,
    }


def scan_table(report: dict[str, Any]) -> str:
    """The searches in Markdown."""
    heads = ("", "rows", "bytes a row", "ms, median", "ms, least", f"times {OURS}", f"recall@{report['neighbours']}")
    return table(
        heads,
        [
            [
                one["name"],
                f"{one['rows']:,}",
                f"{one['bytes']:,}",
                f"{one['median_ms']:.1f}",
                f"{one['least_ms']:.1f}",
                f"{one['ratio']:.2f}",
                f"{one['recall']:.3f}",
            ]
            for one in report["searches"]
        ],
    )


def _searches(rows: int, rounds: int, source: np.random.Generator) -> Iterator[dict[str, Any]]:
    """A row a contestant."""
    base, queries = _unit_vectors(source, rows), _unit_vectors(source, rounds)
    with tempfile.TemporaryDirectory() as folder:
        contestants = list(_contestants(base, Path(folder)))
        times_ms: dict[str, list[float]] = {each.name: [] for each in contestants}
        found: dict[str, list[np.ndarray]] = {each.name: [] for each in contestants}
        for each in contestants:
            each.answer(queries[0])  # which meets whatever is done once
        for number, query in enumerate(queries):
            for each in contestants if number % 2 else reversed(contestants):
                begin = time.perf_counter()
                found[each.name].append(each.answer(query))
                times_ms[each.name].append((time.perf_counter() - begin) * 1000)
    for each in contestants:
        times, pairs = times_ms[each.name], zip(found[each.name], found[REFERENCE], strict=True)
        yield {
            "name": each.name,
            "rows": rows,
            "bytes": each.row_bytes,
            "median_ms": round(median(times), 3),
            "least_ms": round(min(times), 3),
            "ratio": round(median(one / ours for one, ours in zip(times, times_ms[OURS], strict=True)), 3),
            "recall": round(sum(len(np.intersect1d(*pair)) for pair in pairs) / NEIGHBOURS / rounds, 4),
        }


def _unit_vectors(source: np.random.Generator, count: int) -> np.ndarray:
    """(count, DIM) float32."""
    vectors = source.standard_normal((count, DIM), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _contestants(base: np.ndarray, folder: Path) -> Iterator[Contestant]:
    import faiss
    from usearch.index import search

    def by_argpartition(scores: np.ndarray) -> np.ndarray:
        some = np.argpartition(-scores, NEIGHBOURS - 1)[:NEIGHBOURS]
        return some[np.argsort(-scores[some])]

    def by_usearch(dataset: np.ndarray, query: np.ndarray) -> np.ndarray:
        return np.asarray(search(dataset, query, NEIGHBOURS, exact=True, threads=1).keys).astype(np.int64)

    codes = quantize(base)
    values, scales = codes.values, codes.scales
    assert scales is not None
    np.save(folder / "values.npy", values)
    mapped = np.load(folder / "values.npy", mmap_mode="r")
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(DIM)
    scalar = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    scalar.train(base)
    for index in (flat, scalar):
        index.add(base)
    yield from (
        Contestant(OURS, DIM + 4, lambda query: highest(scan(values, scales, query), NEIGHBOURS)),
        Contestant(f"{OURS}, mapped file", DIM + 4, lambda query: highest(scan(mapped, scales, query), NEIGHBOURS)),
        Contestant(REFERENCE, 4 * DIM, lambda query: by_argpartition(base @ query)),
        Contestant(f"{REFERENCE}, and `highest`", 4 * DIM, lambda query: highest(base @ query, NEIGHBOURS)),
        Contestant("faiss IndexFlatIP", 4 * DIM, lambda query: flat.search(query[None], NEIGHBOURS)[1][0]),
        Contestant(
            "faiss IndexScalarQuantizer, 8 bits", DIM, lambda query: scalar.search(query[None], NEIGHBOURS)[1][0]
        ),
        Contestant("usearch exact, float32", 4 * DIM, lambda query: by_usearch(base, query)),
        # By the cosine, for which a row's scale is nothing.
        Contestant("usearch exact, int8", DIM, lambda query: by_usearch(values, quantize(query).values)),
    )


if __name__ == "__main__":
    main()
