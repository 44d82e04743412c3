"""The benchmark's report as Markdown: report.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_potion.escaping import markdown

from .columns import Part, counted, metric_of, parts, shown_in
from .model import Report
from .notes import Notes, notes_of, why_not
from .verdict import banners, verdict_of

__all__ = ["as_markdown"]


def as_markdown(report: Report) -> str:
    """The whole report, for a file beside report.schema.json."""
    verdict, notes = verdict_of(report), notes_of(report)
    lines = ["# edge-potion benchmark", "", f"**{markdown(verdict.sentence)}**", "", markdown(verdict.why), ""]
    for banner in banners(report):
        lines += [f"**{markdown(banner)}**", ""]
    lines += [*_header(report), ""]
    for part in parts(report):
        lines += _part(part, report, notes)
    lines += [*_notes(notes), *_ratios(report), *_not_measured(report), *_how_to_read(report)]
    return "\n".join(lines) + "\n"


def _header(report: Report) -> list[str]:
    machine, settings, texts = report.machine, report.settings, report.settings.texts
    memory = f", {machine.memory_bytes / 1e9:,.0f} GB of memory" if machine.memory_bytes else ""
    limit = f", at most {counted(settings.minutes, 'minute')}" if settings.minutes else ""
    return [
        f"* Machine: {markdown(machine.cpu)}, {counted(machine.cores, 'core')}{memory}, {markdown(machine.system)}.",
        f"* When: {markdown(report.started)}, {report.seconds:,.0f} s.",
        f"* Versions: {markdown(', '.join(_versions(report)))}.",
        f"* Texts: {texts.count:,} of {markdown(texts.source)}, {texts.mean_characters:.0f} characters on average, "
        f"{texts.not_ascii:.1%} not ASCII; cosines on {settings.golden_texts} texts.",
        f"* Settings: {counted(settings.rounds, 'round')}{limit}; latency of {settings.latency_calls} calls of one "
        f"text after {settings.warmup_calls} untimed (in a browser {settings.warmup_seconds:g} s); throughput over at "
        f"least {settings.batch_seconds:g} s at {', '.join(map(str, settings.batches))} texts a call; "
        f"{'pinned' if settings.pinned else 'not pinned'} to cores.",
    ]


def _versions(report: Report) -> Iterator[str]:
    yield f"edge-potion {report.edge_potion}"
    yield f"Python {report.machine.python}"
    versions: dict[str, dict[str, None]] = {}
    for outcome in report.configurations:
        for name, version in outcome.versions.items():
            versions.setdefault(name, {})[version] = None
    for name, several in sorted(versions.items()):
        yield f"{name} {' and '.join(several)}"


def _part(part: Part, report: Report, notes: Notes) -> list[str]:
    rows = []
    for _, outcomes in report.by_model():
        for outcome in shown_in(part, outcomes):
            marks = notes.marks(outcome)
            name = (
                f"{markdown(outcome.name)}{' (peer)' if outcome.peer else ''}{f' <sup>{marks}</sup>' if marks else ''}"
            )
            rows.append([name, *(column.cell(outcome) for column in part.columns)])
    heads = ["configuration", *(" ".join(column.head) for column in part.columns)]
    return _section(part.title, _table(heads, rows)) if rows else []


def _notes(notes: Notes) -> list[str]:
    return _section("Notes", [f"{number}. {markdown(text)}" for number, text in enumerate(notes.texts, 1)])


def _ratios(report: Report) -> list[str]:
    """A row for each configuration and what it is divided by, a column a metric."""
    metrics = list(dict.fromkeys(ratio.metric for ratio in report.ratios))
    spreads: dict[tuple[str, str], dict[str, str]] = {}
    for ratio in report.ratios:
        spread = f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})" if ratio.rounds > 1 else f"{ratio.median:.2f}"
        spreads.setdefault((ratio.of, ratio.to), {})[ratio.metric] = spread
    rows = [
        [*map(markdown, pair), *(of_pair.get(metric, "–") for metric in metrics)] for pair, of_pair in spreads.items()
    ]
    heads = [f"{metric_of(metric).title}, {metric_of(metric).better} is better" for metric in metrics]
    table = _table(["configuration", "over", *map(markdown, heads)], rows) if rows else []
    return _section("Times the baseline", table)


def _not_measured(report: Report) -> list[str]:
    rows = [
        [", ".join(map(markdown, left_out.names)), markdown(left_out.status), markdown(left_out.reason)]
        for left_out in why_not(report)
    ]
    table = _table(["configuration", "status", "reason"], rows) if rows else []
    return _section("What was not measured", table)


def _how_to_read(report: Report) -> list[str]:
    median = "Numbers are those of one round" if report.rough else "Numbers are medians over rounds"
    lines = [
        f"* {median}; in a round each configuration runs once, in a process of its own. Two of them differ when their "
        "ranges over rounds (in report.json) do not overlap.",
        "* p50, p95, p99: latency of one text a call. texts/s: from strings, tokenizing included, at so many texts a "
        "call. from ids: from token ids, without tokenizing; not comparable with texts/s.",
        "* Cold start: from starting the process to its first vector, with the model's file in the system's cache; in "
        "a browser that is open already (wasm, webgpu) from going to the page, so not to be held against the others. "
        "Load: the model alone. Peak RSS: resident memory beyond that of the process before its imports; in a browser "
        "the tab's.",
        "* Cosines are between the vectors and the float32 reference's: 1 is the same direction.",
        '* Peers are held to the same vectors, and stray where they differ on purpose: on golden texts with "[PAD]" in '
        "them, with unknown tokens alone, or with words of thousands of letters; static-embed-runner cuts no text, and "
        "laghu cuts by characters first.",
        "* Ratios are taken round by round, as both ran within the same minutes: median (lowest–highest round).",
        "* Nothing that another provider would have run was timed in its place: that is *fell back*.",
        "* Every number is in report.json; its fields are described in [report.schema.json](report.schema.json).",
    ]
    return _section("How to read it", lines)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Of cells that are Markdown: the first column from the left, and words too; numbers from the right."""
    numbers = [all(cell[:1].isdigit() or cell == "–" for cell in column) for column in zip(*rows, strict=True)]
    marks = "".join("---:|" if number else "---|" for number in [False, *numbers[1:]])
    return [_line(heads), f"|{marks}", *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
