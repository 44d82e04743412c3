"""Curves: the losses of a training run, as JSON lines while it runs and as a picture when it is done."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from edge_potion.writing import file_written_whole

__all__ = ["Curves"]

log = logging.getLogger("edge_potion")

LOG, PICTURE = "log.jsonl", "curves.png"


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

    def draw(self, title: str) -> None:
        """Write the picture; where matplotlib is not installed, say so."""
        if find_spec("matplotlib") is None:
            log.info("no %s: matplotlib is not installed; the curves are in %s", PICTURE, LOG)
            return
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure  # not pyplot: no window, no global state

        figure = Figure(figsize=(8, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for key, label, style in (("loss", "training", "-"), ("validation_loss", "validation", "o-")):
            points = [(line["step"], line[key]) for line in self.lines if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1.2, markersize=4)
        axes.set(xlabel="step", ylabel="loss", title=title)
        axes.grid(alpha=0.3)
        axes.legend()
        with file_written_whole(self.folder / PICTURE) as beside:
            figure.savefig(beside, format="png", dpi=110)


def _whole_lines(file: Path) -> Iterator[dict[str, float]]:
    """The lines that can be read: the last may be half, or zeros, where the machine lost power."""
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and "step" in entry:
                yield entry
