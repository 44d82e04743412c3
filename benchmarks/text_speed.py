"""Texts/s of the text graph beside model2vec's `encode`, on one table: sentences in file order, interleaved.

    python -m edge_potion.benchmarks.text_speed MODEL_FOLDER SENTENCES [--rounds N] [--json FILE]

The graph is run as anyone runs it: texts joined by NUL, one ONNX Runtime call a batch, no sorting. One pinned thread,
but for one question: EdgeModel with two threads beside one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.bundle import graph_file
from edge_potion.exporters.export import export
from edge_potion.runtime import EdgeModel
from edge_potion.static_model import StaticModel

from .rounds import cpu_name, first_sentences, print_rates, rates_and_ratios, timed

__all__: list[str] = []

SENTENCES = 8192
SINGLE = 1500  # sentences that go one by one
ROUNDS = 9
BATCHES = (256, 1024, 1)
LOADS = 5
PACKAGES = ("edge-potion", "model2vec", "onnxruntime", "tokenizers", "numpy")


def main() -> None:
    """Measure, print, write."""
    arguments = _arguments()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    texts = first_sentences(arguments.sentences, SENTENCES)
    ascii_only = [text for text in texts if text.isascii()]
    report: dict[str, Any] = {
        "machine": {"cpu": cpu_name(), "cores": len(cores), "python": platform.python_version()},
        "versions": {package: version(package) for package in PACKAGES},
        "sentences": len(texts),
        "not_ascii": round(1 - len(ascii_only) / len(texts), 4),
        "rounds": arguments.rounds,
    }
    with tempfile.TemporaryDirectory() as scratch:
        model = StaticModel.from_pretrained(arguments.model)
        model.save(Path(scratch) / "model")
        bundle = export(model, Path(scratch) / "bundle", quantize=["int8"], graphs=["text"])
        both = [EdgeModel.from_pretrained(bundle.folder, provider="cpu", threads=threads) for threads in (1, 2)]
        if len(cores) > 1:
            runs = {f"{threads} threads": partial(_rate, each.encode, texts) for threads, each in enumerate(both, 1)}
            rates = timed(runs, arguments.rounds)
            report["threads"] = rates_and_ratios(rates, [("2 threads", "1 threads")])
        if cores:
            os.sched_setaffinity(0, {cores[-1]})
        file = bundle.folder / graph_file("text", "int8")
        report["load_ms"] = [_load_ms(file) for _ in range(LOADS)]
        report["size_mb"] = round(file.stat().st_size / 1e6, 2)
        report["beyond_the_table_mb"] = round((file.stat().st_size - model.table.size) / 1e6, 2)
        report["batches"] = _against_model2vec(file, Path(scratch) / "model", texts, ascii_only, arguments.rounds)
    for name, part in report["batches"].items():
        print_rates(f"batch {name}", part)
    if "threads" in report:
        print_rates("EdgeModel", report["threads"])
    print(f"load {np.median(report['load_ms']):.0f} ms; {report['beyond_the_table_mb']} MB beyond the table")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder with a WordPiece tokenizer")
    parser.add_argument("sentences", type=Path, help="text file, one sentence a line; .xz too")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each contestant is timed")
    parser.add_argument("--json", type=Path, help="write the report here")
    return parser.parse_args()


def _load_ms(file: Path) -> float:
    import onnxruntime  # noqa: F401 - its own import is not the file's load

    begin = time.perf_counter()
    _session(file)
    return round(1000 * (time.perf_counter() - begin), 1)


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _against_model2vec(
    file: Path, folder: Path, texts: Sequence[str], ascii_only: Sequence[str], rounds: int
) -> dict[str, Any]:
    """For each batch size, and for texts in ASCII alone: rates of the graph and of model2vec."""
    from model2vec import StaticModel as Peer

    session, peer = _session(file), Peer.from_pretrained(folder)

    def graph(some: Sequence[str]) -> Any:
        return session.run(None, {"text": np.frombuffer("\0".join(some).encode(), np.uint8)})

    def peers(some: Sequence[str]) -> Any:
        return peer.encode(list(some), use_multiprocessing=False)

    def single(some: Sequence[str]) -> Any:
        return peer.encode(some[0], use_multiprocessing=False)

    report = {}
    for name, batch, sample in [
        *((str(batch), batch, texts if batch > 1 else texts[:SINGLE]) for batch in BATCHES),
        ("256, ASCII only", 256, ascii_only),
        ("1, ASCII only", 1, ascii_only[:SINGLE]),
    ]:
        runs = {
            "text graph int8": partial(_rate, graph, sample, batch),
            "model2vec": partial(_rate, peers if batch > 1 else single, sample, batch),
        }
        for run in runs.values():
            run()
        report[name] = rates_and_ratios(timed(runs, rounds), [("text graph int8", "model2vec")])
    return report


def _rate(encode: Callable[[Sequence[str]], Any], texts: Sequence[str], batch: int | None = None) -> float:
    """Texts/s of `encode` over `texts`, so many a call; all in one where None."""
    step = batch or len(texts)
    begin = time.perf_counter()
    for place in range(0, len(texts), step):
        encode(texts[place : place + step])
    return len(texts) / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
