"""The figures of a report's page: which rows each plot has, in which order, and the words beneath its title."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from . import plots
from .columns import as_microseconds, as_number, baseline_metric, batch_of
from .model import Outcome, Report
from .plots import AnyRow
from .tables import Cell, Group, Head, Line, Table

__all__ = ["Figure", "figures"]

LEAST_STRAY = 1e-9  # 1 - cosine of vectors that are the same; a logarithm needs more than 0


@dataclass(frozen=True)
class Figure:
    """A plot with its words; of a scatter, the table of what its numbers stand for."""

    title: str
    caption: str
    drawn: Markup
    legend: Markup | None = None
    table: Table | None = None


def figures(report: Report) -> Iterator[Figure]:
    """Those that the report has numbers for."""
    drawn = (
        _throughput(report, "texts_per_s"),
        _latency(report),
        _cold_start(report),
        _memory(report),
        _fidelity(report),
        _scores(report),
        _throughput(report, "from_ids_per_s"),
    )
    yield from (figure for figure in drawn if figure)


def _throughput(report: Report, kind: Literal["texts_per_s", "from_ids_per_s"]) -> Figure | None:
    metric = baseline_metric(report) if kind == "texts_per_s" else None
    ratios = {ratio.of: ratio.median for ratio in report.ratios if ratio.metric == metric}
    batches = report.settings.batches
    rows = []
    for outcome in report.measured:
        spreads = {
            f"{batch} a call": vars(outcome.summary[f"{kind}_{batch}"])
            for batch in batches
            if f"{kind}_{batch}" in outcome.summary
        }
        if spreads:
            fastest = max(spread["median"] for spread in spreads.values())
            ratio = ratios.get(outcome.name)
            times = "" if ratio is None else f" ({ratio:.1f}×)" if ratio >= 0.1 else f" ({ratio:.1g}×)"
            dots = plots.Dots(*_heads(outcome), note=f"{fastest:,.0f}{times}", spreads=spreads)
            rows.append((-fastest, dots))
    if not rows:
        return None
    if kind == "texts_per_s":
        title, caption = "Throughput", "Texts per second from strings, tokenizing included; more is better. "
    else:
        title = "Throughput from token ids"
        caption = "Texts per second without tokenizing: not comparable with rates from strings. "
    caption += "Markers are medians (gray: peers), lines go from the slowest to the fastest round. "
    caption += "The number is the fastest marker's"
    caption += f", in brackets times the baseline at {batch_of(metric)} a call." if metric else "."
    series = [f"{batch} a call" for batch in batches]
    drawn = plots.dots(kind, title, caption, _sorted(report, rows), series)
    return Figure(title, caption, Markup(drawn), legend=Markup(plots.legend(series)))


def _latency(report: Report) -> Figure | None:
    rows = []
    for outcome in report.measured:
        middle = outcome.median("p50_ms")
        if middle is not None and outcome.latency_quantiles_ms:
            quantiles = {int(percentile): 1000 * ms for percentile, ms in outcome.latency_quantiles_ms.items()}
            strip = plots.Strip(*_heads(outcome), note=f"{as_microseconds(middle)} µs", quantiles=quantiles)
            rows.append((middle, strip))
    title, caption = (
        "Latency",
        "Microseconds for one text a call, logarithmic; less is better. The tick and the number are the median, the "
        "box holds the middle half of the calls, the thick line 5 to 95 %, the thin line 1 to 99 %.",
    )
    drawn = plots.strips("latency", title, caption, _sorted(report, rows)) if rows else ""
    return Figure(title, caption, Markup(drawn)) if rows else None


def _cold_start(report: Report) -> Figure | None:
    caption = (
        "Milliseconds from starting the process to its first vector, in a browser (wasm, webgpu) from going to the "
        "page; less is better. The thick part is loading the model, the thin line goes from the quickest to the "
        "slowest round."
    )
    return _bars(report, "Cold start", caption, metric="first_vector_s", inner="load_s", scale=1e3, unit="ms")


def _memory(report: Report) -> Figure | None:
    caption = (
        "Peak resident memory in MB, beyond that of the process before its imports; less is better. The thick part is "
        "up to the first vector, the thin line goes from the least to the most of the rounds."
    )
    return _bars(report, "Memory", caption, metric="rss_peak_bytes", inner="rss_first_bytes", scale=1e-6, unit="MB")


def _bars(
    report: Report, title: str, caption: str, *, metric: str, inner: str, scale: float, unit: str
) -> Figure | None:
    rows = []
    for outcome in report.measured:
        if metric in outcome.summary:
            whole = {end: scale * value for end, value in vars(outcome.summary[metric]).items()}
            part = outcome.median(inner)
            bar = plots.Bar(
                *_heads(outcome),
                note=f"{as_number(whole['median'])} {unit}",
                whole=whole,
                inner=None if part is None else scale * part,
            )
            rows.append((whole["median"], bar))
    drawn = plots.bars(metric, title, caption, _sorted(report, rows)) if rows else ""
    return Figure(title, caption, Markup(drawn)) if rows else None


def _fidelity(report: Report) -> Figure | None:
    points: dict[str, plots.Point] = {}
    for outcome in report.measured:
        if outcome.cosine and outcome.size_bytes and not outcome.peer:
            stray = max(1 - outcome.cosine.mean, LEAST_STRAY)
            name = " ".join(part for part in (outcome.model, outcome.graph, outcome.precision) if part)
            if name not in points or points[name].y < stray:  # its worst provider counts
                points[name] = plots.Point(label=name, x=outcome.size_bytes / 1e6, y=stray)
    caption = (
        "How far the vectors stray from the float32 reference, 1 - mean cosine, against the size of the file. Lower "
        "and further left is better. Where providers differ, the worst is shown; 1e-9 stands for no difference."
    )
    return _scatter("fidelity", "Fidelity and size", caption, [*points.values()], "1 - mean cosine", logarithmic=True)


def _scores(report: Report) -> Figure | None:
    points = [plots.Point(label=score.name, x=score.size_mb, y=score.score) for score in report.scores]
    caption = "What the models score on tasks against their size. Higher and further left is better."
    return _scatter("scores", "Task score and size", caption, points, "task score", logarithmic=False)


def _scatter(
    key: str, title: str, caption: str, points: Sequence[plots.Point], y_title: str, *, logarithmic: bool
) -> Figure | None:
    if not points:
        return None
    markers = plots.numbered(points, logarithmic)
    drawn = plots.scatter(key, title, caption, markers, "MB, logarithmic", y_title, logarithmic)
    lines = [
        Line(
            names=[point.label],
            badge=marker.number,
            cells=[Cell(f"{point.x:,.1f}"), Cell(f"{point.y:.1e}" if logarithmic else f"{point.y:.2f}")],
        )
        for marker in markers
        for point in marker.points
    ]
    table = Table(title=title, first="marker", heads=[Head(("MB",)), Head((y_title,))], groups=[Group(lines)])
    return Figure(title, caption, Markup(drawn), table=table)


def _heads(outcome: Outcome) -> tuple[str, str, str, bool]:
    """What a row of a plot goes by: its model, its place, its name, and whether it is a peer's."""
    place = f"{outcome.provider} · {outcome.threads} thread{'s' * (outcome.threads > 1)}"
    place += " · from token ids" if outcome.from_ids_alone else ""
    return outcome.model, place, outcome.label, outcome.peer


def _sorted(report: Report, rows: Sequence[tuple[float, AnyRow]]) -> list[AnyRow]:
    """The rows model by model as the report has them, then place by place, in each the best first."""
    models = [model for model, _ in report.by_model()]
    return [row for _, row in sorted(rows, key=lambda pair: (models.index(pair[1].model), pair[1].place, pair[0]))]
