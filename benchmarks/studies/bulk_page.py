"""docs/results/bulk.md: rows a second, memory and bytes of `edge-potion encode --out DIR`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from edge_potion.escaping import markdown

from ..speed.report.columns import counted
from .page_parts import Report, source, table

__all__ = ["bulk_page", "bulk_tables"]

COMMAND = "python -m edge_potion.benchmarks.studies.bulk"
MB, GB = 10**6, 10**9


def bulk_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    return {"results/bulk.md": "\n\n".join(["# Bulk", bulk_tables(report), source(name, COMMAND)]) + "\n"}


def bulk_tables(report: Report) -> str:
    """All of a report in Markdown."""
    machine, runs = report["machine"], report["runs"]
    kills = ", ".join(f"{seconds:g}" for seconds in report["kills"])
    same = report["same_bytes"]
    return "\n\n".join(
        [
            f"`edge-potion encode rows.parquet --out DIR/ --dtype int8 --keep id` on {report['rows']:,} rows, each "
            f"another text, {report['bytes_in'] / GB:.2f} GB, beside `EdgeModel.encode` on a list of a million of them "
            f"with as many threads as there are cores. Medians of {counted(report['rounds'], 'interleaved round')}, "
            f"with start and end of the processes. {markdown(machine['cpu'])}, {machine['cores']} cores, "
            f"{markdown(machine['system'])}, Python {report['python']}, pyarrow {report['pyarrow']}.",
            table(
                ["", "rows/s", "of `encode` alone", "of two workers", "peak memory, MB", "MB a second written"],
                [["`EdgeModel.encode`", _spread(report["alone_rows_s"]), "", "", "", ""], *_ways(report, runs)],
            ),
            "Memory is that of the command and its workers (Pss, sampled ten times a second), and flat: the highest in "
            f"each tenth of the run with two workers, in MB: {_tenths(runs['workers 2'])}.",
            f"Killed with SIGKILL {counted(len(report['kills']), 'time')}, after {kills} s of a run, and run again: "
            f"{'the same bytes' if same['after kills'] else 'OTHER BYTES'} as undisturbed. Every way above gives "
            f"{'the same bytes' if same['by every way'] else 'OTHER BYTES'}.",
            "## Inputs and outputs",
            f"{report['few_rows']:,} rows by all cores, one run each, with the start of the processes in it. From each "
            "kind of input to .parquet int8:",
            table(["", "rows/s", "bytes a row in"], _inputs(report)),
            "From .parquet to each dtype and format:",
            table(["", "rows/s", "bytes a row out", "peak memory, MB"], _outputs(report)),
        ]
    )


def _ways(report: Report, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[list[str]]:
    rows = []
    two = [run["rows_s"] for run in runs["workers 2"]]
    for name, some in runs.items():
        speeds = [run["rows_s"] for run in some]
        of_alone = median(speed / other for speed, other in zip(speeds, report["alone_rows_s"], strict=True))
        of_two = median(speed / other for speed, other in zip(speeds, two, strict=True))
        peak = max(run["peak_mb"] for run in some)
        written = median(run["bytes_out"] / run["seconds"] for run in some) / MB
        rows.append([name, _spread(speeds), f"{of_alone:.0%}", f"{of_two:.2f}", f"{peak:.0f}", f"{written:.0f}"])
    return rows


def _tenths(runs: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{max(run['peak_mb_by_tenth'][tenth] for run in runs):.0f}" for tenth in range(10))


def _inputs(report: Report) -> list[list[str]]:
    rows = report["few_rows"]
    return [
        [name.removeprefix("t"), f"{run['rows_s']:,.0f}", f"{run['bytes_in'] / rows:.0f}"]
        for name, run in report["kinds"].items()
    ]


def _outputs(report: Report) -> list[list[str]]:
    rows = report["few_rows"]
    return [
        [name, f"{run['rows_s']:,.0f}", f"{run['bytes_out'] / rows:.0f}", f"{run['peak_mb']:.0f}"]
        for name, run in report["dtypes"].items()
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"
