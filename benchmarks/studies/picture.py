"""A plot as a picture that stands alone: an SVG file with its own title, colours and frame, in light and in dark."""

from __future__ import annotations

import textwrap
from importlib.resources import files
from xml.etree import ElementTree

from edge_potion.escaping import html

__all__ = ["INSIDE", "standalone"]

# The picture is drawn 480 wide and shown 720 wide: letters are as large as a page's there, and legible at 400.
WIDTH, MARGIN, SHOWN = 480, 16, 720
INSIDE = WIDTH - 2 * MARGIN  # pixels that the plot has
TITLE, WORDS = 24, 15  # pixels: the height of the title, and of a line below it
LINE_LETTERS = 74  # of a line that fits, in the widest of the fonts below
DARK = "(prefers-color-scheme: dark)"
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: var(--ink); }
.title { font-size: 15px; font-weight: 700; }
.words { font-size: 11px; fill: var(--soft); }
.paper { fill: var(--card); stroke: var(--line); }
.plot .peer .label { font-style: normal; }
.plot g:not(.peer) > .label, .plot g:not(.peer) > .told { font-weight: 600; }
.plot .whole { fill: var(--s0); } .plot .peer .whole { fill: var(--peer-bar); }
.plot .grid { stroke-width: .7; }
"""


def standalone(plot: str, title: str, words: str, *, dark: bool) -> str:
    """The SVG file of a plot of `INSIDE` pixels, under its title and a few words of what is to be seen.

    The light one turns dark where the reader's system is, as a picture can; `dark` is always.
    """
    height = float(ElementTree.fromstring(plot).get("height", "0"))
    lines = textwrap.wrap(words, LINE_LETTERS)
    top = MARGIN + TITLE + WORDS * len(lines)
    high = round(top + 8 + height + MARGIN / 2)
    css = files("edge_potion.benchmarks.speed.report").joinpath("plots.css").read_text(encoding="utf-8")
    if dark:
        css = css.replace(f"@media {DARK}", "@media all")
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" width="{SHOWN}" '
        f'height="{high * SHOWN // WIDTH}" role="img" aria-label="{html(title)}">',
        f"<style>{css}{STYLE}</style>",
        f'<rect class="paper" x=".5" y=".5" width="{WIDTH - 1}" height="{high - 1}" rx="10"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 13}">{html(title)}</text>',
        *(
            f'<text class="words" x="{MARGIN}" y="{MARGIN + TITLE + 10 + WORDS * number}">{html(line)}</text>'
            for number, line in enumerate(lines)
        ),
        f'<svg x="{MARGIN}" y="{top + 8}" width="{INSIDE}" height="{height:.0f}">{plot}</svg>',
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"
