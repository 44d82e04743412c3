"""The files of a report: report.json, what describes it, report.md and report.html."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from edge_potion.writing import file_written_whole

from .json_file import as_json, json_schema
from .markdown import as_markdown
from .model import Report
from .page import as_page

__all__ = ["write_report"]


def write_report(report: Report, out: Path) -> None:
    """All of them in a folder, each whole or not there."""
    contents: dict[str, Callable[[], str]] = {
        "report.json": lambda: as_json(report),
        "report.md": lambda: as_markdown(report),
        "report.html": lambda: as_page(report),
        "report.schema.json": lambda: json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
    }
    for name, content in contents.items():
        with file_written_whole(out / name) as beside:
            # Half a character, in a name that is not UTF-8, is written as JSON writes it.
            beside.write_text(content(), encoding="utf-8", errors="backslashreplace")
