"""docs/results/quality.md: what the shipped model scores, beside its teacher and other ways to train it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_potion.escaping import markdown

from ..speed.report import plots
from .page_parts import Report, folded, pictures, shown, source, table
from .picture import INSIDE

__all__ = ["quality_page"]

# The models of the picture and the short table: the name in the report begins with the first, and reads as the second.
SHORT = (
    ("(a)", "all-MiniLM-L6-v2, the teacher"),
    ("(b)", "Model2Vec"),
    ("(c)", "Tokenlearn"),
    ("(e) shipped, int8", "edge-potion int8"),
    ("(e) shipped, float16", "edge-potion float16"),
    ("(e) shipped, float32", "edge-potion float32"),
)
OURS = "(e)"
MEAN = "CatAVG"
TITLE = "Score against file size"
LETTERS = """\
The letters before the names: **(a)** is the teacher, a transformer. **(b)** is Model2Vec's own distillation of it.
**(c)** is Tokenlearn by its own code and defaults, **(c2)** the same with the contrastive loss of our recipe. **(d)**
is ours after each stage: of the *published* recipe, which is that of potion-256d-v3's model card, and of the one that
*ships*. **(e)** is the shipped one exported at each precision, and cut to its first dimensions."""
ABLATION = """\
Each row changes one thing of the published recipe on the same sentences and features; what is changed for the
contrastive stage is changed for the born-again stage too."""


def quality_page(report: Report, name: str) -> dict[str, str]:
    """The page and its picture, by their paths in docs/."""
    words = (
        "Mean of STS, classification and pair classification, on tasks that no recipe was tuned on. Higher and further "
        "left is better. All are made from the same teacher; Model2Vec and Tokenlearn write float32. "
        "The size is that of the file with the table."
    )
    points = [
        plots.Point(called, model["size_mb"], score, not model["name"].startswith(OURS), _told(score, model["size_mb"]))
        for model, called in _short(report)
        for score in [model["averages"]["report"][MEAN]]
    ]
    plot = plots.labelled("quality", TITLE, words, points, "MB, logarithmic", "mean score, points of 100", INSIDE)
    alternative = "; ".join(f"{point.label}: {point.note}" for point in points)
    return {"results/quality.md": _page(report, name, alternative), **pictures("quality", plot, TITLE, words)}


def _page(report: Report, name: str, alternative: str) -> str:
    short = [[called, *_averages(model, "report")] for model, called in _short(report)]
    return (
        "\n\n".join(
            [
                "# Quality",
                shown("quality", f"Mean score against file size. {alternative}."),
                table(_heads(report["models"], "report", "model"), short),
                _protocol(report),
                "## Against our targets",
                "What we had set out for, and what came of it; negative results stand here as they are.",
                "\n".join(f"* {markdown(remark)}" for remark in report["remarks"]),
                LETTERS,
                "## Everything that was scored",
                *_halves(report["models"], "All models"),
                *_tasks(report),
                "## What each choice of the recipe is worth",
                ABLATION,
                *_halves(report["ablation"], "The ablation"),
                source(name, "make bench-quality"),
            ]
        )
        + "\n"
    )


def _short(report: Report) -> Iterator[tuple[Mapping[str, Any], str]]:
    for begin, called in SHORT:
        for model in report["models"]:
            if model["name"].startswith(f"{begin} ") or model["name"] == begin:
                yield model, called
                break


def _told(score: float, size_mb: float) -> str:
    return f"{score:.1f} at {size_mb:.{0 if size_mb >= 10 else 1}f} MB"


def _protocol(report: Report) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in report["versions"].items())
    protocol = report["protocol"]
    return (
        "The suite has two halves: recipes were chosen on the *tuning half*, and the table above is of the *report "
        "half*, which nothing was chosen on. MTEB's protocols: Spearman of cosines for STS; the best average precision "
        "of four similarities for pairs; the mean accuracy of a logistic regression over "
        f"{protocol['experiments']} draws (seed {protocol['seed']}) for classification. {MEAN} is the mean of the "
        f"three. All students have the same teacher and sentences. {markdown(versions)}."
    )


def _heads(models: Sequence[Mapping[str, Any]], half: str, first: str) -> list[str]:
    return [first, *models[0]["averages"][half], "dims", "MB"]


def _averages(model: Mapping[str, Any], half: str) -> list[str]:
    scores = [f"{score:.2f}" for score in model["averages"][half].values()]
    return [*scores, f"{model['dims']}", f"{model['size_mb']:.1f}"]


def _halves(models: Sequence[Mapping[str, Any]], what: str) -> Iterator[str]:
    for half in ("report", "tuning"):
        rows = [[markdown(model["name"]), *_averages(model, half)] for model in models]
        yield folded(f"{what}, {half} half", table(_heads(models, half, "model"), rows))


def _tasks(report: Report) -> Iterator[str]:
    """A row a model, a column a task."""
    for half in ("report", "tuning"):
        tasks = [task for task in report["tasks"] if task["half"] == half]
        heads = ["model", *(f"{markdown(task['task'])}<br>{task['kind']}<br>{task['rows']:,} rows" for task in tasks)]
        rows = [
            [markdown(model["name"]), *(f"{task['points'][model['name']]:.2f}" for task in tasks)]
            for model in report["models"]
        ]
        notes = [f"* {markdown(task['task'])}: {markdown(task['note'])}." for task in tasks if task["note"]]
        yield folded(f"Every task, {half} half", "\n".join([table(heads, rows), "", *notes]))
