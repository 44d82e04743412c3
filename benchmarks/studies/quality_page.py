"""docs/results/quality.md: what the shipped model scores, beside its teacher and other ways to train it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
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
    ("(c3)", "Tokenlearn, two teachers"),
    ("(e) shipped, int8", "edge-potion int8"),
    ("(e) shipped, float16", "edge-potion float16"),
    ("(e) shipped, float32", "edge-potion float32"),
)
OURS = "(e)"
MEAN = "CatAVG"
HALVES = ("report", "tuning")
TITLE = "Score against file size"
LETTERS = """\
The letters before the names: **(a)** is the first teacher, a transformer. **(b)** is Model2Vec's own distillation of
it. **(c)** is Tokenlearn by its own code and defaults, **(c2)** the same with the contrastive loss of the published
recipe, **(c3)** its own loss with the targets that ours are trained on, joined of all teachers. **(d)** is ours: the
*published* recipe, which is that of potion-256d-v3's model card, of the first teacher; and the one that *ships*, before
any training, whole, and its tokens trained alone, without phrases. **(e)** is the shipped one exported at each
precision, and cut to its first dimensions. After ± stands the standard deviation over the seeds that a row was trained
with."""
ABLATION = """\
Each row changes one thing of the shipped recipe on the same sentences and features: one seed each, so differences below
two of the deviations above mean nothing."""
SEARCH = """\
nDCG@10 of four sets that nothing was trained on: CISI, Cranfield, MED and XQuAD-R. That the second teacher of the
shipped recipe counts half was chosen with them in view. *hybrid* joins vectors and words, as `edge-potion search` does.
More of it, and what it costs: [retrieval](retrieval.md)."""
ON_ANOTHER = "(c3)"  # in the picture it would lie on Tokenlearn's other point


def quality_page(report: Report, name: str) -> dict[str, str]:
    """The page and its picture, by their paths in docs/."""
    words = (
        "Mean of STS, classification and pair classification, on tasks that no recipe was tuned on. Higher and further "
        "left is better. All are made from the same sentences; Model2Vec and Tokenlearn write float32. "
        "The size is that of the file with the table."
    )
    points = [
        plots.Point(called, model["size_mb"], score, not model["name"].startswith(OURS), _told(score, model["size_mb"]))
        for model, called in _short(report)
        if not model["name"].startswith(ON_ANOTHER)
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
                "## Search",
                SEARCH,
                _searched(report),
                _words_win(report),
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
        f"three. All students have the same sentences. {markdown(versions)}."
    )


def _heads(models: Sequence[Mapping[str, Any]], half: str, first: str) -> list[str]:
    return [first, *models[-1]["averages"][half], "seeds", "dims", "MB"]


def _averages(model: Mapping[str, Any], half: str) -> list[str]:
    deviations = model["deviations"][half]
    scores = [_spread(score, deviations[kind]) for kind, score in model["averages"][half].items()]
    return [*scores, f"{model['seeds']}", f"{model['dims']}", f"{model['size_mb']:.1f}"]


def _spread(score: float, deviation: float | None) -> str:
    return f"{score:.2f}" if deviation is None else f"{score:.2f} ± {deviation:.2f}"


def _searched(report: Report) -> str:
    """A row for words, and two for each model of the short table that has searched."""
    sets = [task for task in report["tasks"] if "words" in task]
    rows = [["BM25, words alone", *_points(task["words"] for task in sets)]]
    for model, called in _short(report):
        found = [model["tasks"][task["task"]] for task in sets if task["task"] in model["tasks"]]
        if found:
            rows.append([f"{called}, vectors", *_points(each["points"] for each in found)])
            rows.append([f"{called}, hybrid", *_points(each["hybrid"] for each in found)])
    return table(["search", *(markdown(task["task"]) for task in sets), "mean"], rows)


def _points(scores: Iterable[float]) -> list[str]:
    values = list(scores)
    return [f"{value:.1f}" for value in (*values, fmean(values))]


def _words_win(report: Report) -> str:
    """Where BM25 finds more than the shipped model's vectors, in words."""
    ours = next(model for model, _ in _short(report) if model["name"].startswith(OURS))
    sets = [task for task in report["tasks"] if "words" in task]
    won = [markdown(task["task"]) for task in sets if task["words"] > ours["tasks"][task["task"]]["points"]]
    return f"Words alone find more than the shipped model's vectors in {', '.join(won) or 'none of the four'}."


def _halves(models: Sequence[Mapping[str, Any]], what: str) -> Iterator[str]:
    for half in HALVES:
        rows = [[markdown(model["name"]), *_averages(model, half)] for model in models]
        yield folded(f"{what}, {half} half", table(_heads(models, half, "model"), rows))


def _tasks(report: Report) -> Iterator[str]:
    """A row a model, a column a task."""
    for half in HALVES:
        tasks = [task for task in report["tasks"] if task["half"] == half]
        heads = ["model", *(f"{markdown(task['task'])}<br>{task['kind']}<br>{task['rows']:,} rows" for task in tasks)]
        rows = [
            [markdown(model["name"]), *(_told_of(model["tasks"][task["task"]]) for task in tasks)]
            for model in report["models"]
        ]
        notes = [f"* {markdown(task['task'])}: {markdown(task['note'])}." for task in tasks if task["note"]]
        yield folded(f"Every task, {half} half", "\n".join([table(heads, rows), "", *notes]))


def _told_of(task: Mapping[str, Any]) -> str:
    return _spread(task["points"], task["deviation"])
