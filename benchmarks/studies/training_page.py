"""docs/results/training.md: how fast training and featurizing are, beside Tokenlearn and sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from edge_potion.escaping import markdown

from ..speed.report import plots
from .page_parts import Report, folded, pictures, shown, source, table

__all__ = ["training_page"]

TITLE = "How many times as fast as theirs"
PARTS = {"contrast": "Training a table", "featurize": "Asking the teacher"}


def training_page(report: Report, name: str) -> dict[str, str]:
    """The page and its picture, by their paths in docs/."""
    words = (
        f"edge-potion's rows a second, divided by theirs within the same minutes, on {report['machine']['threads']} "
        f"threads of {report['machine']['cpu']}: 1 is as fast. Median of {report['rounds']} rounds; the line goes from "
        "the lowest to the highest."
    )
    rows = [
        plots.Bar(called, "", f"beside {who}", False, f"{ratio['median']:.1f} times", _spread(ratio), None)
        for part, called in PARTS.items()
        for who, ratio in _ratios(report[part]).items()
    ]
    plot = plots.bars("training", TITLE, words, rows)
    contrast, featurize = report["contrast"], report["featurize"]
    size, peer = " x ".join(f"{side:,}" for side in contrast["table"]), contrast["peer_versions"]["tokenlearn"]
    page = [
        "# Training",
        shown("training", f"{TITLE}. {'; '.join(f'{row.model} {row.label}: {row.note}' for row in rows)}."),
        _rates(report),
        f"On {report['machine']['threads']} threads of {markdown(report['machine']['cpu'])}, medians of "
        f"{report['rounds']} interleaved rounds. Training: one epoch of {contrast['rows']:,} sentences at batch "
        f"{contrast['batch']} on a table of {size}, beside Tokenlearn {peer}'s own module and step with the same loss. "
        f"Asking the teacher: {featurize['texts']:,} texts through all-MiniLM-L6-v2, beside sentence-transformers.",
        "## What the epoch is worth",
        "STS-B dev after that epoch; optimizers and learning rates differ.",
        folded(
            "Scores", table(["", "STS-B dev"], [[who, f"{score}"] for who, score in contrast["dev_scores"].items()])
        ),
        folded("Seconds of each part", _seconds(contrast["seconds"])),
        source(name, "make bench-training"),
    ]
    return {"results/training.md": "\n\n".join(page) + "\n", **pictures("training", plot, TITLE, words)}


def _ratios(part: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """By peer; the first of a peer counts: the whole."""
    return {ratio["to"]: ratio for ratio in reversed(part["ratios"])}


def _spread(ratio: Mapping[str, float]) -> dict[str, float]:
    return {"median": ratio["median"], "low": ratio["lowest"], "high": ratio["highest"]}


def _rates(report: Report) -> str:
    rows = []
    for part, called in PARTS.items():
        ratios = _ratios(report[part])
        for who, rates in report[part]["rows_per_s"].items():
            ratio = ratios.get(who)
            times = f"{ratio['median']:.1f} ({ratio['lowest']:.1f}-{ratio['highest']:.1f})" if ratio else ""
            rows.append([f"{called}: {markdown(who)}", f"{median(rates):,.0f}", times])
    return table(["", "rows/s", "edge-potion is times"], rows)


def _seconds(parts: Mapping[str, Mapping[str, float]]) -> str:
    rows = [[markdown(f"{who}: {part}"), f"{seconds:.2f}"] for who, of in parts.items() for part, seconds in of.items()]
    return table(["", "s"], rows)
