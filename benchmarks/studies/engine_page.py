"""docs/results/engine.md: the native engine beside ONNX Runtime and other libraries: speed, start and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_potion.escaping import markdown

from ..speed.report.columns import as_number, counted
from .page_parts import Report, folded, source, table

__all__ = ["engine_page", "engine_tables"]

COMMAND = "python -m edge_potion.benchmarks.studies.engine"
OURS = ("native", "ONNX Runtime")  # whose names say nothing of us


def engine_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    versions = [[_called(one["name"]), markdown(_versions(one["versions"]))] for one in report["contestants"]]
    page = ["# The native engine", *engine_tables(report)]
    page += [folded("Versions", table(["", ""], versions)), source(name, COMMAND)]
    return {"results/engine.md": "\n\n".join(page) + "\n"}


def engine_tables(report: Report) -> list[str]:
    """All of a report in Markdown, paragraph by paragraph."""
    machine, texts = report["machine"], report["texts"]
    batches = list(report["contestants"][0]["us_a_text"])
    return [
        f"Strings in, vectors out, on one table: {texts['count']:,} sentences of {texts['mean_characters']:.0f} "
        f"characters in file order, each in a process of its own on one pinned core. Medians of "
        f"{counted(report['rounds'], 'interleaved round')}, and the lowest and the highest; a ratio is taken round by "
        f"round. {markdown(machine['cpu'])}, {markdown(machine['system'])}, Python {report['python']}.",
        "## Speed",
        f"Microseconds a text, by texts a call; p50 and p95 are those of single calls with one text.\n\n"
        f"{_speed(report, batches)}",
        f"How many times as long as the engine:\n\n{_ratios(report, batches)}",
        *_threads(report["two_threads"]),
        "## Start",
        f"Milliseconds from starting a process to its first vector, with its files in the system's cache: "
        f"{counted(report['starts'], 'start')} of each.\n\n"
        f"{table(['', 'ms'], [[_called(name), _whole(ms)] for name, ms in report['first_vector_ms'].items()])}",
        "## Memory",
        f"MB of each of {report['processes']} processes that are there at once and have embedded all texts: private "
        "memory, how much of it is beyond that of Python and numpy with the same texts, and private memory with its "
        f"part of what processes share (Pss).\n\n{_memory(report['memory_mb'])}",
        "## What bounds it",
        "Nanoseconds in C alone, by the kernels of this processor: the fastest of fifteen runs over the same texts. "
        "Reading a row is what its part of the table costs by itself: below it no pooling can go. Tokenizing is bound "
        f"by its three lookups a word, and by waiting for them.\n\n{_limits(report['limits_ns'])}",
    ]


def _speed(report: Report, batches: Sequence[str]) -> str:
    rows = []
    for one in report["contestants"]:
        spreads = [*(one["us_a_text"][batch] for batch in batches), one["p50_us"], one["p95_us"]]
        rows.append([_called(one["name"]), *map(_whole, spreads)])
    return table(["", *(f"{int(batch):,} a call" for batch in batches), "p50", "p95"], rows)


def _ratios(report: Report, batches: Sequence[str]) -> str:
    rows = [
        [_called(one["name"]), *(_whole(one["times_native"][batch]) for batch in batches)]
        for one in report["contestants"]
        if one["name"] != "native"
    ]
    return table(["", *(f"{int(batch):,} a call" for batch in batches)], rows)


def _threads(ratios: Mapping[str, Mapping[str, float]]) -> list[str]:
    if not ratios:
        return []
    of = ", ".join(f"{_whole(ratio)} times at {int(batch):,} texts a call" for batch, ratio in ratios.items())
    return [f"Two threads on two cores are as fast as one thread {of}."]


def _memory(memory: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, one in memory.items():
        beyond = one["private_beyond_numpy"]
        rows.append(
            [_called(name), _whole(one["private"]), as_number(beyond) if beyond > 0 else "", _whole(one["pss"])]
        )
    return table(["", "private", "beyond numpy", "Pss"], rows)


def _limits(limits: Mapping[str, Mapping[str, float]]) -> str:
    parts = next(iter(limits.values()))
    return table(["", *limits], [[part, *(as_number(one[part]) for one in limits.values())] for part in parts])


def _called(name: str) -> str:
    return f"**{markdown(name)}**" if name.startswith(OURS) else markdown(name)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _whole(spread: Mapping[str, float]) -> str:
    """The median, and the ends where they are written otherwise."""
    middle, low, high = (as_number(spread[end]) for end in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low}-{high})"
