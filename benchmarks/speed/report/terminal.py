"""The benchmark's report in a terminal; and its columns and remarks, which Markdown and HTML show too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_potion.escaping import terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "Column",
    "Part",
    "as_number",
    "baseline_metric",
    "batch_of",
    "by_model",
    "counted",
    "from_ids_alone",
    "label",
    "measured",
    "metric_title",
    "more_is_better",
    "parts",
    "print_report",
    "remarks",
    "stopped",
    "why_not",
]

TITLES = {
    "load_s": "load",
    "first_vector_s": "cold start",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "rss_first_bytes": "RSS at the first vector",
    "rss_peak_bytes": "peak RSS",
}
Configuration = Mapping[str, Any]
Spread = Mapping[str, float]  # median, low, high
LEAST_LABEL = 24  # where less is left for long names, each has a line of its own
EMPTY = "–"


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """A row a configuration, grouped by model: in one table where the console is wide enough, else in a few."""
    from rich.text import Text

    if not report["complete"]:
        console.print(Text(terminal(stopped(report)), style="bold yellow"))
    for number, part in enumerate(_fitting(report, console.width)):
        _print_part(part, report, console, with_remarks=number == 0)
    console.print()
    for line in _footnotes(report):
        console.print(Text(terminal(line), style="dim"))


@dataclass(frozen=True)
class Column:
    """One metric: its head in two lines (what, unit), where a configuration has it, how a number of it is written."""

    head: tuple[str, str]
    spread: Callable[[Configuration], Spread | None]
    show: Callable[[float], str]

    def cell(self, configuration: Configuration) -> str:
        """The median."""
        spread = self.spread(configuration)
        return EMPTY if spread is None else self.show(spread["median"])

    def ends(self, configuration: Configuration) -> str:
        """The lowest and the highest round; empty where they are written like one."""
        spread = self.spread(configuration)
        low, high = (self.show(spread[end]) for end in ("low", "high")) if spread else ("", "")
        return "" if low == high else f"{low}–{high}"


@dataclass(frozen=True)
class Part:
    """Columns that belong together."""

    title: str
    columns: Sequence[Column]


def parts(report: Mapping[str, Any]) -> list[Part]:
    """The tables of a report: speed, then start, memory and fidelity, then rates from token ids where there are any."""
    batches = report["settings"]["batches"]
    speed = [_summary((name, "ms"), f"{name}_ms", as_number) for name in ("p50", "p95", "p99")]
    speed += [_rate(("texts/s", f"at {batch}"), f"texts_per_s_{batch}") for batch in batches]
    if metric := baseline_metric(report):
        ratios = {ratio["of"]: ratio for ratio in report["ratios"] if ratio["metric"] == metric}
        head = ("times base", f"at {batch_of(metric)}")
        speed.append(Column(head, lambda configuration: ratios.get(configuration["name"]), "{:.2f}".format))
    costs = [
        _summary(("cold start", "ms"), "first_vector_s", lambda seconds: as_number(1000 * seconds)),
        _summary(("load", "ms"), "load_s", lambda seconds: as_number(1000 * seconds)),
        _summary(("peak RSS", "MB"), "rss_peak_bytes", _as_megabytes),
        Column(("file", "MB"), lambda configuration: _exact(configuration.get("size_bytes")), _as_megabytes),
    ]
    costs += [_cosine(which) for which in ("min", "mean")]
    found = [Part("Speed", speed), Part("Start, memory, fidelity", costs)]
    metrics = {metric for configuration in report["configurations"] for metric in configuration.get("summary") or {}}
    rates = {f"from_ids_per_s_{batch}": ("from ids", f"/s at {batch}") for batch in batches}
    if from_ids := [_rate(head, metric) for metric, head in rates.items() if metric in metrics]:
        found.append(Part("From token ids", from_ids))
    return found


def baseline_metric(report: Mapping[str, Any]) -> str | None:
    """The throughput whose ratio to the baseline stands in tables: at 256 texts a call, or else the first there is."""
    metrics = [ratio["metric"] for ratio in report["ratios"] if ratio["metric"].startswith("texts_per_s_")]
    return "texts_per_s_256" if "texts_per_s_256" in metrics else next(iter(metrics), None)


def batch_of(metric: str) -> str:
    """Texts a call, of the metric of a throughput."""
    return metric.rpartition("_")[2]


def metric_title(metric: str) -> str:
    """A metric of `summary`, for people."""
    if "_per_s_" in metric:
        return f"{'from ids' if metric.startswith('from_ids') else 'texts/s'} at {batch_of(metric)}"
    return TITLES.get(metric, metric)


def more_is_better(metric: str) -> bool:
    """True for rates and cosines, false for times and bytes."""
    return "_per_s_" in metric or metric.startswith("cosine")


def by_model(report: Mapping[str, Any]) -> list[tuple[str, list[Configuration]]]:
    """The configurations of each model, both in the report's order."""
    models = dict.fromkeys(configuration["model"] for configuration in report["configurations"])
    return [(model, [each for each in report["configurations"] if each["model"] == model]) for model in models]


def counted(count: float, word: str) -> str:
    """1 round, 2 rounds."""
    return f"{count:g} {word}{'s' * (count != 1)}"


def label(configuration: Configuration) -> str:
    """Its name without the model's, as it stands under the model; a peer is called one."""
    name = configuration["name"].removeprefix(configuration["model"] + " ")
    return f"{name} (peer)" if configuration["peer"] else name


def measured(configuration: Configuration) -> bool:
    """Whether it has numbers that count."""
    return configuration["status"] == "measured" and bool(configuration.get("summary"))


