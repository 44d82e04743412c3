"""A classifier's report as one HTML page: no network, no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_potion.escaping import terminal

from .decisions import Report
from .decisions_plots import coverage_plot, matrix_plot, reliability_plot
from .decisions_words import NO_MATRIX, facts_of, notes_of, percent, sentence_of

__all__ = ["as_page"]

FOLDER = Path(__file__).parent


def as_page(report: Report) -> str:
    """The whole page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def plain(value: Any) -> Any:
        """Control characters are shown, too, in what is no markup; then Jinja escapes it."""
        return value if isinstance(value, Markup) else terminal(value)

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("decisions_page.html").render(
        report=report,
        style=Markup((FOLDER / "decisions_page.css").read_text(encoding="utf-8")),
        sentence=sentence_of(report),
        notes=notes_of(report),
        facts=facts_of(report),
        percent=percent,
        no_matrix=NO_MATRIX,
        matrix=Markup(matrix_plot(report.matrix)) if report.matrix else None,
        reliability=Markup(reliability_plot(report.reliability_before, report.reliability)),
        coverage=Markup(coverage_plot(report.levels, report.chosen)),
    )
