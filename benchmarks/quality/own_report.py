"""What models score on a user's own rows, for people: a table for the terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_potion.escaping import markdown, terminal

from .report import LONGEST_NAME, NONE, markdown_table

__all__ = ["METRICS", "as_markdown", "as_table", "difference", "headline", "points", "unscored"]

METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "mrr_at_10": "MRR@10",
    "ndcg_at_10": "nDCG@10",
}


def as_table(report: Mapping[str, Any]) -> str:
    """Lines for a terminal: a row a model; then what must be known of the rows, and what has no score."""
    heads, rows = _columns(report)
    width = max(len(terminal(name)[-LONGEST_NAME:]) for name, *_ in [("model",), *rows])
    widths = [max(10, *(len(row[place]) for row in [heads, *rows])) for place in range(1, len(heads))]
    lines = [headline(report), ""]
    for name, *cells in [heads, *rows]:
        shown = [f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True)]
        lines.append("  ".join([f"{terminal(name)[-LONGEST_NAME:]:{width}}", *shown]))
    lines += ["", *_legend(report), *map(terminal, report["remarks"])]
    if missing := unscored(report):
        lines += ["", "not scored", *(f"  {terminal(line)}" for line in missing)]
    return "\n".join(lines)


def as_markdown(report: Mapping[str, Any]) -> str:
    """The table, all differences, and how it was done."""
    lines = [f"# {markdown(headline(report))}", ""]
    if not report["complete"]:
        lines += ["**Partial report: the run was stopped.**", ""]
    lines += [*markdown_table(*_columns(report)), "", *(f"{markdown(line)}\n" for line in _legend(report))]
    apart = [model for model in report["models"] if any(score["difference"] for score in model["scores"].values())]
    if apart:
        cells = [
            [model["name"], *(difference(model["scores"][metric]["difference"]) for metric in report["metrics"])]
            for model in apart
        ]
        heads = ["model", *(METRICS[metric] for metric in report["metrics"])]
        lines += [f"## Differences to {markdown(report['baseline'])}", "", *markdown_table(heads, cells), ""]
    if report["remarks"]:
        lines += ["## The rows", "", *(f"* {markdown(remark)}" for remark in report["remarks"]), ""]
    if missing := unscored(report):
        lines += ["## Not scored", "", *(f"* {markdown(line)}." for line in missing), ""]
    packages = ", ".join(f"{package} {number}" for package, number in report["versions"].items())
    lines += [f"{markdown(packages)}.", ""]
    lines += [f"* {markdown(model['name'])}: {markdown(model['what'])}." for model in report["models"] if model["what"]]
    return "\n".join(lines) + "\n"


def headline(report: Mapping[str, Any]) -> str:
    """What was asked, of which rows."""
    data = report["data"]
    name = terminal(data["name"])[-LONGEST_NAME:]
    if report["kind"] == "pairs":
        return f"{name}: {data['queries']:,} queries, {data['passages']:,} passages"
    return f"{name}: {data['labels']:,} labels, learnt from {data['train']:,} rows, told of {data['test']:,}"


def unscored(report: Mapping[str, Any]) -> list[str]:
    """Which models have no score, and why."""
    return [f"{model['name']}: {model['reason']}" for model in report["models"] if model["reason"] is not None]


def points(score: Mapping[str, Any]) -> str:
    """A mean, in points of 100, and its spread over seeds."""
    return f"{100 * score['mean']:.2f}" + ("" if score["spread"] is None else f" ±{100 * score['spread']:.2f}")


def difference(apart: Mapping[str, float]) -> str:
    """A difference in points, and its interval."""
    return f"{100 * apart['mean']:+.2f} [{100 * apart['low']:+.2f}, {100 * apart['high']:+.2f}]"


def _columns(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The heads of the table, and a row of cells a model that was opened."""
    main, rows = report["main"], []
    several = any(model["scores"] and model["scores"][main]["difference"] for model in report["models"])
    for model in report["models"]:
        if not model["what"]:
            continue
        scores = model["scores"]
        apart = scores[main]["difference"] if scores else None
        rows.append(
            [
                model["name"],
                *(points(scores[metric]) if scores else NONE for metric in report["metrics"]),
                *([difference(apart) if apart else NONE] if several else []),
                f"{model['dims']}",
                f"{model['size_mb']:.1f}",
                NONE if model["texts_per_s"] is None else f"{model['texts_per_s']:,}",
            ]
        )
    metrics = [METRICS[metric] for metric in report["metrics"]]
    return ["model", *metrics, *([f"Δ {METRICS[main]}"] if several else []), "dims", "MB", "texts/s"], rows


def _legend(report: Mapping[str, Any]) -> Sequence[str]:
    """How it was done, and how to read it."""
    protocol = report["protocol"]
    lines = []
    if report["kind"] == "pairs":
        lines.append("Each query's own passages are searched among all passages, by cosine.")
    else:
        seeds, share = protocol["seeds"], protocol["learnt_share"]
        learnt = f"Logistic regression (C = {protocol['C']:g}) on vectors of length 1; {report['data']['split']}."
        drawn = (
            f"± is the standard deviation over {seeds} seeds, each of which learns from {100 * share:g} % of the rows."
        )
        lines.append(learnt if seeds == 1 else f"{learnt} {drawn}")
    if any(score["difference"] for model in report["models"] for score in model["scores"].values()):
        lines.append(
            f"Δ is the difference to the first; in brackets, where it lies in {100 * protocol['confidence']:g} % of "
            f"{protocol['resamples']:,} draws of what was scored (paired bootstrap)."
        )
    return lines
