"""How long training takes on two cores, and how long a text takes to its label on one: interleaved rounds."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from edge_potion.find import find_folder

from ..speed.environments import python_of
from ..speed.jobs import Effort, Jobs
from ..speed.machine import cpu_name, load_average
from ..speed.process import answer_of
from .classify_contestants import CONTESTANTS, Draw, Trained, ours
from .classify_tasks import ALL, LabelledTask

__all__ = ["LIBRARIES", "timed_labels", "timed_report", "timed_training"]

THREADS = 2  # of training
# Who is trained by the clock: all contestants; and ours without training the table, whatever would be chosen.
TRAINED: Mapping[str, Callable[[Draw], Trained]] = {**CONTESTANTS, "edge-potion-head": partial(ours, tune="head")}
LABELLED_TASKS = ("Banking77", "TweetSentimentExtraction", "Imdb")  # many labels and few, short texts and long
LIBRARIES = {
    "edge-potion, engine": {"library": "edge-potion", "engine": "native"},
    "edge-potion, ONNX Runtime": {"library": "edge-potion", "engine": "onnxruntime"},
    "model2vec": {"library": "model2vec"},
}
BATCHES = (1, 1024)
MOST_TEXTS = 4096
SECONDS = 120  # what takes longer hangs
LABEL = str(Path(__file__).with_name("classify_label.py"))


def timed_report(tasks: Sequence[LabelledTask], names: Sequence[str], rounds: int, scratch: Path) -> dict[str, Any]:
    """The part of the report that tells of time.

    Raises:
        Missing: the environment of a contestant is not here.
    """
    return {
        "cpu": cpu_name(),
        "load_before": load_average(),
        "rounds": rounds,
        "threads": THREADS,
        "training_s": timed_training(tasks, names, rounds, scratch),
        "labels": [
            {"task": task.name, "libraries": timed_labels(task, Effort(batches=BATCHES), rounds)}
            for task in tasks
            if task.name in LABELLED_TASKS
        ],
        "load_after": load_average(),
    }


def timed_training(
    tasks: Sequence[LabelledTask], names: Sequence[str], rounds: int, scratch: Path
) -> dict[str, dict[str, Any]]:
    """Seconds of training on all rows, by task and contestant: a round has all of them, there and back."""
    import torch

    if hasattr(os, "sched_setaffinity"):  # fastText's process, and numpy's threads, keep to the same cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-THREADS:])
    torch.set_num_threads(THREADS)
    wanted = [name for name in TRAINED if name in names or (name == "edge-potion-head" and "edge-potion" in names)]
    taken: dict[str, dict[str, list[float]]] = {task.name: {name: [] for name in wanted} for task in tasks}
    for number in range(rounds):
        for task in tasks:
            for name in wanted if number % 2 == 0 else wanted[::-1]:
                _say(f"training, round {number + 1} of {rounds}: {task.name}, {name}")
                trained = TRAINED[name](Draw(task, ALL, number, scratch, THREADS))
                taken[task.name][name].append(trained.seconds)
    _say("")
    return {task: {name: _spread(seconds) for name, seconds in of.items()} for task, of in taken.items()}


def timed_labels(task: LabelledTask, effort: Effort, rounds: int) -> list[dict[str, Any]]:
    """From text to label by each library, on one pinned core: microseconds a text by texts a call, and how many times
    as fast as model2vec, round by round."""
    with tempfile.TemporaryDirectory(prefix="edge-potion-") as scratch:
        folders = dict(_classifiers(task, Path(scratch)))
        texts = list(islice((text for text in task.test.texts if text.strip()), MOST_TEXTS))
        jobs = Jobs(Path(scratch), texts, [], effort)
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in LIBRARIES}
        for number in range(rounds):
            for name in LIBRARIES if number % 2 == 0 else reversed(LIBRARIES):
                _say(f"labels, round {number + 1} of {rounds}: {task.name}, {name}")
                library = LIBRARIES[name]["library"]
                job = {**jobs.common, **LIBRARIES[name], "folder": str(folders[library]), "warmup_seconds": 0}
                answers[name].append(_answer(library, {**job, "golden": None}, Path(scratch)))
        _say("")
    us = {
        name: {batch: [1e6 / answer["throughput"][batch] for answer in of] for batch in map(str, effort.batches)}
        for name, of in answers.items()
    }
    return [
        {
            "name": name,
            "versions": answers[name][0]["versions"],
            "us_a_text": {batch: _spread(values) for batch, values in us[name].items()},
            "times_model2vec": {
                batch: _spread(_ratios(us["model2vec"][batch], own)) for batch, own in us[name].items()
            },
            "p50_us": _spread([1000 * median(answer["latency_ms"]) for answer in answers[name]]),
        }
        for name in LIBRARIES
    ]


def _classifiers(task: LabelledTask, scratch: Path) -> Iterator[tuple[str, Path]]:
    """The folders of ours, exported at int8, and of model2vec's, whose size does not depend on how long it trains."""
    from model2vec.train import StaticModelForClassification

    from edge_potion import TextClassifier

    classifier = TextClassifier(seed=0).fit(task.train.texts, task.train.labels)
    classifier.export(scratch / "edge-potion", quantize="int8")
    yield "edge-potion", scratch / "edge-potion"
    model = StaticModelForClassification.from_pretrained(str(find_folder(None)))
    model.fit(list(task.train.texts), list(task.train.labels), device="cpu", max_epochs=1)
    model.to_pipeline().save_pretrained(str(scratch / "model2vec"))
    yield "model2vec", scratch / "model2vec"


def _answer(library: str, job: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """What the process of a library says.

    Raises:
        RuntimeError: it did not run; says why.
    """
    file = scratch / "job.json"
    file.write_text(json.dumps({**job, "started_ns": time.monotonic_ns()}), encoding="utf-8")
    python = python_of("model2vec") if library == "model2vec" else sys.executable
    answer = answer_of([str(python), "-P", LABEL, str(file)], 1, 1, SECONDS)
    if "throughput" not in answer:
        raise RuntimeError(f"{library}: {answer}")
    return answer


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "low": min(values), "high": max(values)}


def _say(words: str) -> None:
    print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
