"""Accuracy against rows a label, a line a contestant with its name at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_potion.escaping import html

from ..speed.report.axes import Axis, tick_label
from ..speed.report.shapes import SERIES, plot, title
from .picture import INSIDE

__all__ = ["APART", "Line", "lines", "names_apart"]

TOP, HEIGHT, LEFT, NAMES = 22, 330, 34, 165  # pixels; the names have the right
APART = 15  # pixels between two names, one above the other


@dataclass(frozen=True)
class Line:
    """A contestant: its values, None where it was not run; `style` is one of plots.css."""

    name: str
    values: Sequence[float | None]
    style: str
    marker: int


def lines(key: str, name: str, description: str, drawn: Sequence[Line], ticks: Sequence[str], axis: str) -> str:
    """The plot: `ticks` stand at even distances below, `axis` says what is to the left."""
    values = [value for line in drawn for value in line.values if value is not None]
    up = Axis.linear([min(values) - 1, max(values) + 1])
    places = [LEFT + 14 + number * (INSIDE - LEFT - NAMES - 28) / (len(ticks) - 1) for number in range(len(ticks))]
    parts = [f'<text class="axis" x="0" y="12">{html(axis)}</text>']
    for tick in up.ticks:
        y = _height(up, tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{INSIDE - NAMES}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="0" y="{y + 4:.1f}">{tick_label(tick)}</text>')
    for x, words in zip(places, ticks, strict=True):
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{html(words)}</text>'
        )
    parts.append(f'<text class="axis" x="{LEFT}" y="{TOP + HEIGHT + 34}">rows a label</text>')
    ends = [next(_height(up, value) for value in reversed(line.values) if value is not None) for line in drawn]
    for line, y in zip(drawn, names_apart(ends), strict=True):
        points = [(x, _height(up, v)) for x, v in zip(places, line.values, strict=True) if v is not None]
        told = ", ".join(
            f"{words}: {value:.1f}" for words, value in zip(ticks, line.values, strict=True) if value is not None
        )
        path = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
        parts.append(f'<g class="{line.style}">{title(f"{line.name}: {told}")}')
        parts.append(f'<polyline class="range" fill="none" points="{path}"/>')
        for x, height in points:
            mark = SERIES[line.marker % len(SERIES)]
            parts.append(f'<path class="dot" transform="translate({x:.1f} {height:.1f})" d="{mark}"/>')
        beside = f"M{points[-1][0] + 7:.1f} {points[-1][1]:.1f}L{INSIDE - NAMES + 2} {y:.1f}"
        parts.append(f'<path class="grid" fill="none" d="{beside}"/>')
        parts.append(f'<text class="name" x="{INSIDE - NAMES + 6}" y="{y + 4:.1f}">{html(line.name)}</text></g>')
    return plot(key, name, description, TOP + HEIGHT + 44, parts)


def _height(up: Axis, value: float) -> float:
    """Pixels from the top."""
    return TOP + HEIGHT * (1 - up.place(value) / 100)


def names_apart(heights: Sequence[float]) -> list[float]:
    """The same in their order, moved as little as leaves `APART` between any two."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = [heights[place] for place in order]
    for _ in range(100):  # each pass takes the worst apart
        for above in range(len(moved) - 1):
            lacking = APART - (moved[above + 1] - moved[above])
            if lacking > 0:
                moved[above] -= lacking / 2
                moved[above + 1] += lacking / 2
    placed = dict(zip(order, moved, strict=True))
    return [placed[place] for place in range(len(heights))]
