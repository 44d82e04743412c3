"""The tables of a report's page, as plain data: heads, groups of lines, cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .columns import EMPTY, Part, counted, metric_of, parts, shown_in
from .model import Ratio, Report
from .notes import Notes, notes_of, why_not

__all__ = ["Cell", "Group", "Head", "Line", "Table", "tables", "what_ran"]


@dataclass(frozen=True)
class Head:
    """Of a column: its lines, small words under them, and whether words stand in it."""

    lines: Sequence[str]
    small: str = ""
    words: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in it, small words under that, and a status before it."""

    text: str
    small: str = ""
    status: str = ""


@dataclass(frozen=True)
class Line:
    """A row: whom it is of, the numbers of its notes, small words below, its marker in a plot; then its cells."""

    names: Sequence[str]
    cells: Sequence[Cell]
    marks: str = ""
    below: str = ""
    badge: int | None = None


@dataclass(frozen=True)
class Group:
    """Lines under a title, or under none."""

    lines: Sequence[Line]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """Its first column holds the names."""

    title: str
    heads: Sequence[Head]
    groups: Sequence[Group]
    about: str = ""
    first: str = "configuration"
    notes: Sequence[str] = ()


def tables(report: Report) -> Iterator[Table]:
    """The numbers part by part, the ratios, and what was not measured: those that have a line."""
    notes = notes_of(report)
    for number, part in enumerate(parts(report)):
        groups = list(_groups(part, report, notes))
        if groups:
            about = "Medians over rounds; below them, where they differ, the lowest and the highest round."
            about = "One round alone, so rough." if report.rough else about
            heads = [Head(column.head) for column in part.columns]
            yield Table(part.title, heads, groups, about, notes=() if number else notes.texts)
    if report.ratios:
        yield _ratios(report)
    if left_out := why_not(report):
        lines = [Line(some.names, [Cell(some.reason, status=some.status)]) for some in left_out]
        yield Table(
            title="What was not measured",
            heads=[Head(("status and reason",), words=True)],
            groups=[Group(lines)],
            about="Asked for, and without numbers: nothing that another provider would have run was timed instead.",
        )


def what_ran(report: Report) -> Table:
    """The libraries and providers behind each configuration's numbers."""
    lines = []
    for outcome in report.measured:
        nodes = ", ".join(f"{provider} {count}" for provider, count in (outcome.nodes or {}).items())
        versions = ", ".join(f"{name} {version}" for name, version in outcome.versions.items())
        words = (versions, outcome.device or EMPTY, nodes or "not told", str(len(outcome.rounds)))
        lines.append(Line([outcome.name], [Cell(word) for word in words]))
    heads = [Head((head,), words=True) for head in ("versions", "device", "nodes run by")]
    return Table(
        title="What ran",
        heads=[*heads, Head(("rounds",))],
        groups=[Group(lines)] if lines else [],
        about="The libraries that took part, and the providers that really ran the graph's nodes.",
    )


def _groups(part: Part, report: Report, notes: Notes) -> Iterator[Group]:
    for model, outcomes in report.by_model():
        lines = [
            Line(
                names=[outcome.label],
                marks=notes.marks(outcome),
                cells=[Cell(column.cell(outcome), small=column.ends(outcome)) for column in part.columns],
            )
            for outcome in shown_in(part, outcomes)
        ]
        if lines:
            yield Group(lines, title=model)


def _ratios(report: Report) -> Table:
    metrics = list(dict.fromkeys(ratio.metric for ratio in report.ratios))
    ratios: dict[tuple[str, str], dict[str, Ratio]] = {}
    for ratio in report.ratios:
        ratios.setdefault((ratio.of, ratio.to), {})[ratio.metric] = ratio
    lines = [
        Line([of], [_ratio(by_metric, metric, report.settings.rounds) for metric in metrics], below=f"over {to}")
        for (of, to), by_metric in ratios.items()
    ]
    return Table(
        title="Times the baseline",
        heads=[Head((metric_of(name).title,), small=f"{metric_of(name).better} is better") for name in metrics],
        groups=[Group(lines)],
        about="Taken round by round, as both ran within the same minutes: median, lowest and highest round.",
    )


def _ratio(ratios: Mapping[str, Ratio], metric: str, rounds: int) -> Cell:
    ratio = ratios.get(metric)
    if ratio is None:
        return Cell(EMPTY)
    fewer = f", {counted(ratio.rounds, 'round')}" if ratio.rounds != rounds else ""
    return Cell(f"{ratio.median:.2f}", small=f"{ratio.low:.2f}–{ratio.high:.2f}{fewer}" if ratio.rounds > 1 else "")