def from_ids_alone(configuration: Configuration) -> bool:
    """Whether its runner has no tokenizer, so that its latency, too, is that of token ids."""
    kinds = {metric.partition("_per_s_")[0] for metric in configuration.get("summary") or {} if "_per_s_" in metric}
    return kinds == {"from_ids"}


def why_not(configuration: Configuration) -> str:
    """Status and reason of one that was not measured."""
    status = "not run" if configuration["status"] == "measured" else configuration["status"]
    return f"{status}: {configuration['reason'] or 'no round was finished'}"


def remarks(configuration: Configuration, report: Mapping[str, Any]) -> list[str]:
    """What must be known to read its numbers."""
    found = []
    if elsewhere := configuration.get("elsewhere"):
        where = "; ".join(f"{len(names)} on {provider} ({_some(names)})" for provider, names in elsewhere.items())
        share, provider = configuration["elsewhere_share"], configuration["provider"]
        found.append(f"{share:.0%} of its nodes did not run on {provider}: {where}")
    if configuration.get("device"):
        found.append(f"device: {configuration['device']}")
    if from_ids_alone(configuration):
        found.append("latency is from token ids, without tokenizing")
    if (rounds := len(configuration["rounds"])) != report["settings"]["rounds"]:
        found.append(f"{rounds} of {counted(report['settings']['rounds'], 'round')}")
    return found


def stopped(report: Mapping[str, Any]) -> str:
    """What to say over a report that is not complete."""
    cause = {"interrupted": "it was interrupted", "time": "its time was up"}.get(report["stopped"], "it was stopped")
    count = sum(measured(configuration) for configuration in report["configurations"])
    whole = counted(len(report["configurations"]), "configuration")
    return f"Partial report: {cause} with {count} of {whole} measured."


def as_number(number: float) -> str:
    """Three digits that count, and no exponent."""
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(number) >= least:
            return f"{number:,.{digits}f}"
    return f"{number:.3f}"


def _print_part(part: Part, report: Mapping[str, Any], console: Console, with_remarks: bool) -> None:
    """One table. Its lines are set by hand, as rich's tables have no cell that goes across columns."""
    from rich.padding import Padding
    from rich.text import Text

    widths = _widths(part, report)
    left, longest = console.width - sum(widths), _label_width(report)
    indent = longest if longest <= left else left if left >= LEAST_LABEL else 0
    console.print(Text(f"\n{part.title}", style="bold"))
    for line in range(2):
        heads = "".join(column.head[line].rjust(width) for column, width in zip(part.columns, widths, strict=True))
        console.print(Text(" " * indent + heads, style="dim"), no_wrap=True, overflow="ignore")
    for model, configurations in by_model(report):
        rows = [(each, [column.cell(each) for column in part.columns]) for each in configurations]
        if not with_remarks:
            rows = [(each, cells) for each, cells in rows if measured(each) and set(cells) != {EMPTY}]
        if rows:
            console.print(Text(terminal(model), style="bold cyan"))
        for configuration, cells in rows:
            below: list[str] = []
            if measured(configuration):
                row = "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
                console.print(_beside(f"  {_shown(configuration)}", indent, row), no_wrap=True, overflow="ignore")
                below = remarks(configuration, report)
            else:
                console.print(Text(f"  {_shown(configuration)}"))
                below = [why_not(configuration)]
            for remark in below if with_remarks else []:
                console.print(Padding(Text(f"└ {terminal(remark)}", style="yellow"), (0, 0, 0, 4), expand=False))


def _shown(configuration: Configuration) -> str:
    return terminal(label(configuration))


def _summary(head: tuple[str, str], metric: str, show: Callable[[float], str]) -> Column:
    return Column(head, lambda configuration: (configuration.get("summary") or {}).get(metric), show)


def _rate(head: tuple[str, str], metric: str) -> Column:
    return _summary(head, metric, "{:,.0f}".format)


def _cosine(which: str) -> Column:
    head = ("cosine", which)
    return Column(head, lambda configuration: _exact((configuration.get("cosine") or {}).get(which)), "{:.6f}".format)


def _exact(number: float | None) -> Spread | None:
    """A number that does not vary over rounds."""
    return None if number is None else {"median": number, "low": number, "high": number}


def _as_megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f}"


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])


def _fitting(report: Mapping[str, Any], width: int) -> list[Part]:
    """All columns in one part, where they fit."""
    apart = parts(report)
    whole = Part("Measured", [column for part in apart for column in part.columns])
    return [whole] if _label_width(report) + sum(_widths(whole, report)) <= width else apart


def _widths(part: Part, report: Mapping[str, Any]) -> list[int]:
    shown = [configuration for configuration in report["configurations"] if measured(configuration)]
    return [
        2 + max(map(len, [*column.head, *(column.cell(configuration) for configuration in shown)]))
        for column in part.columns
    ]


def _label_width(report: Mapping[str, Any]) -> int:
    from rich.cells import cell_len

    return 2 + max((cell_len(_shown(each)) for each in report["configurations"] if measured(each)), default=0)


def _beside(name: str, indent: int, row: str) -> Text:
    """The name and then the row: in one line, or in two where the name is too long."""
    from rich.cells import cell_len
    from rich.text import Text

    gap = indent - cell_len(name)
    return Text(name + (" " * gap if gap >= 0 else "\n" + " " * indent) + row)


def _footnotes(report: Mapping[str, Any]) -> Iterable[str]:
    rounds = report["settings"]["rounds"]
    medians = "One round, so a rough answer" if rounds == 1 else f"Medians of {counted(rounds, 'round')}"
    yield f"{medians}, each configuration in a process of its own. Latency: one text a call."
    if metric := baseline_metric(report):
        of = sorted({ratio["to"] for ratio in report["ratios"] if ratio["metric"] == metric})
        yield f"times base: texts/s over {', '.join(of)}, round by round at {batch_of(metric)} texts a call."
