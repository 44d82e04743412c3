"""Probabilities made honest: temperature, calibration error and threshold, each worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_potion.calibration import (
    Bin,
    calibration_error,
    precision_by_level,
    reliability,
    temperature_of,
    threshold_for,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def drawn(temperature: float, rows: int = 20_000, labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn by the probabilities that they have at a temperature."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, (rows, labels))
    totals = softmax(logits / temperature).cumsum(axis=1)
    return logits, (random.random((rows, 1)) > totals[:, :-1]).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_by_which_labels_were_drawn_is_found(temperature):
    logits, truth = drawn(temperature)
    assert temperature_of(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_of_two_labels_is_worked_by_hand():
    """Three of four rows are right by a logit of 2: with the row's worth that is spread, 0.7 of 1."""
    logits = np.array([[2.0, 0], [2, 0], [2, 0], [2, 0]])
    wanted = 0.75 * 4 / 5 + 0.5 / 5
    expected = 2 / math.log(wanted / (1 - wanted))
    assert temperature_of(logits, np.array([0, 0, 0, 1])) == pytest.approx(expected, rel=1e-9)


def test_the_temperature_of_several_labels_a_row_is_worked_by_hand():
    """Cells of one logit: sigmoid(2 / T) is the share of them that is true, but for what is spread."""
    truth = np.array([[1, 1], [1, 0], [1, 1], [0, 1]])
    wanted = 0.75 * 4 / 5 + 0.5 / 5
    expected = 2 / math.log(wanted / (1 - wanted))
    assert temperature_of(np.full((4, 2), 2.0), truth, multi_label=True) == pytest.approx(expected, rel=1e-9)


def test_rows_that_are_all_right_ask_for_no_certainty():
    right = temperature_of(np.eye(3)[np.arange(30) % 3] * 4, np.arange(30) % 3)
    assert 0.05 < right < 4 and softmax(np.array([[4.0, 0, 0]]) / right)[0, 0] < 0.99


def test_a_temperature_stays_within_its_bounds_whatever_the_rows_are():
    labels = np.arange(3)
    assert temperature_of(np.eye(3) * 1e-9, labels) == pytest.approx(0.05)
    assert temperature_of(np.eye(3) * -1.0, labels) == pytest.approx(20)  # always wrong
    assert temperature_of(np.eye(3) * 1e9, labels) == pytest.approx(20)
    assert temperature_of(np.full((4, 3), 7.1), np.zeros(4, dtype=int)) == 1.0  # all alike
    assert temperature_of(np.zeros((4, 3)), np.ones((4, 3)), multi_label=True) == 1.0
    assert temperature_of(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0


def test_the_calibration_error_is_what_accuracy_strays_from_confidence():
    """Two answers of 0.9, one right: off by 0.4. Two of 0.6, both right: off by 0.4. One of 1.0: right."""
    sure = np.array([0.9, 0.9, 0.6, 0.6, 1.0])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    truth = np.array([0, 1, 0, 0, 0])
    assert calibration_error(probabilities, truth) == pytest.approx((2 * 0.4 + 2 * 0.4) / 5)
    ten = reliability(probabilities, truth, bins=10)
    assert len(ten) == 10 and sum(each.count for each in ten) == 5
    assert ten[8] == Bin(0.8, 0.9, 2, 0.9, 0.5) and ten[9] == Bin(0.9, 1.0, 1, 1.0, 1.0)  # 0.9 is no more than 0.9
    assert ten[0] == Bin(0.0, 0.1, 0, 0.05, 0.0)


def test_the_calibration_error_falls_by_the_temperature():
    logits, truth = drawn(2.5)
    before, after = softmax(logits), softmax(logits / temperature_of(logits, truth))
    assert calibration_error(before, truth) > 0.1 and calibration_error(after, truth) < 0.02


def test_each_label_of_a_row_with_several_is_an_answer():
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2]])
    assert calibration_error(probabilities, np.array([[1, 0], [0, 0]])) == pytest.approx((2 * 0.3 + 2 * 0.2) / 4)


def test_no_rows_have_no_error():
    assert calibration_error(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 0.0


def rows(*sure: float) -> np.ndarray:
    """The first label's probabilities, of two."""
    return np.array([[each, 1 - each] for each in sure]).reshape(-1, 2)


def test_the_smallest_threshold_that_reaches_the_precision_is_taken():
    """Right, wrong, right, right, wrong from the top: 3 of 4 is the last share of at least 0.7."""
    found = threshold_for(rows(0.9, 0.85, 0.8, 0.75, 0.7), np.array([0, 1, 0, 0, 1]), 0.7)
    assert found.threshold == pytest.approx(0.725) and found.precision == 0.75 and found.coverage == 0.8
    assert found.reason == ""


def test_rows_of_one_probability_are_answered_together():
    """0.8 twice, one of them wrong: a threshold between the two would be chance."""
    found = threshold_for(rows(0.9, 0.8, 0.8, 0.7), np.array([0, 0, 1, 1]), 0.9)
    assert found.threshold == pytest.approx(0.85) and found.precision == 1.0 and found.coverage == 0.25
    swapped = threshold_for(rows(0.9, 0.8, 0.8, 0.7), np.array([0, 1, 0, 1]), 0.9)
    assert swapped == found


def test_where_all_rows_are_precise_enough_all_are_answered():
    found = threshold_for(rows(0.9, 0.6, 0.7), np.array([0, 0, 1]), 0.6)
    assert found.threshold == 0.0 and found.precision == pytest.approx(2 / 3) and found.coverage == 1.0


def test_where_no_threshold_is_precise_enough_the_reason_is_told():
    found = threshold_for(rows(0.9, 0.8, 0.7), np.array([1, 0, 0]), 0.95)
    assert found.threshold is None and found.coverage == 0.0 and found.precision == pytest.approx(2 / 3)
    assert found.reason == "no threshold reaches a precision of 95.0%; the best is 66.7%"
    assert threshold_for(rows(), np.zeros(0, dtype=int), 0.9).threshold is None


def test_a_threshold_lies_between_what_float32_can_tell_apart():
    near = np.nextafter(np.float32(0.8), np.float32(1))
    probabilities = np.array([[near, 1 - near], [0.8, 0.2]], dtype=np.float32)
    found = threshold_for(probabilities, np.array([0, 1]), 0.9)
    assert (probabilities[:, 0] >= np.float32(found.threshold)).tolist() == [True, False]


def test_precision_and_coverage_are_told_for_every_probability_that_there_is():
    curve = precision_by_level(rows(0.9, 0.8, 0.8, 0.7), np.array([0, 0, 1, 0]))
    assert curve.levels.tolist() == [0.9, 0.8, 0.7]
    assert curve.precision.tolist() == [1, 2 / 3, 3 / 4] and curve.coverage.tolist() == [0.25, 0.75, 1]


def test_of_rows_with_several_labels_an_answer_is_a_label_and_a_row_is_covered_when_it_has_one():
    probabilities = np.array([[0.9, 0.8], [0.7, 0.1], [0.3, 0.2]])
    truth = np.array([[1, 1], [0, 0], [0, 0]])
    found = threshold_for(probabilities, truth, 1.0)
    assert found.threshold == pytest.approx(0.75) and found.precision == 1.0 and found.coverage == pytest.approx(1 / 3)
