"""Serve: requests a second and latency of `edge-potion serve` under wrk, beside its own stack and other servers.

    python -m edge_potion.benchmarks.studies.serve SENTENCES [--transformer FOLDER] [--rounds N] [--seconds S]
        [--json FILE]

`make load` installs wrk and builds the environments of those that ours is set beside: an app of FastAPI and model2vec,
and infinity, which serves the transformer in FOLDER, as it opens no static model.

Each measure has a server of its own, whose vectors are held to `EdgeModel.encode` before wrk begins: ours to its bits.
wrk keeps its connections open and sends the next request on one when the last is answered. Pinned, the server has one
core and wrk another; otherwise both share all of them. Run it alone: it takes six minutes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np

from edge_potion import EdgeModel, StaticModel
from edge_potion.errors import InputError
from edge_potion.find import BUILT_IN
from edge_potion.texts import read_texts

from ..speed.environments import Missing, dependencies, script_command
from ..speed.machine import core_count, cpu_name, load_average, system_name
from .serve_page import serve_tables

__all__ = ["measured"]

HERE = Path(__file__).parent
EMPTY, USUAL, INFINITY = (str(HERE / f"serve_{name}.py") for name in ("empty", "usual", "infinity"))
HOST, PATH = "127.0.0.1", "/v1/embeddings"
TEXTS, LISTED = 20_000, 1024  # different texts that are sent, and those of a list
CONNECTIONS, LIST_CONNECTIONS = 64, 4
WARM_S, START_S, END_S, ANSWER_S = 1, 120, 20, 60
OTHER_MODEL = 0.99  # least cosine with ours of another library's vectors by the same table
ENCODE = """
import json, sys, time
from edge_potion import EdgeModel
lists, seconds = json.load(open(sys.argv[1])), float(sys.argv[2])
model = EdgeModel.from_pretrained()
for texts in lists:
    model.encode(texts)
done, begin = 0, time.perf_counter()
while time.perf_counter() - begin < seconds:
    for texts in lists:
        model.encode(texts)
        done += len(texts)
print(done / (time.perf_counter() - begin))
"""


@dataclass(frozen=True)
class Load:
    """What wrk sends over so many connections: a file of bodies, `texts` in each; and how large an answer is."""

    bodies: Path
    texts: int
    connections: int
    answer_bytes: int


@dataclass(frozen=True)
class Server:
    """What is started: words to which its port is added; and a least cosine with the vectors of a model, or None."""

    name: str
    command: Sequence[str]
    least: float | None = None
    model: StaticModel | None = None  # by default the built-in one
    rounds: int | None = None  # by default all


@dataclass(frozen=True)
class Measure:
    """One server under one load, on a core of its own or beside wrk on all."""

    server: Server
    load: str
    pinned: bool


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", help="file of texts")
    parser.add_argument("--transformer", type=Path, help="all-MiniLM-L6-v2's folder; without it, infinity is left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measure")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if core_count() < 2:
        sys.exit("error: the server and wrk need a core each")
    try:
        with tempfile.TemporaryDirectory(prefix="edge-potion-") as scratch:
            report = measured(Path(scratch), arguments)
    except (InputError, Missing) as reason:
        sys.exit(f"error: {reason}")
    print(serve_tables(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The report."""
    load_before = load_average()
    texts = list(islice(dict.fromkeys(read_texts(arguments.sentences)), TEXTS))
    lists = [texts[begin : begin + LISTED] for begin in range(0, len(texts) - LISTED + 1, LISTED)]
    (scratch / "lists.json").write_text(json.dumps(lists), encoding="utf-8")
    model = EdgeModel.from_pretrained()
    loads = {
        "a text, base64": _load(scratch / "base64", [*texts], "base64", CONNECTIONS, model),
        "a text, floats": _load(scratch / "floats", [*texts], "float", CONNECTIONS, model),
        f"{LISTED:,} texts, base64": _load(scratch / "lists", lists, "base64", LIST_CONNECTIONS, model),
    }
    measures = _measures(loads, arguments.transformer, scratch / "tokens")
    runs: list[list[dict[str, Any]]] = [[] for _ in measures]
    alone: dict[str, list[float]] = {"pinned": [], "unpinned": []}
    for number in range(arguments.rounds):
        for measure, found in zip(measures, runs, strict=True):
            if measure.server.rounds is not None and number >= measure.server.rounds:
                continue
            where = "pinned" if measure.pinned else "unpinned"
            _say(f"round {number + 1}: {measure.server.name}, {measure.load}, {where}")
            found.append(_run(measure, loads[measure.load], model, texts[:LISTED], arguments.seconds))
        for where, some in alone.items():
            _say(f"round {number + 1}: encode alone, {where}")
            some.append(_alone(scratch / "lists.json", where == "pinned", arguments.seconds))
    return {
        "machine": {"cpu": cpu_name(), "cores": core_count(), "system": system_name()},
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("starlette", "uvicorn", "uvloop", "httptools", "orjson")},
        "usual": dependencies(USUAL),
        "infinity": dependencies(INFINITY),
        "wrk": _wrk_version(),
        "load_before": load_before,
        "texts": len(texts),
        "list": LISTED,
        "seconds": arguments.seconds,
        "rounds": arguments.rounds,
        "connections": {name: load.connections for name, load in loads.items()},
        "texts_a_request": {name: load.texts for name, load in loads.items()},
        "answer_bytes": {name: load.answer_bytes for name, load in loads.items()},
        "measures": [
            {"server": measure.server.name, "load": measure.load, "pinned": measure.pinned, "runs": found}
            for measure, found in zip(measures, runs, strict=True)
        ],
        "encode_texts_s": alone,
    }


