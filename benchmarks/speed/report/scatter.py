"""Scatter plots as SVG: numbered markers for a page that has a table beside, or names at the markers for a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_potion.escaping import html

from .axes import Axis, plain, tick_label, ticks_below
from .shapes import plot, title

__all__ = ["Marker", "Point", "labelled", "numbered", "scatter"]

HEIGHT, TOP = 300, 22  # pixels
SIZE, CLOSE = 10, 6.5  # a numbered marker's radius in pixels; percent within which two would overlap on a phone
DOT, LETTER, LINE = 6, 7.6, 15  # pixels: of a marker with its name, and of the name's letters, at most


@dataclass(frozen=True)
class Point:
    """One thing of a scatter."""

    label: str
    x: float
    y: float
    peer: bool = False
    note: str = ""  # under the name


@dataclass(frozen=True)
class Marker:
    """The points that lie too close together to be drawn apart, and the number they go by."""

    number: int
    points: Sequence[Point]


def numbered(points: Sequence[Point], y_logarithmic: bool) -> list[Marker]:
    """The markers of a `scatter`, from left to right: points that would cover each other share one."""
    across, up = _axes(points, y_logarithmic)
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
    name: str,
    description: str,
    markers: Sequence[Marker],
    x_title: str,
    y_title: str,
    y_logarithmic: bool,
) -> str:
    """Numbered markers; across is logarithmic. The page beside it tells what the numbers stand for."""
    across, up = _axes([point for marker in markers for point in marker.points], y_logarithmic)
    drawn = _frame(across, up, x_title, y_title)
    for marker in markers:
        x, y = across.place(marker.points[0].x), _height(up, marker.points[0].y)
        points = "; ".join(f"{point.label}: {plain(point.x)}, {_small(point.y)}" for point in marker.points)
        drawn.append(f'<g>{title(points)}<circle class="marker" cx="{x:.2f}%" cy="{y:.1f}" r="{SIZE}"/>')
        drawn.append(f'<text class="number" x="{x:.2f}%" y="{y + 4:.1f}">{marker.number}</text></g>')
    return plot(key, name, description, TOP + HEIGHT + 44, drawn)


def labelled(
    key: str, name: str, description: str, points: Sequence[Point], x_title: str, y_title: str, width: int
) -> str:
    """A name at each marker, inside the frame and over no other, in a plot of `width` pixels; across is logarithmic."""
    across, up = _axes(points, y_logarithmic=False)
    drawn = _frame(across, up, x_title, y_title)
    places = [(across.place(point.x) * width / 100, _height(up, point.y)) for point in points]
    taken = [_Box(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in places]
    for point, (x, y) in zip(points, places, strict=True):
        wide = LETTER * max(len(point.label), len(point.note))
        box = min(_around(x, y, wide), key=lambda box: _trouble(box, taken, width))
        taken.append(box)
        drawn.append('<g class="peer">' if point.peer else "<g>")
        drawn.append(title(f"{point.label}: {plain(point.x)}, {plain(point.y)}"))
        drawn.append(f'<circle class="marker" cx="{x:.1f}" cy="{y:.1f}" r="{DOT}"/>')
        anchor, at = _anchored(box, x)
        for number, (style, words) in enumerate((("name", point.label), ("note", point.note))):
            base = box.top + LINE * (number + 1) - 4
            drawn.append(
                f'<text class="{style}" x="{at:.1f}" y="{base:.1f}" text-anchor="{anchor}">{html(words)}</text>'
            )
        drawn.append("</g>")
    return plot(key, name, description, TOP + HEIGHT + 44, drawn)


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> float:
        """How many square pixels they share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0) * max(high, 0)


def _around(x: float, y: float, wide: float) -> Iterator[_Box]:
    """Where a name of two lines may stand: above, below, to the right, to the left; then askew."""
    high = 2 * LINE
    above, below, beside = y - DOT - high - 1, y + DOT + 1, y - high / 2
    for left, top in (
        *((x - wide / 2, above), (x - wide / 2, below), (x + DOT + 5, beside), (x - DOT - 5 - wide, beside)),
        *((x - DOT, above), (x - DOT, below), (x + DOT - wide, above), (x + DOT - wide, below)),
    ):
        yield _Box(left, top, left + wide, top + high)


def _trouble(box: _Box, taken: Sequence[_Box], width: int) -> float:
    """Square pixels over others and out of the frame; out of it is worse."""
    inside = box.meets(_Box(0, TOP, width, TOP + HEIGHT))
    outside = (box.right - box.left) * (box.bottom - box.top) - inside
    return 10 * round(outside, 3) + sum(box.meets(other) for other in taken)


def _anchored(box: _Box, x: float) -> tuple[str, float]:
    """At which end a name is held: at the one beside its marker, however wide a font makes it."""
    if box.left >= x - DOT:
        return "start", box.left
    return ("end", box.right) if box.right <= x + DOT else ("middle", (box.left + box.right) / 2)


def _frame(across: Axis, up: Axis, x_title: str, y_title: str) -> list[str]:
    drawn = [f'<text class="axis" x="0" y="12">{html(y_title)}</text>']
    for value in up.ticks:
        y = _height(up, value)
        drawn.append(f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="0" y="{y - 4:.1f}">{tick_label(value)}</text>')
    drawn += ticks_below(across, TOP, TOP + HEIGHT)
    drawn.append(f'<text class="axis" x="100%" y="{TOP + HEIGHT + 36}" text-anchor="end">{html(x_title)}</text>')
    return drawn


def _axes(points: Sequence[Point], y_logarithmic: bool) -> tuple[Axis, Axis]:
    across = Axis.logarithmic([point.x for point in points], margin=1.5)
    heights = [point.y for point in points]
    if y_logarithmic:
        return across, Axis.logarithmic(heights, margin=3)
    room = 0.15 * (max(heights) - min(heights)) or 1.0
    return across, Axis.linear([min(heights) - room, max(heights) + room])


def _height(up: Axis, value: float) -> float:
    """Pixels from the top."""
    return TOP + HEIGHT * (1 - up.place(value) / 100)


def _small(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else plain(value)
