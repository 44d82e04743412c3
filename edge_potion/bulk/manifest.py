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
OTHER_BYTES = "backslashreplace"  # bytes of a path that are not UTF-8 stand as \udcff, which JSON reads as Python does


class Output:
    """The folder while it is written; one process holds it.

    Attributes:
        folder: itself.
        done: outcomes of the shards that are whole, by name.
        is_complete: whether the manifest says that all are there, and they are.
    """

    def __init__(self, plan: Plan) -> None:
        self.folder = plan.job.out
        self._plan = plan
        self.done: dict[str, Outcome] = {}
        manifest = self._manifest()
        was_complete = bool(manifest.get("complete"))
        noted = manifest.get("shards", []) if was_complete else self._journal_lines() if manifest else []
        try:
            outcomes = [Outcome(**said) for said in noted]
            for outcome in outcomes:
                if all(_size_of(self.folder / name) == size for name, size in outcome.sizes.items()):
                    self.done[outcome.name] = outcome
        except (TypeError, AttributeError) as failure:
            damaged = self.folder / (MANIFEST if was_complete else JOURNAL)
            raise InputError(f"{damaged} is damaged ({failure}); name a new folder") from failure
        self.is_complete = was_complete and len(self.done) == len(outcomes)
        self._journal: IO[str] | None = None

    def begin(self) -> None:
        """Say what is being made, before the first shard is.

        Raises:
            AccessError: the folder cannot be written to.
        """
        lines = "".join(_line_of(outcome) for outcome in self.done.values())
        with file_written_whole(self.folder / JOURNAL) as beside:
            beside.write_text(lines, encoding="utf-8", errors=OTHER_BYTES)
        self._write_manifest({"complete": False})  # from here on the journal counts
        self.is_complete = False
        self._journal = (self.folder / JOURNAL).open("a", encoding="utf-8", errors=OTHER_BYTES)

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
        bad_rows: list[str] = []
        shards = []
        for outcome in outcomes:
            bad.update(outcome.bad)
            named = outcome.named[: BAD_NAMED - len(bad_rows)]
            bad_rows += named
            shards.append(asdict(outcome) | {"named": named})
        facts = {
            "complete": True,
            "rows": sum(outcome.rows for outcome in outcomes),
            "unknown": sum(outcome.unknown for outcome in outcomes),
            "bad": dict(bad),
            "bad_rows": bad_rows,
            "shards": shards,
        }
        self._write_manifest(facts)
        self.is_complete = True

    def close(self) -> None:
        """Leave the folder: the journal is for a job that is not done, and nothing at all for one without a shard."""
        if self._journal is not None:
            with suppress(OSError):  # a full disk, of which was told
                self._journal.close()
        with suppress(OSError):
            if self.is_complete:
                (self.folder / JOURNAL).unlink(missing_ok=True)
            elif not any(self._strangers()):
                for name in (MANIFEST, JOURNAL, ROTATION):
                    (self.folder / name).unlink(missing_ok=True)

    def _strangers(self) -> Iterator[str]:
        """Names in the folder that are not of our book-keeping: shards, or what is no job's."""
        ours = (MANIFEST, JOURNAL, LOCK, ROTATION)
        for name in sorted(entry.name for entry in self.folder.iterdir()):
            if not (name in ours or name.startswith(TEMPORARY) or is_litter(name)):
                yield name

    def _manifest(self) -> Mapping[str, Any]:
        """What is there already, held to the plan; empty for a new folder."""
        file = self.folder / MANIFEST
        if not file.exists():
            if other := next(self._strangers(), None):
                raise InputError(f"{self.folder} holds {other!r} and no {MANIFEST} of a job before; name a new folder")
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
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            beside.write_text(text, encoding="utf-8", errors=OTHER_BYTES)

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
    is_new = not folder.exists()
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
            if is_new:
                folder.rmdir()  # which leaves one that holds something
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


def _size_of(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
