"""What the generated pages are made of: pictures in light and dark, tables, folds, and where numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_potion.escaping import html, markdown

from .picture import standalone

__all__ = ["IMAGES", "Report", "folded", "pictures", "shown", "source", "table"]

IMAGES = "images"  # folder beside the folder of the pages
Report = Mapping[str, Any]  # a JSON of results/


def pictures(key: str, plot: str, title: str, words: str) -> dict[str, str]:
    """The two files of a picture, by their path in docs/."""
    return {
        f"{IMAGES}/{key}{suffix}.svg": standalone(plot, title, words, dark=bool(suffix)) for suffix in ("", "-dark")
    }


def shown(key: str, alternative: str) -> str:
    """The picture in a page; `alternative` says in words what it shows."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="../{IMAGES}/{key}-dark.svg">'
        f'<img alt="{html(alternative)}" src="../{IMAGES}/{key}.svg" width="720"></picture>'
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are Markdown already; the first column is words, the others numbers."""
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def folded(summary: str, content: str) -> str:
    """What opens at a click."""
    return f"<details>\n<summary>{html(summary)}</summary>\n\n{content.strip()}\n\n</details>"


def source(name: str, command: str) -> str:
    """Where a page's numbers come from."""
    file = f"benchmarks/studies/results/{name}"
    return f"Numbers from [{markdown(file)}](../../{file}), which `{command}` writes. This page is generated."
