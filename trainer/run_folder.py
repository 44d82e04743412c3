"""A run's folder: its stages, each in a folder of its own that takes its name when it is whole, with a fingerprint.

DIR/run.json             which teacher this run belongs to
DIR/<n>-<stage>/         a finished stage: what it made, and stage.json: fingerprint, section, facts, seconds, memory,
                         and size and SHA-256 of each file, to which they are held whenever the stage is taken as done
DIR/.<n>-<stage>.part/   a stage at work; a killed run goes on in it. Its work/ holds what need not outlive it
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edge_potion
from edge_potion.disk import lock, remove, synced
from edge_potion.errors import AccessError, InputError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.manifest import FileSum, damaged, file_sum, sum_in
from edge_potion.workshop import TEMPORARY, sweep, take_name
from edge_potion.writing import file_written_whole, is_litter

from .memory import peak_memory_mb, reset_peak_memory
from .recipe_file import fingerprint, to_toml
from .stages import LAST_STAGE, STAGES, Stage

__all__ = ["LOCK", "WORK", "Artifact", "Run", "check_stage"]

log = logging.getLogger("edge_potion")

RUN_FILE, STAGE_FILE, LOCK = "run.json", "stage.json", ".lock"
WORK = "work"
AT_WORK = f"{WORK}/fingerprint.json"

Make = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Artifact:
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

    def __init__(self, folder: Path) -> None:
        """Open or make the folder.

        Raises:
            InputError: it holds something else than a run, or cannot be made.
        """
        try:
            self.folder = folder.expanduser().resolve()
            self.folder.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in self.folder.iterdir()}
        except (OSError, RuntimeError) as failure:  # RuntimeError: a loop of links
            raise InputError(f"cannot use {folder} as the run's folder: {failure}") from failure
        foreign = sorted(name for name in names if not name.startswith(TEMPORARY) and name != LOCK)
        if foreign and "edge_potion" not in _read(self.folder / RUN_FILE) and not self._holds_stages():
            raise InputError(f"{folder} holds {foreign[0]!r} and no run of ours; name a new folder")

    @contextmanager
    def held(self, teacher: Artifact, from_stage: int | None = None) -> Iterator[None]:
        """Nobody else may write into the folder in this block, and all of it belongs to one teacher.

        Args:
            teacher: with which the run was begun, or is begun now.
            from_stage: forget the stages from this number on, once: called again after a kill, what was made since then
                is kept.

        Raises:
            InputError: another process is at work in it, it was begun with another teacher (which `from_stage` = 1
                forgets too), it cannot be written to, or there is no such stage.
        """
        check_stage(from_stage)
        try:
            with _locked(self.folder / LOCK):
                self._clean()
                self._belong_to(teacher, from_stage)
                yield
                self._note(teacher, None)
        except AccessError:  # which says itself what cannot be written
            raise
        except OSError as failure:
            raise InputError(f"cannot work in {self.folder}: {failure}") from failure

    def stage(self, stage: Stage, make: Make, section: Any, *before: Artifact) -> Artifact:
        """What a stage gives: as it is when fingerprint and files are what they should be, else made by `make`.

        Where a file is damaged, `make` is called with what is whole: of features, the damaged shards alone are new.

        Args:
            stage: a row of STAGES.
            make: called as make(folder, section, *before), with a folder that may hold what a killed call left; returns
                facts for the record.
            section: of the recipe, None for a stage without one.
            before: what it is made from.

        Raises:
            InputError: the folder cannot be written to, or the stage's holds files of the user; what `make` raises goes
                through.
        """
        name, toml = stage.name, "" if section is None else to_toml(section)
        mark = fingerprint(name, str(stage.version), toml, *(artifact.fingerprint for artifact in before))
        goal, part = self.folder / name, self.folder / f".{name}.part"
        for place in (goal, part):  # in the part, when it was killed just before it took its name
            if _mark_of(place / STAGE_FILE) != mark:
                continue
            damage = _damage_in(place)
            if damage:
                self._set_to_work(place, part, mark, damage)
                break
            log.info("%s: done before", name)
            if place == part:
                remove(part / WORK)
                take_name(part, goal)
            return Artifact(name, goal, mark, _read(goal / STAGE_FILE))
        _refuse_foreign(goal)
        goes_on = _mark_of(part / AT_WORK) == mark
        if not goes_on:
            remove(part)
            (part / WORK).mkdir(parents=True)
            _write(part / AT_WORK, {"fingerprint": mark})
        log.info("%s: %s", name, "goes on" if goes_on else "begins")
        begin = time.perf_counter()
        reset_peak_memory()
        facts = make(part, section, *before)
        record = {
            "fingerprint": mark,
            "edge_potion_version": edge_potion.__version__,
            "recipe": toml,
            "seconds": round(time.perf_counter() - begin, 1),  # of this call, when it went on
            "went_on": goes_on,
            "peak_memory_mb": peak_memory_mb(),
            **facts,
            "files": {name: file_sum(part / name).as_json() for name in _files_of(part)},
        }
        synced(part)
        _write(part / STAGE_FILE, record)
        remove(part / WORK)
        take_name(part, goal)
        return Artifact(name, goal, mark, _read(goal / STAGE_FILE))

    def _holds_stages(self) -> bool:
        """Whether stages of ours are in the folder, as in one whose run.json was damaged."""
        names = [name for stage in STAGES for name in (stage.name, stage.earlier_name) if name]
        files = ((self.folder / name / STAGE_FILE, self.folder / f".{name}.part" / AT_WORK) for name in names)
        return any(_mark_of(file) for both in files for file in both)

    def _set_to_work(self, place: Path, part: Path, mark: str, damage: Sequence[str]) -> None:
        """Have a stage with damaged files go on with those that are whole."""
        log.warning("%s: %s is damaged; what is damaged is made again", place.name, ", ".join(damage))
        if place != part:
            _refuse_foreign(place)
            remove(part)
            take_name(place, part)
        for name in {name.split("/")[0] for name in damage}:  # of a model with a damaged file, nothing is of use
            remove(part / name)
        (part / WORK).mkdir(exist_ok=True)
        _write(part / AT_WORK, {"fingerprint": mark})
        (part / STAGE_FILE).unlink()

    def _belong_to(self, teacher: Artifact, from_stage: int | None) -> None:
        """Hold the folder to its teacher, whose vectors are in every stage, and forget what is to be made anew.

        What is forgotten keeps its files until it is made: a stage without a fingerprint is not gone on from.
        """
        file = self.folder / RUN_FILE
        known = _read(file).get("edge_potion", {})
        if known and known.get("fingerprint") != teacher.fingerprint and from_stage != 1:
            raise InputError(
                f"{self.folder} was begun with teacher {known.get('teacher')} ({known.get('fingerprint')}), and "
                f"{teacher.name} is {teacher.fingerprint} now; name another folder, or pass --from-stage 1"
            )
        if from_stage is not None and known.get("forgotten_from") != from_stage:
            for stage in STAGES:
                record = self.folder / stage.name / STAGE_FILE
                if stage.number >= from_stage:
                    remove(self.folder / f".{stage.name}.part")
                    if record.is_file():  # what is ours in that folder is still ours
                        _write(record, {"files": _read(record).get("files", [])})
        self._note(teacher, from_stage)

    def _note(self, teacher: Artifact, forgotten_from: int | None) -> None:
        known = {"teacher": teacher.name, "fingerprint": teacher.fingerprint, "forgotten_from": forgotten_from}
        _write(self.folder / RUN_FILE, {"edge_potion": known})

    def _clean(self) -> None:
        """Remove what a killed run was writing, and give back their names to stages that it had moved away."""
        sweep(self.folder)
        for name in (stage.name for stage in STAGES):
            goal, old = self.folder / name, self.folder / f".{name}.old"  # by an earlier version
            if os.path.lexists(old) and not os.path.lexists(goal):
                take_name(old, goal)
            remove(old)
            # Nobody else writes into a part: the run's lock is ours.
            for leftover in list((self.folder / f".{name}.part").rglob(f"{TEMPORARY}*")):
                remove(leftover)
        for stage in STAGES:
            if stage.earlier_name and (self.folder / stage.earlier_name).is_dir():
                log.warning(
                    "%s is of an earlier version, and nothing goes on from it: it is made anew as %s, with the stages "
                    "that follow from it, while the corpus and features stay; remove it when you like",
                    self.folder / stage.earlier_name,
                    stage.name,
                )


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as stream:
        is_ours = lock(stream)
        if is_ours is False:
            raise InputError(f"another process is at work in {file.parent}; wait for it")
        if is_ours is None:
            log.warning("%s: no file can be locked here; see that no other process works in it", file.parent)
        yield


def check_stage(number: int | None) -> None:
    """Raise InputError unless a stage to begin anew with is one that a run has, or None."""
    if number is not None and (type(number) is not int or not 1 <= number <= LAST_STAGE):
        raise InputError(f"from_stage is {number!r}; a stage from 1 to {LAST_STAGE} was expected")


def _read(file: Path) -> dict[str, Any]:
    """The object in a JSON file of ours; empty when there is none, or it is damaged."""
    try:
        return read_json(file) if file.exists() else {}
    except ModelFormatError as failure:
        log.warning("%s", failure)
        return {}


def _write(file: Path, content: Mapping[str, Any]) -> None:
    with file_written_whole(file) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _mark_of(file: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(file.read_text(encoding="utf-8"))["fingerprint"])
    return ""


def _files_of(part: Path) -> list[str]:
    """Names of the files that a stage made."""
    names = sorted(file.relative_to(part).as_posix() for file in part.rglob("*") if file.is_file())
    return [name for name in names if name != STAGE_FILE and not name.startswith(f"{WORK}/") and not is_litter(name)]


def _damage_in(place: Path) -> list[str]:
    """Names of the files of a stage that are not what its stage.json says."""
    files = _read(place / STAGE_FILE).get("files")
    if not isinstance(files, dict):
        log.warning("%s was made by a version that kept no checksums; it is taken as it is", place.name)
        return []
    sums = {name: sum_in(entry) or FileSum(-1, "") for name, entry in files.items()}
    return list(damaged(place, sums))


def _refuse_foreign(goal: Path) -> None:
    """A stage's folder will be replaced: what the user put into it must not go with it."""
    if not goal.is_dir():
        return
    try:
        record = read_json(goal / STAGE_FILE) if (goal / STAGE_FILE).exists() else {}
    except ModelFormatError as failure:
        raise InputError(f"{failure}; see that nothing in {goal} is yours, and remove it: it is made again") from None
    ours = {STAGE_FILE, *(name.split("/")[0] for name in record.get("files", ()))}
    foreign = sorted({entry.name for entry in goal.iterdir() if not is_litter(entry.name)} - ours)
    if foreign:
        raise InputError(f"{goal} is made anew and holds {foreign[0]!r}, which is not ours; move that elsewhere first")
