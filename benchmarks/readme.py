"""Write the numbers of README.md from the reports in benchmarks/results, so that none is typed by hand.

    python -m edge_potion.benchmarks.readme [README.md] [--check]

Everything between `<!-- numbers -->` and `<!-- end of numbers -->` is replaced; --check only compares, and exits 1
when the two differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError

__all__ = ["numbers", "with_numbers"]

BEGIN, END = "<!-- numbers -->\n", "<!-- end of numbers -->"


def main() -> None:
    """Write or check README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readme", type=Path, nargs="?", default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when the numbers are stale")
    arguments = parser.parse_args()
    old = arguments.readme.read_text(encoding="utf-8")
    new = with_numbers(old, arguments.readme.parent / "benchmarks" / "results")
    if arguments.check:
        sys.exit(old != new)
    arguments.readme.write_text(new, encoding="utf-8")


def with_numbers(readme: str, results: Path) -> str:
    """The README with its numbers section written anew from the newest speed report in `results`."""
    if readme.count(BEGIN) != 1 or END not in readme:
        raise InputError(f"README.md needs one {BEGIN.strip()} and one {END}")
    reports = sorted(results.glob("*_speed.json"))  # named <date>_<machine>_speed.json
    if not reports:
        raise InputError(f"{results} holds no *_speed.json; write one with benchmarks.speed --json")
    before, rest = readme.split(BEGIN)
    report = json.loads(reports[-1].read_text(encoding="utf-8"))
    return before + BEGIN + numbers(report, reports[-1].name) + END + rest.split(END, 1)[1]


def numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one speed report."""
    machine, versions = report["machine"], report["versions"]
    end_to_end = {row["name"]: row for row in report["end_to_end"]}
    lines = [
        f"One pinned thread of {machine['cpu']}, {report['sentences']:,} English sentences, batch {report['batch']}, "
        f"median of {report['rounds']} interleaved rounds against model2vec {versions['model2vec']} on the same "
        f"float32 table (onnxruntime {versions['onnxruntime']}, tokenizers {versions['tokenizers']}).",
        "",
        "| | from text, texts/s | ratio | from token ids, texts/s | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in report["from_ids"]:
        text = end_to_end[row["name"]]
        cells = [f"{value['texts_per_second']:,.0f} | {_ratio(value)}" for value in (text, row)]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    source = f"[benchmarks/results/{name}](benchmarks/results/{name})"
    return "\n".join([*lines, "", f"From {source}, written by `make bench`.", ""])


def _ratio(row: dict[str, Any]) -> str:
    return f"{row['ratio']:.2f} ({row['ratio_low']:.2f}-{row['ratio_high']:.2f})"


if __name__ == "__main__":
    main()
