"""docs/results/serve.md: `edge-potion serve` under load, beside its own stack and other servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from edge_potion.escaping import markdown

from ..speed.report.columns import counted
from .page_parts import Report, source, table

__all__ = ["serve_page", "serve_tables"]

COMMAND = "python -m edge_potion.benchmarks.studies.serve"
OURS, EMPTY = "edge-potion serve", "the same stack, empty"
HEADS = ["", "requests/s", "texts/s", "of the empty stack", "p50, ms", "p99, ms", "memory, MB"]


def serve_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    return {"results/serve.md": "\n\n".join(["# Serve", serve_tables(report), source(name, COMMAND)]) + "\n"}


def serve_tables(report: Report) -> str:
    """All of a report in Markdown."""
    machine, packages = report["machine"], report["packages"]
    stack = ", ".join(f"{name} {version}" for name, version in packages.items())
    parts = [
        "`edge-potion serve` by its defaults, with a line in the access log for each request, asked over loopback by "
        f"{markdown(report['wrk'])}, which sends the next request on a connection when the last is answered: "
        f"{report['texts']:,} different sentences, one a request, or in lists of {report['list']:,}. Medians of "
        f"{counted(report['rounds'], 'interleaved round')} of {report['seconds']} s, each with a server of its own; "
        "the range in brackets. "
        f"{markdown(machine['cpu'])}, {machine['cores']} cores, {markdown(machine['system'])}, "
        f"Python {report['python']}, {stack}.",
        "The empty stack reads a body and sends back as many bytes as ours does, by the same server and framework. No "
        "request failed, and before each measure the vectors were held to those of `EdgeModel.encode`: ours are the "
        "same bits.",
    ]
    for pinned in (True, False):
        where = "The server on one core, wrk on another" if pinned else "The server and wrk on all cores together"
        parts.append(f"## {where}")
        for load, connections in report["connections"].items():
            some = [one for one in report["measures"] if one["load"] == load and one["pinned"] == pinned]
            if some:
                alone = _alone(report, pinned, some) if report["list"] == _texts(report, load) else []
                parts.append(f"{load[0].upper()}{load[1:]}, {connections} connections:")
                parts.append(table(HEADS, [*alone, *(_row(report, one, some) for one in some)]))
    parts += [
        "FastAPI and model2vec are an app as people write it, with the same table but its phrases, by "
        f"{_listed(report['usual'])}: [its code](../../benchmarks/studies/serve_usual.py).",
        f"infinity ({_listed(report['infinity'])}) opens no static model; it serves the transformer that is the "
        "built-in model's first teacher, in one round, as people do who have no server for static models. "
        "text-embeddings-inference could not be run here, and no figures of it are quoted.",
    ]
    return "\n\n".join(parts)


def _row(report: Report, one: Mapping[str, Any], beside: Sequence[Mapping[str, Any]]) -> list[str]:
    """What one server reached under one load."""
    runs, texts = one["runs"], _texts(report, one["load"])
    speeds = [run["requests_s"] for run in runs]
    empty = next((other["runs"] for other in beside if other["server"] == EMPTY), None)
    of_empty = ""
    if empty and one["server"] == OURS:
        of_empty = f"{median(speed / run['requests_s'] for speed, run in zip(speeds, empty, strict=True)):.0%}"
    return [
        markdown(one["server"]),
        _spread(speeds),
        "" if one["server"] == EMPTY else f"{median(speeds) * texts:,.0f}",
        of_empty,
        f"{median(run['p50_ms'] for run in runs):.1f}",
        f"{median(run['p99_ms'] for run in runs):.1f}",
        f"{median(run['memory_mb'] for run in runs):.0f}",
    ]


def _alone(report: Report, pinned: bool, beside: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """`EdgeModel.encode` on the same lists, and which part of it ours serves."""
    alone = report["encode_texts_s"]["pinned" if pinned else "unpinned"]
    ours = next(one["runs"] for one in beside if one["server"] == OURS)
    share = median(run["requests_s"] * report["list"] / other for run, other in zip(ours, alone, strict=True))
    return [[f"`EdgeModel.encode` in process, of which ours serves {share:.0%}", "", _spread(alone), "", "", "", ""]]


def _texts(report: Report, load: str) -> int:
    return report["texts_a_request"][load]


def _listed(packages: Sequence[str]) -> str:
    return ", ".join(markdown(package.replace("==", " ")) for package in packages)


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})" if len(values) > 1 else f"{values[0]:,.0f}"
