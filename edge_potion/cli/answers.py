"""What `classify run` says of texts: a classifier's answers, as lines of .tsv, .csv or .jsonl."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from edge_potion.labelled import SEPARATOR
from edge_potion.progress import counted

from .options import one_line

if TYPE_CHECKING:
    from edge_potion.classifier import TextClassifier

__all__ = ["FORMS", "Answer", "Answers", "answers_to", "write_answers"]

BATCH = 1024  # texts at once


@dataclass(frozen=True)
class Answer:
    """What is said of a text.

    Attributes:
        text: as it came.
        labels: what is given: one or none, or any number where a text may have several; with --top, the likeliest.
        probabilities: of the likeliest alone; with --top of each.
    """

    text: str
    labels: Sequence[str]
    probabilities: Sequence[float]


Writes = Callable[[Answer], None]


@dataclass(frozen=True)
class Answers:
    """Answers to come, and what their form depends on.

    Attributes:
        top: how many labels are ranked of each text; None where it was decided.
        multi_label: whether a text may have several.
    """

    stream: Iterable[Answer]
    top: int | None
    multi_label: bool


def answers_to(classifier: TextClassifier, texts: Iterable[str], top: int | None, threshold: float | None) -> Answers:
    """The answers of a classifier, in the order of the texts; a batch at a time."""
    top = None if top is None else min(top, len(classifier.head_.labels))
    answer = _decided(classifier, threshold) if top is None else _ranked(classifier, top)

    def stream() -> Iterator[Answer]:
        shown = counted(iter(texts), True, desc="classify", unit="texts")
        while batch := list(islice(shown, BATCH)):
            yield from answer(batch)

    return Answers(stream(), top, classifier.head_.multi_label)


def _decided(classifier: TextClassifier, threshold: float | None) -> Callable[[list[str]], Iterator[Answer]]:
    own = {} if threshold is None else {"threshold": threshold}

    def answer(batch: list[str]) -> Iterator[Answer]:
        for text, decision in zip(batch, classifier.decide(batch, **own), strict=True):
            yield Answer(text, decision.labels, [decision.probability])

    return answer


def _ranked(classifier: TextClassifier, top: int) -> Callable[[list[str]], Iterator[Answer]]:
    labels = classifier.head_.labels

    def answer(batch: list[str]) -> Iterator[Answer]:
        shares = classifier.predict_proba(batch)  # (b, C)
        order = (-shares).argsort(axis=1, kind="stable")[:, :top]  # (b, top)
        for text, row, places in zip(batch, shares, order.tolist(), strict=True):
            yield Answer(text, [labels[place] for place in places], [float(row[place]) for place in places])

    return answer


def write_answers(answers: Answers, form: str, stream: TextIO) -> int:
    """Write them in one of `FORMS`; returns how many."""
    write, count = FORMS[form](answers, stream), 0
    for answer in answers.stream:
        write(answer)
        count += 1
    return count


def _as_tsv(answers: Answers, stream: TextIO) -> Writes:
    """Label and probability; with --top, of each label."""

    def write(answer: Answer) -> None:
        stream.write("\t".join(one_line(cell).replace("\t", " ") for cell in _cells(answers, answer)) + "\n")

    return write


def _as_csv(answers: Answers, stream: TextIO) -> Writes:
    """Likewise under a header, behind the text."""
    writer = csv.writer(stream, lineterminator="\n")
    numbers = [""] if answers.top is None else [f"_{number}" for number in range(1, answers.top + 1)]
    writer.writerow(["text", *(f"{name}{number}" for number in numbers for name in ("label", "probability"))])

    def write(answer: Answer) -> None:
        writer.writerow([answer.text, *_cells(answers, answer)])

    return write


def _as_jsonl(answers: Answers, stream: TextIO) -> Writes:
    """Text, label (null for none of these) and probability; several labels are `labels`, and those of --top `top`."""

    def write(answer: Answer) -> None:
        shares = [round(share, 6) for share in answer.probabilities]
        told: dict[str, Any] = {"text": answer.text}
        if answers.top is not None:
            pairs = zip(answer.labels, shares, strict=True)
            told["top"] = [{"label": label, "probability": share} for label, share in pairs]
        elif answers.multi_label:
            told |= {"labels": list(answer.labels), "probability": shares[0]}
        else:
            told |= {"label": answer.labels[0] if answer.labels else None, "probability": shares[0]}
        stream.write(json.dumps(told, ensure_ascii=False) + "\n")

    return write


def _cells(answers: Answers, answer: Answer) -> list[str]:
    shares = [f"{share:.4f}" for share in answer.probabilities]
    if answers.top is None:
        return [SEPARATOR.join(answer.labels), shares[0]]
    return [cell for pair in zip(answer.labels, shares, strict=True) for cell in pair]


FORMS: Mapping[str, Callable[[Answers, TextIO], Writes]] = {"tsv": _as_tsv, "csv": _as_csv, "jsonl": _as_jsonl}
