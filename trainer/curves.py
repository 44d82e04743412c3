"""Curves: the losses of a training run, as JSON lines while it runs and as a picture when it is done."""

from __future__ import annotations

import json
import logging
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from edge_potion.writing import file_written_whole

__all__ = ["Curves"]

log = logging.getLogger("edge_potion")

LOG, PICTURE, DARK_PICTURE = "log.jsonl", "curves.png", "curves-dark.png"
LINES = {"loss": "training", "validation_loss": "validation"}  # by the key in the log
LOOKS = (("#0b62b8", "#b4450c"), ("#5eb0f7", "#f5935a"))  # light, and dark
FEW = 60  # points that are marked, each
LETTERS, TITLE_LETTERS = 100, 56  # of a line of words above the plot, and of its title
PAD = 0.12  # inches


class Curves:
    """A log of one run: lines with `step` and either `loss` or `validation_loss`."""

    def __init__(self, folder: Path, after_step: int) -> None:
        """Go on with the log in `folder`; lines after `after_step`, which will be written again, are dropped."""
        self.folder = folder
        self.lines: list[dict[str, float]] = []
        file = folder / LOG
        if after_step and file.is_file():
            self.lines = [line for line in _whole_lines(file) if line["step"] <= after_step]
        with file_written_whole(file) as beside:
            beside.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")

    def add(self, **line: float) -> None:
        """Write one line."""
        self.lines.append(line)
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def draw(self, title: str, caption: str) -> None:
        """Write the pictures; where matplotlib is not installed, say so.

        Args:
            title: of the stage.
            caption: which loss, and how it was trained.
        """
        if find_spec("matplotlib") is None:
            log.info("no %s: matplotlib is not installed; the curves are in %s", PICTURE, LOG)
            return
        from matplotlib import rc_context, rcdefaults, style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure  # not pyplot: no window, no global state
        from matplotlib.layout_engine import ConstrainedLayoutEngine
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
        for name, dark in ((PICTURE, False), (DARK_PICTURE, True)):
            with rc_context():
                rcdefaults()
                if dark:
                    style.use("dark_background")
                figure = Figure(figsize=(8, 4.8), layout=ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD))
                FigureCanvasAgg(figure)
                axes = figure.add_subplot()
                for (key, label), look in zip(LINES.items(), LOOKS[dark], strict=True):
                    points = [(line["step"], line[key]) for line in self.lines if key in line]
                    if points:  # markers where a line of few points could not be seen
                        marker = "o" if key != "loss" or len(points) <= FEW else ""
                        shown = f"{label}, last {points[-1][1]:.4g}"
                        axes.plot(
                            *zip(*points, strict=True),
                            marker=marker,
                            label=shown,
                            color=look,
                            markersize=5,
                            linewidth=1.2,
                        )
                axes.set(xlabel="step", ylabel="loss")
                figure.suptitle(textwrap.fill(title, TITLE_LETTERS), fontsize=13, fontweight="bold", parse_math=False)
                axes.set_title(textwrap.fill(caption, LETTERS), fontsize=9, parse_math=False)
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
                axes.xaxis.set_major_formatter(plain)
                axes.yaxis.set_major_formatter(plain)
                axes.margins(0.06)
                if len({line["step"] for line in self.lines}) == 1:  # else ticks at parts of a step
                    axes.set_xlim(self.lines[0]["step"] - 1, self.lines[0]["step"] + 1)
                axes.grid(alpha=0.3)
                if axes.lines:
                    figure.legend(loc="outside lower center", ncols=2, frameon=False)
                with file_written_whole(self.folder / name) as beside:
                    figure.savefig(beside, format="png", dpi=110)


def _whole_lines(file: Path) -> Iterator[dict[str, float]]:
    """The lines that can be read: the last may be half, or zeros, where the machine lost power."""
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and "step" in entry:
                yield entry
