"""The native engine beside ONNX Runtime, model2vec and the fastest of other libraries, all on one table.

    python -m edge_potion.benchmarks.studies.engine SENTENCES [--bundle FOLDER] [--rounds N] [--json FILE]

Speed: strings in, vectors out, at 1, 32, 256 and 1,024 texts a call; also with the engine's plain loops, which is what
a processor without AVX2 runs, and with two threads. Start: from starting a process to its first vector, and how much of
that is Python's and numpy's. Memory: of eight processes at once, beyond that of Python, numpy and the texts. Limits: of
the engine in C alone, a byte of tokenizing and a row of pooling, beside reading those rows (native/tests/limits.cpp).

Each contestant runs in a process of its own, on one pinned core (of two threads: on two), once a round, there and back;
a ratio is taken round by round. Other work on the machine falsifies all of it: run it alone. Seven minutes.
`python -m edge_potion.benchmarks.speed.environments` installs the others.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from edge_potion.bundle import Bundle, open_bundle
from edge_potion.exporters.export import export
from edge_potion.find import find_folder
from edge_potion.static_model import StaticModel

from ..speed import environments
from ..speed.benchmark import first_texts
from ..speed.configurations import Configuration, Setting, bundles_configurations
from ..speed.environments import Missing, python_of
from ..speed.jobs import Effort, Jobs
from ..speed.machine import core_count, cpu_name, load_average, system_name
from ..speed.peers import peer_configurations
from ..speed.process import answer_of, pinned
from .engine_page import engine_tables

__all__ = ["NATIVE", "measured"]

NATIVE, SCALAR, TWO_THREADS, ONNX_RUNTIME = "native", "native, plain loops", "native, two threads", "ONNX Runtime"
PEERS = (
    *("model2vec float32", "fastembed static float32", "laghu float32", "static-embed-runner float32"),
    "tokie and numpy float32",
)
KERNELS = ("scalar", "avx2", "avx512-vnni", "neon")
NATIVE_SOURCES = Path(__file__).parents[2] / "native"  # in a checkout
PLAIN_LOOPS = ("env", "EDGE_POTION_KERNELS=scalar")
BATCHES = (1, 32, 256, 1024)
SHARED_BATCHES = (1024, 8192)  # texts a call of two threads: who has fewer needs no second
STARTS = 4  # cold starts of each, a round
PROCESSES = 8
SECONDS = 120  # what takes longer hangs
# What cold starts and memory are of: a script each, which is given the folder, the first text, and a file of texts.
PYTHON = "pass"
NUMPY = "import numpy"
EDGE_MODEL = """
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained(folder, engine={engine!r}, graph="text", threads=1)
model.encode(first)
"""
MODEL2VEC = """
from model2vec import StaticModel
model = StaticModel.from_pretrained(folder)
model.encode(first)
"""
BEGIN = """
import sys
folder, first, texts = sys.argv[1:]
"""
STARTED = """
import time
print(time.monotonic_ns())
"""
WAITING = """
import json
texts = json.load(open(texts, encoding="utf-8"))
if "model" in globals():
    model.encode(texts)
print("ready", flush=True)
sys.stdin.read()
"""


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", help="file of texts: some thousands are taken, in its order, each once")
    parser.add_argument("--bundle", help="without phrases, which no peer knows; by default the built-in model's tokens")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-potion-") as scratch:
        named = arguments.bundle
        bundle = open_bundle(find_folder(named)) if named else tokens_alone(Path(scratch) / "own")
        try:
            report = measured(bundle, first_texts(arguments.sentences), arguments.rounds, Effort(batches=BATCHES))
        except (Missing, RuntimeError) as reason:
            sys.exit(f"error: {reason}")
    _say("")
    print("\n\n".join(engine_tables(report)))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def tokens_alone(out: Path) -> Bundle:
    """A bundle of the built-in model's tokens, without its phrases: a table that everybody can take."""
    model = StaticModel.from_pretrained()
    tokens = replace(model, table=model.table[: model.pieces], phrases=None)
    return export(tokens, out, quantize="int8", graphs="text")


