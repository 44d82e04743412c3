"""How good are a classifier's decisions? Labels, truth and probabilities in, the figures of its report out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.calibration import Bin, calibration_error, precision_by_level, reliability
from edge_potion.training import Training

__all__ = [
    "Block",
    "Confused",
    "Example",
    "LabelScore",
    "Level",
    "Report",
    "decisions_of",
]

GIVEN_FROM = 0.5  # the probability from which on one of several labels is given, where the classifier says nothing
MOST_SHOWN = 30  # labels of a confusion matrix: more cannot be read on one screen
MOST_CONFUSED = 10  # pairs
MOST_EXAMPLES = 3  # texts of a pair
LONGEST_TEXT = 160  # letters of an example
MOST_LEVELS = 200  # points of the curve of precision


@dataclass(frozen=True)
class LabelScore:
    """One label; None is a share of nothing."""

    label: str
    precision: float | None  # the share of rows that were given it and have it; None where none was given it
    recall: float | None  # the share of rows that have it and were given it; None where none has it
    f1: float | None
    support: int  # rows that have it


@dataclass(frozen=True)
class Block:
    """A confusion matrix, or of one with many labels the block of those that are confused most."""

    labels: list[str]
    counts: list[list[int]]  # of each label's rows, a row each: how many were given each of the labels
    left_out: int  # labels that are not shown


@dataclass(frozen=True)
class Example:
    """A text that was decided wrongly."""

    text: str
    truth: str
    given: str
    probability: float


@dataclass(frozen=True)
class Confused:
    """Two labels that are taken for each other."""

    first: str
    second: str
    first_as_second: int  # rows of `first` that were given `second`
    second_as_first: int
    examples: list[Example]

    @property
    def count(self) -> int:
        return self.first_as_second + self.second_as_first


@dataclass(frozen=True)
class Level:
    """What becomes of the answers when those below a probability are not given."""

    threshold: float
    precision: float  # the share of what is answered that is right
    coverage: float  # the share of the rows that is answered


@dataclass(frozen=True, kw_only=True)
class Report:
    """What report.json holds. Shares are 0..1; N rows, C labels."""

    rows_of: str  # which rows these figures are of: "held-out rows", "rows of test.csv"
    is_chosen_by: bool  # whether temperature and threshold were chosen by these very rows, which flatters them
    rows: int
    labels: list[str]
    multi_label: bool
    accuracy: float  # of several labels a row: the share of rows whose labels are all right
    macro_f1: float  # the mean over the labels that occur
    micro_f1: float
    by_label: list[LabelScore]
    matrix: Block | None  # None where rows have several labels
    confused: list[Confused]  # from the most often confused on
    reliability_before: list[Bin]  # at temperature 1
    reliability: list[Bin]
    calibration_error_before: float
    calibration_error: float
    levels: list[Level]  # from the highest threshold on
    chosen: Level | None  # at the classifier's threshold; None where it has none
    unknown_rows: int  # whose label the classifier has not learnt: none of its answers is right
    unknown_refused: int | None  # of these, how many are answered "none of these"; None without a threshold
    precision_asked: float | None  # of the threshold, by the user
    training: Training
    remarks: Sequence[str] = ()  # what is odd about these rows, a sentence each


def decisions_of(
    labels: Sequence[str],
    truth: np.ndarray,
    probabilities: np.ndarray,
    texts: Sequence[str],
    training: Training,
    *,
    rows_of: str = "held-out rows",
    is_chosen_by: bool = True,
    precision_asked: float | None = None,
) -> Report:
    """The report of a classifier on N rows.

    Args:
        labels: C names.
        truth: (N,) the number of each row's label, -1 for one that was not learnt; or (N, C) of 0 and 1, where rows
            have several.
        probabilities: (N, C) as the classifier gives them, after temperature; N is at least 1.
        texts: N, for the examples.
    """
    truth, shares = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    multi_label = truth.ndim == 2
    # As the graphs compare, in float32:
    threshold = None if training.threshold is None else float(np.float32(training.threshold))
    given = _given(shares, multi_label, threshold)  # (N,) numbers, or (N, C) of 0 and 1
    counts = _counts(truth, given, len(labels), multi_label)
    scores = [_label_score(label, *each) for label, each in zip(labels, counts.tolist(), strict=True)]
    occurring = [score.f1 for score in scores if score.f1 is not None]
    hits, support, predicted = counts.sum(axis=0).tolist()
    matrix = None if multi_label else _matrix(truth, given, len(labels))  # (C, C)
    before = _at_temperature_1(shares, training.temperature, multi_label)
    unknown = np.zeros(len(shares), dtype=bool) if multi_label else truth < 0  # (N,)
    refused = None if threshold is None else int((shares[unknown].max(axis=1, initial=0.0) < threshold).sum())
    return Report(
        rows_of=rows_of,
        is_chosen_by=is_chosen_by,
        rows=len(shares),
        labels=list(labels),
        multi_label=multi_label,
        accuracy=float((given == truth).reshape(len(shares), -1).all(axis=1).mean()),
        macro_f1=float(np.mean(occurring)) if occurring else 0.0,
        micro_f1=2 * hits / max(support + int(unknown.sum()) + predicted, 1),
        by_label=scores,
        matrix=None if matrix is None else _block(labels, matrix),
        confused=[] if matrix is None else _confused(labels, matrix, truth, given, shares, texts),
        reliability_before=reliability(before, truth),
        reliability=reliability(shares, truth),
        calibration_error_before=calibration_error(before, truth),
        calibration_error=calibration_error(shares, truth),
        levels=_levels(shares, truth),
        chosen=None if threshold is None else _level(shares, truth, threshold),
        unknown_rows=int(unknown.sum()),
        unknown_refused=refused,
        precision_asked=precision_asked,
        training=training,
    )


def _given(shares: np.ndarray, multi_label: bool, threshold: float | None) -> np.ndarray:
    """What is answered: (N,) the likeliest label, or (N, C) which are likely enough."""
    if not multi_label:
        return np.asarray(shares.argmax(axis=1))
    return (shares >= (GIVEN_FROM if threshold is None else threshold)).astype(int)


def _counts(truth: np.ndarray, given: np.ndarray, labels: int, multi_label: bool) -> np.ndarray:
    """(C, 3) of each label: rows that have it and were given it, that have it, that were given it."""
    if multi_label:
        return np.stack([(truth * given).sum(axis=0), truth.sum(axis=0), given.sum(axis=0)], axis=1)
    return np.stack(
        [
            np.bincount(given[given == truth], minlength=labels),
            np.bincount(truth[truth >= 0], minlength=labels),
            np.bincount(given, minlength=labels),
        ],
        axis=1,
    )


def _label_score(label: str, hits: int, support: int, predicted: int) -> LabelScore:
    return LabelScore(
        label,
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + predicted) if support + predicted else None,
        support=support,
    )


def _matrix(truth: np.ndarray, given: np.ndarray, labels: int) -> np.ndarray:
    """(C, C) of the rows of each label, how many were given each."""
    known = truth >= 0
    return np.bincount(truth[known] * labels + given[known], minlength=labels * labels).reshape(labels, labels)


def _block(labels: Sequence[str], matrix: np.ndarray) -> Block:
    """All labels in their order; or as many as can be read, those that are confused with each other side by side."""
    shown = list(range(len(labels)))
    if len(labels) > MOST_SHOWN:
        ranked = dict.fromkeys(number for pair in _pairs(matrix) for number in pair)
        busiest = np.argsort(-matrix.sum(axis=1), kind="stable").tolist()  # where few are confused
        shown = list(dict.fromkeys([*ranked, *busiest]))[:MOST_SHOWN]
    block = matrix[np.ix_(shown, shown)]
    return Block([labels[number] for number in shown], block.tolist(), len(labels) - len(shown))


def _pairs(matrix: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of labels that are taken for each other, from the most often confused on."""
    both = np.triu(matrix + matrix.T, k=1)  # (C, C)
    order = np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]
    first, second = np.unravel_index(order, both.shape)
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _confused(
    labels: Sequence[str],
    matrix: np.ndarray,
    truth: np.ndarray,
    given: np.ndarray,
    shares: np.ndarray,
    texts: Sequence[str],
) -> list[Confused]:
    """Each pair with the texts that were decided wrongly with the greatest certainty."""
    certainty = shares.max(axis=1)  # (N,)
    pairs = []
    for first, second in _pairs(matrix)[:MOST_CONFUSED]:
        wrong = ((truth == first) & (given == second)) | ((truth == second) & (given == first))  # (N,)
        rows = np.flatnonzero(wrong)
        surest = rows[np.argsort(-certainty[rows], kind="stable")][:MOST_EXAMPLES].tolist()
        examples = [
            Example(_cut(texts[row]), labels[truth[row]], labels[given[row]], float(certainty[row])) for row in surest
        ]
        pairs.append(
            Confused(labels[first], labels[second], int(matrix[first, second]), int(matrix[second, first]), examples)
        )
    return pairs


