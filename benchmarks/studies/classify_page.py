"""docs/results/classify.md: labels of texts beside model2vec, tf-idf, fastText and the teacher's vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from edge_potion.escaping import markdown

from .classify_picture import Line, lines
from .page_parts import Report, folded, pictures, shown, source, table

__all__ = ["Accuracies", "classify_page", "classify_tables"]

COMMAND = "python -m edge_potion.benchmarks.studies.classify"
TITLE = "Accuracy against rows a label"
WORDS = (
    "Mean over the suite's classification tasks and over draws of the rows. edge-potion and model2vec begin with the "
    "same table; the teacher is a transformer, tf-idf and fastText begin with nothing."
)
OURS, VECTOR, MODEL2VEC, TF_IDF, CHOSEN = "edge-potion", "edge-potion-vector", "model2vec", "tf-idf", "tf-idf-chosen"
FASTTEXT, TEACHER, HEAD_ONLY = "fasttext", "teacher", "edge-potion-head"
NAMES = {
    OURS: "edge-potion",
    VECTOR: "edge-potion, vector",
    MODEL2VEC: "model2vec",
    TF_IDF: "tf-idf",
    CHOSEN: "tf-idf, C chosen",
    FASTTEXT: "fastText",
    TEACHER: "the teacher's vectors",
    HEAD_ONLY: "edge-potion, tune=head",
}
# Of the picture: plots.css has four colours, and one for those that are beside the point.
STYLES = {OURS: "s0", VECTOR: "s0", MODEL2VEC: "s1", TF_IDF: "s2", FASTTEXT: "s3", TEACHER: "peer s0"}
WHAT = {
    OURS: "`TextClassifier` by its defaults, which chooses by held-out rows between the vector alone and the vector "
    "with tokens and pairs of tokens, and whether the table is trained too.",
    VECTOR: '`TextClassifier(head="vector")`: a head on the sentence embedding, as other libraries have it.',
    MODEL2VEC: "`StaticModelForClassification` {model2vec} by its defaults, on the same table: a hidden layer of 512 "
    "on the vector; table and head are trained together.",
    TF_IDF: "scikit-learn {scikit-learn}: `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)` and "
    "`LogisticRegression(C=20)`.",
    CHOSEN: "The same with C of 1, 5, 20 or 100, chosen on the first draw of each task and size: by five folds up to "
    "2,000 rows, by a held-out fifth beyond.",
    FASTTEXT: "fastText {fasttext}'s supervised mode, pairs of words, 100 dimensions, lower-cased words parted from "
    "punctuation, rows shuffled; learning rate of 0.5 or 1 and epochs of 25 or 100 chosen in the same way.",
    TEACHER: "`LogisticRegression(C=20)` on the vectors of all-MiniLM-L6-v2, a transformer of six layers: the first "
    "teacher of the built-in model, at some thousand times its cost a text.",
}


class Accuracies:
    """Percent by contestant, task and rows a label, each a list over draws.

    Attributes:
        tasks, sizes, names: those that there are, in order; a size of None is all rows.
    """

    def __init__(self, runs: Sequence[Mapping[str, Any]]) -> None:
        self.tasks = sorted({run["task"] for run in runs})
        self.sizes = sorted({run["rows_a_label"] for run in runs}, key=lambda size: size or float("inf"))
        self.names = [name for name in NAMES if any(run["contestant"] == name for run in runs)]
        self._by: dict[tuple[str, str, int | None], list[float]] = {}
        for run in runs:
            key = run["contestant"], run["task"], run["rows_a_label"]
            self._by.setdefault(key, []).append(100 * run["accuracy"])

    def of(self, name: str, task: str, size: int | None) -> list[float]:
        """Over draws; empty where it was not run."""
        return self._by.get((name, task, size), [])

    def mean(self, name: str, size: int | None) -> float | None:
        """Over all tasks, each the mean over its draws; None where one is missing."""
        by_task = [self.of(name, task, size) for task in self.tasks]
        return fmean(map(fmean, by_task)) if all(by_task) else None

    def draws(self, name: str, size: int | None) -> int:
        """How many draws every task has at least."""
        return min(len(self.of(name, task, size)) for task in self.tasks)

    def ahead(self, name: str, other: str, size: int | None) -> list[float]:
        """Points between two means, draw by draw; empty where one is missing."""
        own, others = self._by_draw(name, size), self._by_draw(other, size)
        if len(others) == 1:  # of all rows, who leaves nothing to chance is run once
            others *= len(own)
        return [one - another for one, another in zip(own, others, strict=False)]

    def _by_draw(self, name: str, size: int | None) -> list[float]:
        return [fmean(self.of(name, task, size)[draw] for task in self.tasks) for draw in range(self.draws(name, size))]


def classify_page(report: Report, name: str) -> dict[str, str]:
    """The page and its picture, by their paths in docs/."""
    found = Accuracies(report["runs"])
    drawn = [
        Line(NAMES[who], [found.mean(who, size) for size in found.sizes], STYLES[who], marker)
        for marker, who in enumerate(STYLES)
        if any(found.mean(who, size) is not None for size in found.sizes)
    ]
    plot = lines("classify", TITLE, WORDS, drawn, [_size(size) for size in found.sizes], "accuracy, percent")
    alternative = "; ".join(f"{line.name}: {', '.join(map(_points, line.values))}" for line in drawn)
    page = ["# Labels of texts", shown("classify", f"{TITLE}. {alternative}."), *classify_tables(report)]
    page.append(source(name, COMMAND))
    return {"results/classify.md": "\n\n".join(page) + "\n", **pictures("classify", plot, TITLE, WORDS)}


def classify_tables(report: Report) -> list[str]:
    """All of a report in Markdown, paragraph by paragraph."""
    found = Accuracies(report["runs"])
    return [
        table(
            ["accuracy, percent", *(f"{_size(size)} rows a label" if size else "all rows" for size in found.sizes)],
            [[_name(who), *(_points(found.mean(who, size)) for size in found.sizes)] for who in found.names],
        ),
        _protocol(report, found),
        "## Against our targets",
        "What we had set out for, and what came of it; negative results stand here as they are.",
        "\n".join(f"* {line}" for line in [*_accuracy_targets(found), *_trust_targets(report), *_time_targets(report)]),
        "## What each is",
        "\n".join(f"* **{NAMES[who]}**: {WHAT[who].format(**report['versions'])}" for who in found.names),
        "## By task",
        "Mean over draws, and the standard deviation between them.",
        *(_by_task(found, size) for size in found.sizes),
        *_chosen(report),
        *_times(report),
        *_trust(report),
    ]


def _protocol(report: Report, found: Accuracies) -> str:
    draws = max(found.draws(who, size) for who in found.names for size in found.sizes)
    fewer = [
        f"{NAMES[who]} {found.draws(who, size)} at {_size(size)} rows"
        for who in found.names
        for size in found.sizes
        if 0 < found.draws(who, size) < draws and (size or not _settled(who))
    ]
    exception = f" (fewer runs: {', '.join(fewer)})" if fewer else ""
    return (
        f"{len(found.tasks)} tasks of the suite, each by its own test rows. Rows are drawn {draws} times a size, the "
        "same for all who are compared; of all rows there is one draw, and the runs of those that leave something to "
        f"chance differ by their seeds{exception}. A label with fewer rows gives all it has. A mean stands where all "
        "tasks were run."
    )


def _settled(who: str) -> bool:
    return who in (TF_IDF, CHOSEN, TEACHER)


def _accuracy_targets(found: Accuracies) -> Iterator[str]:
    """What was wanted of the means, by the other and rows a label."""
    wanted = [(MODEL2VEC, size, 0.0 if size else 0.5) for size in found.sizes]
    wanted += [(TF_IDF, size, 5.0 if size else 1.0) for size in found.sizes if size in (8, None)]
    for other, size, target in wanted:
        if ahead := found.ahead(OURS, other, size):
            at = f"{size} rows a label" if size else "all rows"
            spread = f" ({min(ahead):+.2f} to {max(ahead):+.2f} by draw)" if len(ahead) > 1 else ""
            yield (
                f"At {at}, edge-potion is {fmean(ahead):+.2f} points from {NAMES[other]}{spread}. "
                f"Target: {target:+.1f} or more."
            )


def _trust_targets(report: Report) -> Iterator[str]:
    if rows := report["trust"]:
        error = fmean(row["calibration_error"]["with_temperature"] for row in rows)
        yield f"Calibration error after temperature, mean of {len(rows)} tasks: {error:.3f}. Target: 0.03 at most."
        for engine, called in ENGINES.items():
            same = sum(row["int8"]["same_label"][engine] for row in rows) / sum(row["int8"]["rows"] for row in rows)
            yield f"int8 has float32's label on {100 * same:.3f} % of test rows in {called}. Target: at least 99.9 %."


ENGINES = {"onnxruntime": "ONNX Runtime", "native": "the engine"}


def _time_targets(report: Report) -> Iterator[str]:
    if not (times := report["times"]):
        return
    training = times["training_s"]
    for who in (OURS, HEAD_ONLY):
        if all({who, MODEL2VEC} <= set(of) for of in training.values()):
            share = _sum(training, who) / _sum(training, MODEL2VEC)
            yield f"All tasks at all rows, {NAMES[who]} takes {share:.2f} of model2vec's time. Target: at most 0.20."
    for each in times["labels"]:
        for library, wanted in (("edge-potion, ONNX Runtime", 4), ("edge-potion, engine", 30)):
            of = _library(each, library)["times_model2vec"]
            told = ", ".join(f"{one['median']:.1f} at {batch} a call" for batch, one in of.items())
            yield f"{each['task']}: {library} labels {told} times as fast as model2vec. Target: at least {wanted}."
        alone = _library(each, "edge-potion, engine")["us_a_text"]["1"]["median"]
        yield f"{each['task']}: a single text takes {alone:.1f} us with the engine. Target: at most 10."


def _sum(training: Mapping[str, Mapping[str, Mapping[str, float]]], who: str) -> float:
    return sum(of[who]["median"] for of in training.values())


def _library(each: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next(one for one in each["libraries"] if one["name"] == name)


def _by_task(found: Accuracies, size: int | None) -> str:
    rows = [
        [_name(who), *(_mean_and_spread(found.of(who, task, size)) for task in found.tasks)]
        for who in found.names
        if any(found.of(who, task, size) for task in found.tasks)
    ]
    return folded(f"{size} rows a label" if size else "All rows", table(["", *found.tasks], rows))


def _chosen(report: Report) -> Iterator[str]:
    """What was chosen at all rows, by who chooses."""
    chosen: dict[str, dict[str, list[str]]] = {}
    for run in report["runs"]:
        if run["rows_a_label"] is None and run["settings"] and run["contestant"] not in (TF_IDF, TEACHER, VECTOR):
            settings = chosen.setdefault(run["contestant"], {}).setdefault(run["task"], [])
            settings += [run["settings"]] if run["settings"] not in settings else []
    if chosen:
        tasks = sorted({task for of in chosen.values() for task in of})
        rows = [
            [_name(who), *("; ".join(chosen[who].get(task, ["–"])) for task in tasks)] for who in NAMES if who in chosen
        ]
        yield folded("What was chosen at all rows", table(["", *tasks], rows))


def _times(report: Report) -> Iterator[str]:
    if not (times := report["times"]):
        return
    yield "## Time"
    yield (
        f"On {markdown(times['cpu'])}, medians of {times['rounds']} interleaved rounds, with the lowest and the "
        f"highest. Training is on all rows, on {times['threads']} cores, from texts and labels to what predicts; what "
        "choosing settings of tf-idf and fastText took, and what asking the teacher took, is not in it."
    )
    training = times["training_s"]
    names = [who for who in NAMES if any(who in of for of in training.values())]
    rows = [[task, *(_spread(of.get(who), 2) for who in names)] for task, of in training.items()]
    yield table(["training, seconds", *(_name(who) for who in names)], rows)
    yield "From text to label, in one process on one pinned core; microseconds a text."
    batches = list(times["labels"][0]["libraries"][0]["us_a_text"])
    heads = ["", *(f"{batch} a call" for batch in batches), *(f"times model2vec, {batch} a call" for batch in batches)]
    yield table(
        heads,
        [
            [
                f"{each['task']}: {markdown(one['name'])}",
                *(_spread(one["us_a_text"][batch], 1) for batch in batches),
                *(_spread(one["times_model2vec"][batch], 1) for batch in batches),
            ]
            for each in times["labels"]
            for one in each["libraries"]
        ],
    )


def _trust(report: Report) -> Iterator[str]:
    if not (rows := report["trust"]):
        return
    yield "## What a probability is worth"
    yield (
        "edge-potion, trained on all rows. Calibration error: how far, on the mean, the probability of a label is from "
        "the share of right ones (15 bins, test rows), before its logits are divided by a temperature that held-out "
        "training rows chose, and after."
    )
    errors = ("without_temperature", "with_temperature")
    means = [f"{fmean(row['calibration_error'][error] for row in rows):.3f}" for error in errors]
    yield table(
        ["", "accuracy", "temperature", "error before", "error after"],
        [
            [
                row["task"],
                f"{100 * row['accuracy']:.1f}",
                f"{row['temperature']:.2f}",
                *(f"{row['calibration_error'][error]:.3f}" for error in errors),
            ]
            for row in sorted(rows, key=lambda row: row["task"])
        ]
        + [["mean", "", "", *means]],
    )
    yield "## None of these"
    yield NONE_OF_THESE
    foreign = {"everyday": "everyday requests", "other_tasks": "other tasks"}
    yield table(
        ["percent", "threshold", "own texts answered", "of these right"]
        + [f"{of} {what}" for what in foreign.values() for of in ("answered,", "AUROC,")],
        [
            [
                row["task"],
                f"{row['threshold']:.3f}" if row["threshold"] is not None else "none",
                _percent(row["answered"]["share"]),
                _percent(row["answered"]["precision"]),
                *(
                    _percent(row["foreign"][name][what]) if name in row["foreign"] else "–"
                    for name in foreign
                    for what in ("answered", "auroc")
                ),
            ]
            for row in sorted(rows, key=lambda row: row["task"])
        ],
    )
    commonest = {row["task"]: row["foreign"]["other_tasks"]["commonest"] for row in rows}
    yield (
        "The label that is most often given to those texts of other tasks that are answered, and its share of them: "
        + "; ".join(
            f"{task} {markdown(label)}, {100 * share:.0f} %" for task, (label, share) in sorted(commonest.items())
        )
        + ". A label that takes in whatever else is said, as MASSIVE's *general quirky*, draws them to itself."
    )


NONE_OF_THESE = """\
A threshold was chosen on held-out training rows so that 95 % of the labels at or above it are right. The table tells
which share of test texts is still answered, how many of these labels are right, and which share of foreign texts is
answered: wrongly, every one of them. Foreign are 150
[everyday requests](../../benchmarks/studies/classify_foreign.txt) that we wrote, which no intent of a bank or of a
voice assistant covers, and 250 test texts of each task about something else; MTOP and MASSIVE, both of an assistant,
are not foreign to each other, nor are emotions and the sentiment of tweets. AUROC is how often a test text is surer of
its label than a foreign one. Any text may be asked how it feels (Emotion, Imdb, TweetSentimentExtraction), or whether
it tells of what did not happen (AmazonCounterfactual): to these hardly a text is foreign, and no threshold can tell. A
threshold holds its precision among texts that belong to some label; where foreign ones are to be expected, give them a
label of their own."""


def _name(who: str) -> str:
    """Ours stand out."""
    return f"**{NAMES[who]}**" if who == OURS else NAMES[who]


def _size(size: int | None) -> str:
    return str(size) if size else "all"


def _points(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else "–"


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{fmean(values):.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def _spread(of: Mapping[str, float] | None, digits: int) -> str:
    return f"{of['median']:.{digits}f} ({of['low']:.{digits}f}-{of['high']:.{digits}f})" if of else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