def measured(bundle: Bundle, texts: Sequence[str], rounds: int, effort: Effort) -> dict[str, Any]:
    """The report.

    Raises:
        Missing: a contestant is not here; says how to have it.
        RuntimeError: one did not run; says why.
    """
    load_before = load_average()
    with tempfile.TemporaryDirectory(prefix="edge-potion-") as scratch:
        setting = Setting((1, 2) if core_count() > 1 else (1,), {}, Path(scratch))
        jobs = Jobs(Path(scratch), texts, [bundle], effort)
        contestants = list(_contestants(bundle, setting))
        for one in contestants:
            if one.reason:
                raise Missing(f"{one.name}: {one.reason}; `python -m {environments.__name__}` builds it")
        answers = _answers(contestants, jobs, rounds)
        processes = _processes(bundle, setting)
        starts = _cold_starts(processes, texts[0], jobs.common["texts"], STARTS * rounds)
        memory = _memory(processes, texts[0], jobs.common["texts"])
        limits = _limits(bundle, texts, Path(scratch))
    return {
        "machine": {"cpu": cpu_name(), "cores": core_count(), "system": system_name()},
        "python": platform.python_version(),
        "load_before": load_before,
        "texts": {"count": len(texts), "mean_characters": round(sum(map(len, texts)) / len(texts), 1)},
        "rounds": rounds,
        "contestants": [_contestant(name, answers) for name in answers if name != TWO_THREADS],
        "two_threads": _two_threads(answers),
        "starts": len(next(iter(starts.values()))),
        "first_vector_ms": {name: _spread(some) for name, some in starts.items()},
        "processes": PROCESSES,
        "memory_mb": memory,
        "limits_ns": limits,
    }


def _contestants(bundle: Bundle, setting: Setting) -> Iterator[Configuration]:
    """By their names: the engine as it is, with plain loops, with two threads; ONNX Runtime; the peers."""
    precision = bundle.precisions[0]
    alone = replace(setting, threads=(1,))
    for one in bundles_configurations([bundle], ["cpu"], ["text"], [precision], setting):
        if one.engine == "native" and one.threads == 1:
            yield replace(one, name=NATIVE)
            yield replace(one, name=SCALAR, command=[*PLAIN_LOOPS, *one.command])
        elif one.engine == "native":
            yield replace(one, name=TWO_THREADS)
        elif one.threads == 1:
            yield replace(one, name=ONNX_RUNTIME)
    for peer in peer_configurations(PEERS, bundle, alone):
        yield replace(peer, name=peer.model)


def _answers(contestants: Sequence[Configuration], jobs: Jobs, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """What each runner says, round by round."""
    answers: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contestants}
    for number in range(rounds):
        for one in contestants if number % 2 == 0 else contestants[::-1]:
            _say(f"round {number + 1} of {rounds}: {one.name}")
            shared = one.name in (NATIVE, TWO_THREADS)
            asked = {"batches": [*jobs.common["batches"], *(SHARED_BATCHES[-1:] if shared else ())]}
            file, _ = jobs.of(replace(one, job={**one.job, **asked}), first_round=False)
            answer = answer_of([*one.command, str(file)], one.threads, one.cores, SECONDS)
            if "throughput" not in answer:
                raise RuntimeError(f"{one.name}: {answer}")
            answers[one.name].append(answer)
    return answers


