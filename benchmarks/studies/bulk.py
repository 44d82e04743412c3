"""Bulk: rows a second and memory of `edge-potion encode --out DIR` beside what `EdgeModel.encode` alone reaches.

    python -m edge_potion.benchmarks.studies.bulk SENTENCES [--rows N] [--rounds N] [--kills N] [--ray] [--json FILE]

The rows are the sentences again and again, each with its number behind it, so that no text comes twice, in one .parquet
file with ids. Bulk runs from this file to int8 shards by one and by two workers, beside `EdgeModel.encode` on a
million of the same texts in a list, in turns; then once more while it is killed ten times at random moments, and the
shards are compared with those of the undisturbed run. A tenth of the rows goes through every kind of input and dtype.

Memory is that of the command and its workers together, sampled ten times a second: resident pages, where those that
processes share count once (Pss). Run it alone, on a disk with room for 1 kB a row.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from edge_potion.texts import read_texts

from ..speed.machine import core_count, cpu_name, load_average, system_name
from .bulk_page import bulk_tables

__all__ = ["measured"]

GROUP = 2**20  # rows of a row group, as pyarrow writes them
ALONE_ROWS = 10**6  # that `EdgeModel.encode` gets in one list: more of them say nothing else, and take memory
SAMPLES_A_SECOND = 10
MB = 10**6
ALONE = """
import sys, time
import pyarrow.parquet as pq
from edge_potion import EdgeModel
file, rows = sys.argv[1], int(sys.argv[2])
texts = next(pq.ParquetFile(file).iter_batches(rows, columns=["text"])).column(0).to_pylist()
model = EdgeModel.from_pretrained()
model.encode(texts[:1000])
begin = time.perf_counter()
model.encode(texts)
print(len(texts) / (time.perf_counter() - begin))
"""
KINDS = ("t.parquet", "t.txt", "t.jsonl", "t.jsonl.gz", "t.csv")
DTYPES = ("float32", "float16", "int8", "binary")
FORMATS = ("parquet", "npy")


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", help="file of texts")
    parser.add_argument("--rows", type=int, default=10**7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--ray", action="store_true", help="also on a Ray cluster of this machine, with two actors")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scratch", type=Path, help="a folder for the rows and the shards; by default a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-potion-", dir=arguments.scratch) as scratch:
        report = measured(Path(scratch), arguments)
    print(bulk_tables(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The report."""
    load_before = load_average()
    texts = list(dict.fromkeys(read_texts(arguments.sentences)))
    source = scratch / "rows.parquet"
    _say(f"{arguments.rows:,} rows")
    _write_parquet(source, _rows(texts, arguments.rows))
    ways: dict[str, Callable[[Path], dict[str, Any]]] = {
        "workers 2": lambda out: _run(source, out, "--workers", "2"),
        "workers 1": lambda out: _run(source, out, "--workers", "1"),
    }
    if arguments.ray:
        ways["ray, two actors"] = lambda out: _run(source, out, "--workers", "2", "--engine", "ray")
    alone: list[float] = []
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    sums: dict[str, str] = {}
    for number in range(arguments.rounds):
        _say(f"round {number + 1}")
        alone.append(_alone(source, min(ALONE_ROWS, arguments.rows)))
        for name, run in ways.items():
            runs[name].append(run(scratch / "out"))
            sums[name] = _sum_of(scratch / "out")
            shutil.rmtree(scratch / "out")
    killed, same = _killed(source, scratch / "out", arguments.kills, runs["workers 2"][0]["seconds"], sums["workers 2"])
    shutil.rmtree(scratch / "out", ignore_errors=True)
    size = source.stat().st_size
    source.unlink()
    few = max(1000, arguments.rows // 10)
    return {
        "machine": {"cpu": cpu_name(), "cores": core_count(), "system": system_name()},
        "python": platform.python_version(),
        "pyarrow": version("pyarrow"),
        "load_before": load_before,
        "rows": arguments.rows,
        "bytes_in": size,
        "rounds": arguments.rounds,
        "alone_rows_s": alone,
        "runs": runs,
        "kills": killed,
        "same_bytes": {"after kills": same, "by every way": len(set(sums.values())) == 1},
        "few_rows": few,
        "kinds": _kinds(texts, few, scratch),
        "dtypes": _dtypes(texts, few, scratch),
    }


def _rows(texts: Sequence[str], count: int) -> Iterator[tuple[int, str]]:
    for number in range(count):
        yield number, f"{texts[number % len(texts)]} {number}"


def _write_parquet(file: Path, rows: Iterator[tuple[int, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(file, schema) as writer:
        while group := list(islice(rows, GROUP)):
            writer.write_table(pa.table([*map(list, zip(*group, strict=True))], schema=schema), row_group_size=GROUP)


def _alone(source: Path, rows: int) -> float:
    """Rows a second of one call of encode on a list."""
    command = [sys.executable, "-c", ALONE, str(source), str(rows)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _run(source: Path, out: Path, *words: str, dtype: str = "int8", keep: str | None = "id") -> dict[str, Any]:
    """One run: seconds, rows a second, memory over its time, bytes out."""
    command = _command(source, out, *words, "--dtype", dtype, *(("--keep", keep) if keep else ()))
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    samples = []
    while process.poll() is None:
        samples.append(_memory_mb(process.pid))
        time.sleep(1 / SAMPLES_A_SECOND)
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(process.stderr.read() if process.stderr else "")
    rows = json.loads((out / "_manifest.json").read_text(encoding="utf-8"))["rows"]
    tenths = [
        max(samples[place * len(samples) // 10 : (place + 1) * len(samples) // 10], default=0) for place in range(10)
    ]
    return {
        "seconds": seconds,
        "rows_s": rows / seconds,
        "peak_mb": max(samples),
        "peak_mb_by_tenth": tenths,
        "bytes_out": sum(file.stat().st_size for file in out.iterdir()),
    }


def _command(source: Path, out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "edge_potion", "encode", str(source), "--out", f"{out}/", *words]


def _memory_mb(pid: int) -> float:
    """Pss of a process and its children, which may end meanwhile."""
    total = 0
    for one in [pid, *_children(pid)]:
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total / MB


def _children(pid: int) -> list[int]:
    try:
        ours = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*ours, *(below for child in ours for below in _children(child))]


def _killed(source: Path, out: Path, kills: int, seconds: float, wanted: str) -> tuple[list[float], bool]:
    """Seconds after which each of some runs was killed, and whether the shards are those of an undisturbed one."""
    chance = random.Random(0)
    times = []
    for _ in range(kills):
        process = subprocess.Popen(
            _command(source, out, "--workers", "2", "--dtype", "int8", "--keep", "id"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        times.append(round(chance.uniform(0.3, max(0.5, 2 * seconds / max(1, kills))), 2))
        time.sleep(times[-1])
        process.kill()
        process.wait()
    subprocess.run(
        _command(source, out, "--workers", "2", "--dtype", "int8", "--keep", "id"), check=True, capture_output=True
    )
    return times, _sum_of(out) == wanted


def _sum_of(out: Path) -> str:
    """Of the shards' names and bytes."""
    digest = hashlib.sha256()
    for file in sorted(out.glob("0*")):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _kinds(texts: Sequence[str], rows: int, scratch: Path) -> dict[str, dict[str, Any]]:
    """Runs by what the rows stand in."""
    results = {}
    for name in KINDS:
        _say(name)
        file = scratch / name
        _write(file, texts, rows)
        run = _run(file, scratch / "out", keep=None)
        results[name] = {**run, "bytes_in": file.stat().st_size}
        shutil.rmtree(scratch / "out")
        file.unlink()
    return results


def _write(file: Path, texts: Sequence[str], rows: int) -> None:
    if file.suffix == ".parquet":
        _write_parquet(file, _rows(texts, rows))
        return
    packed: Any = partial(gzip.open, compresslevel=6) if file.suffix == ".gz" else open
    with packed(file, "wt", encoding="utf-8") as stream:
        if ".csv" in file.suffixes:
            stream.write("id,text\n")
        for number, text in _rows(texts, rows):
            if ".jsonl" in file.suffixes:
                stream.write(json.dumps({"id": number, "text": text}) + "\n")
            elif ".csv" in file.suffixes:
                quoted = text.replace('"', '""')
                stream.write(f'{number},"{quoted}"\n')
            else:
                stream.write(text + "\n")


def _dtypes(texts: Sequence[str], rows: int, scratch: Path) -> dict[str, dict[str, Any]]:
    """Runs by what is written."""
    results = {}
    file = scratch / "t.parquet"
    _write_parquet(file, _rows(texts, rows))
    for format in FORMATS:
        for dtype in DTYPES:
            _say(f"{dtype} {format}")
            results[f"{dtype} {format}"] = _run(file, scratch / "out", "--format", format, dtype=dtype, keep=None)
            shutil.rmtree(scratch / "out")
    file.unlink()
    return results


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()
