"""The benchmark's report as one HTML page: no network, no script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edge_potion.escaping import terminal

from .columns import counted, metric_of
from .figures import figures
from .model import Outcome, Report
from .tables import tables, what_ran
from .verdict import banners, verdict_of

__all__ = ["as_page"]

FOLDER = Path(__file__).parent


def as_page(report: Report) -> str:
    """The whole page."""
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("plots.css", "page.css"))
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        report=report,
        style=Markup(style),
        verdict=verdict_of(report),
        banners=list(banners(report)),
        where=_where(report),
        tiles=list(_tiles(report)),
        figures=list(figures(report)),
        tables=list(tables(report)),
        facts=_facts(report),
        ran=what_ran(report),
    )


def _plain(value: Any) -> Any:
    """Control characters are shown, too, in what is no markup; then Jinja escapes it."""
    return value if isinstance(value, Markup) else terminal(value)


@dataclass(frozen=True)
class Tile:
    """The best of ours for a question, beside the best peer."""

    title: str
    number: str
    name: str
    beside: str


def _tiles(report: Report) -> Iterator[Tile]:
    """A page's start and memory are not a process's, so they are not ranked among those."""
    batch = report.settings.batches[-1]
    questions = {
        f"texts_per_s_{batch}": (f"Most texts/s, {batch} a call", ""),
        "p50_ms": ("Quickest text, p50", " µs"),
        "first_vector_s": ("Quickest cold start", " ms"),
        "rss_peak_bytes": ("Least memory, peak RSS", " MB"),
    }
    for name, (title, unit) in questions.items():
        metric = metric_of(name)
        having = [one for one in report.measured if name in one.summary and not one.from_ids_alone]
        if name in ("first_vector_s", "rss_peak_bytes"):
            having = [outcome for outcome in having if not outcome.in_browser]

        def rank(outcome: Outcome, name: str = name) -> float:
            return outcome.summary[name].median

        ranked = sorted(having, key=rank, reverse=metric.better == "more")
        ours = next((outcome for outcome in ranked if not outcome.peer), None)
        peer = next((outcome for outcome in ranked if outcome.peer), None)
        if ours:
            beside = f"best peer: {metric.show(rank(peer))}{unit}, {peer.name}" if peer else ""
            yield Tile(title, f"{metric.show(rank(ours))}{unit}", ours.name, beside)


def _where(report: Report) -> str:
    machine, when = report.machine, report.started[:16].replace("T", " ")
    what = f"{machine.cpu}, {counted(machine.cores, 'core')}, {machine.system}"
    return f"{what}. {when}, edge-potion {report.edge_potion}."


def _facts(report: Report) -> dict[str, str]:
    """How it was measured."""
    settings, texts, memory = report.settings, report.settings.texts, report.machine.memory_bytes
    return {
        "machine": f"{_where(report)}{f' {memory / 1e9:,.0f} GB of memory.' if memory else ''}",
        "Python": report.machine.python,
        "texts": f"{texts.count:,} of {texts.source}, {texts.mean_characters:.0f} characters on average, "
        f"{texts.not_ascii:.1%} not ASCII",
        "rounds": f"{settings.rounds}, each configuration in a process of its own once a round"
        f"{', pinned to its cores' if settings.pinned else ''}",
        "latency": f"{settings.latency_calls} calls of one text, after {settings.warmup_calls} untimed; in a "
        f"browser after {settings.warmup_seconds:g} s of them, as it compiles meanwhile",
        "throughput": f"at least {settings.batch_seconds:g} s for each number of texts a call",
        "fidelity": f"cosines to the float32 reference on {settings.golden_texts} texts",
        "took": f"{report.seconds:,.0f} s",
    }
