"""Plots of rows under headings, as SVG: data in, a string out.

Sideways all is in percent and downwards in pixels, so that a plot is as wide as its place while its letters keep their
size, on a phone as on a desk. Colours come from the page's CSS variables; no meaning hangs on a colour alone. Rows that
are FAR from the rest have an axis of their own below, so that the others keep their room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from edge_potion.escaping import html

from .axes import LEFT, Axis, across, plain, ticks_below
from .scatter import Marker, Point, labelled, numbered, scatter
from .shapes import SERIES, line, marker, plot, text, title

__all__ = [
    "Bar",
    "Dots",
    "Marker",
    "Point",
    "Row",
    "Strip",
    "bars",
    "dots",
    "labelled",
    "legend",
    "numbered",
    "scatter",
    "strips",
]

Spread = Mapping[str, float]  # median, low, high
ROW, LANE, HEADING, SUBHEADING, AXIS = 30, 8, 26, 24, 22  # pixels
LABEL, FIRST_LANE = 10, 20  # pixels below a row's top
SMALL = 0.7  # of a marker that has its lane: it reaches into no other
MOST_LETTERS = 40  # of a row's label: what a phone has room for beside a number
FAR = 10.0  # times
SHORT = 12  # rows that need no second axis above them


@dataclass(frozen=True)
class Row:
    """What the rows of `dots`, `strips` and `bars` have alike."""

    model: str  # rows of one model, and in it of one place, stand in order under a heading; "" has none
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


def dots(key: str, name: str, description: str, rows: Sequence[Dots], series: Sequence[str]) -> str:
    """A lane for each series, on one logarithmic axis: lane, shape and colour tell the series."""

    def axis_of(rows: Sequence[Dots]) -> Axis:
        return Axis.logarithmic(
            [spread[end] for row in rows for spread in row.spreads.values() for end in ("low", "high")]
        )

    def marks(axis: Axis, row: Dots, y: float) -> Iterable[str]:
        for number, of in enumerate(series):
            if spread := row.spreads.get(of):
                lane = y + LANE * number
                range_line = _line(axis, spread["low"], spread["high"], lane, f"range s{number % len(SERIES)}")
                shape = marker(number, axis.place(spread["median"]), lane, SMALL)
                yield f"<g>{title(f'{row.label}, {of}: {_with_ends(spread)}')}{range_line}{shape}</g>"

    def fastest(row: Dots) -> float:
        return max(spread["median"] for spread in row.spreads.values())

    panels = [(axis_of(part), part) for part in _apart(rows, fastest)]
    return _rows(key, name, description, panels, marks, ROW + LANE * (len(series) - 1))


def legend(series: Sequence[str]) -> str:
    """The markers of `dots` beside the names of their series, in HTML."""
    frame = '<svg width="14" height="14" aria-hidden="true">{}</svg>'
    return "".join(f"<span>{frame.format(marker(number, 50, 7))} {html(of)}</span>" for number, of in enumerate(series))


def strips(key: str, name: str, description: str, rows: Sequence[Strip]) -> str:
    """Boxes on one logarithmic axis: a line 1 to 99 %, thick 5 to 95 %, the box 25 to 75 %, a tick the median."""

    def axis_of(rows: Sequence[Strip]) -> Axis:
        return Axis.logarithmic([value for row in rows for value in row.quantiles.values()])

    def marks(axis: Axis, row: Strip, y: float) -> Iterable[str]:
        values = ", ".join(f"{percentile} %: {plain(value)}" for percentile, value in row.quantiles.items())
        yield f"<g>{title(f'{row.label}: {values}')}"
        for (low, high), style in {(1, 99): "thin", (5, 95): "thick", (25, 75): "box"}.items():
            if low in row.quantiles and high in row.quantiles:
                yield _line(axis, row.quantiles[low], row.quantiles[high], y, style)
        if 50 in row.quantiles:
            x = axis.place(row.quantiles[50])
            yield f'<line class="median" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 7}" y2="{y + 7}"/>'
        yield "</g>"

    def middle(row: Strip) -> float:
        return row.quantiles.get(50) or max(row.quantiles.values())

    panels = [(axis_of(part), part) for part in _apart(rows, middle)]
    return _rows(key, name, description, panels, marks, ROW)


def bars(key: str, name: str, description: str, rows: Sequence[Bar], longest_is_best: bool = False) -> str:
    """A bar each from zero, its inner part thicker, with its range."""

    def axis_of(rows: Sequence[Bar]) -> Axis:
        return Axis.linear([0, *(row.whole["high"] for row in rows)])

    def marks(axis: Axis, row: Bar, y: float) -> Iterable[str]:
        yield f"<g>{title(f'{row.label}: {_with_ends(row.whole)}')}"
        lengths = [(row.whole["median"], "whole", 10 if row.inner is None else 6), (row.inner, "inner", 10)]
        for value, style, thick in lengths:
            if value is not None:
                width = max(axis.place(value) - LEFT, 0.2 * (value > 0))
                place = f'x="{LEFT}%" width="{width:.2f}%" y="{y - thick / 2:g}" height="{thick}"'
                yield f'<rect class="{style}" {place}/>'
        yield f"{_line(axis, row.whole['low'], row.whole['high'], y, 'error')}</g>"

    # A short bar beside long ones says what it should; a long one takes the others' room.
    # Where the longest is the best, that is what the picture is to show.
    parts = [rows] if longest_is_best else _apart(rows, lambda row: row.whole["median"], longest_alone=True)
    panels = [(axis_of(part), part) for part in parts]
    return _rows(key, name, description, panels, marks, ROW)


def _apart(
    rows: Sequence[AnyRow], size_of: Callable[[AnyRow], float], longest_alone: bool = False
) -> list[Sequence[AnyRow]]:
    """All rows, or those that are alike, and then the few that are FAR from the middle one on either side."""
    middle = median([size_of(row) for row in rows])
    long = [row for row in rows if size_of(row) > FAR * middle]
    short = [] if longest_alone else [row for row in rows if size_of(row) * FAR < middle]
    if 3 * len(long + short) > len(rows):
        return [rows]
    return [part for part in ([row for row in rows if row not in long + short], short, long) if part]


def _rows(
    key: str,
    name: str,
    description: str,
    panels: Sequence[tuple[Axis, Sequence[AnyRow]]],
    marks: Callable[[Axis, AnyRow, float], Iterable[str]],
    row_height: int,
) -> str:
    """Rows under headings, over their axis: of each row first its label, then its marks below, however narrow it is."""
    drawn: list[str] = []
    y = 0
    for number, (axis, rows) in enumerate(panels):
        if number:
            y += HEADING + 12
            drawn.append(text("far", y - 6, "Far from these, on an axis of their own", MOST_LETTERS + 5))
        top, panel = y, []
        y += AXIS if len(rows) > SHORT else 0
        before = None
        for row in rows:
            if row.model and (before is None or before.model != row.model):
                y += HEADING
                panel.append(text("heading", y - 6, row.model, MOST_LETTERS + 5))
            if row.place and (before is None or (before.model, before.place) != (row.model, row.place)):
                y += SUBHEADING
                panel.append(text("place", y - 6, row.place, MOST_LETTERS + 5))
            panel += ['<g class="peer">' if row.peer else "<g>", text("label", y + LABEL, row.label, MOST_LETTERS)]
            panel.append(f'<text class="told" x="100%" y="{y + LABEL}">{html(row.note)}</text>')
            panel.append(line(0, 100, y + (FIRST_LANE + row_height - LABEL) / 2, "track"))
            panel += [*marks(axis, row, y + FIRST_LANE), "</g>"]
            y += row_height
            before = row
        above = across(axis, top + AXIS - 8) if len(rows) > SHORT else []
        drawn += [*ticks_below(axis, top + (AXIS if above else 0), y), *above, *panel]
        y += AXIS
    return plot(key, name, description, y, drawn)


def _line(axis: Axis, low: float, high: float, y: float, style: str) -> str:
    return line(axis.place(low), axis.place(high), y, style)


def _with_ends(spread: Spread) -> str:
    return f"{plain(spread['median'])} ({plain(spread['low'])}–{plain(spread['high'])})"