def _contestant(name: str, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Microseconds a text by texts a call; how many times as long as the engine's, round by round; of one, the median
    and the 95th percentile of the calls."""
    batches = [str(batch) for batch in BATCHES if str(batch) in answers[name][0]["throughput"]]
    own, engine = ({batch: _us(answers[one], batch) for batch in batches} for one in (name, NATIVE))
    return {
        "name": name,
        "versions": answers[name][0]["versions"],
        "us_a_text": {batch: _spread(own[batch]) for batch in batches},
        "times_native": {batch: _spread(_ratios(own[batch], engine[batch])) for batch in batches},
        "p50_us": _spread([1000 * _percentile(answer["latency_ms"], 50) for answer in answers[name]]),
        "p95_us": _spread([1000 * _percentile(answer["latency_ms"], 95) for answer in answers[name]]),
    }


def _two_threads(answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """How many times as fast two threads are as one, by texts a call; empty where there is one core."""
    if TWO_THREADS not in answers:
        return {}
    batches = [str(batch) for batch in SHARED_BATCHES if answers[TWO_THREADS][0]["throughput"].get(str(batch))]
    rates = {batch: (_us(answers[NATIVE], batch), _us(answers[TWO_THREADS], batch)) for batch in batches}
    return {batch: _spread(_ratios(one, two)) for batch, (one, two) in rates.items()}


def _processes(bundle: Bundle, setting: Setting) -> dict[str, list[str]]:
    """What is started for cold starts and memory: an interpreter, what it runs, and the folder of the model."""
    own, folder = sys.executable, str(bundle.folder.resolve())
    table = next(iter(peer_configurations([PEERS[0]], bundle, replace(setting, threads=(1,)))))
    return {
        "Python": [own, PYTHON, folder],
        "Python and numpy": [own, NUMPY, folder],
        NATIVE: [own, EDGE_MODEL.format(engine="native"), folder],
        ONNX_RUNTIME: [own, EDGE_MODEL.format(engine="onnxruntime"), folder],
        "model2vec": [str(python_of("model2vec")), MODEL2VEC, str(table.job["folder"])],
    }


def _cold_starts(processes: Mapping[str, Sequence[str]], first: str, texts: str, starts: int) -> dict[str, list[float]]:
    """Milliseconds from starting a process to its first vector, files in the system's cache."""
    taken: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(-1, starts):  # the first fills the cache
        _say(f"cold start {number + 1} of {starts}")
        for name, (python, script, folder) in processes.items():
            command = [python, "-P", "-c", BEGIN + script + STARTED, folder, first, texts]
            with pinned(1):
                begin = time.monotonic_ns()  # the clock that the script reads
                done = subprocess.run(
                    command, capture_output=True, text=True, check=True, timeout=SECONDS, env=_compiled()
                )
            said = done.stdout
            if number >= 0:
                taken[name].append((int(said.split()[-1]) - begin) / 1e6)
    return taken


def _compiled() -> dict[str, str]:
    """Variables by which Python keeps what it compiles, as it does unless it is told otherwise."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _memory(processes: Mapping[str, Sequence[str]], first: str, texts: str) -> dict[str, dict[str, Any]]:
    """MB of each of PROCESSES that are there at once and have embedded all texts: private, and by its share of what is
    shared (Pss). What lies beyond Python and numpy, which hold the same texts, is told by the medians."""
    found: dict[str, dict[str, Any]] = {}
    for name, (python, script, folder) in processes.items():
        _say(f"memory of {PROCESSES} processes: {name}")
        command = [python, "-P", "-c", BEGIN + script + WAITING, folder, first, texts]
        with ExitStack() as stack:
            started = [
                stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
                for _ in range(PROCESSES)
            ]
            for process in started:
                if not process.stdout or not process.stdout.readline():
                    raise RuntimeError(f"{name} ended before it had embedded the texts")
            maps = [_rollup(process.pid) for process in started]
        found[name] = {
            "private": _spread([one["Private_Clean"] + one["Private_Dirty"] for one in maps]),
            "pss": _spread([one["Pss"] for one in maps]),
        }
    floor = found["Python and numpy"]
    for one in found.values():
        one["private_beyond_numpy"] = one["private"]["median"] - floor["private"]["median"]
    return found


def _rollup(pid: int) -> dict[str, float]:
    """MB by the names of /proc/PID/smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return {name: 1024 * int(size) / 1e6 for name, size, _ in (line.replace(":", "").split() for line in lines)}


def _limits(bundle: Bundle, texts: Sequence[str], scratch: Path) -> dict[str, dict[str, float]]:
    """Nanoseconds of each part of the work in C, by the kernels that this processor has."""
    _say("limits: building")
    build, lines = scratch / "native", scratch / "lines.txt"
    lines.write_text("".join(f"{' '.join(text.split())}\n" for text in texts), encoding="utf-8")
    for command in (["-S", str(NATIVE_SOURCES), "-B", str(build), "-DEP_TESTS=ON"], ["--build", str(build)]):
        subprocess.run(["cmake", *command], check=True, capture_output=True)
    model = bundle.graphs["text", bundle.precisions[0]]
    found = {}
    for kernels in KERNELS:
        _say(f"limits: {kernels}")
        with pinned(1):
            command = ["env", f"EDGE_POTION_KERNELS={kernels}", str(build / "limits"), str(model), str(lines)]
            said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS).stdout
        first, _, *rows = said.splitlines()
        if first.split()[0] == kernels:  # or it has none of that name, and took others
            found[kernels] = {name.strip(): float(numbers.split()[1]) for name, numbers in map(_parted, rows)}
    return found


def _parted(row: str) -> tuple[str, str]:
    """A row's name, and its numbers."""
    return row[:28], row[28:]


def _us(answers: Sequence[Mapping[str, Any]], batch: str) -> list[float]:
    return [1e6 / answer["throughput"][batch] for answer in answers]


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "low": min(values), "high": max(values)}


def _say(words: str) -> None:
    print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
