"""What `evaluate` found, for people: a table for the terminal, Markdown, and the folder that holds all of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError
from edge_potion.escaping import markdown, terminal
from edge_potion.writing import file_written_whole, make_folder

from .bitext_rows import ABOUT_BITEXT, APART, BITEXT_METRICS, by_language
from .picture import INCOMPLETE, drawn
from .retrieval_rows import HALF, METRICS, WORDS, searchers

__all__ = [
    "as_markdown",
    "as_table",
    "markdown_table",
    "refuse_unscored",
    "unscored",
    "versions",
    "write_numbers",
    "write_report",
]

NONE = "–"
COSTS = ("dims", "MB", "texts/s")
ABOUT_RETRIEVAL = (
    "Retrieval as MTEB scores it: nDCG@10, recall@100 and MRR@10, means over the queries that have a judgement. These "
    "sets are in no mean of other categories."
)
ABOUT_WORDS = (
    " BM25 counts words, stemmed as English, and knows no model; hybrid joins it with the vectors, as `edge-potion "
    "search` does."
)
LONGEST_NAME = 40  # letters of a model's name in the terminal: its end tells models apart
PACKAGES = ("edge-potion", "numpy", "scikit-learn", "scipy", "tokenizers")  # that scores depend on
PICTURES = {"report.png": False, "report-dark.png": True}
log = logging.getLogger(__name__)


def versions() -> dict[str, str]:
    """Of the packages that scores depend on."""
    return {package: version(package) for package in PACKAGES}


def write_numbers(report: Mapping[str, Any], out: Path) -> None:
    """Write report.json into the folder `out`.

    Raises:
        InputError: it cannot be written to; the old file is as it was.
    """
    with file_written_whole(out / "report.json") as beside:
        beside.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_report(
    report: Mapping[str, Any],
    out: Path,
    in_words: Callable[[Mapping[str, Any]], str] | None = None,
    picture: Callable[[Mapping[str, Any], bool], bytes] = drawn,
) -> None:
    """Write report.json, report.md, report.png and report-dark.png into the folder `out`.

    Args:
        in_words: what gives report.md; None for `as_markdown`.
        picture: what gives the pictures, in light and in dark.

    Raises:
        InputError: it cannot be written to; the old files are as they were.
    """
    make_folder(out)
    write_numbers(report, out)
    with file_written_whole(out / "report.md") as beside:
        beside.write_text((in_words or as_markdown)(report), encoding="utf-8")
    for name, dark in PICTURES.items():
        try:
            content = picture(report, dark)
        except Exception as failure:  # of matplotlib: its fonts, its cache; a picture is no reason to lose scores
            log.warning("warning: report.png is not drawn: %s", terminal(failure))
            return
        with file_written_whole(out / name) as beside:
            beside.write_bytes(content)


def as_table(report: Mapping[str, Any]) -> str:
    """Lines for a terminal: a row a model, a column a category, for each half of the suite; of retrieval sets a row a
    search, a column a metric, of translations a row a model; then what has no score."""
    lines = []
    for means in _means(report):
        lines += ["", terminal(means.title)]
        for name, *cells in (means.heads, *means.rows):
            shown = terminal(name)[-LONGEST_NAME:]
            lines.append("  ".join([f"{shown:{LONGEST_NAME}}", *(f"{cell:>10}" for cell in cells)]))
    if missing := unscored(report):
        lines += ["", "not scored", *(f"  {terminal(line)}" for line in missing)]
        lines += [_about_incomplete()] if any(model["averages"] for model in report["models"]) else []
    return "\n".join(lines[1:])


def unscored(report: Mapping[str, Any]) -> list[str]:
    """What has no score and why: a line for a model that could not be loaded, and for tasks that have one reason."""
    loaded = [model["name"] for model in report["models"] if model["reason"] is None]
    by_task: dict[tuple[str, str], list[str]] = {}  # names of models by task and reason
    for model in report["models"]:
        for task in model["tasks"]:
            if task["reason"] is not None:
                by_task.setdefault((task["task"], task["reason"]), []).append(model["name"])
    for task in report.get("words", ()):
        if task["reason"] is not None:  # that of a set is at fault for all models too
            by_task.setdefault((task["task"], task["reason"]), [WORDS])
    tasks: dict[tuple[str, str], list[str]] = {}  # by reason and models
    for (title, reason), names in by_task.items():
        of = "" if names == loaded else f" ({', '.join(names)})"  # rows are at fault for all models alike
        tasks.setdefault((reason, of), []).append(title)
    return [
        *(f"{model['name']}: {model['reason']}" for model in report["models"] if model["reason"] is not None),
        *(f"{', '.join(titles)}{of}: {reason}" for (reason, of), titles in tasks.items()),
    ]


def refuse_unscored(report: Mapping[str, Any]) -> None:
    """For what is published: means over all tasks, or none.

    Raises:
        InputError: something has no score.
    """
    if missing := unscored(report):
        raise InputError(f"not everything has a score: {'; '.join(missing)}")


def as_markdown(report: Mapping[str, Any]) -> str:
    """The averages, then every task, a table for each half."""
    lines = ["# Quality", ""]
    if not report["complete"]:
        lines += ["**Partial report: the run was stopped.** The same command goes on from here.", ""]
    lines += ["", *_averages(report)]
    if missing := unscored(report):
        lines += ["## Not scored", "", *(f"* {markdown(line)}." for line in missing), ""]
    named = [model for model in report["models"] if model["tasks"]]
    tasks = {task["task"]: task for model in named for task in model["tasks"]}
    scores = [{task["task"]: task["scores"].get("main") for task in model["tasks"]} for model in named]
    for half in dict.fromkeys(task["half"] for task in tasks.values() if task["half"] not in APART):
        lines += [f"## Tasks, {half} half", ""]
        here = [task for task in tasks.values() if task["half"] == half]
        rows = [
            [task["task"], task["kind"], f"{task['rows']:,}", *(_points(each.get(task["task"])) for each in scores)]
            for task in here
        ]
        lines += [*markdown_table(["task", "kind", "rows", *(model["name"] for model in named)], rows), ""]
        lines += [*(f"* {markdown(task['task'])}: {markdown(task['note'])}." for task in here if task["note"]), ""]
    lines += [*_sets(report), *_translations(report)]
    packages = ", ".join(f"{package} {number}" for package, number in report["versions"].items())
    protocol = report["protocol"]
    others = any(task["half"] not in APART for task in tasks.values())
    about = (
        f"MTEB's protocols: Spearman of cosines; the best average precision of four similarities; mean accuracy of a "
        f"logistic regression over {protocol['experiments']} draws (seed {protocol['seed']}). CatAVG is the mean of "
        "the three categories. "
    )
    lines += [
        f"{about if others or not tasks else ''}{markdown(packages)}.",
        "",
        *(f"* {markdown(model['name'])}: {markdown(model['what'])}." for model in named),
    ]
    if report["missing"]:
        lines += ["", f"Not there, and not scored: {markdown(', '.join(report['missing']))}."]
    return "\n".join(lines) + "\n"


def _averages(report: Mapping[str, Any]) -> list[str]:
    """The averages, a table for each half."""
    lines = []
    for means in _means(report):
        lines += [f"## Averages, {markdown(means.title)}", "", *markdown_table(means.heads, means.rows), ""]
    if any(model["averages"] and model["incomplete"] for model in report["models"]):
        lines += [markdown(_about_incomplete()), ""]
    return lines


def _about_incomplete() -> str:
    return f"{INCOMPLETE} over the tasks that have a score alone: not comparable with means over all of them."


@dataclass(frozen=True)
class _Means:
    """A table of means: its title, the heads of its columns, and rows of as many cells."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def _means(report: Mapping[str, Any]) -> Iterator[_Means]:
    """For each half a row a model that was loaded; then retrieval sets; then translations."""
    named = [model for model in report["models"] if model["reason"] is None]
    halves = dict.fromkeys(half for model in named for half in (*model["averages"], *model["incomplete"]))
    for half in halves:
        if half in APART:
            continue
        of_half = [model["averages"].get(half, {}) for model in named]
        means = [*dict.fromkeys(mean for each in of_half for mean in each if mean != "CatAVG"), "CatAVG"]
        rows = []
        for model, averages in zip(named, of_half, strict=True):
            mark = INCOMPLETE if half in model["incomplete"] else ""
            shown = [f"{averages[mean]:.2f}{mark}" if mean in averages else NONE for mean in means]
            rows.append([model["name"], *shown, *_costs(model)])
        yield _Means(f"{half} half", ["model", *means, *COSTS], rows)
    if found := searchers(report):
        rows = []
        for each in found:
            mark = INCOMPLETE if each.incomplete else ""
            shown = [NONE if (mean := each.mean(metric)) is None else f"{mean:.2f}{mark}" for metric in METRICS]
            rows.append([each.name, *shown, *(_costs(each.model) if each.model else [NONE] * len(COSTS))])
        yield _Means("retrieval sets", ["search", *METRICS.values(), *COSTS], rows)
    for name, by, languages in by_language(report):
        rows = []
        for one in by:
            mark = INCOMPLETE if one.incomplete else ""
            shown = [NONE if (mean := one.mean(metric)) is None else f"{mean:.2f}{mark}" for metric in BITEXT_METRICS]
            rows.append([one.model["name"], *shown, *_costs(one.model)])
        title = f"translations, {name}: mean of {len(languages)} language{'s' if len(languages) > 1 else ''}"
        yield _Means(title, ["model", *BITEXT_METRICS.values(), *COSTS], rows)


