"""Texts/s of EdgeModel, each graph and precision, beside model2vec on the same table: interleaved, one pinned thread.

    python -m edge_potion.benchmarks.speed MODEL_FOLDER SENTENCES [--rounds N] [--json FILE]

Two questions, asked separately because tokenization is most of the time: from the same token ids (lookup, mean and
norm alone), and end to end from text. Every figure is the median over rounds; the ratio is to model2vec on a
float32 table, round by round, with its interquartile range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.bundle import GRAPHS, PRECISIONS
from edge_potion.exporters.export import export
from edge_potion.runtime import EdgeModel
from edge_potion.static_model import StaticModel
from edge_potion.tokens import tokenize

from .rounds import cpu_name, first_sentences

SENTENCES = 5000
BATCH = 1024
ROUNDS = 15
BASELINE = "model2vec float32"
PACKAGES = ("edge-potion", "model2vec", "onnxruntime", "tokenizers", "numpy")


@dataclass(frozen=True)
class Row:
    """One contestant of one question."""

    name: str
    texts_per_second: float
    ratio: float
    ratio_low: float
    ratio_high: float


def main() -> None:
    """Run both questions and print them."""
    arguments = _arguments()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts = first_sentences(arguments.sentences, SENTENCES)
    with tempfile.TemporaryDirectory() as scratch:
        models, peers = _contestants(arguments.model, Path(scratch))
        report: dict[str, Any] = {
            "machine": {"cpu": cpu_name(), "threads": 1, "python": platform.python_version()},
            "versions": {package: version(package) for package in PACKAGES},
            "sentences": len(texts),
            "batch": BATCH,
            "rounds": arguments.rounds,
        }
        for question, runs in (
            ("from_ids", _from_ids(models, peers, texts)),
            ("end_to_end", _end_to_end(models, peers, texts)),
        ):
            report[question] = [asdict(row) for row in _timed(runs, len(texts), arguments.rounds)]
    for question in ("from_ids", "end_to_end"):
        _print_table(question, report[question])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder, for example what `edge-potion distill` wrote")
    parser.add_argument("sentences", type=Path, help="text file, one sentence a line; .xz too")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each contestant is timed")
    parser.add_argument("--json", type=Path, help="write the report here")
    return parser.parse_args()


def _contestants(folder: Path, scratch: Path) -> tuple[dict[str, EdgeModel], dict[str, Any]]:
    """Ours by name, and model2vec on the same table at float32 and float16."""
    from model2vec import StaticModel as Peer

    model = StaticModel.from_pretrained(folder)
    model.save(scratch / "float32")
    bundle = export(model, scratch / "bundle", quantize=list(PRECISIONS))
    ours = {}
    for graph in GRAPHS:
        for precision in bundle.precisions:
            runner = EdgeModel.from_pretrained(
                bundle.folder, graph=graph, precision=precision, provider="cpu", threads=1
            )
            ours[f"{graph} {precision} ({runner.provider})"] = runner
    peers = {
        BASELINE: Peer.from_pretrained(scratch / "float32"),
        "model2vec float16": Peer.from_pretrained(scratch / "float32", quantize_to="float16"),
    }
    return ours, peers


def _from_ids(
    ours: Mapping[str, EdgeModel], peers: Mapping[str, Any], texts: list[str]
) -> dict[str, Callable[[], Any]]:
    """Lookup, mean and norm, batch size BATCH, each from ids in the form that its own tokenization hands over: lists
    for model2vec, one flat array for ours. Sorting by length and padding is part of ours."""
    ids = tokenize(next(iter(ours.values()))._tokenizer, texts, None)
    rows = [row.tolist() for row in ids.split()]
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def peer_run(peer: Any) -> Callable[[], Any]:
        def run() -> None:
            for batch in batches:
                # Its own code with the tokenizer taken out: `_encode_batch` asks `tokenize` for the ids.
                peer.tokenize = lambda sentences, batch=batch: batch
                peer._encode_batch([], normalize=True)
            del peer.tokenize

        return run

    def our_run(runner: EdgeModel) -> Callable[[], Any]:
        return lambda: runner._encode_ids(ids, BATCH)

    from_ids = {name: our_run(run) for name, run in ours.items() if run.graph != "text"}
    return {name: peer_run(peer) for name, peer in peers.items()} | from_ids


def _end_to_end(
    ours: Mapping[str, EdgeModel], peers: Mapping[str, Any], texts: list[str]
) -> dict[str, Callable[[], Any]]:
    def peer_run(peer: Any) -> Callable[[], Any]:
        return lambda: peer.encode(texts, batch_size=BATCH, use_multiprocessing=False)

    def our_run(runner: EdgeModel) -> Callable[[], Any]:
        return lambda: runner.encode(texts, batch_size=BATCH)

    return {name: peer_run(peer) for name, peer in peers.items()} | {name: our_run(run) for name, run in ours.items()}


def _timed(runs: Mapping[str, Callable[[], Any]], count: int, rounds: int) -> list[Row]:
    """Every contestant once a round, so that whatever the machine does hits all of them."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(rounds):
        print(f"\rround {round_number + 1}/{rounds}", end="", file=sys.stderr, flush=True)
        for name, run in runs.items():
            run()  # untimed: the table of the contestant before is still in the caches
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    print(file=sys.stderr)
    base = np.array(seconds[BASELINE])
    rows = []
    for name, taken in seconds.items():
        low, middle, high = np.percentile(base / np.array(taken), [25, 50, 75])
        rows.append(Row(name, count / float(np.median(taken)), float(middle), float(low), float(high)))
    return rows


def _print_table(question: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{question.replace('_', ' ')}, batch {BATCH}, one thread")
    print(f"{'':28} {'texts/s':>12} {'x model2vec':>12}   interquartile")
    for row in rows:
        print(
            f"{row['name']:28} {row['texts_per_second']:12,.0f} {row['ratio']:12.2f}   "
            f"{row['ratio_low']:.2f} - {row['ratio_high']:.2f}"
        )


if __name__ == "__main__":
    main()
