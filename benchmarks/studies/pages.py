"""Write the generated pages of docs/, whole, and their pictures: the numbers are the newest reports' in results/.

    python -m edge_potion.benchmarks.studies.pages [docs] [--check]

--check compares only, and exits 1 with the name of each file that is stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError

from .bulk_page import bulk_page
from .classify_page import classify_page
from .codes_page import codes_page
from .engine_page import engine_page
from .help_page import help_page
from .page_parts import Report
from .quality_page import quality_page
from .rehearsal_page import rehearsal_page
from .retrieval_page import retrieval_page
from .runtimes_page import runtimes_page
from .scale_page import scale_page
from .serve_page import serve_page
from .speed_page import speed_page
from .training_page import training_page

__all__ = ["generated", "stale"]

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Write or check docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("docs", type=Path, nargs="?", default=Path("docs"))
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a file is stale")
    arguments = parser.parse_args()
    if arguments.check:
        old = stale(arguments.docs, generated(RESULTS))
        sys.exit(f"stale, write them anew without --check: {', '.join(old)}" if old else 0)
    for path, content in generated(RESULTS).items():
        (arguments.docs / path).parent.mkdir(parents=True, exist_ok=True)
        (arguments.docs / path).write_text(content, encoding="utf-8", newline="\n")


def generated(results: Path) -> dict[str, str]:
    """The content of each page and picture, by its path in docs/."""
    return {
        **quality_page(*_newest(results, "quality", "make bench-quality")),
        **speed_page(*_newest(results, "benchmark", "make bench"), results),
        **training_page(*_newest(results, "training", "make bench-training")),
        **runtimes_page(*_newest(results, "runtimes", "make runtimes")),
        **_if_measured(engine_page, results, "engine"),
        **_if_measured(codes_page, results, "codes"),
        **_if_measured(classify_page, results, "classify"),
        **_if_measured(retrieval_page, results, "retrieval"),
        **_if_measured(bulk_page, results, "bulk"),
        **_if_measured(scale_page, results, "bulk"),
        **_if_measured(serve_page, results, "serve"),
        **_if_measured(rehearsal_page, results, "rehearsal"),
        **help_page(),
    }


def _if_measured(page: Callable[[Report, str], dict[str, str]], results: Path, what: str) -> dict[str, str]:
    """The page of a study that asks for a quiet machine, where it has been run."""
    if not any(results.glob(f"*_{what}.json")):
        return {}
    return page(*_newest(results, what, f"benchmarks/studies/{what}.py"))


def stale(docs: Path, contents: dict[str, str]) -> list[str]:
    """Which files of `docs` are not there, or hold other bytes."""
    return [
        path
        for path, content in contents.items()
        if not (docs / path).is_file() or (docs / path).read_bytes() != content.encode("utf-8")
    ]


def _newest(results: Path, what: str, command: str) -> tuple[dict[str, Any], str]:
    """A report and the name of its file, <date>_<machine>_<what>.json."""
    reports = sorted(results.glob(f"*_{what}.json"))
    if not reports:
        raise InputError(f"{results} holds no *_{what}.json; {command} writes one")
    return json.loads(reports[-1].read_text(encoding="utf-8")), reports[-1].name


if __name__ == "__main__":
    main()