def _costs(model: Mapping[str, Any]) -> list[str]:
    rate = model["texts_per_s"]
    return [f"{model['dims']}", f"{model['size_mb']:.1f}", NONE if rate is None else f"{rate:,}"]


def _sets(report: Mapping[str, Any]) -> list[str]:
    """Every retrieval set, a row each."""
    found = searchers(report)
    if not found:
        return []
    tasks = {task["task"]: task for model in report["models"] for task in model["tasks"] if task["half"] == HALF}
    main, heads = next(iter(METRICS.items()))
    rows = [
        [name, f"{task['rows']:,}", *(_points(each.scores.get(name, {}).get(main)) for each in found)]
        for name, task in tasks.items()
    ]
    return [
        f"## Retrieval sets, {heads}",
        "",
        *markdown_table(["set", "queries", *(each.name for each in found)], rows),
        "",
        ABOUT_RETRIEVAL + (ABOUT_WORDS if report.get("words") else ""),
        "",
    ]


def _translations(report: Mapping[str, Any]) -> list[str]:
    """Of every set of translations the accuracies, a row a language."""
    lines = []
    for name, by, languages in by_language(report):
        main, told = next(iter(BITEXT_METRICS.items()))
        rows = [
            [language, f"{count:,}", *(_points(each.scores.get(language, {}).get(main)) for each in by)]
            for language, count in languages.items()
        ]
        heads = ["language", "sentences", *(each.model["name"] for each in by)]
        lines += [f"## Translations, {markdown(name)}, {told}", "", *markdown_table(heads, rows), ""]
    return [*lines, ABOUT_BITEXT, ""] if lines else []


def _points(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.2f}"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(map(markdown, heads))} |",
        f"|---|{'---:|' * (len(heads) - 1)}",
        *(f"| {' | '.join(map(markdown, row))} |" for row in rows),
    ]