def _cut(text: str) -> str:
    line = " ".join(text[: 2 * LONGEST_TEXT].split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def _at_temperature_1(shares: np.ndarray, temperature: float, multi_label: bool) -> np.ndarray:
    """(N, C) the probabilities of logits that no temperature had divided: p^T, which is to add up to 1 again."""
    others = 1 - shares if multi_label else shares
    top = np.maximum(shares, others) if multi_label else shares.max(axis=1, keepdims=True)  # so that no power is all 0
    powers, of_others = (shares / top) ** temperature, (others / top) ** temperature
    return powers / (powers + of_others if multi_label else of_others.sum(axis=1, keepdims=True))


def _levels(shares: np.ndarray, truth: np.ndarray) -> list[Level]:
    curve = precision_by_level(shares, truth)
    last = len(curve.levels) - 1
    shown = np.unique(np.linspace(0, last, min(last + 1, MOST_LEVELS)).round().astype(int))
    columns = (curve.levels[shown], curve.precision[shown], curve.coverage[shown])
    return [Level(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]


def _level(shares: np.ndarray, truth: np.ndarray, threshold: float) -> Level:
    """What the answers are worth that a threshold leaves; precision is 0 where it leaves none."""
    curve = precision_by_level(shares, truth)
    answered = int((curve.levels >= threshold).sum())  # levels
    if not answered:
        return Level(threshold, 0.0, 0.0)
    return Level(threshold, float(curve.precision[answered - 1]), float(curve.coverage[answered - 1]))
