"""The plots of a report: rows far from the rest have an axis of their own, ticks are plain, names stay apart."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from edge_potion.benchmarks.speed.report import plots
from edge_potion.benchmarks.speed.report.axes import Axis, tick_label


def bar(value: float) -> plots.Bar:
    return plots.Bar("m", "cpu", f"row {value:g}", False, "", {"median": value, "low": value, "high": value}, None)


def row(value: float) -> plots.Dots:
    spread = {"median": value, "low": value / 1.1, "high": value * 1.1}
    return plots.Dots("m", "cpu", f"row {value:g}", False, "", {"32 a call": spread, "256 a call": spread})


def test_rows_ten_times_as_slow_as_the_middle_have_an_axis_of_their_own():
    drawn = plots.dots("k", "t", "d", [*map(row, (15e3, 20e3, 60, 18e3, 70e3))], ["32 a call", "256 a call"])
    assert drawn.count("axis of their own") == 1
    near, far = drawn.split("axis of their own")
    assert "row 60" in far and "row 60" not in near and all(f"row {kept}" in near for kept in (15000, 20000, 70000))
    assert "10,000" not in far and ">60<" in far


@pytest.mark.parametrize("values", [[1.0], [1.0, 100.0], [0.0, 0.0, 0.0], [1.0, 2.0, 9.0]])
def test_rows_that_are_alike_or_few_stay_together(values):
    assert "axis of their own" not in plots.bars("k", "t", "d", [*map(bar, values)])


def test_a_short_bar_stays_beside_the_long_ones_and_a_long_one_goes():
    short = plots.bars("k", "t", "d", [*map(bar, (41, 16e3, 15e3, 14e3))])
    long = plots.bars("k", "t", "d", [*map(bar, (41, 40, 42, 14e3))])
    assert "axis of their own" not in short and "row 14000" in long.split("axis of their own")[1]


def test_a_long_bar_stays_where_the_longest_is_the_best():
    drawn = plots.bars("k", "t", "d", [*map(bar, (41, 40, 42, 14e3))], longest_is_best=True)
    assert "axis of their own" not in drawn and drawn.count("<rect") == 4


def test_each_series_of_a_row_has_its_lane():
    drawn = plots.dots("k", "t", "d", [row(10.0), row(11.0)], ["32 a call", "256 a call"])
    heights = [float(y) for y in re.findall(r'<svg x="[\d.]+%" y="([\d.]+)"', drawn)]
    assert len(heights) == 4 and min(b - a for a, b in pairwise(heights)) >= plots.LANE


def test_ticks_are_plain_numbers():
    assert [tick_label(value) for value in (20_000, 10, 0.5, 0, 1_500_000, 1e-5)] == [
        *("20,000", "10", "0.5", "0", "1,500,000", "1e-5")
    ]
    assert len(Axis.logarithmic([61.0, 63.0]).ticks) >= 2 and len(Axis.logarithmic([5.0]).ticks) >= 1


def test_names_at_equal_markers_lie_over_no_other():
    points = [plots.Point(f"a model {at}", 10.0, 70.0, note="70.0 at 10 MB") for at in range(4)]
    drawn = plots.labelled("k", "t", "d", points, "MB", "score", 448)
    places = re.findall(r'class="name" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)"', drawn)
    assert len(places) == len(set(places)) == 4
