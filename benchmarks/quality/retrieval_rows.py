"""Who searched the retrieval sets of a report, and what they found: a row for words, and two for each model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["HALF", "HYBRID", "METRICS", "RETRIEVAL", "WORDS", "Found", "Searcher", "searchers"]

RETRIEVAL, HALF = "Retrieval", "retrieval"  # the category, and the half that it is by itself: it is in no other's mean
WORDS, VECTORS, HYBRID = "BM25", "vectors", "hybrid"
METRICS = {"ndcg_at_10": "nDCG@10", "recall_at_100": "recall@100", "mrr_at_10": "MRR@10"}


@dataclass(frozen=True)
class Found:
    """What was found in some sets, or languages.

    Attributes:
        scores: of each that has them, the shares by metric.
        asked: how many there are.
    """

    scores: Mapping[str, Mapping[str, float]]
    asked: int

    @property
    def incomplete(self) -> bool:
        """Whether one is missing in the means."""
        return len(self.scores) < self.asked

    def mean(self, metric: str) -> float | None:
        """Over all that have scores, in points of 100."""
        shares = [scores[metric] for scores in self.scores.values()]
        return 100 * sum(shares) / len(shares) if shares else None


@dataclass(frozen=True)
class Searcher(Found):
    """A row of retrieval, over sets.

    Attributes:
        name: the model's, and what it searched by; or words.
        model: the model's row of the report; None of words.
    """

    name: str
    model: Mapping[str, Any] | None = None


def searchers(report: Mapping[str, Any]) -> list[Searcher]:
    """The rows, in the report's order; none where it has no retrieval set. MTEB's own sets are searched by vectors."""
    rows = [_searcher(WORDS, report["words"])] if report.get("words") else []
    for model in report["models"]:
        tasks = [task for task in model.get("tasks", ()) if task["half"] == HALF]
        if tasks:
            rows.append(_searcher(f"{model['name']}, {VECTORS}", tasks, model))
        if report.get("words") and tasks:
            both = [{**task, "scores": task["scores"].get(HYBRID)} for task in tasks]
            rows.append(_searcher(f"{model['name']}, {HYBRID}", both, model))
    return rows


def _searcher(name: str, tasks: list[dict[str, Any]], model: Mapping[str, Any] | None = None) -> Searcher:
    scores = {task["task"]: task["scores"] for task in tasks if task["scores"]}
    return Searcher(scores, len(tasks), name, model)
