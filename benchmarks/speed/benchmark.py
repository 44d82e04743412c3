"""`edge-potion benchmark`: which graph, precision and provider to ship on this machine, what it costs, peers beside.

Every configuration runs in a process of its own, once a round; the rounds are interleaved, so that whatever the machine
does hits all of them. The report is written after each round: one that is stopped is whole as far as it goes.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import edge_potion
from edge_potion.bundle import GRAPHS, PRECISIONS, open_bundle
from edge_potion.errors import InputError, ModelFormatError, ParityError, require
from edge_potion.escaping import terminal
from edge_potion.find import find_folder
from edge_potion.progress import progress_bar, unfailing_stderr
from edge_potion.providers import PROVIDERS as ORT_PROVIDERS
from edge_potion.texts import read_texts
from edge_potion.writing import make_folder

from . import environments
from .configurations import KNOWN_PROVIDERS, PROVIDERS, Setting, bundles_configurations, providers_environments
from .jobs import Effort, Jobs
from .machine import core_count, cpu_name, load_average, memory_bytes, system_name
from .peers import PEERS, peer_configurations, peers_environments
from .process import answer_of, without_folders
from .report.files import write_report
from .report.model import Machine, Report, Score, Settings, Texts
from .report.values import Status
from .rows import Row, cosine_of, outcomes_of, ratios_of, round_of
from .scores import read_scores

__all__ = ["Effort", "benchmark", "first_texts"]

TEXTS = 16_384  # at most
FEWEST = 4096  # texts: a file that has fewer is taken as often as that needs
MOST_CHARACTERS = 2**26  # of all: every runner holds them, and they are written down for it
PROCESS_SECONDS = 120  # what takes longer hangs
SHOWING_SECONDS = 3  # kept back for writing the report
REFUSALS: Final[dict[str, Status]] = {"absent": "absent", "failed": "failed", "fell_back": "fell back"}  # of a runner


@unfailing_stderr()
def benchmark(
    bundles: str | Sequence[str] = (),
    out: str | Path = "benchmark",
    *,
    providers: str | Sequence[str] = PROVIDERS,
    peers: str | Sequence[str] = tuple(PEERS),
    graphs: str | Sequence[str] = tuple(GRAPHS),
    precisions: str | Sequence[str] = tuple(PRECISIONS),
    threads: Sequence[int] = (1,),
    texts: str | None = None,
    text_column: str = "text",
    pythons: Mapping[str, Path] | None = None,
    scores: Path | None = None,
    setup: bool = False,
    effort: Effort | None = None,
    show_progress: bool = False,
) -> Report:
    """Measure, and write OUT/report.json, report.md and report.html.

    Args:
        bundles: folder or hub id of a bundle, or some; none stands for the model that comes with edge-potion.
        out: folder of the report, made when it is not there.
        providers: names as EdgeModel takes them, and node, wasm and webgpu (in headless Chromium).
        peers: of PEERS, by their labels.
        graphs: which of those that a bundle holds.
        precisions: which of those that a bundle holds.
        threads: each count that is measured, on as many pinned cores.
        texts: file of texts, as `edge_potion.texts` reads it; by default the sample sentences that come with
            edge-potion, repeated.
        text_column: key or column of the texts, in a file that has such.
        pythons: interpreter for a provider or a peer's package, by its name, in the place of the one that we build.
        scores: a report.json of `edge-potion evaluate`, to plot what its models score against what they weigh.
        setup: build the environments that are missing, before the time runs.
        effort: how long; by default ten minutes.
        show_progress: a bar on stderr.

    Returns:
        What report.json holds. `complete` is false where it was interrupted, or the
        time was up before every configuration had its first turn.

    Raises:
        InputError: a bundle, a name or a file is not usable.
        MissingExtraError: onnxruntime is not installed.
    """
    require("onnxruntime", extra="cpu,export,benchmark", purpose="benchmarking")
    out, effort = Path(out), effort or Effort()
    providers = _known("provider", providers, KNOWN_PROVIDERS)
    peers = _known("peer", peers, tuple(PEERS))
    graphs = _known("graph", graphs, tuple(GRAPHS))
    precisions = _known("precision", precisions, tuple(PRECISIONS))
    most = core_count()
    if not threads or min(threads) < 1 or max(threads) > most:
        raise InputError(f"threads are {', '.join(map(str, threads))}; from 1 to the {most} cores that we may use")
    if not providers and not peers:
        raise InputError("neither a provider nor a peer is asked for, so there is nothing to measure")
    if not math.isfinite(effort.minutes):
        raise InputError(f"minutes are {effort.minutes}; a number was expected")
    run_by_python = {*ORT_PROVIDERS, *peers_environments(tuple(PEERS))}
    if unknown := set(pythons or {}) - run_by_python:
        known = ", ".join(sorted(run_by_python))
        raise InputError(f"no interpreter is needed for {', '.join(sorted(unknown))}; one may be named for {known}")
    names = [bundles] if isinstance(bundles, str | Path) else bundles
    opened = [open_bundle(find_folder(name)) for name in names] or [open_bundle(find_folder(None))]
    sentences = first_texts(texts, text_column)
    plotted = read_scores(scores) if scores else []
    make_folder(out)
    if setup:
        _install(providers, peers)
    with tempfile.TemporaryDirectory(prefix="edge-potion-") as scratch:
        setting = Setting(tuple(dict.fromkeys(threads)), dict(pythons or {}), Path(scratch))
        configurations = [
            *bundles_configurations(opened, providers, graphs, precisions, setting),
            *(peer_configurations(peers, opened[0], setting) if peers else ()),
        ]
        begin = time.monotonic()  # what is written once, and kept, is no part of the run
        rows = [Row(configuration) for configuration in configurations]
        jobs = Jobs(Path(scratch), sentences, opened, effort)
        golden_texts = max(len(golden.texts) for golden in jobs.golden.values())
        head = _before_any_round(sentences, texts, effort, golden_texts, plotted)
        interrupted = False
        try:
            for _ in _rounds(rows, jobs, effort, begin, show_progress):
                write_report(_with_rows(head, rows, time.monotonic() - begin, interrupted=False), out)
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C; and SIGTERM, which the command turns into SystemExit
            interrupted = True
            for row in rows:
                if row.status == "not run":
                    row.reason = "the run was interrupted before its turn"
        report = _with_rows(head, rows, time.monotonic() - begin, interrupted)
        write_report(report, out)
        return report


def first_texts(file: str | None, column: str = "text") -> list[str]:
    """The first TEXTS of a file, each once: some libraries remember words, and texts. Fewer than FEWEST are repeated.

    Raises:
        InputError: it holds none, or they are longer than what is embedded.
    """
    from importlib.resources import files

    source = file or str(files("edge_potion").joinpath("samples/sentences.txt"))
    sentences: dict[str, None] = {}
    characters = 0
    for text in read_texts(source, column):
        if text.strip() and (clean := text.replace("\0", "")) not in sentences:
            sentences[clean] = None
            characters += len(clean)
        if len(sentences) == TEXTS or characters > MOST_CHARACTERS:
            break
    if not sentences:
        raise InputError(f"{source} holds no text")
    if characters * (FEWEST // len(sentences)) > MOST_CHARACTERS:
        mean = characters // len(sentences)
        raise InputError(
            f"the texts of {source} have {mean:,} characters on average; {FEWEST:,} texts of at most "
            f"{MOST_CHARACTERS // FEWEST:,} were expected"
        )
    if len(sentences) >= FEWEST:
        return list(sentences)
    return (list(sentences) * (FEWEST // len(sentences) + 1))[:FEWEST]


def _known(what: str, asked: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """What is asked for, each once, where there is such."""
    names = list(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    for name in names:
        if name not in known:
            raise InputError(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return names


def _install(providers: Sequence[str], peers: Sequence[str]) -> None:
    """Build what the run needs beside our own environment."""
    for name in dict.fromkeys([*providers_environments(providers), *peers_environments(peers)]):
        try:
            environments.build(name)
        except environments.Missing as reason:  # its rows will say that it is not there
            print(f"warning: {terminal(reason)}", file=sys.stderr)


def _before_any_round(
    sentences: Sequence[str], file: str | None, effort: Effort, golden_texts: int, scores: Sequence[Score]
) -> Report:
    """What does not change while it runs, around no configuration."""
    return Report(
        edge_potion=edge_potion.__version__,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        complete=False,
        stopped=None,
        machine=Machine(
            cpu=cpu_name(),
            cores=core_count(),
            load_average=load_average(),
            memory_bytes=memory_bytes(),
            system=system_name(),
            python=platform.python_version(),
        ),
        settings=Settings(
            rounds=0,
            minutes=effort.minutes,
            batches=list(effort.batches),
            latency_calls=effort.latency_calls,
            warmup_calls=effort.warmup_calls,
            warmup_seconds=effort.warmup_seconds,
            batch_seconds=effort.batch_seconds,
            pinned=hasattr(os, "sched_setaffinity"),
            texts=Texts(
                source=Path(file).name if file else "the sample sentences, repeated",
                count=len(sentences),
                mean_characters=round(sum(map(len, sentences)) / len(sentences), 1),
                not_ascii=round(sum(not text.isascii() for text in sentences) / len(sentences), 4),
            ),
            golden_texts=golden_texts,
        ),
        configurations=[],
        ratios=[],
        scores=list(scores),
    )


def _with_rows(report: Report, rows: Sequence[Row], seconds: float, interrupted: bool) -> Report:
    """The report with what is measured so far."""
    ran = all(row.status != "not run" for row in rows)
    return replace(
        report,
        seconds=round(seconds, 1),
        complete=ran and not interrupted,
        stopped="interrupted" if interrupted else None if ran else "time",
        settings=replace(report.settings, rounds=max((len(row.rounds) for row in rows), default=0)),
        configurations=outcomes_of(rows),
        ratios=ratios_of(rows),
    )


def _rounds(rows: Sequence[Row], jobs: Jobs, effort: Effort, begin: float, show_progress: bool) -> Iterator[None]:
    """Measure round by round while the time lasts; yields after each."""
    deadline = begin + 60 * effort.minutes - SHOWING_SECONDS
    for row in rows:
        if row.configuration.reason is not None:
            row.status, row.reason = "absent", row.configuration.reason
    with progress_bar(show_progress, desc="benchmark", unit=" runs") as bar:
        longest = 0.0  # of a round
        for number in range(effort.rounds):
            turn = [row for row in rows if row.status in ("not run", "measured")]
            turn.sort(key=lambda row: row.configuration.provider != "cpu")  # near to the peers, which ratios are to
            round_begin = time.monotonic()
            if not turn or round_begin + longest > deadline:
                return
            bar.total = bar.n + len(turn)
            for row in turn if number % 2 == 0 else turn[::-1]:  # there and back, against drift
                if time.monotonic() > deadline:
                    break
                bar.set_postfix_str(terminal(f"round {number + 1}, {row.configuration.name}"))
                _run(row, jobs, deadline, number + 1)
                bar.update()
            longest = max(longest, time.monotonic() - round_begin)
            yield


def _run(row: Row, jobs: Jobs, deadline: float, number: int) -> None:
    """One turn of a configuration, in round `number`."""
    asked, first_round = row.configuration, not row.rounds
    if first_round:
        _into_the_cache(Path(asked.job["file"]))
    job, vectors = jobs.of(asked, first_round=first_round)
    seconds = min(PROCESS_SECONDS, max(1.0, deadline + SHOWING_SECONDS / 2 - time.monotonic()))
    try:
        answer = answer_of([*asked.command, str(job)], asked.threads, asked.cores, seconds)
    except subprocess.TimeoutExpired:
        if seconds == PROCESS_SECONDS:
            row.status, row.reason = "failed", f"it took more than {PROCESS_SECONDS} s"
        elif first_round:
            row.reason = "the time was up during its turn"
        return
    for key, status in REFUSALS.items():
        if key in answer:
            row.status, row.reason = status, without_folders(answer[key])
            row.runtime_facts = {"nodes": answer.get("nodes")}
            return
    try:
        measured = round_of(answer, number)
        if first_round:
            row.runtime_facts = {key: answer[key] for key in ("versions", "device", "nodes")}
            if asked.golden:
                held_to = None if asked.peer else asked.precision  # peers stray on purpose, where the report says
                row.cosine = cosine_of(vectors, answer["dims"], jobs.golden[asked.golden.folder], held_to)
    except (ModelFormatError, ParityError) as reason:
        row.status, row.reason = "failed", without_folders(str(reason))
        return
    except (KeyError, TypeError, ValueError, IndexError, OSError) as fault:
        row.status, row.reason = "failed", without_folders(f"its answer is not whole: {type(fault).__name__}: {fault}")
        return
    row.status, row.reason = "measured", None
    row.rounds.append(measured)
    row.latencies_ms += answer["latency_ms"]


def _into_the_cache(file: Path) -> None:
    """Read a model's file once, as the cold start of the first round would else be the disk's."""
    with suppress(OSError), file.open("rb") as stream:  # the runner will tell
        while stream.read(1 << 20):
            pass
