"""What the runners of a benchmark are asked: a job file each, and the files of texts and ids that all of them read."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_potion.bundle import Bundle
from edge_potion.golden import Golden, read_golden
from edge_potion.static_model import StaticModel
from edge_potion.tokens import tokenize

from .configurations import Configuration

__all__ = ["QUICK", "Effort", "Jobs"]


@dataclass(frozen=True)
class Effort:
    """How long it takes.

    Attributes:
        minutes: for everything but installing what is missing.
        rounds: most rounds.
        latency_calls: calls with one text that are timed, a round.
        warmup_calls: so many come before.
        warmup_seconds: in a browser, which compiles while it runs, they take at least so long.
        batch_seconds: least time measured a batch size, a round.
        most_seconds: a batch size of which one call takes longer is left out, and calls with one text end then.
        batches: texts a call, in rising order.
    """

    minutes: float = 10.0
    rounds: int = 9
    latency_calls: int = 300
    warmup_calls: int = 30
    warmup_seconds: float = 2.0
    batch_seconds: float = 0.3
    most_seconds: float = 5.0
    batches: Sequence[int] = (1, 32, 256, 1024)


QUICK = Effort(minutes=0.9, rounds=1, latency_calls=100, warmup_calls=10, batch_seconds=0.05, most_seconds=0.6)


class Jobs:
    """The files that runners read, and what is asked of all of them."""

    def __init__(self, scratch: Path, sentences: Sequence[str], bundles: Sequence[Bundle], effort: Effort) -> None:
        self.scratch = scratch
        self.common: dict[str, Any] = {
            "first": sentences[0],
            "texts": self._file("texts.json", list(sentences)),
            "batches": list(effort.batches),
            "latency_calls": effort.latency_calls,
            "warmup_calls": effort.warmup_calls,
            "batch_seconds": effort.batch_seconds,
            "most_seconds": effort.most_seconds,
        }
        self.browser_warmup_seconds = effort.warmup_seconds
        self.ids: dict[Path, str] = {}  # file with the ids of the sentences, by bundle
        self.golden: dict[Path, Golden] = {}  # by bundle
        self.golden_files: dict[Path, tuple[str, str]] = {}  # of its texts and of their ids
        for number, bundle in enumerate(bundles):
            model = StaticModel.from_pretrained(bundle.folder)
            ids = tokenize(model.tokenizer, sentences, bundle.max_tokens)
            golden = read_golden(bundle.folder)
            self.ids[bundle.folder] = self._file(f"ids-{number}.json", [row.tolist() for row in ids.split()])
            self.golden[bundle.folder] = golden
            self.golden_files[bundle.folder] = (
                self._file(f"golden-{number}.json", list(golden.texts)),
                self._file(f"golden-ids-{number}.json", list(golden.ids)),
            )

    def of(self, configuration: Configuration, *, first_round: bool) -> tuple[Path, Path]:
        """The job's file, and where it leaves the vectors of the golden texts."""
        vectors = self.scratch / "vectors.f32"
        vectors.unlink(missing_ok=True)
        bundle = configuration.golden
        golden, golden_ids = self.golden_files[bundle.folder] if bundle and first_round else (None, None)
        job = {
            **self.common,
            "graph": configuration.graph,
            "precision": configuration.precision,
            "provider": configuration.provider,
            "threads": configuration.threads,
            "warmup_seconds": self.browser_warmup_seconds if configuration.in_browser else 0,
            "ids": self.ids[bundle.folder] if bundle else None,
            "golden": golden,
            "golden_ids": golden_ids,
            "vectors": str(vectors) if golden else None,
            **configuration.job,
        }
        file = self.scratch / "job.json"
        file.write_text(json.dumps({**job, "started_ns": time.monotonic_ns()}), encoding="utf-8")
        return file, vectors

    def _file(self, name: str, content: Any) -> str:
        file = self.scratch / name
        file.write_text(json.dumps(content), encoding="utf-8")
        return str(file)
