"""report.png of own rows: of each model its score, what it has more than the first, its size and its speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .own_report import METRICS, headline, points
from .picture import Panel, costs, panels_drawn

__all__ = ["drawn"]


def drawn(report: Mapping[str, Any], dark: bool) -> bytes:
    """The picture, as PNG; models without a score stand last."""
    main = report["main"]
    models = sorted(report["models"], key=lambda model: -model["scores"].get(main, {"mean": -1.0})["mean"])
    scores = [model["scores"].get(main) for model in models]
    values, more, ranges = [], [], []
    for score in scores:
        values.append((score and 100 * score["mean"], points(score) if score else "not scored"))
        apart = score and score["difference"]
        more.append((100 * apart["mean"], f"{100 * apart['mean']:+.2f}") if apart else (0.0 if score else None, ""))
        ranges.append((100 * apart["low"], 100 * apart["high"]) if apart else None)
    panels = [Panel(f"{METRICS[main]}, points of 100", values, dots=True)]
    if any(ranges):
        panels.append(Panel("difference to the first", more, dots=True, ranges=ranges))
    title = headline(report) + ("" if report["complete"] else "\npartial: the run was stopped")
    return panels_drawn([model["name"] for model in models], title, [*panels, *costs(models)], dark)
