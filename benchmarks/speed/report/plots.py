"""Plots as SVG: data in, a string out.

Sideways all is in percent and downwards in pixels, so that a plot is as wide as its place while its letters keep their
size, on a phone as on a desk. Colours come from the page's CSS variables; no meaning hangs on a colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edge_potion.escaping import html

__all__ = ["Bar", "Dots", "Marker", "Point", "Row", "Strip", "bars", "dots", "legend", "numbered", "scatter", "strips"]

Spread = Mapping[str, float]  # median, low, high
LEFT, RIGHT = 1.5, 98.5  # percent: where the ends of an axis lie, so that markers at them are whole
ROW, HEADING, SUBHEADING, AXIS = 30, 26, 24, 22  # pixels
MOST_LETTERS = 40  # of a row's label: what a phone has room for beside a number
SIZE, CLOSE = 10, 6.5  # a numbered marker's radius in pixels; percent within which two would overlap on a phone
HEIGHT = 300
SHAPES = ("M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", "M-4.5-4.5H4.5V4.5H-4.5Z", "M0-6L6 4.5H-6Z", "M0-6.5L6 0L0 6.5L-6 0Z")


@dataclass(frozen=True)
class Row:
    """What the rows of `dots`, `strips` and `bars` have alike."""

    model: str  # rows of one model, and in it of one place, stand in order under a heading
    place: str
    label: str
    peer: bool
    note: str  # at the right end


@dataclass(frozen=True)
class Dots(Row):
    """A median with its ends for each series."""

    spreads: Mapping[str, Spread]


@dataclass(frozen=True)
class Strip(Row):
    """A distribution, as values by percentile."""

    quantiles: Mapping[int, float]


@dataclass(frozen=True)
class Bar(Row):
    """A length with its ends, and the part of it that `inner` takes."""

    whole: Spread
    inner: float | None


AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True)
class Point:
    """One thing of a `scatter`."""

    label: str
    x: float
    y: float


@dataclass(frozen=True)
class Marker:
    """The points that lie too close together to be drawn apart, and the number they go by."""

    number: int
    points: Sequence[Point]


def dots(key: str, title: str, description: str, rows: Sequence[Dots], series: Sequence[str]) -> str:
    """A row of markers each, on one logarithmic axis: shape and colour tell the series."""
    ends = [spread[end] for row in rows for spread in row.spreads.values() for end in ("low", "high")]
    axis = _Axis.logarithmic(ends)

    def marks(row: Dots, y: float) -> Iterable[str]:
        for number, name in enumerate(series):
            if spread := row.spreads.get(name):
                told = f"{row.label}, {name}: {_with_ends(spread)}"
                style = f"s{number % len(SHAPES)}"
                yield f"<g>{_title(told)}{_line(axis, spread['low'], spread['high'], y, f'range {style}')}"
                yield f"{_shape(number, axis.place(spread['median']), y)}</g>"

    return _rows(key, title, description, axis, rows, marks)


def legend(series: Sequence[str]) -> str:
    """The markers of `dots` beside the names of their series, in HTML."""
    marker = '<svg width="14" height="14" aria-hidden="true">{}</svg>'
    return "".join(
        f"<span>{marker.format(_shape(number, 50, 7))} {html(name)}</span>" for number, name in enumerate(series)
    )


def strips(key: str, title: str, description: str, rows: Sequence[Strip]) -> str:
    """Boxes on one logarithmic axis: a line 1 to 99 %, thick 5 to 95 %, the box 25 to 75 %, a tick the median."""
    axis = _Axis.logarithmic([value for row in rows for value in row.quantiles.values()])

    def marks(row: Strip, y: float) -> Iterable[str]:
        told = ", ".join(f"{percentile} %: {_plain(value)}" for percentile, value in row.quantiles.items())
        yield f"<g>{_title(f'{row.label}: {told}')}"
        for (low, high), style in {(1, 99): "thin", (5, 95): "thick", (25, 75): "box"}.items():
            if low in row.quantiles and high in row.quantiles:
                yield _line(axis, row.quantiles[low], row.quantiles[high], y, style)
        if 50 in row.quantiles:
            x = axis.place(row.quantiles[50])
            yield f'<line class="median" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 7}" y2="{y + 7}"/>'
        yield "</g>"

    return _rows(key, title, description, axis, rows, marks)


def bars(key: str, title: str, description: str, rows: Sequence[Bar]) -> str:
    """A bar each from zero, its inner part thicker, with its range."""
    axis = _Axis.linear([0, *(row.whole["high"] for row in rows)])

    def marks(row: Bar, y: float) -> Iterable[str]:
        yield f"<g>{_title(f'{row.label}: {_with_ends(row.whole)}')}"
        for value, style, thick in ((row.whole["median"], "whole", 6), (row.inner, "inner", 10)):
            if value is not None:
                width = axis.place(value) - LEFT
                place = f'x="{LEFT}%" width="{max(width, 0):.2f}%" y="{y - thick / 2}" height="{thick}"'
                yield f'<rect class="{style}" {place}/>'
        yield f"{_line(axis, row.whole['low'], row.whole['high'], y, 'error')}</g>"

    return _rows(key, title, description, axis, rows, marks)


def numbered(points: Sequence[Point], y_logarithmic: bool) -> list[Marker]:
    """The markers of a `scatter`, from left to right: points that would cover each other share one."""
    across, up = _scatter_axes(points, y_logarithmic)
    heaps: list[list[Point]] = []
    for point in sorted(points, key=lambda point: (point.x, point.y)):
        for heap in heaps:
            near = abs(across.place(heap[0].x) - across.place(point.x)) < CLOSE
            if near and abs(up.place(heap[0].y) - up.place(point.y)) * HEIGHT / 100 < 2 * SIZE:
                heap.append(point)
                break
        else:
            heaps.append([point])
    return [Marker(number, heap) for number, heap in enumerate(heaps, 1)]


def scatter(
    key: str,
    title: str,
    description: str,
    markers: Sequence[Marker],
    x_title: str,
    y_title: str,
    y_logarithmic: bool,
) -> str:
    """Numbered markers; across is logarithmic. The page beside it tells what the numbers stand for."""
    points = [point for marker in markers for point in marker.points]
    across, up = _scatter_axes(points, y_logarithmic)
    top = 22
    drawn = [f'<text class="axis" x="0" y="12">{html(y_title)}</text>']
    for value in up.ticks:
        y = top + HEIGHT * (1 - up.place(value) / 100)
        drawn.append(f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="0" y="{y - 4:.1f}">{_tick(value)}</text>')
    drawn += _ticks(across, top, top + HEIGHT)
    drawn.append(f'<text class="axis" x="100%" y="{top + HEIGHT + 36}" text-anchor="end">{html(x_title)}</text>')
    for marker in markers:
        x, y = across.place(marker.points[0].x), top + HEIGHT * (1 - up.place(marker.points[0].y) / 100)
        told = "; ".join(f"{point.label}: {_plain(point.x)}, {_small(point.y)}" for point in marker.points)
        drawn.append(f'<g>{_title(told)}<circle class="marker" cx="{x:.2f}%" cy="{y:.1f}" r="{SIZE}"/>')
        drawn.append(f'<text class="number" x="{x:.2f}%" y="{y + 4:.1f}">{marker.number}</text></g>')
    return _svg(key, title, description, top + HEIGHT + 44, drawn)


@dataclass(frozen=True)
class _Axis:
    """From values to percent of the width."""

    low: float
    high: float
    ticks: Sequence[float]
    scale: Callable[[float], float]

    def place(self, value: float) -> float:
        if self.scale(self.high) == self.scale(self.low):
            return (LEFT + RIGHT) / 2
        value = min(max(value, self.low), self.high)
        share = (self.scale(value) - self.scale(self.low)) / (self.scale(self.high) - self.scale(self.low))
        return LEFT + (RIGHT - LEFT) * share

    @classmethod
    def logarithmic(cls, values: Sequence[float], margin: float = 1.1) -> _Axis:
        positive = [value for value in values if value > 0] or [1.0]
        low, high = min(positive) / margin, max(positive) * margin
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = math.ceil(len(decades) / 9)
        for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            ticks = [step * 10.0**decade for decade in decades if decade % every == 0 for step in steps]
            ticks = [tick for tick in ticks if low <= tick <= high]
            if len(ticks) > 2:
                break
        return cls(low, high, ticks, math.log10)

    @classmethod
    def linear(cls, values: Sequence[float]) -> _Axis:
        low, high = min(values), max(values)
        if high == low:
            low, high = low - (low != 0), high + 1
        about = (high - low) / 4
        power = 10.0 ** math.floor(math.log10(about))
        step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= about)
        first = math.ceil(low / step)
        ticks = [step * number for number in range(first, math.floor(high / step) + 1)]
        return cls(low, high, ticks, float)


def _rows(
    key: str,
    title: str,
    description: str,
    axis: _Axis,
    rows: Sequence[AnyRow],
    marks: Callable[[AnyRow, float], Iterable[str]],
) -> str:
    """Rows under headings, over the axis: of each row first its label, then its marks below, however narrow it is."""
    drawn: list[str] = []
    y = AXIS
    before = None
    for row in rows:
        if before is None or before.model != row.model:
            y += HEADING
            drawn.append(_text("heading", y - 6, row.model, MOST_LETTERS + 5))
        if before is None or (before.model, before.place) != (row.model, row.place):
            y += SUBHEADING
            drawn.append(_text("place", y - 6, row.place, MOST_LETTERS + 5))
        drawn += ['<g class="peer">' if row.peer else "<g>", _text("label", y + 10, row.label, MOST_LETTERS)]
        drawn.append(f'<text class="told" x="100%" y="{y + 10}">{html(row.note)}</text>')
        drawn.append(f'<line class="track" x1="0" x2="100%" y1="{y + 20}" y2="{y + 20}"/>')
        drawn += [*marks(row, y + 20), "</g>"]
        y += ROW
        before = row
    return _svg(key, title, description, y + AXIS, [*_ticks(axis, AXIS, y), *_tick_labels(axis, AXIS - 8), *drawn])


def _ticks(axis: _Axis, top: float, bottom: float) -> list[str]:
    lines = [
        f'<line class="grid" x1="{axis.place(tick):.2f}%" x2="{axis.place(tick):.2f}%" y1="{top}" y2="{bottom}"/>'
        for tick in axis.ticks
    ]
    return [*lines, *_tick_labels(axis, bottom + 16)]


def _tick_labels(axis: _Axis, y: float) -> list[str]:
    drawn = []
    for tick in axis.ticks:
        x = axis.place(tick)
        anchor = "start" if x < 5 else "end" if x > 95 else "middle"
        drawn.append(f'<text class="tick" x="{x:.2f}%" y="{y}" text-anchor="{anchor}">{_tick(tick)}</text>')
    return drawn


def _scatter_axes(points: Sequence[Point], y_logarithmic: bool) -> tuple[_Axis, _Axis]:
    across = _Axis.logarithmic([point.x for point in points], margin=1.5)
    heights = [point.y for point in points]
    if y_logarithmic:
        return across, _Axis.logarithmic(heights, margin=3)
    room = 0.15 * (max(heights) - min(heights)) or 1.0
    return across, _Axis.linear([min(heights) - room, max(heights) + room])


def _svg(key: str, title: str, description: str, height: float, drawn: Iterable[str]) -> str:
    head = f'<title id="{key}-title">{html(title)}</title><desc id="{key}-desc">{html(description)}</desc>'
    named = f'role="img" aria-labelledby="{key}-title" aria-describedby="{key}-desc"'
    return f'<svg class="plot" width="100%" height="{height:.0f}" {named}>{head}{"".join(drawn)}</svg>'


def _shape(number: int, x: float, y: float) -> str:
    """A path at x percent: only an svg of its own can be placed so."""
    style, path = f"s{number % len(SHAPES)}", SHAPES[number % len(SHAPES)]
    return f'<svg x="{x:.2f}%" y="{y}" overflow="visible"><path class="dot {style}" d="{path}"/></svg>'


def _line(axis: _Axis, low: float, high: float, y: float, style: str) -> str:
    return f'<line class="{style}" x1="{axis.place(low):.2f}%" x2="{axis.place(high):.2f}%" y1="{y}" y2="{y}"/>'


def _title(text: str) -> str:
    return f"<title>{html(text)}</title>"


def _text(style: str, y: float, text: str, most: int) -> str:
    """A line of text from the left, cut where a phone ends; the whole comes up under the mouse."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return f'<text class="{style}" x="0" y="{y}">{_title(text) if cut != text else ""}{html(cut)}</text>'


def _with_ends(spread: Spread) -> str:
    return f"{_plain(spread['median'])} ({_plain(spread['low'])}–{_plain(spread['high'])})"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _small(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else _plain(value)


def _tick(value: float) -> str:
    """1,000 is 1k, 0.00001 is 1e-5."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 0.001 else f"{round(value, 6):g}"
