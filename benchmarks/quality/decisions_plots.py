"""Pictures of a classifier's report, as SVG without script: confusion matrix, reliability, precision by coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import floor, sqrt

from edge_potion.calibration import Bin
from edge_potion.escaping import html

from .decisions import Block, Level
from .decisions_words import percent

__all__ = ["coverage_plot", "matrix_plot", "reliability_plot"]

WIDTH, HEIGHT = 400, 300  # of a plot, in its own units: about pixels
LEFT, RIGHT, TOP, BOTTOM = 44, 390, 12, 262  # of its frame
CELL = 26  # pixels of a matrix: three digits of its font
LETTER = 7.6  # pixels, at most, of an average letter
LONGEST_NAME = 28  # letters of a label at the side; the whole comes up under the mouse
DARK_FROM = 0.55  # share from which on a cell's number is in the color of the page
LEAST_DOT, LARGEST_DOT = 2.5, 7.0  # pixels, by the share of the answers


def matrix_plot(block: Block) -> str:
    """A row a label: which labels its rows were given. The diagonal is right, the darker of the others are faults."""
    names = [_cut(label) for label in block.labels]
    side = 14 + LETTER * max(map(len, names))
    size = CELL * len(names)
    drawn = [f'<rect class="ground" x="{side:.0f}" y="{side:.0f}" width="{size}" height="{size}"/>']
    for at, (label, name, counts) in enumerate(zip(block.labels, names, block.counts, strict=True)):
        middle = side + CELL * (at + 0.5) + 4  # where a line of text stands
        top = f'transform="translate({middle:.0f} {side - 6:.0f}) rotate(-90)"'
        drawn.append(f'<text class="name" x="{side - 6:.0f}" y="{middle:.0f}">{_title(label)}{html(name)}</text>')
        drawn.append(f"<text {top}>{_title(label)}{html(name)}</text>")
        drawn += _cells(block, at, side + CELL * at, side, counts)
    width = side + size + 4
    told = f"Confusion matrix of {len(names)} labels: a row a label, a column what was given"
    return (
        f'<svg class="matrix" width="{width:.0f}" height="{width:.0f}" viewBox="0 0 {width:.0f} {width:.0f}" '
        f'role="img" aria-label="{html(told)}">{"".join(drawn)}</svg>'
    )


def _cells(block: Block, row: int, y: float, left: float, counts: Sequence[int]) -> Iterator[str]:
    """A label's cells, where a row of it was given something: the more of its rows, the darker."""
    for to, count in enumerate(counts):
        if not count:
            continue
        share = sqrt(count / sum(counts))
        kind, told = ("right", "right") if to == row else ("wrong", f"given {block.labels[to]}")
        ink = "onto" if share > DARK_FROM else "number"
        x, size = left + CELL * to, f'width="{CELL}" height="{CELL}"'
        yield f"<g>{_title(f'{block.labels[row]}: {count:,} {told}')}"
        yield f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" {size} fill-opacity="{share:.2f}"/>'
        yield f'<text class="{ink}" x="{x + CELL / 2:.0f}" y="{y + CELL / 2 + 4:.0f}">{_short(count)}</text></g>'


def reliability_plot(before: Sequence[Bin], after: Sequence[Bin]) -> str:
    """How often answers of a probability are right; honest ones lie on the diagonal."""
    drawn = [*_frame(_shares(), _shares(), "probability", "share that is right")]
    drawn.append(f'<line class="ideal" x1="{_x(0):.1f}" y1="{_y(0):.1f}" x2="{_x(1):.1f}" y2="{_y(1):.1f}"/>')
    for style, curve in (("before", before), ("after", after)):
        filled = [each for each in curve if each.count]
        rows = sum(each.count for each in filled)
        drawn.append(_line(style, ((_x(each.confidence), _y(each.accuracy)) for each in filled)))
        for each in filled:
            told = f"{each.count:,} answers of {percent(each.confidence)} on average: {percent(each.accuracy)} right"
            radius = LEAST_DOT + (LARGEST_DOT - LEAST_DOT) * sqrt(each.count / rows)
            drawn.append(_dot(style, _x(each.confidence), _y(each.accuracy), radius, told))
    return _plot("Reliability: the share of answers that is right, by their probability", drawn)


