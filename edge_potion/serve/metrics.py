"""/metrics: how many requests, of which status, how long they took; by prometheus-client.

Workers share their counts through files in the folder that prometheus-client reads of its environment variable.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .answer import Answer

__all__ = ["SHARED_FOLDER", "Metrics", "forget_dead_workers"]

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # bounds of the histogram


class Metrics:
    """The counts of this process.

    Args:
        version: what is told beside them.
    """

    def __init__(self, version: str) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "edge_potion_requests", "Requests that were answered.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "edge_potion_request_seconds",
            "From the head of a request to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self._waiting = Gauge(
            "edge_potion_requests_waiting",
            "Long requests at work in threads, or waiting for one.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        info = Gauge(
            "edge_potion_info", "Always 1; its version.", ["version"], registry=registry, multiprocess_mode="livemax"
        )
        info.labels(version).set(1)
        if SHARED_FOLDER not in os.environ:
            ProcessCollector(registry=registry)
        self._counter_of = cache(self._requests.labels)  # labels() itself takes as long as all else
        self._histogram_of = cache(self._seconds.labels)

    def wait(self, more: int) -> None:
        """So many more requests are at work in threads, or wait for one."""
        self._waiting.inc(more)

    def end(self, path: str, status: int, seconds: float) -> None:
        """A request was answered, on one of our paths."""
        self._counter_of(path, status).inc()
        self._histogram_of(path).observe(seconds)

    def answer(self) -> Answer:
        """All counts, those of the other workers too, in Prometheus' text format."""
        registry: Any = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Answer(generate_latest(registry), kind=CONTENT_TYPE_LATEST.encode())


def forget_dead_workers(folder: Path) -> None:
    """Leave out what workers that are no more had at work; what they had answered still counts."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