def _load(file: Path, inputs: Sequence[Any], encoding: str, connections: int, model: EdgeModel) -> Load:
    """The file of bodies that ask for these inputs, a line each."""
    bodies = (json.dumps({"input": input, "encoding_format": encoding}) for input in inputs)
    file.write_text("".join(f"{body}\n" for body in bodies), encoding="utf-8")
    first = [inputs[0]] if isinstance(inputs[0], str) else inputs[0]
    rows = model.encode(first)
    data = [
        {"object": "embedding", "index": index, "embedding": _written(row, encoding)} for index, row in enumerate(rows)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    answer = json.dumps({"object": "list", "data": data, "model": BUILT_IN, "usage": usage}, separators=(",", ":"))
    return Load(file, len(first), connections, len(answer))


def _written(row: np.ndarray, encoding: str) -> Any:
    return base64.b64encode(row.tobytes()).decode() if encoding == "base64" else [float(str(value)) for value in row]


def _measures(loads: dict[str, Load], transformer: Path | None, folder: Path) -> list[Measure]:
    """What is measured in a round, in turn; the built-in model goes into `folder` for those who know no phrases."""
    serve = [sys.executable, "-m", "edge_potion", "serve", "--host", HOST]
    ours = Server("edge-potion serve", [*serve, "--port"], least=1.0)
    two = Server("edge-potion serve, two workers", [*serve, "--workers", "2", "--port"], least=1.0)
    whole = StaticModel.from_pretrained()
    tokens = replace(whole, table=whole.table[: whole.pieces], phrases=None)
    tokens.save_pretrained(folder)
    usual = Server("FastAPI and model2vec", [*script_command(USUAL), str(folder)], OTHER_MODEL, tokens)
    base64_, floats, lists = loads

    def empty(load: str) -> Server:
        return Server("the same stack, empty", [sys.executable, "-P", EMPTY, str(loads[load].answer_bytes)])

    measures = [
        *(Measure(server, base64_, pinned) for pinned in (True, False) for server in (ours, empty(base64_))),
        Measure(two, base64_, False),
        *(Measure(server, floats, True) for server in (ours, empty(floats), usual)),
        *(Measure(server, lists, True) for server in (ours, usual)),
        *(Measure(server, lists, False) for server in (ours, two)),
    ]
    if transformer:
        # One round: it is a hundred times slower, and its start takes longer than a measure.
        command = [*script_command(INFINITY), str(transformer)]
        measures.append(Measure(Server("infinity, all-MiniLM-L6-v2", command, rounds=1), floats, True))
    return measures


def _run(measure: Measure, load: Load, model: EdgeModel, texts: Sequence[str], seconds: int) -> dict[str, Any]:
    """What wrk tells of one measure, in requests and texts, and what memory the server has at its end."""
    first, *_, last = sorted(os.sched_getaffinity(0))
    every = range(first, last + 1)
    with _started(measure.server, {first} if measure.pinned else every) as server:
        if measure.server.least is not None:
            _hold_to_encode(server.port, measure.server.model or model, texts, measure.server)
        cores = {last} if measure.pinned else every
        _wrk(server.port, load, cores, WARM_S)
        run = _wrk(server.port, load, cores, seconds)
        if run["failed"]:
            raise InputError(f"{measure.server.name} answered {run['failed']} requests with errors, or not at all")
        return {**run, "requests_s": run["answered"] / run["seconds"], "memory_mb": _memory_mb(server.process.pid)}


@dataclass(frozen=True)
class _Started:
    process: subprocess.Popen[bytes]
    port: int


@contextmanager
def _started(server: Server, cores: Collection[int]) -> Iterator[_Started]:
    """A server that answers, on some cores; it is ended behind."""
    with socket.socket() as asked:
        asked.bind((HOST, 0))
        port = asked.getsockname()[1]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryFile() as log:
        with _on(cores):
            process = subprocess.Popen([*server.command, str(port)], stdout=log, stderr=log, env=environment)
        try:
            end = time.monotonic() + START_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise InputError(f"{server.name} did not start: {log.read().decode(errors='replace')[-500:]}")
                time.sleep(0.05)
            yield _Started(process, port)
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(port: int) -> bool:
    try:
        _ask(port, ["a"], "float")
    except OSError:
        return False
    return True


def _ask(port: int, texts: Sequence[str], encoding: str) -> bytes:
    body = json.dumps({"input": texts, "encoding_format": encoding}).encode()
    request = Request(f"http://{HOST}:{port}{PATH}", body, {"content-type": "application/json"})
    with urlopen(request, timeout=ANSWER_S) as answer:
        return answer.read()


def _hold_to_encode(port: int, model: EdgeModel | StaticModel, texts: Sequence[str], server: Server) -> None:
    """By both formats; of ours each bit.

    Raises:
        InputError: the vectors are others.
    """
    readers: dict[str, Callable[[Any], np.ndarray]] = {
        "base64": lambda told: np.frombuffer(base64.b64decode(told), "<f4"),
        "float": lambda told: np.array(told, np.float32),
    }
    expected = model.encode(texts)  # (N, D) f32
    for encoding, read in readers.items():
        data = json.loads(_ask(port, texts, encoding))["data"]
        found = np.stack([read(one["embedding"]) for one in data])
        same = np.array_equal(found.view(np.uint32), expected.view(np.uint32))
        if not same and (server.least == 1.0 or (found * expected).sum(axis=1).min() < (server.least or 0)):
            raise InputError(f"the vectors of {server.name} as {encoding} are not those of EdgeModel.encode")


def _wrk(port: int, load: Load, cores: Collection[int], seconds: int) -> dict[str, Any]:
    """The line of JSON that serve_load.lua prints."""
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", f"{ANSWER_S}s"]
    command += ["-s", str(HERE / "serve_load.lua"), f"http://{HOST}:{port}{PATH}", "--", str(load.bodies)]
    with _on(cores):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _alone(lists: Path, pinned: bool, seconds: int) -> float:
    """Texts a second of `EdgeModel.encode` on these lists, in a process of its own."""
    first, *_, last = sorted(os.sched_getaffinity(0))
    with _on({first} if pinned else range(first, last + 1)):
        command = [sys.executable, "-c", ENCODE, str(lists), str(seconds)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@contextmanager
def _on(cores: Collection[int]) -> Iterator[None]:
    """What is started inside has these cores."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ours.intersection(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def _memory_mb(pid: int) -> float:
    """Pss of a process and those that it started, where pages that they share count once."""
    kb = 0
    for one in [pid, *_below(pid)]:
        lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kb * 1024 / 10**6


def _below(pid: int) -> list[int]:
    ours = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*ours, *(below for child in ours for below in _below(child))]


def _wrk_version() -> str:
    try:
        said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise Missing("wrk is not installed: `make load`") from None
    return said.split("[", 1)[0].strip()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
