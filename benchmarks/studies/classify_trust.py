"""What probabilities of ours are worth, what becomes of texts that belong to no label, and what int8 changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.calibration import calibration_error

from .classify_tasks import LabelledTask

if TYPE_CHECKING:
    from edge_potion import TextClassifier

__all__ = ["PRECISION", "everyday_requests", "foreign_rows", "trusted", "without_temperature"]

PRECISION = 0.95  # that a threshold is chosen for
FOREIGN_ROWS = 250  # of each other task
# What a task is about. A text of a task about something else is foreign to it; MTOP and MASSIVE share most of theirs.
TOPICS = {
    "AmazonCounterfactual": "product reviews",
    "Banking77": "banking",
    "Emotion": "feelings",
    "Imdb": "films",
    "MTOPDomain": "an assistant",
    "MTOPIntent": "an assistant",
    "MassiveIntent": "an assistant",
    "MassiveScenario": "an assistant",
    "TweetSentimentExtraction": "feelings",
}
EVERYDAY = Path(__file__).with_name("classify_foreign.txt")


def trusted(
    tasks: Sequence[LabelledTask], everything: Sequence[LabelledTask], scratch: Path
) -> Iterator[dict[str, Any]]:
    """A row of the report for each of `tasks`: trained on all rows, asked for its test texts and for foreign ones."""
    from edge_potion import TextClassifier

    for task in tasks:
        classifier = TextClassifier(precision_at_least=PRECISION, seed=0)
        classifier.fit(task.train.texts, task.train.labels)
        training, threshold = classifier.training_, classifier.head_.threshold
        assert training is not None  # of what was fitted here
        probabilities = classifier.predict_proba(task.test.texts)  # (N, C) f32
        number = {label: place for place, label in enumerate(classifier.classes_)}
        truth = np.array([number.get(label, -1) for label in task.test.labels])  # -1: no training row has it
        right, surest = probabilities.argmax(axis=1) == truth, probabilities.max(axis=1)  # (N,) bool and f32
        unscaled = without_temperature(probabilities, training.temperature)
        foreign = {"everyday": everyday_requests(), "other_tasks": foreign_rows(task, everything)}
        yield {
            "task": task.name,
            "head": training.head,
            "tune": training.tune,
            "rows": len(task.test),
            "accuracy": round(float(right.mean()), 5),
            "temperature": training.temperature,
            "calibration_error": {
                "without_temperature": round(calibration_error(unscaled, truth), 5),
                "with_temperature": round(calibration_error(probabilities, truth), 5),
            },
            "threshold": threshold,
            "answered": _answered(surest, right, threshold),
            "foreign": {
                name: _foreign(surest, classifier.predict_proba(texts), classifier.classes_, threshold)
                for name, texts in foreign.items()
                if texts
            },
            "int8": _int8(classifier, task, scratch / "int8" / task.name),
        }


def without_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What (N, C) probabilities would be, had their logits not been divided."""
    logits = temperature * np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def everyday_requests() -> list[str]:
    """Requests of daily life that no bank and no voice assistant of the suite has an intent for; ours."""
    return EVERYDAY.read_text(encoding="utf-8").splitlines()


def foreign_rows(task: LabelledTask, tasks: Sequence[LabelledTask]) -> list[str]:
    """Test texts of the tasks that are about something else, as many of each."""
    rng = np.random.default_rng(0)
    return [
        other.test.texts[row]
        for other in tasks
        if TOPICS[other.name] != TOPICS[task.name]
        for row in rng.permutation(len(other.test))[:FOREIGN_ROWS]
    ]


def _answered(surest: np.ndarray, right: np.ndarray, threshold: float | None) -> dict[str, float]:
    """Which share of a task's own texts has a label, and how many of these labels are right."""
    answered = surest >= (threshold or 0.0)
    precision = float(right[answered].mean()) if answered.any() else 1.0
    return {"share": round(float(answered.mean()), 5), "precision": round(precision, 5)}


def _foreign(own: np.ndarray, foreign: np.ndarray, labels: np.ndarray, threshold: float | None) -> dict[str, Any]:
    """Which share of foreign texts has a label, and which label most often; and how often a text of the task's own is
    surer than a foreign one.

    Args:
        own: (N,) the largest probability of each of the task's own texts.
        foreign: (M, C) probabilities of the foreign ones.
        labels: (C,) strings.
        threshold: from which on there is an answer.
    """
    from sklearn.metrics import roc_auc_score

    surest = foreign.max(axis=1)  # (M,)
    answered = surest >= (threshold or 0.0)
    given = np.bincount(foreign[answered].argmax(axis=1), minlength=len(labels))  # (C,)
    of_the_task = np.repeat([True, False], [len(own), len(surest)])
    return {
        "rows": len(surest),
        "answered": round(float(answered.mean()), 5),
        "auroc": round(float(roc_auc_score(of_the_task, np.concatenate([own, surest]))), 5),
        "commonest": [str(labels[given.argmax()]), round(float(given.max() / max(answered.sum(), 1)), 5)],
    }


def _int8(classifier: TextClassifier, task: LabelledTask, folder: Path) -> dict[str, Any]:
    """How many test texts have the label of float32 by the exported graph, in ONNX Runtime and in the engine."""
    from edge_potion import TextClassifier

    shutil.rmtree(folder, ignore_errors=True)
    classifier.export(folder, quantize="int8")
    expected = np.array(classifier.predict(task.test.texts))
    same = {}
    for engine in ("onnxruntime", "native"):
        shipped = TextClassifier.from_pretrained(folder, engine=engine, precision="int8")
        same[engine] = int((np.array(shipped.predict(task.test.texts)) == expected).sum())
    return {"rows": len(expected), "same_label": same}
