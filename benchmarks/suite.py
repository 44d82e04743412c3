"""The local suite: tasks named after MTEB's, read from DIR/<Task>/<split>.jsonl.gz, each in its half.

Recipes are tuned on the one half and reported on the other; no text of either enters training.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_potion.errors import InputError

__all__ = ["SUITE", "Half", "Kind", "Rows", "Task", "load_rows", "suite_digest"]

Kind = Literal["STS", "Classification", "PairClassification"]
Half = Literal["tuning", "report"]


@dataclass(frozen=True)
class Task:
    """One task of the suite.

    Attributes:
        name: of its folder, MTEB's without "Classification".
        kind: which protocol scores it.
        half: whether recipes may be tuned on it, or it is reported.
        split: the file of rows that are scored.
        without: another split whose pairs are left out of these, because they are tuned on.
        examples: Classification alone: training examples a label, as in mteb.
        note: what differs from MTEB's task.
    """

    name: str
    kind: Kind
    half: Half
    split: str = "test"
    without: str = ""
    examples: int = 8
    note: str = ""

    @property
    def title(self) -> str:
        """Name and split, which tell a task from others."""
        return f"{self.name} ({self.split})" if self.split != "test" else self.name


@dataclass(frozen=True)
class Rows:
    """The rows of a task.

    Attributes:
        test: dicts with `sentence1`, `sentence2` and `score` or `label`; or with `text` and `label`.
        train: Classification alone.
    """

    test: Sequence[dict[str, Any]]
    train: Sequence[dict[str, Any]] = ()


SUITE = (
    Task("STS12", "STS", "tuning"),
    Task("STS14", "STS", "tuning"),
    Task("STSBenchmark", "STS", "tuning", split="validation"),
    Task("SICK-R", "STS", "tuning", split="validation", note="500 of the 9,927 rows"),
    Task("QQP", "PairClassification", "tuning", split="validation", note="not an MTEB task: ours"),
    Task("Banking77", "Classification", "tuning"),
    Task("Emotion", "Classification", "tuning", examples=16),
    Task("MTOPDomain", "Classification", "tuning"),
    Task("MassiveScenario", "Classification", "tuning"),
    Task("STS16", "STS", "report"),
    Task("STSBenchmark", "STS", "report"),
    Task("SICK-R", "STS", "report", without="validation", note="without the 500 rows that are tuned on"),
    Task("TwitterURLCorpus", "PairClassification", "report", note="42,200 of its rows are lower-cased"),
    Task("AmazonCounterfactual", "Classification", "report", examples=32),
    Task("Imdb", "Classification", "report", note="a sample: 4,000 of 25,000 rows a split"),
    Task("MTOPIntent", "Classification", "report", note="29 training rows of rare intents are missing"),
    Task("MassiveIntent", "Classification", "report", note="4 training rows are missing"),
    Task("TweetSentimentExtraction", "Classification", "report", examples=32),
)


def load_rows(folder: Path, task: Task) -> Rows:
    """The rows of a task of the suite in `folder`.

    Raises:
        InputError: a file is missing or damaged.
    """
    test = _read(folder / task.name / f"{task.split}.jsonl.gz")
    if task.without:
        tuned = {(row["sentence1"], row["sentence2"]) for row in _read(folder / task.name / f"{task.without}.jsonl.gz")}
        test = [row for row in test if (row["sentence1"], row["sentence2"]) not in tuned]
    train = _read(folder / task.name / "train.jsonl.gz") if task.kind == "Classification" else []
    return Rows(test, train)


def suite_digest(folder: Path, tasks: Sequence[Task]) -> str:
    """Twelve hex digits that change with the content of any file of `tasks`."""
    digest = hashlib.sha256()
    for name in sorted({task.name for task in tasks}):
        for file in sorted((folder / name).glob("*.jsonl.gz")):
            digest.update(f"{name}/{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except (OSError, EOFError, ValueError) as failure:
        raise InputError(
            f"{file} cannot be read as gzipped JSON lines ({failure}); see the suite's README"
        ) from failure
