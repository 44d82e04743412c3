"""A run's folder: its stages, each in a folder of its own that takes its name when it is whole, with a fingerprint.

DIR/run.json               the teacher this run belongs to
DIR/<n>-<stage>/           a finished stage: what it made, and stage.json: fingerprint, section, facts, seconds, memory
DIR/.<n>-<stage>.part/     a stage at work; a killed run goes on in it
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError
from edge_potion.folders import TEMPORARY, file_written_whole, read_json

from .memory import peak_memory_mb, reset_peak_memory
from .recipe import fingerprint, to_toml

__all__ = ["Made", "Run"]

log = logging.getLogger("edge_potion")

RUN_FILE, STAGE_FILE, AT_WORK = "run.json", "stage.json", "at_work"
FIRST, LAST = 1, 6  # stages of the recipe; 0 is the corpus, which stage 1 begins with

Make = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Made:
    """Something that stages are made from: a finished stage, or what a run begins with.

    Attributes:
        name: "<n>-<stage>", or what it is.
        folder: where it lies.
        fingerprint: changes with its content; of a stage, with its section and everything before it.
        record: of a stage, the content of stage.json.
    """

    name: str
    folder: Path
    fingerprint: str
    record: Mapping[str, Any] = field(default_factory=dict)


class Run:
    """A run's folder, held by one process at a time."""

    def __init__(self, folder: Path, from_stage: int | None = None) -> None:
        """Open or make the folder.

        Args:
            folder: a new or empty one, or one of an earlier run.
            from_stage: stages from this number on (1 to 6) are made anew, even when their fingerprints match.

        Raises:
            InputError: the folder holds something else, or cannot be made; or there is no such stage.
        """
        if from_stage is not None and not FIRST <= from_stage <= LAST:
            raise InputError(f"from_stage is {from_stage}; a stage from {FIRST} to {LAST} was expected")
        self.folder = folder.expanduser().resolve()
        self.from_stage = from_stage
        try:
            if self.folder.exists() and not (self.folder / RUN_FILE).is_file():
                foreign = [each.name for each in self.folder.iterdir() if not each.name.startswith(TEMPORARY)]
                if foreign and foreign != [".lock"]:
                    raise InputError(f"{folder} holds {foreign[0]!r} and no run of ours; name a new folder")
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise InputError(f"cannot use {folder} as the run's folder: {failure}") from failure

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else may write into the folder in this block; InputError when another process already does."""
        try:
            import fcntl
        except ImportError:  # Windows has no flock; two runs in one folder are the user's to avoid there
            yield
            return
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as failure:
                raise InputError(f"another process is at work in {self.folder}; wait for it") from failure
            for left in [*self.folder.rglob(f"{TEMPORARY}*"), *self.folder.glob(".*.old")]:  # a killed run's
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            yield

    def belong_to(self, teacher: Made) -> None:
        """Note the teacher; InputError when the folder was begun with another one.

        A teacher that changes under way would make a student of two teachers. `from_stage=1` begins anew.
        """
        file = self.folder / RUN_FILE
        if file.is_file() and self.from_stage != FIRST:
            found = read_json(file)
            if found.get("fingerprint") != teacher.fingerprint:
                raise InputError(
                    f"{self.folder} was begun with teacher {found.get('teacher')} ({found.get('fingerprint')}), and "
                    f"{teacher.name} is {teacher.fingerprint} now; name another folder, or pass --from-stage 1"
                )
        with file_written_whole(file) as beside:
            beside.write_text(json.dumps({"teacher": teacher.name, "fingerprint": teacher.fingerprint}) + "\n", "utf-8")

    def stage(self, name: str, make: Make, section: Any, *before: Made) -> Made:
        """The stage `name`: as it is when its fingerprint matches, else made by `make`.

        Args:
            name: "<n>-<stage>"; n is its number.
            make: called as make(folder, section, *before), with a folder that may hold what a killed call left; returns
                facts for the record.
            section: of the recipe, None for a stage without one.
            before: what it is made from.

        Raises:
            InputError: the folder cannot be written to; what `make` raises goes through.
        """
        toml = "" if section is None else to_toml(section)
        mark = fingerprint(name, toml, *(each.fingerprint for each in before))
        goal, part = self.folder / name, self.folder / f".{name}.part"
        is_forced = self.from_stage is not None and int(name[0]) >= self.from_stage
        if not is_forced and _mark_of(goal / STAGE_FILE) == mark:
            log.info("%s: done before", name)
            return Made(name, goal, mark, read_json(goal / STAGE_FILE))
        try:
            if is_forced or _mark_of(part / AT_WORK) != mark:
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                (part / AT_WORK).write_text(json.dumps({"fingerprint": mark}))
            if _mark_of(part / STAGE_FILE) == mark:
                log.info("%s: done before", name)  # and killed just before it took its name
            else:
                log.info("%s: %s", name, "begins" if len(list(part.iterdir())) == 1 else "goes on")
                begin = time.perf_counter()
                reset_peak_memory()
                facts = make(part, section, *before)
                record = {
                    "fingerprint": mark,
                    "recipe": toml,
                    "seconds": round(time.perf_counter() - begin, 1),
                    "peak_memory_mb": peak_memory_mb(),
                    **facts,
                }
                with file_written_whole(part / STAGE_FILE) as beside:
                    beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            _take_name(part, goal)
        except OSError as failure:
            raise InputError(f"cannot write stage {name} in {self.folder}: {failure}") from failure
        return Made(name, goal, mark, read_json(goal / STAGE_FILE))


def _mark_of(file: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(file.read_text(encoding="utf-8"))["fingerprint"])
    return ""


def _take_name(part: Path, goal: Path) -> None:
    """Give a finished stage its name; an older one of that name goes. A kill in between is mended by the next call."""
    old = goal.with_name(f".{goal.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if goal.exists():
        goal.rename(old)
    part.rename(goal)
    (goal / AT_WORK).unlink(missing_ok=True)
    shutil.rmtree(old, ignore_errors=True)
