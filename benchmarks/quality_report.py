"""What `evaluate` found, for people: terminal table, Markdown, and a picture of quality against size and speed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError
from edge_potion.writing import file_written_whole

__all__ = ["as_markdown", "as_table", "averages_markdown", "write_report"]


def write_report(report: Mapping[str, Any], out: Path) -> None:
    """Write report.json, report.md and report.png into the folder `out`.

    Raises:
        InputError: it cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise InputError(f"cannot write {out}: {failure}") from failure
    with file_written_whole(out / "report.json") as beside:
        beside.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    with file_written_whole(out / "report.md") as beside:
        beside.write_text(as_markdown(report), encoding="utf-8")
    with file_written_whole(out / "report.png") as beside:
        _draw(report, beside)


def as_table(report: Mapping[str, Any]) -> str:
    """Lines for a terminal: a row a model, a column a category, for each half of the suite."""
    lines = []
    for half, heads, rows in _by_half(report):
        lines += ["", f"{half} half", "  ".join([f"{'model':40}", *(f"{head:>10}" for head in heads)])]
        lines += ["  ".join([f"{row[0][-40:]:40}", *(f"{cell:>10}" for cell in row[1:])]) for row in rows]
    return "\n".join(lines[1:])


def as_markdown(report: Mapping[str, Any], remarks: Sequence[str] = ()) -> str:
    """The remarks and the averages, then every task, a table for each half."""
    lines = ["# Quality", "", *(f"* {remark}" for remark in remarks), "", averages_markdown(report, 2)]
    for half in dict.fromkeys(task["half"] for model in report["models"] for task in model["tasks"]):
        lines += [f"## Tasks, {half} half", ""]
        tasks = [task for task in report["models"][0]["tasks"] if task["half"] == half]
        rows = []
        for place, task in enumerate(report["models"][0]["tasks"]):
            if task["half"] == half:
                mains = [f"{100 * model['tasks'][place]['scores']['main']:.2f}" for model in report["models"]]
                rows.append([task["task"], task["kind"], f"{task['rows']:,}", *mains])
        heads = ["task", "kind", "rows", *(model["name"] for model in report["models"])]
        lines += [*_markdown_table(heads, rows), ""]
        lines += [*(f"* {task['task']}: {task['note']}." for task in tasks if task["note"]), ""]
    versions = ", ".join(f"{package} {version}" for package, version in report["versions"].items())
    protocol = report["protocol"]
    lines += [
        f"MTEB's protocols: Spearman of cosines; the best average precision of four similarities; mean accuracy of a "
        f"logistic regression over {protocol['experiments']} draws (seed {protocol['seed']}). CatAVG is the mean of "
        f"the three categories. {versions}.",
        "",
        *(f"* {model['name']}: {model['what']}." for model in report["models"]),
    ]
    if report["missing"]:
        lines += ["", f"Not there, and not scored: {', '.join(report['missing'])}."]
    return "\n".join(lines) + "\n"


def averages_markdown(report: Mapping[str, Any], level: int) -> str:
    """The averages, a table for each half, under headings of `level`."""
    lines = []
    for half, heads, rows in _by_half(report):
        lines += [f"{'#' * level} Averages, {half} half", "", *_markdown_table(["model", *heads], rows), ""]
    return "\n".join(lines)


def _by_half(report: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """For each half: its name, the heads of its columns, and a row of cells a model."""
    tables = []
    for half in dict.fromkeys(half for model in report["models"] for half in model["averages"]):
        means = [*report["models"][0]["averages"][half]]
        rows = [
            [
                model["name"],
                *(f"{model['averages'][half][mean]:.2f}" for mean in means),
                f"{model['dims']}",
                f"{model['size_mb']:.1f}",
                f"{model['texts_per_s']:,}",
            ]
            for model in report["models"]
        ]
        tables.append((half, [*means, "dims", "MB", "texts/s"], rows))
    return tables


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|---|{'---:|' * (len(heads) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _draw(report: Mapping[str, Any], file: Path) -> None:
    """CatAVG against size, and against speed: two plots in one picture, for the last half that is in the report."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    half = list(report["models"][0]["averages"])[-1]
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (key, label) in enumerate((("size_mb", "size, MB"), ("texts_per_s", "texts/s")), 1):
        axes = figure.add_subplot(1, 2, place)
        for model in report["models"]:
            score = model["averages"][half]["CatAVG"]
            axes.plot(model[key], score, "o")
            axes.annotate(Path(model["name"]).name, (model[key], score), textcoords="offset points", xytext=(6, 4))
        axes.set(xscale="log", xlabel=label, ylabel=f"CatAVG, {half} half")
        axes.margins(0.2)
        axes.grid(alpha=0.3)
    figure.savefig(file, format="png", dpi=110)