def coverage_plot(levels: Sequence[Level], chosen: Level | None) -> str:
    """Precision of the rows that are answered, by how many are: the fewer, the surer."""
    lowest = min(each.precision for each in levels)
    bottom = floor(10 * min(lowest, 0.9)) / 10

    def up(share: float) -> float:
        return _y((share - bottom) / (1 - bottom))

    steps = 5 if bottom < 0.7 else round(10 * (1 - bottom)) * 2
    ticks = [bottom + (1 - bottom) * step / steps for step in range(steps + 1)]
    drawn = _frame(_shares(), ticks, "share of the rows that is answered", "share of answers that is right", up)
    drawn.append(_line("after", ((_x(each.coverage), up(each.precision)) for each in levels)))
    for each in levels:
        told = f"from {each.threshold:.3f} on: {percent(each.coverage)} answered, {percent(each.precision)} right"
        drawn.append(_dot("hover", _x(each.coverage), up(each.precision), LEAST_DOT, told))
    if chosen is not None and chosen.coverage:
        x, y = _x(chosen.coverage), up(chosen.precision)
        told = f"{chosen.threshold:.3f}: {percent(chosen.coverage)} answered, {percent(chosen.precision)} right"
        drawn.append(f'<line class="ideal" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{BOTTOM}"/>')
        drawn.append(_dot("chosen", x, y, LARGEST_DOT, f"threshold {told}"))
        anchor = ("end", x - 12) if chosen.coverage > 0.4 else ("start", x + 12)
        at = y + 24 if y < (TOP + BOTTOM) / 2 else y - 14
        drawn.append(
            f'<text class="note" x="{anchor[1]:.1f}" y="{at:.1f}" text-anchor="{anchor[0]}">'
            f"threshold {chosen.threshold:.3f}</text>"
        )
    return _plot("Precision of the answers by coverage, as the threshold falls", drawn)


def _shares() -> list[float]:
    return [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def _x(share: float) -> float:
    return LEFT + (RIGHT - LEFT) * share


def _y(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share


def _frame(
    across: Sequence[float],
    upward: Sequence[float],
    x_title: str,
    y_title: str,
    up: Callable[[float], float] = _y,
) -> list[str]:
    """Lines at the ticks with their numbers in percent, and what the axes are."""
    drawn = []
    for share in across:
        x = _x(share)
        drawn.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{BOTTOM}"/>')
        drawn.append(f'<text class="tick" x="{x:.1f}" y="{BOTTOM + 16}" text-anchor="middle">{100 * share:.0f}</text>')
    for share in upward:
        y = up(share)
        drawn.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.3g}</text>')
    middle = (LEFT + RIGHT) / 2
    drawn.append(f'<text class="axis" x="{middle}" y="{BOTTOM + 33}" text-anchor="middle">{html(x_title)}, %</text>')
    turned = f'transform="translate(12 {(TOP + BOTTOM) / 2}) rotate(-90)"'
    drawn.append(f'<text class="axis" {turned} text-anchor="middle">{html(y_title)}, %</text>')
    return drawn


def _plot(name: str, drawn: Iterable[str]) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html(name)}">{"".join(drawn)}</svg>'
    )


def _line(style: str, points: Iterable[tuple[float, float]]) -> str:
    return f'<polyline class="{style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _dot(style: str, x: float, y: float, radius: float, told: str) -> str:
    return f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">{_title(told)}</circle>'


def _title(words: str) -> str:
    """What comes up under the mouse."""
    return f"<title>{html(words)}</title>"


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_NAME else f"{label[: LONGEST_NAME - 1]}…"


def _short(count: int) -> str:
    """In three letters, which is what a cell has room for: 12k is twelve thousand."""
    if count < 1000:
        return str(count)
    return f"{count // 1000}k" if count < 1_000_000 else f"{count // 1_000_000}M"
