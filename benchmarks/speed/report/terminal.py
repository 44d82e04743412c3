"""The benchmark's report in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edge_potion.escaping import terminal

from .columns import Column, Part, baseline_metric, batch_of, counted, parts, shown_in
from .model import Outcome, Report
from .notes import Notes, notes_of, why_not
from .verdict import banners, verdict_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["print_report"]

GAP = 2  # letters between columns


def print_report(report: Report, console: Console) -> None:
    """What to ship, then a row a configuration by model: in one table where it fits, else in a few; then the notes."""
    from rich.text import Text

    def say(words: str, style: str = "") -> None:
        console.print(Text(terminal(words), style=style))

    verdict, notes = verdict_of(report), notes_of(report)
    say(verdict.sentence, "bold")
    say(verdict.why, "dim")
    for banner in banners(report):
        say(banner, "bold yellow")
    for part in _fitting(report, notes, console.width):
        console.print()
        say(part.title, "bold")
        console.print(_table(part, report, notes))
    if report.measured:
        console.print()
    for line in _reading(report):
        say(line, "dim")
    for number, note in enumerate(notes.texts, 1):
        say(f"[{number}] {note}", "yellow")
    if left_out := why_not(report):
        say("Not measured", "bold")
    for some in left_out:
        say(f"{some.status}: {some.reason}", "yellow")
        for name in some.names:
            say(f"  {name}")


def _table(part: Part, report: Report, notes: Notes) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    table.add_column("", overflow="fold")
    for column in part.columns:
        table.add_column("\n".join(column.head), justify="right", no_wrap=True)
    for model, outcomes in report.by_model():
        shown = shown_in(part, outcomes)
        if shown:
            table.add_row(Text(terminal(model), style="bold cyan"))
        for outcome in shown:
            name = Text(f"  {terminal(_marked(outcome, notes))}", style="italic" if outcome.peer else "")
            table.add_row(name, *(column.cell(outcome) for column in part.columns))
    return table


def _marked(outcome: Outcome, notes: Notes) -> str:
    marks = notes.marks(outcome)
    return f"{outcome.label} [{marks}]" if marks else outcome.label


def _fitting(report: Report, notes: Notes, width: int) -> list[Part]:
    """All columns in one part, where they fit; else part by part, and a part that is too wide in pieces."""
    from rich.cells import cell_len

    if not report.measured:
        return []
    apart = parts(report)
    names = [f"  {terminal(_marked(outcome, notes))}" for outcome in report.measured]
    names += [terminal(outcome.model) for outcome in report.measured]
    room = max(width - max(map(cell_len, names)), width // 2)
    whole = [column for part in apart for column in part.columns]
    if sum(_width(column, report) for column in whole) <= room:
        return [Part("Measured", whole)]
    pieces = [(part.title, list(_pieces(part.columns, report, room))) for part in apart]
    return [
        Part(title if number == 0 else f"{title}, continued", piece)
        for title, some in pieces
        for number, piece in enumerate(some)
    ]


def _pieces(columns: Sequence[Column], report: Report, room: int) -> Iterator[list[Column]]:
    piece: list[Column] = []
    for column in columns:
        if piece and sum(_width(one, report) for one in [*piece, column]) > room:
            yield piece
            piece = []
        piece.append(column)
    yield piece


def _width(column: Column, report: Report) -> int:
    return GAP + max(map(len, [*column.head, *(column.cell(outcome) for outcome in report.measured)]))


def _reading(report: Report) -> Iterator[str]:
    """How the numbers are to be read."""
    rounds = report.settings.rounds
    medians = f"Medians of {counted(rounds, 'round')}" if rounds > 1 else "One round" if rounds else "No round"
    yield f"{medians}, each configuration in a process of its own. Latency: one text a call."
    if metric := baseline_metric(report):
        of = sorted({ratio.to for ratio in report.ratios if ratio.metric == metric})
        yield f"times base: texts/s over {', '.join(of)}, round by round at {batch_of(metric)} texts a call."
