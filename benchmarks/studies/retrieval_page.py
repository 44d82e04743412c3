"""docs/results/retrieval.md: how well vectors find, words, and both; and what words cost beside vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_potion.escaping import markdown

from ..quality.retrieval_rows import METRICS
from .page_parts import Report, folded, source, table

__all__ = ["OURS", "retrieval_page", "retrieval_tables"]

COMMAND = "python -m edge_potion.benchmarks.studies.retrieval"
MAIN = "ndcg_at_10"
OURS = "edge-potion"
TARGET, TARGET_GAIN = 62.2, 2.8  # points of nDCG@10
CALLED = {"words": "", "vectors": ", vectors", "hybrid": " + words"}
OTHER_RULES = ("standardized sum", "reciprocal ranks")
RULE = """\
Hybrid search takes cosines in deviations from their mean, and words as a share of what the query's words could give at
most. Two known rules beside it: the *standardized sum* takes both in deviations from their means, over all documents;
*reciprocal ranks* adds 1 / (60 + rank). nDCG@10:"""

HELD_OUT = """\
What a word is and the rule were chosen with the four sets in view. Here are others, made of pairs of texts, such as a
question and its answer: each query's own must be found among up to 6,000. One number was chosen with these in view: how
much words count, where the four sets do not tell 14 from 25. nDCG@10:"""


def retrieval_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    page = ["# Retrieval", *retrieval_tables(report), source(name, COMMAND)]
    return {"results/retrieval.md": "\n\n".join(page) + "\n"}


def retrieval_tables(report: Report) -> list[str]:
    """All of a report in Markdown, paragraph by paragraph."""
    short = [one for one in report["searchers"] if one["by"] not in OTHER_RULES]
    return [
        "Queries of four public sets that nothing here was trained on, searched by a model's vectors, by words, and by "
        "both as [`edge-potion search`](../search.md) does. nDCG@10 in points of 100, by MTEB's definition, as "
        "`edge-potion evaluate --suite` gives it; the mean is over the sets.",
        _table(report, short, MAIN),
        "**BM25** is ours, and **bm25s** the package of that name with its English stop words and Porter's stemmer; "
        "both have k1 0.9 and b 0.4. **model2vec** is its own distillation of **all-MiniLM-L6-v2**, the first "
        f"teacher of our built-in model too, a transformer. {_models(report)}",
        _sets(report),
        "## Against our targets",
        "\n".join(f"* {line}" for line in _verdicts(report)),
        "## More numbers",
        *(folded(title, _table(report, short, metric)) for metric, title in METRICS.items() if metric != MAIN),
        "## The rule",
        RULE,
        _table(report, [one for one in report["searchers"] if one["by"] in ("hybrid", *OTHER_RULES)], MAIN),
        "## Sets on which one number was chosen",
        HELD_OUT,
        _by_set(report["held_out"], MAIN),
        _below(report["held_out"]),
        "## What words cost",
        *_costs(report["costs"]),
    ]


def _table(report: Report, searchers: Sequence[Mapping[str, Any]], metric: str) -> str:
    sets = [one["name"] for one in report["sets"]]
    rows = []
    for one in searchers:
        points = [100 * one["sets"][name][metric] for name in sets]
        rows.append([_called(one), *(f"{each:.1f}" for each in points), f"{sum(points) / len(points):.1f}"])
    return table(["", *map(markdown, sets), "mean"], rows)


def _by_set(report: Report, metric: str) -> str:
    """A row a set, a column a search."""
    searchers = report["searchers"]
    points = {each["name"]: [100 * one["sets"][each["name"]][metric] for one in searchers] for each in report["sets"]}
    points["mean"] = [sum(column) / len(points) for column in zip(*points.values(), strict=True)]
    rows = [[markdown(name), *(f"{one:.1f}" for one in row)] for name, row in points.items()]
    return table(["", *map(_called, searchers)], rows)


def _below(report: Report) -> str:
    """On which sets words alone find more than both."""
    words, hybrid = _points(report, "BM25", "words"), _points(report, OURS, "hybrid")
    below = [name for name in hybrid if round(hybrid[name], 1) < round(words[name], 1)]
    if not below:
        return "Hybrid is nowhere below words."
    return f"Hybrid is below words on {markdown(', '.join(below))}."


def _called(searcher: Mapping[str, Any]) -> str:
    called = markdown(searcher["name"] + CALLED.get(searcher["by"], f" + words, {searcher['by']}"))
    return f"**{called}**" if searcher["name"] in (OURS, "BM25") else called


def _models(report: Report) -> str:
    told = (
        f"{markdown(name)}: {one['dims']} dimensions, {one['size_mb']:,} MB" for name, one in report["models"].items()
    )
    return f"{'; '.join(told)}."


def _sets(report: Report) -> str:
    told = (
        f"{markdown(one['name'])} has {one['documents']:,} documents and {one['queries']:,} queries"
        for one in report["sets"]
    )
    return f"{'; '.join(told)}. Of 30 queries, two points are no difference."


def _verdicts(report: Report) -> list[str]:
    words, peer = _points(report, "BM25", "words"), _points(report, "bm25s", "words")
    vectors, hybrid = _points(report, OURS, "vectors"), _points(report, OURS, "hybrid")
    above = [name for name in hybrid if hybrid[name] > max(words[name], vectors[name])]
    missed = ", ".join(name for name in hybrid if name not in above)
    return [
        f"Hybrid reaches {_mean(hybrid):.1f} on the mean. Target: {TARGET}.",
        f"That is {_mean(hybrid) - _mean(words):+.1f} from our BM25 alone, and {_mean(hybrid) - _mean(peer):+.1f} from "
        f"bm25s. Target: {TARGET_GAIN:+}, which was set beside a BM25 of 59.4.",
        f"It is above both words and vectors on {len(above)} of {len(hybrid)} sets"
        f"{f', but not on {markdown(missed)}' if missed else ''}. Target: all.",
    ]


def _points(report: Report, name: str, by: str) -> dict[str, float]:
    one = next(one for one in report["searchers"] if (one["name"], one["by"]) == (name, by))
    return {each: 100 * scores[MAIN] for each, scores in one["sets"].items()}


def _mean(points: Mapping[str, float]) -> float:
    return sum(points.values()) / len(points)


def _costs(costs: Mapping[str, Any]) -> list[str]:
    rows = []
    for one in costs["corpora"]:
        size = one["bytes_a_row"]
        without = size["vectors"] + size["texts"]
        sizes = (size["vectors"], size["words"], without, without + size["words"])
        name = f"{one['rows']:,} {one['name']}, {one['characters']:,} characters each"
        times = one["ms_a_query"].values()
        rows.append([name, *(f"{each:,.0f}" for each in sizes), *(f"{each:.2f}" for each in times)])
    modes = [f"{mode}, ms" for mode in costs["corpora"][0]["ms_a_query"]]
    told = [
        "Bytes a row of an index by `edge-potion index` with the built-in model: of its vectors, of its words, and of "
        "all of it, with texts and what they are called.",
        table(["", "vectors", "words", "without words", "with words", *modes], rows),
    ]
    if modes:
        told.append(
            "Times are medians of a query by vectors alone, by words alone and by both, its own embedding included: "
            f"{costs['queries']:,} queries, {costs['rounds']} rounds, the modes in turn, on {markdown(costs['cpu'])}."
        )
    return told
