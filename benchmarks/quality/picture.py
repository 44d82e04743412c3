"""report.png: of each model its score, its size and its speed, a row a model; in light and in dark."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from edge_potion.escaping import terminal

from .bitext_rows import APART, BITEXT, BITEXT_HALF
from .retrieval_rows import HALF, METRICS, RETRIEVAL, Searcher, searchers

__all__ = ["INCOMPLETE", "Panel", "costs", "distinct_names", "drawn", "panels_drawn"]

INCOMPLETE = "*"  # after a mean that a task is missing in
NAME_LETTERS = 30  # of a line of a name; names are as many lines as they need
LONGEST_NAME = 120  # letters: its end tells models apart
ANY_NAMES = ("model", "bundle", "onnx")  # of folders: the folder above says more
WIDTH, ROW, LINE, REST = 11.0, 0.3, 0.17, 1.5  # inches: of all; of a row, each line of its name, what is around them
PAD = 0.12  # inches
TICKS = 3
LIGHT, DARK = "#0b62b8", "#5eb0f7"


@dataclass(frozen=True)
class Panel:
    """One number of each model, side by side with others.

    Attributes:
        title: what it is.
        values: of each model the number, None where it has none; and how it is told.
        dots: whether it is shown as dots on an axis that begins where the data do, or as bars from zero.
        ranges: of each model the lowest and the highest that the number may be, as a line; empty without.
    """

    title: str
    values: Sequence[tuple[float | None, str]]
    dots: bool = False
    ranges: Sequence[tuple[float, float] | None] = ()


def drawn(report: Mapping[str, Any], dark: bool) -> bytes:
    """The picture of the last half that is in the report, as PNG; models without a score there stand last.

    Retrieval sets and translations are panels beside, or the picture where the report has nothing else.
    """
    halves = [half for model in report["models"] for half in model["averages"]]
    found = searchers(report)
    if found and set(halves) <= {HALF}:
        return _retrieval(report, found, dark)
    rest = "report" if BITEXT_HALF not in halves else BITEXT_HALF
    half = next((half for half in reversed(halves) if half not in APART), rest)
    models = sorted(report["models"], key=lambda model: -model["averages"].get(half, {}).get("CatAVG", -1.0))
    scores = []
    for model in models:
        score = model["averages"].get(half, {}).get("CatAVG")
        mark = INCOMPLETE if half in model["incomplete"] else ""
        scores.append((score, "not scored" if score is None else f"{score:.2f}{mark}"))
    panels = [Panel("mean score, points of 100", scores, dots=True)]
    if found:
        of_sets = [model["averages"].get(HALF, {}).get(RETRIEVAL) for model in models]
        values = [(mean, _told(mean)) for mean in of_sets]
        panels.append(Panel("retrieval by vectors, nDCG@10", values, dots=True))
    if BITEXT_HALF in halves and half != BITEXT_HALF:
        means = [model["averages"].get(BITEXT_HALF, {}).get(BITEXT) for model in models]
        panels.append(Panel("translations, accuracy", [(mean, _told(mean)) for mean in means], dots=True))
    return panels_drawn([model["name"] for model in models], _title(report, half), [*panels, *costs(models)], dark)


def _told(mean: float | None) -> str:
    return "not scored" if mean is None else f"{mean:.2f}"


def _retrieval(report: Mapping[str, Any], found: Sequence[Searcher], dark: bool) -> bytes:
    """The picture of retrieval sets, a row a search."""
    main, *_ = METRICS
    ranked = sorted(found, key=lambda each: -(each.mean(main) or 0.0))
    panels = []
    for metric, title in METRICS.items():
        means = [(each.mean(metric), INCOMPLETE if each.incomplete else "") for each in ranked]
        values = [(mean, "not scored" if mean is None else f"{mean:.2f}{mark}") for mean, mark in means]
        panels.append(Panel(title, values, dots=True))
    title = "Retrieval" + ("" if report["complete"] else ", partial: the run was stopped")
    if any(each.incomplete for each in found):
        title += f"\n{INCOMPLETE} a set is missing in this mean"
    return panels_drawn([each.name for each in ranked], title, panels, dark)


def costs(models: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """What models cost: their size and their speed."""
    sizes, rates = [], []
    for model in models:
        size_mb, rate = model["size_mb"], model["texts_per_s"]
        sizes.append((size_mb, "" if size_mb is None else f"{size_mb:,.1f}"))
        rates.append((rate, "" if rate is None else f"{rate:,}"))
    return [Panel("size, MB", sizes), Panel("texts/s", rates)]


def panels_drawn(names: Sequence[str], title: str, panels: Sequence[Panel], dark: bool) -> bytes:
    """Panels side by side, a row a model, as PNG; the first is the widest.

    Names are drawn as they are: `$` begins no formula, and no setting of the user's, such as TeX for all texts, counts.
    """
    from matplotlib import rc_context, rcdefaults, style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    shown = _wrapped(names)
    lines = sum(name.count("\n") + 1 for name in shown)
    with rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that the font lacks
        rcdefaults()
        if dark:
            style.use("dark_background")
        size = (WIDTH, REST + ROW * len(shown) + LINE * lines)
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD))
        FigureCanvasAgg(figure)
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", parse_math=False)
        ratios = (1.25, *(1.0 for _ in panels[1:]))
        every = figure.subplots(1, len(panels), sharey=True, width_ratios=ratios)
        for axes, panel in zip(every, panels, strict=True):
            _panel(axes, panel, DARK if dark else LIGHT)
            axes.set_title(panel.title, fontsize=11, loc="left")
            axes.xaxis.set_major_locator(MaxNLocator(TICKS))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
            axes.grid(axis="x", alpha=0.3)
            axes.tick_params(axis="y", length=0)
            axes.spines[["top", "right", "left"]].set_visible(False)
        every[0].set_yticks(range(len(shown)), shown, parse_math=False, fontsize=10)
        every[0].set_ylim(len(shown) - 0.4, -0.6)  # the best on top
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def distinct_names(names: Sequence[str]) -> list[str]:
    """Of each path as many of its last parts as tell it from the others, and more than "model"."""
    parts = [PurePath(name).parts or (name,) for name in names]
    counts = [1 + (part[-1].partition("@")[0] in ANY_NAMES) for part in parts]
    for _ in range(max(map(len, parts), default=0)):
        shown = ["/".join(part[-count:]).replace("//", "/") for part, count in zip(parts, counts, strict=True)]
        counts = [count + (shown.count(name) > 1) for name, count in zip(shown, counts, strict=True)]
    return ["/".join(part[-count:]).replace("//", "/") for part, count in zip(parts, counts, strict=True)]


def _wrapped(names: Sequence[str]) -> list[str]:
    return [
        "\n".join(textwrap.wrap(terminal(name)[-LONGEST_NAME:], NAME_LETTERS)) or "?" for name in distinct_names(names)
    ]


def _title(report: Mapping[str, Any], half: str) -> str:
    marked = any(half in model["incomplete"] and half in model["averages"] for model in report["models"])
    words = {"mteb": "Quality on MTEB's English tasks", BITEXT_HALF: "Translations found"}.get(
        half, f"Quality on the {half} half"
    )
    words += "" if report["complete"] else ", partial: the run was stopped"
    return f"{words}\n{INCOMPLETE} a task is missing in this mean" if marked else words


def _panel(axes: Any, panel: Panel, color: str) -> None:
    """A dot or a bar for each model, with its number at the right."""
    ranges = [*panel.ranges] or [None] * len(panel.values)
    ends = [end for each in ranges for end in each or ()]
    numbers = [number for number, _ in panel.values if number is not None] + ends or [0.0]
    low, high = (min(numbers), max(numbers)) if panel.dots else (0.0, max(numbers))
    room = (high - low) or abs(high) * 0.1 or 1.0
    for place, ((number, words), around) in enumerate(zip(panel.values, ranges, strict=True)):
        if around:
            axes.plot(around, (place, place), color=color, linewidth=2, alpha=0.6)
        if number is not None:
            if panel.dots:
                axes.plot(number, place, "o", color=color, markersize=8)
            else:
                axes.barh(place, number, height=0.5, color=color)
        at = low if number is None else max(number, *(around or (number,)))
        axes.annotate(words, (at, place), textcoords="offset points", xytext=(8, 0), va="center", fontsize=10)
    axes.set_xlim(low - (0.1 * room if panel.dots else 0), high + 0.45 * room)
