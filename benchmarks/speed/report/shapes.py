"""The parts that every plot is drawn of, as SVG: lines, markers, lines of text, and the frame with its names."""

from __future__ import annotations

from collections.abc import Iterable

from edge_potion.escaping import html

__all__ = ["SERIES", "letters_percent", "line", "marker", "plot", "text", "title"]

SERIES = ("M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", "M-4.5-4.5H4.5V4.5H-4.5Z", "M0-6L6 4.5H-6Z", "M0-6.5L6 0L0 6.5L-6 0Z")
LETTER = 6.8  # pixels: the widest that a font makes an average letter of a tick, of 11 pixels
PHONE = 300  # pixels of a plot


def letters_percent(count: int) -> float:
    """How much of a phone's width the letters of a tick take."""
    return 100 * LETTER * count / PHONE


def plot(key: str, name: str, description: str, height: float, drawn: Iterable[str]) -> str:
    """An SVG as wide as its place, that tells a screen reader what it is."""
    head = f'<title id="{key}-title">{html(name)}</title><desc id="{key}-desc">{html(description)}</desc>'
    named = f'role="img" aria-labelledby="{key}-title" aria-describedby="{key}-desc"'
    return f'<svg class="plot" width="100%" height="{height:.0f}" {named}>{head}{"".join(drawn)}</svg>'


def marker(series: int, x: float, y: float, scale: float = 1.0) -> str:
    """A path at x percent: only an svg of its own can be placed so."""
    style, path = f"s{series % len(SERIES)}", SERIES[series % len(SERIES)]
    size = f' transform="scale({scale})"' if scale != 1 else ""
    return f'<svg x="{x:.2f}%" y="{y}" overflow="visible"><path class="dot {style}" d="{path}"{size}/></svg>'


def line(x1: float, x2: float, y: float, style: str) -> str:
    """From x1 to x2 percent."""
    return f'<line class="{style}" x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{y}" y2="{y}"/>'


def title(words: str) -> str:
    """What comes up under the mouse."""
    return f"<title>{html(words)}</title>"


def text(style: str, y: float, words: str, most: int) -> str:
    """A line of text from the left, cut where a phone ends; the whole comes up under the mouse."""
    cut = words if len(words) <= most else words[: most - 1] + "…"
    return f'<text class="{style}" x="0" y="{y}">{title(words) if cut != words else ""}{html(cut)}</text>'
