"""docs/results/runtimes.md: which library loads a bundle just as it is, and whether its vectors are the oracle's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_potion.escaping import markdown

from ..speed.report import plots
from .page_parts import Report, folded, pictures, shown, source

__all__ = ["runtimes_page", "runtimes_table"]

TITLE = "Golden texts with the oracle's vector"


def runtimes_page(report: Report, name: str) -> dict[str, str]:
    """The page and its picture, by their paths in docs/."""
    texts = _texts(report)
    words = (
        f"One bundle, loaded just as it is by each library: how many of its {texts} golden texts get the vector that "
        "they should. The others are nasty on purpose, and those libraries cut or tokenize them otherwise."
    )
    rows: dict[str, plots.Bar] = {}
    for row in report["rows"]:
        agreeing, passed = row.get("agree") or 0, row["status"] == "passed"
        note = f"{agreeing} of {texts}" if passed else row["status"]
        spread = dict.fromkeys(("median", "low", "high"), agreeing)
        rows.setdefault(row["runtime"], plots.Bar("", "", row["runtime"], not passed, note, spread, None))
    plot = plots.bars("runtimes", TITLE, words, [*rows.values()])
    page = [
        "# Runtimes",
        shown("runtimes", f"{TITLE}. {'; '.join(f'{row.label}: {row.note}' for row in rows.values())}."),
        "\n".join(["| library | texts |", "|---|---:|", *(f"| {markdown(of)} | {rows[of].note} |" for of in rows)]),
        f"Each library runs in an environment of its own. A text agrees when its cosine to the oracle's vector is at "
        f"least {report['agrees']}.",
        folded("Files, versions, the least cosine, and what happens to the other texts", runtimes_table(report)),
        source(name, "make runtimes"),
    ]
    return {"results/runtimes.md": "\n\n".join(page) + "\n", **pictures("runtimes", plot, TITLE, words)}


def runtimes_table(report: Report) -> str:
    """All of a report of `python -m edge_potion.benchmarks.studies.runtimes`, in Markdown."""
    lines = ["| library | loads | texts | least cosine | |", "|---|---|---:|---:|---|"]
    alike: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}  # rows that differ in precision and cosine alone
    for row in report["rows"]:
        alike.setdefault((_library(row), _agreeing(row), _remarks(row)), []).append(row)
    for (library, agreeing, remarks), rows in alike.items():
        files = dict.fromkeys([*(row["loads"][0] for row in rows), *rows[0]["loads"][1:]])
        least = [f"{row['least_cosine']:.6f} {row['precision']}" for row in rows if row["status"] == "passed"]
        cells = [library, ", ".join(f"`{file}`" for file in files), agreeing, "<br>".join(least), remarks]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _texts(report: Report) -> int:
    return max(row.get("texts", 0) for row in report["rows"])


def _library(row: Mapping[str, Any]) -> str:
    return markdown(", ".join(f"{package} {version}".rstrip() for package, version in row["versions"].items()))


def _agreeing(row: Mapping[str, Any]) -> str:
    return str(row["agree"]) if row["status"] == "passed" else f"**{row['status']}**"


def _remarks(row: Mapping[str, Any]) -> str:
    """What differs and why, or why it did not run."""
    if row["status"] != "passed":
        return markdown(row["reason"])
    strays = [f"{stray['texts']} {stray['class']}: {stray['why']}" for stray in row["strays"]]
    return "; ".join([*filter(None, [row["remark"]]), *strays])
