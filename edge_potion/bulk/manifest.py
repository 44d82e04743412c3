"""The folder of a bulk job: what it is made of, which shards are whole, and whether all are.

_manifest.json         what the shards are made of, and when all are there ("complete": true) what they hold
_shards.jsonl          while the job is not done: a line for each shard that is whole
_rotation.safetensors  of binary codes that are rotated
_lock                  held by who writes

Names that begin with "_" are passed over by who reads a folder of .parquet files (pyarrow, Spark, DuckDB's globs).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from edge_potion.bulk.plan import Plan
from edge_potion.bulk.shard import Outcome
from edge_potion.disk import lock
from edge_potion.errors import AccessError, InputError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.text_lines import name_of
from edge_potion.workshop import TEMPORARY, sweep
from edge_potion.writing import file_written_whole, is_litter

__all__ = ["MANIFEST", "ROTATION", "Output", "open_output"]

MANIFEST, JOURNAL, LOCK, ROTATION = "_manifest.json", "_shards.jsonl", "_lock", "_rotation.safetensors"
FORMAT = 1
BAD_NAMED = 1000  # rows that a manifest names; the others are counted


class Output:
    """The folder while it is written; one process holds it.

    Attributes:
        folder: itself.
        done: outcomes of the shards that are whole, by name.
        is_complete: whether the manifest says that all were there.
    """

    def __init__(self, plan: Plan) -> None:
        self.folder = plan.job.out
        self._plan = plan
        self.done: dict[str, Outcome] = {}
        manifest = self._manifest()
        self.is_complete = bool(manifest.get("complete"))
        outcomes = manifest.get("shards", []) if self.is_complete else self._journal_lines()
        for said in outcomes:
            outcome = _outcome_of(said, self.folder / (MANIFEST if self.is_complete else JOURNAL))
            if all(_size_of(self.folder / name) == size for name, size in outcome.sizes.items()):
                self.done[outcome.name] = outcome
        self._journal: IO[str] | None = None

    def begin(self) -> None:
        """Say what is being made, before the first shard is.

        Raises:
            AccessError: the folder cannot be written to.
        """
        self._write_manifest({"complete": False})
        self.is_complete = False
        lines = "".join(_line_of(outcome) for outcome in self.done.values())
        with file_written_whole(self.folder / JOURNAL) as beside:
            beside.write_text(lines, encoding="utf-8")
        self._journal = (self.folder / JOURNAL).open("a", encoding="utf-8")

    def add(self, outcome: Outcome) -> None:
        """Note a shard that is whole, so that a killed job need not make it again."""
        assert self._journal is not None
        try:
            self._journal.write(_line_of(outcome))
            self._journal.flush()
            os.fsync(self._journal.fileno())
        except OSError as failure:
            raise AccessError(f"cannot write {self.folder / JOURNAL}: {failure}") from failure
        self.done[outcome.name] = outcome

    def finish(self) -> None:
        """Say that all shards are there.

        Raises:
            AccessError: a shard was removed meanwhile, or the manifest cannot be written.
        """
        outcomes = [self.done[name] for name in sorted(self.done)]
        for outcome in outcomes:
            for name, size in outcome.sizes.items():
                if _size_of(self.folder / name) != size:
                    raise AccessError(f"{self.folder / name} was removed or changed; run the same command again")
        bad: Counter[str] = Counter()
        for outcome in outcomes:
            bad.update(outcome.bad)
        facts = {
            "complete": True,
            "rows": sum(outcome.rows for outcome in outcomes),
            "unknown": sum(outcome.unknown for outcome in outcomes),
            "bad": dict(bad),
            "bad_rows": [message for outcome in outcomes for message in outcome.named][:BAD_NAMED],
            "shards": [asdict(outcome) for outcome in outcomes],
        }
        self._write_manifest(facts)
        self.is_complete = True
        if self._journal is not None:
            self._journal.close()
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            with suppress(OSError):  # a full disk, of which was told
                self._journal.close()

    def _manifest(self) -> Mapping[str, Any]:
        """What is there already, held to the plan; empty for a new folder."""
        file = self.folder / MANIFEST
        if not file.exists():
            if others := sorted(entry.name for entry in self.folder.iterdir() if not _is_ours_or_litter(entry.name)):
                raise InputError(
                    f"{self.folder} holds {others[0]!r} and no {MANIFEST} of a job before; name a new folder"
                )
            return {}
        try:
            there = read_json(file)
        except ModelFormatError as failure:
            raise InputError(f"{failure}; name a new folder, or remove this one") from failure
        if there.get("format") != FORMAT:
            raise InputError(f"{file} is of another version of edge-potion; name a new folder")
        self._refuse_other(there)
        return there

    def _refuse_other(self, there: Mapping[str, Any]) -> None:
        advice = "name a new folder for this job, or give the same command to go on with that one"
        for part, wanted in self._plan.made_with.items():
            held = there.get(part)
            for key, value in wanted.items():
                found = held.get(key) if isinstance(held, dict) else None
                if found != value:
                    what = "another model" if part == "model" and key == "fingerprint" else "another job"
                    raise InputError(
                        f"{self.folder} was begun with {what}: {key} is {json.dumps(found)} there and "
                        f"{json.dumps(value)} now; {advice}"
                    )
        inputs, before = _inputs_of(self._plan), there.get("inputs")
        if before == inputs:
            return
        before = before if isinstance(before, list) else []
        paths, paths_before = ([file.get("path") for file in files] for files in (inputs, before))
        if paths != paths_before:
            other = next((path for path in [*paths_before, *paths] if (path in paths) != (path in paths_before)), None)
            how = (
                "the inputs stand in another order"
                if other is None
                else (f"{name_of(other)} is an input now and was none" if other in paths else f"{other} was an input")
            )
            raise InputError(f"{self.folder} was begun with other inputs: {how}; {advice}")
        changed = next(file for file, then in zip(inputs, before, strict=True) if file != then)
        raise InputError(f"{changed['path']} was changed since {self.folder} was begun; {advice.split(',')[0]}")

    def _write_manifest(self, facts: Mapping[str, Any]) -> None:
        from edge_potion import __version__

        made_with = self._plan.made_with
        content = {
            "format": FORMAT,
            "edge_potion": __version__,
            "complete": facts["complete"],
            **made_with,
            "model": {"name": self._plan.model, **made_with["model"]},
            "inputs": _inputs_of(self._plan),
            **facts,
        }
        with file_written_whole(self.folder / MANIFEST) as beside:
            beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _journal_lines(self) -> Iterator[Any]:
        """What the journal says, but for a last line that was cut off."""
        try:
            content = (self.folder / JOURNAL).read_bytes()
        except FileNotFoundError:
            return
        except OSError as failure:
            raise AccessError(f"cannot read {self.folder / JOURNAL}: {failure}") from failure
        for line in content.split(b"\n"):
            try:
                yield json.loads(line)
            except ValueError:
                continue  # of a process that was killed as it wrote: that shard is made again


@contextmanager
def open_output(plan: Plan) -> Iterator[Output]:
    """Hold the folder of a job, which is made where it is not there.

    Raises:
        InputError: it is of another job, holds something else, or another process writes there.
        AccessError: it cannot be written to.
    """
    folder = plan.job.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        held = _held(folder)
    except OSError as failure:
        raise AccessError(f"cannot write into {folder}: {failure.strerror or failure}") from failure
    try:
        output = Output(plan)
        try:
            yield output
        finally:
            output.close()
    finally:
        sweep(folder)  # what workers that were stopped left
        with suppress(OSError):
            (folder / LOCK).unlink()
        held.close()


def _held(folder: Path) -> IO[str]:
    """The lock of a folder, which is ours; InputError where it is another's."""
    while True:
        held = (folder / LOCK).open("a", encoding="utf-8")
        if lock(held) is False:
            held.close()
            raise InputError(
                f"another process writes into {folder} at this moment; wait for it, or name another folder"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held.fileno()), (folder / LOCK).stat()):
                return held
        held.close()  # whoever had it removed it as we waited


def _inputs_of(plan: Plan) -> list[dict[str, Any]]:
    return [{"path": file.path, "size_bytes": file.size_bytes, "modified_ns": file.modified_ns} for file in plan.inputs]


def _line_of(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome), ensure_ascii=False) + "\n"


def _outcome_of(said: Any, file: Path) -> Outcome:
    try:
        return Outcome(**said)
    except TypeError as failure:
        raise InputError(f"{file} is damaged ({failure}); name a new folder") from failure


def _size_of(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _is_ours_or_litter(name: str) -> bool:
    return name in (LOCK, JOURNAL, ROTATION) or name.startswith(TEMPORARY) or is_litter(name)
