"""The benchmark's report as Markdown: report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_potion.escaping import markdown

from .terminal import (
    Part,
    by_model,
    counted,
    measured,
    metric_title,
    more_is_better,
    parts,
    remarks,
    stopped,
    why_not,
)

__all__ = ["as_markdown"]


def as_markdown(report: Mapping[str, Any]) -> str:
    """The whole report, for a file beside report.schema.json."""
    lines = ["# edge-potion benchmark", ""]
    if not report["complete"]:
        lines += [f"**{markdown(stopped(report))}**", ""]
    lines += [*_header(report), ""]
    for number, part in enumerate(parts(report)):
        lines += _part(part, report, with_all=number == 0)
    lines += [*_remarks(report), *_ratios(report), *_not_measured(report), *_how_to_read()]
    return "\n".join(lines) + "\n"


def _header(report: Mapping[str, Any]) -> list[str]:
    machine, settings = report["machine"], report["settings"]
    texts, memory = settings["texts"], machine["memory_bytes"]
    versions: dict[str, dict[str, None]] = {}
    for configuration in report["configurations"]:
        for name, version in configuration.get("versions", {}).items():
            versions.setdefault(name, {})[version] = None
    named = [f"edge-potion {report['edge_potion']}", f"Python {machine['python']}"]
    named += [f"{name} {' and '.join(found)}" for name, found in sorted(versions.items())]
    rounds = counted(settings["rounds"], "round")
    limit = f", at most {counted(settings['minutes'], 'minute')}" if settings["minutes"] else ""
    return [
        f"* Machine: {markdown(machine['cpu'])}, {counted(machine['cores'], 'core')}"
        f"{f', {memory / 1e9:,.0f} GB of memory' if memory else ''}, {markdown(machine['system'])}.",
        f"* When: {markdown(report['started'])}, {report['seconds']:,.0f} s.",
        f"* Versions: {markdown(', '.join(named))}.",
        f"* Texts: {texts['count']:,} of {markdown(texts['source'])}, {texts['mean_characters']:.0f} characters on "
        f"average, {texts['not_ascii']:.1%} not ASCII; cosines on {settings['golden_texts']} texts.",
        f"* Settings: {rounds}{limit}; latency of {settings['latency_calls']} calls of one text "
        f"after {settings['warmup_calls']} untimed (in a browser {settings['warmup_seconds']:g} s); throughput over "
        f"at least {settings['batch_seconds']:g} s at "
        f"{', '.join(map(str, settings['batches']))} texts a call; "
        f"{'pinned' if settings['pinned'] else 'not pinned'} to cores.",
    ]


def _part(part: Part, report: Mapping[str, Any], with_all: bool) -> list[str]:
    rows = []
    for _, configurations in by_model(report):
        for configuration in filter(measured, configurations):
            if with_all or any(column.spread(configuration) for column in part.columns):
                name = f"{configuration['name']}{' (peer)' if configuration['peer'] else ''}"
                rows.append([name, *(column.cell(configuration) for column in part.columns)])
    heads = ["configuration", *(" ".join(column.head) for column in part.columns)]
    return _section(part.title, _table(heads, rows)) if rows else []


def _remarks(report: Mapping[str, Any]) -> list[str]:
    lines = [
        f"* {markdown(configuration['name'])}: {markdown('; '.join(told))}."
        for configuration in report["configurations"]
        if measured(configuration) and (told := remarks(configuration, report))
    ]
    return _section("Remarks", lines) if lines else []


def _ratios(report: Mapping[str, Any]) -> list[str]:
    """A row for each configuration and what it is divided by, a column a metric."""
    metrics = list(dict.fromkeys(ratio["metric"] for ratio in report["ratios"]))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for ratio in report["ratios"]:
        ends = f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"
        found.setdefault((ratio["of"], ratio["to"]), {})[ratio["metric"]] = ends
    rows = [[*pair, *(ends.get(metric, "–") for metric in metrics)] for pair, ends in found.items()]
    heads = [f"{metric_title(metric)}, {'more' if more_is_better(metric) else 'less'} is better" for metric in metrics]
    return _section("Times the baseline", _table(["configuration", "over", *heads], rows)) if rows else []


def _not_measured(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for configuration in report["configurations"]:
        if not measured(configuration):
            status, _, reason = why_not(configuration).partition(": ")
            rows.append([configuration["name"], status, reason])
    return _section("What was not measured", _table(["configuration", "status", "reason"], rows)) if rows else []


def _how_to_read() -> list[str]:
    lines = [
        "* Numbers are medians over rounds; in a round each configuration runs once, in a process of its own. Two of "
        "them differ when their ranges over rounds (in report.json) do not overlap.",
        "* p50, p95, p99: latency of one text a call. texts/s: from strings, tokenizing included, at so many texts a "
        "call. from ids: from token ids, without tokenizing; not comparable with texts/s.",
        "* Cold start: from starting the process to its first vector, with the model's file in the system's cache; in "
        "a browser that is open already (wasm, webgpu) from going to the page, so not to be held against the others. "
        "Load: the model alone. Peak RSS: resident memory beyond that of the process before its imports; in a browser "
        "the tab's.",
        "* Cosines are between the vectors and the float32 reference's: 1 is the same direction.",
        '* Peers are held to the same vectors, and stray where they differ on purpose: on golden texts with "[PAD]" in '
        "them, with unknown tokens alone, or with words of thousands of letters.",
        "* Ratios are taken round by round, as both ran within the same minutes: median (lowest–highest round).",
        "* Nothing that another provider would have run was timed in its place: that is *fell back*.",
        "* Every number is in report.json; its fields are described in [report.schema.json](report.schema.json).",
    ]
    return _section("How to read it", lines)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column from the left, and words too; numbers from the right."""
    numbers = [all(cell[:1].isdigit() or cell == "–" for cell in column) for column in zip(*rows, strict=True)]
    marks = "".join("---:|" if number else "---|" for number in [False, *numbers[1:]])
    return [_line(heads), f"|{marks}", *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"
