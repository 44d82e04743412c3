"""What must be known to read a report's numbers: each note once, numbered; and each reason why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .columns import counted
from .model import Outcome, Report

__all__ = ["Notes", "WhyNot", "notes_of", "why_not"]

MOST_NODES = 3  # named in a note


@dataclass(frozen=True)
class Notes:
    """The notes in the order of their numbers, from 1; and which of them a configuration has, by its name."""

    texts: Sequence[str]
    numbers: Mapping[str, Sequence[int]]

    def marks(self, outcome: Outcome) -> str:
        """The numbers of its notes, as they stand after its name: "1, 2"."""
        return ", ".join(map(str, sorted(self.numbers.get(outcome.name, ()))))


@dataclass(frozen=True)
class WhyNot:
    """What was not measured, for one and the same reason."""

    status: str
    reason: str
    names: Sequence[str]


def notes_of(report: Report) -> Notes:
    """Of the configurations that were measured."""
    texts: list[str] = []
    numbers: dict[str, list[int]] = {}
    for outcome in report.measured:
        for text in _remarks(outcome, report):
            if text not in texts:
                texts.append(text)
            numbers.setdefault(outcome.name, []).append(texts.index(text) + 1)
    return Notes(texts, numbers)


def why_not(report: Report) -> list[WhyNot]:
    """Of the configurations that were not measured, reason by reason."""
    alike: dict[tuple[str, str], list[str]] = {}
    for outcome in report.configurations:
        if not outcome.measured:
            status = "not run" if outcome.status == "measured" else outcome.status
            alike.setdefault((status, outcome.reason or "no round was finished"), []).append(outcome.name)
    return [WhyNot(status, reason, names) for (status, reason), names in alike.items()]


def _remarks(outcome: Outcome, report: Report) -> Iterator[str]:
    if outcome.elsewhere:
        where = "; ".join(
            f"{len(names)} on {provider} ({_some(names)})" for provider, names in outcome.elsewhere.items()
        )
        yield f"{outcome.elsewhere_share:.0%} of its nodes did not run on {outcome.provider}: {where}"
    if outcome.device:
        yield f"device: {outcome.device}"
    if outcome.from_ids_alone:
        yield "latency is from token ids, without tokenizing"
    if (rounds := len(outcome.rounds)) != report.settings.rounds:
        yield f"{rounds} of {counted(report.settings.rounds, 'round')}"


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:MOST_NODES], *(["…"] if len(names) > MOST_NODES else [])])
