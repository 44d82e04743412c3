"""What the views of a report show: each metric's title, unit, direction and form, and the tables they stand in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .model import Cosine, Outcome, Report, Spread

__all__ = [
    "EMPTY",
    "Column",
    "Metric",
    "Part",
    "as_megabytes",
    "as_microseconds",
    "as_number",
    "baseline_metric",
    "batch_of",
    "counted",
    "metric_of",
    "parts",
    "shown_in",
]

EMPTY = "–"
USUAL_BATCH = 256  # texts a call: what one number stands for


@dataclass(frozen=True)
class Metric:
    """One of a configuration's `summary`, for people."""

    title: str
    unit: str
    better: Literal["more", "less"]
    show: Callable[[float], str]  # from the unit of report.json


def as_number(number: float) -> str:
    """Three digits that count, and no exponent."""
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(number) >= least:
            return f"{number:,.{digits}f}"
    return f"{number:.3f}"


def as_megabytes(count_bytes: float) -> str:
    return f"{count_bytes / 1e6:,.1f}"


def as_microseconds(milliseconds: float) -> str:
    return as_number(1000 * milliseconds)


def as_milliseconds(seconds: float) -> str:
    return as_number(1000 * seconds)


def counted(count: float, word: str) -> str:
    """1 round, 2 rounds."""
    return f"{count:g} {word}{'s' * (count != 1)}"


METRICS = {
    "p50_ms": Metric("p50", "µs", "less", as_microseconds),
    "p95_ms": Metric("p95", "µs", "less", as_microseconds),
    "p99_ms": Metric("p99", "µs", "less", as_microseconds),
    "first_vector_s": Metric("cold start", "ms", "less", as_milliseconds),
    "load_s": Metric("load", "ms", "less", as_milliseconds),
    "rss_first_bytes": Metric("RSS at the first vector", "MB", "less", as_megabytes),
    "rss_peak_bytes": Metric("peak RSS", "MB", "less", as_megabytes),
}


RATES = {"texts": "texts/s", "from_ids": "from ids", "labels": "to labels"}


def metric_of(name: str) -> Metric:
    """What a key of `summary` is; of rates, the number at the end is texts a call."""
    if name in METRICS:
        return METRICS[name]
    title = RATES[name.partition("_per_s_")[0]]
    return Metric(f"{title} at {batch_of(name)}", "/s", "more", "{:,.0f}".format)


def batch_of(metric: str) -> str:
    """Texts a call, of the metric of a throughput."""
    return metric.rpartition("_")[2]


@dataclass(frozen=True)
class Column:
    """One metric: its head in two lines (what, unit), where a configuration has it, how a number of it is written."""

    head: tuple[str, str]
    spread: Callable[[Outcome], Spread | None]
    show: Callable[[float], str]

    def cell(self, outcome: Outcome) -> str:
        """The median."""
        spread = self.spread(outcome)
        return EMPTY if spread is None else self.show(spread.median)

    def ends(self, outcome: Outcome) -> str:
        """The lowest and the highest round; empty where they are written like one."""
        spread = self.spread(outcome)
        low, high = (self.show(spread.low), self.show(spread.high)) if spread else ("", "")
        return "" if low == high else f"{low}–{high}"


@dataclass(frozen=True)
class Part:
    """Columns that belong together."""

    title: str
    columns: Sequence[Column]


def parts(report: Report) -> list[Part]:
    """The tables of a report: speed; start, memory and fidelity; rates from ids and to labels, where there are any."""
    batches = report.settings.batches
    speed = [_summary(metric) for metric in ("p50_ms", "p95_ms", "p99_ms")]
    speed += [_rate(("texts/s", f"at {batch}"), f"texts_per_s_{batch}") for batch in batches]
    if metric := baseline_metric(report):
        spreads = {
            ratio.of: Spread(median=ratio.median, low=ratio.low, high=ratio.high)
            for ratio in report.ratios
            if ratio.metric == metric
        }
        head = ("times base", f"at {batch_of(metric)}")
        speed.append(Column(head, lambda outcome: spreads.get(outcome.name), "{:.2f}".format))
    costs = [_summary(metric) for metric in ("first_vector_s", "load_s", "rss_peak_bytes")]
    costs.append(Column(("file", "MB"), lambda outcome: _exact(outcome.size_bytes), as_megabytes))
    costs.append(_cosine("min", lambda cosine: cosine.min))
    costs.append(_cosine("mean", lambda cosine: cosine.mean))
    tables = [Part("Speed", speed), Part("Start, memory, fidelity", costs)]
    measured = {metric for outcome in report.configurations for metric in outcome.summary}
    for kind, title in (("from_ids", "From token ids"), ("labels", "To labels")):
        rates = {f"{kind}_per_s_{batch}": (RATES[kind], f"/s at {batch}") for batch in batches}
        if columns := [_rate(head, metric) for metric, head in rates.items() if metric in measured]:
            tables.append(Part(title, columns))
    return tables


def shown_in(part: Part, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that were measured and have any number of a part."""
    return [one for one in outcomes if one.measured and any(column.spread(one) for column in part.columns)]


def baseline_metric(report: Report) -> str | None:
    """The throughput whose ratio to the baseline stands in tables: at 256 texts a call, or else the first there is."""
    metrics = [ratio.metric for ratio in report.ratios if ratio.metric.startswith("texts_per_s_")]
    usual = f"texts_per_s_{USUAL_BATCH}"
    return usual if usual in metrics else next(iter(metrics), None)


def _summary(name: str) -> Column:
    metric = METRICS[name]
    return Column((metric.title, metric.unit), lambda outcome: outcome.summary.get(name), metric.show)


def _rate(head: tuple[str, str], name: str) -> Column:
    return Column(head, lambda outcome: outcome.summary.get(name), metric_of(name).show)


def _cosine(which: str, number: Callable[[Cosine], float]) -> Column:
    return Column(
        head=("cosine", which),
        spread=lambda outcome: _exact(number(outcome.cosine)) if outcome.cosine else None,
        show="{:.6f}".format,
    )


def _exact(number: float | None) -> Spread | None:
    """A number that does not vary over rounds."""
    return None if number is None else Spread(median=number, low=number, high=number)
