"""The axes of the plots: values to percent of the width, and ticks that are plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .shapes import letters_percent

__all__ = ["LEFT", "RIGHT", "Axis", "across", "plain", "tick_label", "ticks_below"]

LEFT, RIGHT = 1.5, 98.5  # percent: where the ends of an axis lie, so that markers at them are whole
FEWEST_TICKS = 3
STEPS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0))  # in a decade, coarse to fine
MOST_DECADES = 9  # with a tick each


@dataclass(frozen=True)
class Axis:
    """From values to percent of the width."""

    low: float
    high: float
    ticks: Sequence[float]
    scale: Callable[[float], float]

    def place(self, value: float) -> float:
        """Percent; what lies beyond the ends is at them."""
        if self.scale(self.high) == self.scale(self.low):
            return (LEFT + RIGHT) / 2
        value = min(max(value, self.low), self.high)
        share = (self.scale(value) - self.scale(self.low)) / (self.scale(self.high) - self.scale(self.low))
        return LEFT + (RIGHT - LEFT) * share

    @classmethod
    def logarithmic(cls, values: Sequence[float], margin: float = 1.1) -> Axis:
        """Of the positive ones, with ticks at 1, 2 and 5 or so."""
        positive = [value for value in values if value > 0] or [1.0]
        low, high = min(positive) / margin, max(positive) * margin
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = math.ceil(len(decades) / MOST_DECADES)
        for steps in STEPS:
            ticks = [step * 10.0**decade for decade in decades if decade % every == 0 for step in steps]
            ticks = [tick for tick in ticks if low <= tick <= high]
            if len(ticks) >= FEWEST_TICKS:
                return cls(low, high, ticks, math.log10)
        return cls(low, high, _even_ticks(low, high), math.log10)

    @classmethod
    def linear(cls, values: Sequence[float]) -> Axis:
        """From the least to the greatest, with ticks at even distances."""
        low, high = min(values), max(values)
        if high == low:
            low, high = low - (low != 0), high + 1
        return cls(low, high, _even_ticks(low, high), float)


def _even_ticks(low: float, high: float) -> list[float]:
    about = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(about))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= about)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def ticks_below(axis: Axis, top: float, bottom: float) -> list[str]:
    """Lines from `top` to `bottom`, and their numbers below."""
    lines = [
        f'<line class="grid" x1="{axis.place(tick):.2f}%" x2="{axis.place(tick):.2f}%" y1="{top}" y2="{bottom}"/>'
        for tick in axis.ticks
    ]
    return [*lines, *across(axis, bottom + 16)]


def across(axis: Axis, y: float) -> list[str]:
    """The numbers of an axis at `y`: those that a phone has room for."""
    drawn, taken = [], -math.inf  # percent
    for tick in axis.ticks:
        x, label = axis.place(tick), tick_label(tick)
        wide = letters_percent(len(label) + 1)
        anchor, begin = (
            ("start", x) if x < wide / 2 else ("end", x - wide) if x > 100 - wide / 2 else ("", x - wide / 2)
        )
        if begin >= taken:
            drawn.append(f'<text class="tick" x="{x:.2f}%" y="{y}" text-anchor="{anchor or "middle"}">{label}</text>')
            taken = begin + wide
    return drawn


def tick_label(value: float) -> str:
    """20,000; 0.5; and 1e-5, where zeros could not be counted."""
    if 0 < abs(value) < 0.001:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{round(value, 6):,.10g}"


def plain(value: float) -> str:
    """Three digits, or all of a large number."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
