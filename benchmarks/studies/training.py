"""Rows/s of training beside Tokenlearn's, and of featurizing beside the calls it makes: interleaved rounds.

    python -m edge_potion.benchmarks.studies.training TEACHER SENTENCES FEATURES [--json FILE] [--sts FILE]

Contrast: one epoch of `contrast()`, its checkpoint, evaluation and picture included, and its steps alone, against
Tokenlearn 0.2.1's own module, data loader and training step in its own environment (`tokenlearn_step.py`), with the
same loss on the same token ids, targets, first table and order of the rows. With --sts both tables are scored too: the
optimizers differ.

Featurize: see `featurizing.py`.

Every rate is the median over rounds; a ratio is taken round by round, and given with the lowest and the highest. Other
work on the machine falsifies both: run it alone.
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import json
import os
import platform
import pstats
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.static_model import StaticModel
from edge_potion.texts import read_texts
from edge_potion.trainer.contrast import ORDER_STREAM, Goal, contrast, split_rows
from edge_potion.trainer.distill import distill
from edge_potion.trainer.losses import LOSSES
from edge_potion.trainer.pairs import Pairs, open_pairs, write_pairs
from edge_potion.trainer.recipe import ContrastRecipe, DistillRecipe
from edge_potion.trainer.shards import Features, Shard, open_features, write_shard
from edge_potion.trainer.student import Student
from edge_potion.trainer.teacher import Teacher, load_teacher

from ..speed.environments import Missing, python_of
from ..speed.machine import cpu_name
from .featurizing import compare_featurize
from .rounds import print_rates, rates_and_ratios, timed

OURS = "edge-potion"
STEPS_ALONE = "edge-potion, steps alone"
TOKENLEARN = "tokenlearn"
PACKAGES = ("edge-potion", "torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
DIMS = 384
# One epoch, and as few looks at held-out rows as `contrast` can take: Tokenlearn's step has none.
RECIPE = ContrastRecipe(epochs=1, evaluations=1, validation_rows=2)
WARM_UP_ROWS = 4 * RECIPE.batch_size
PEER_LEARNING_RATE = 1e-3  # Tokenlearn's default
SEARCHED = sorted({PEER_LEARNING_RATE, 3e-3, 1e-2, RECIPE.learning_rate})
# What a profile of ours calls the parts of an epoch: file and function -> part.
PARTS = {
    ("pairs.py", "bags"): "gather token ids",
    ("contrast.py", "_on"): "gather targets",
    ("student.py", "_pooled"): "forward",
    ("losses.py", "_contrastive"): "loss",
    ("__init__.py", "grad"): "backward",  # torch/autograd
    ("student.py", "_move"): "update",
    ("contrast.py", "_save"): "checkpoint",
    ("curves.py", "draw"): "picture",
}


@dataclass(frozen=True)
class PeerEpoch:
    """What `tokenlearn_step.py` says of an epoch, and the tables it left: as Tokenlearn gives it, and with its output
    layer multiplied in."""

    report: dict[str, Any]
    table: np.ndarray
    table_with_output_layer: np.ndarray


def main() -> None:
    """Run both comparisons and print them."""
    arguments = _arguments()
    if hasattr(os, "sched_setaffinity"):  # tokenizers, and the peer's process, keep to the same cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    import torch

    torch.set_num_threads(arguments.threads)
    teacher = load_teacher(arguments.teacher, device="cpu")
    report: dict[str, Any] = {
        "machine": {"cpu": cpu_name(), "threads": arguments.threads, "python": platform.python_version()},
        "versions": {package: version(package) for package in PACKAGES},
        "rounds": arguments.rounds,
        "load_before": round(os.getloadavg()[0], 2),
    }
    with tempfile.TemporaryDirectory() as scratch:
        report["contrast"] = _compare_contrast(teacher, arguments, Path(scratch))
    print_rates("contrast, one epoch", report["contrast"])
    _print_parts(report["contrast"]["seconds"])
    _print_scores(report["contrast"])
    with tempfile.TemporaryDirectory() as scratch:
        texts = list(islice(read_texts(arguments.sentences), arguments.texts))
        report["featurize"] = compare_featurize(teacher, texts, arguments.rounds, Path(scratch))
    print_rates("featurize", report["featurize"])
    print("lowest cosine to ours", report["featurize"]["lowest_cosine"])
    print("padded tokens a text", report["featurize"]["padded_tokens_a_text"])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of a sentence-transformer")
    parser.add_argument("sentences", type=Path, help="text file, one sentence a line; .xz too")
    parser.add_argument("features", type=Path, help="folder of (text, vector) shards")
    parser.add_argument("--rows", type=int, default=100_000, help="how many of the features are trained on")
    parser.add_argument("--texts", type=int, default=2_000, help="how many of the sentences are featurized")
    parser.add_argument("--threads", type=int, default=2, help="cores that each contestant may use")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant is timed")
    parser.add_argument("--peer-steps", type=int, help="time these first steps of Tokenlearn's epoch, not all")
    parser.add_argument("--peer", type=Path, help="Python with Tokenlearn; by default that of tokenlearn_train.py")
    parser.add_argument("--sts", type=Path, help=".jsonl.gz with sentence1, sentence2, score, to score the tables on")
    parser.add_argument("--search", action="store_true", help="train Tokenlearn's module at several learning rates too")
    parser.add_argument("--json", type=Path, help="write the report here")
    arguments = parser.parse_args()
    try:
        arguments.peer = arguments.peer or python_of(str(Path(__file__).with_name("tokenlearn_train.py")))
    except Missing as reason:
        parser.error(str(reason))
    if arguments.rows < WARM_UP_ROWS:
        parser.error(f"--rows is {arguments.rows}; at least {WARM_UP_ROWS} are needed for a few steps")
    return arguments


def _compare_contrast(teacher: Teacher, arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    student = distill(teacher, DistillRecipe(dims=DIMS, vocabulary_size=None))
    write_pairs(_first_rows(open_features(arguments.features), arguments.rows, scratch), student, scratch)
    pairs = open_pairs(scratch)
    warm_up = replace(pairs, starts=pairs.starts[: WARM_UP_ROWS + 1], targets=pairs.targets[:WARM_UP_ROWS])
    steps = (len(pairs) - RECIPE.validation_rows) // RECIPE.batch_size
    rows = steps * RECIPE.batch_size
    order = _order(pairs)[:rows]
    _write_for_peer(student, pairs, order, arguments.threads, scratch)
    peer_steps = min(arguments.peer_steps or steps, steps)

    tables: dict[str, np.ndarray] = {"before": student.table}
    peer_reports: list[dict[str, Any]] = []

    def ours() -> float:
        _epoch(student, warm_up)
        begin = time.perf_counter()
        tables[OURS] = _epoch(student, pairs)
        return rows / (time.perf_counter() - begin)

    def steps_alone() -> float:
        begin = time.perf_counter()
        _steps(student, pairs, order)
        return rows / (time.perf_counter() - begin)

    def peer() -> float:
        epoch = _peer_epoch(arguments.peer, scratch, PEER_LEARNING_RATE, peer_steps)
        peer_reports.append(epoch.report)
        if peer_steps == steps:
            tables[_at(PEER_LEARNING_RATE)] = epoch.table
            tables[f"{_at(PEER_LEARNING_RATE)}, with its output layer"] = epoch.table_with_output_layer
        return peer_steps * RECIPE.batch_size / sum(epoch.report["seconds"].values())

    rates = timed({OURS: ours, STEPS_ALONE: steps_alone, TOKENLEARN: peer}, arguments.rounds)
    for rate in SEARCHED if arguments.search else ():
        if _at(rate) in tables:
            continue
        epoch = _peer_epoch(arguments.peer, scratch, rate, steps)
        tables[_at(rate)] = epoch.table
        tables[f"{_at(rate)}, with its output layer"] = epoch.table_with_output_layer
    return {
        "rows": rows,
        "tokens_a_row": round(len(pairs.ids) / len(pairs), 2),
        "table": list(student.table.shape),
        "batch": RECIPE.batch_size,
        "steps": steps,
        "peer_steps": peer_steps,
        "learning_rates": {OURS: RECIPE.learning_rate, TOKENLEARN: PEER_LEARNING_RATE},
        "peer_versions": peer_reports[-1]["versions"],
        **rates_and_ratios(rates, [(OURS, TOKENLEARN), (STEPS_ALONE, TOKENLEARN)]),
        "seconds": {OURS: _profiled(student, pairs), TOKENLEARN: peer_reports[-1]["seconds"]},
        "dev_scores": _scores(student, tables, arguments.sts) if arguments.sts else {},
    }


def _at(learning_rate: float) -> str:
    return f"{TOKENLEARN} at {learning_rate:g}"


def _first_rows(features: Features, rows: int, folder: Path) -> Features:
    """Features of `rows` rows at most."""
    texts: list[str] = []
    vectors: list[np.ndarray] = []
    for shard in features.shards():
        wanted = rows - len(texts)
        texts += shard.texts[:wanted]
        vectors.append(shard.vectors[:wanted])
        if len(texts) == rows:
            break
    return Features([write_shard(folder, 0, Shard(texts, np.concatenate(vectors)))], {})


def _epoch(student: StaticModel, pairs: Pairs) -> np.ndarray:
    """The table (V, D) after one epoch of ours."""
    with tempfile.TemporaryDirectory() as folder:
        return contrast(student, pairs, [Goal(pairs.targets, 1.0)], RECIPE, Path(folder), title="contrast").table


def _order(pairs: Pairs) -> np.ndarray:
    """The order in which an epoch of `contrast` takes the rows: (N - held out,) int64."""
    return np.random.default_rng([RECIPE.seed, ORDER_STREAM, 0]).permutation(split_rows(len(pairs), RECIPE).training)


def _steps(student: StaticModel, pairs: Pairs, order: np.ndarray) -> None:
    """The steps of an epoch as `contrast` makes them, and nothing else."""
    import torch

    trained = Student.of(student.table, RECIPE.token_weights, "cpu")
    loss = LOSSES[RECIPE.loss]
    for begin in range(0, len(order), RECIPE.batch_size):
        rows = order[begin : begin + RECIPE.batch_size]
        targets = torch.from_numpy(pairs.targets[rows]).float()
        rate = RECIPE.learning_rate * (1 - begin / len(order))
        trained.update(pairs.bags(rows), partial(loss, target=targets, recipe=RECIPE), rate)


def _profiled(student: StaticModel, pairs: Pairs) -> dict[str, float]:
    """Seconds of an epoch of ours, by part; the profiler makes it a little slower."""
    profile = cProfile.Profile()
    begin = time.perf_counter()
    profile.runcall(_epoch, student, pairs)
    whole = time.perf_counter() - begin
    seconds = dict.fromkeys(PARTS.values(), 0.0)
    for (file, _, function), figures in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if part := PARTS.get((Path(file).name, function)):
            seconds[part] += figures[3]  # cumulative
    return seconds | {"rest": whole - sum(seconds.values())}


def _write_for_peer(student: StaticModel, pairs: Pairs, order: np.ndarray, threads: int, folder: Path) -> None:
    """The rows in the order in which an epoch of ours takes them, as the arrays that `tokenlearn_step.py` reads."""
    bags = pairs.bags(order)
    np.save(folder / "ids.npy", bags.ids.astype(np.int32))
    np.save(folder / "starts.npy", np.append(bags.starts, len(bags.ids)))
    np.save(folder / "targets.npy", pairs.targets[order].astype(np.float32))
    np.save(folder / "table.npy", student.table)
    settings = {
        "threads": threads,
        "batch": RECIPE.batch_size,
        "temperature": RECIPE.temperature,
        "pad_id": student.pad_id,
    }
    (folder / "settings.json").write_text(json.dumps(settings))


def _peer_epoch(python: Path, folder: Path, learning_rate: float, steps: int) -> PeerEpoch:
    script = Path(__file__).with_name("tokenlearn_step.py")
    command = [python, "-P", script, folder, learning_rate, steps]
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    tables = [np.load(folder / f"{name}.npy") for name in ("trained", "trained_with_output_layer")]
    return PeerEpoch(json.loads(done.stdout), *tables)


def _scores(student: StaticModel, tables: Mapping[str, np.ndarray], file: Path) -> dict[str, float]:
    """100 * Spearman's correlation of cosines and gold scores, for each table."""
    from scipy.stats import spearmanr

    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    gold = [row["score"] for row in rows]
    scores = {}
    for name, table in tables.items():
        model = StaticModel(table, student.tokenizer, student.card)  # of unit vectors
        first, second = (model.encode([row[key] for row in rows]) for key in ("sentence1", "sentence2"))
        scores[name] = round(100 * float(spearmanr((first * second).sum(axis=1), gold).statistic), 2)
    return scores


def _print_parts(seconds: dict[str, dict[str, float]]) -> None:
    for name, parts in seconds.items():
        whole = sum(parts.values())
        shares = ", ".join(f"{part} {100 * value / whole:.0f} %" for part, value in parts.items())
        print(f"{name}, {whole:.1f} s: {shares}")


def _print_scores(report: dict[str, Any]) -> None:
    for name, score in report["dev_scores"].items():
        print(f"dev score {score:6.2f}  {name}")


if __name__ == "__main__":
    main()
