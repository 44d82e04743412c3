"""The folder of an index: index.json names the segments that count, and its replacement is what makes a change true.

Whatever else lies there was written by someone who was stopped before, or is still at it; the next writer sweeps it.
So a process that is killed at any moment leaves the old state or the new one, and a reader keeps what it opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from edge_potion.disk import locked_folder, remove
from edge_potion.errors import AccessError, EdgePotionError, InputError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.search.chunks import Chunk
from edge_potion.search.segment import SegmentEntry
from edge_potion.writing import file_written_whole

__all__ = [
    "DAMAGED",
    "MANIFEST",
    "Manifest",
    "commit",
    "first_free",
    "no_index",
    "opened_for_writing",
    "read_manifest",
    "told_of_damage",
    "usable_folder",
]

MANIFEST = "index.json"
FORMAT = 1
DAMAGED = "the index is damaged; make it again"
OURS = re.compile(r"(rows|deleted)-\d{6,}")  # of segments, and of files of what is deleted
FIELD_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "str | None": (str, NoneType),
    "bool": (bool,),
    "Chunk": (str,),
}


@dataclass(frozen=True)
class Manifest:
    """What index.json says.

    Attributes:
        model: name, hub id or path of the model; None for the built-in one.
        revision: of a hub id.
        fingerprint: of what makes its vectors.
        precision: of its table.
        dim: D.
        language: of the words.
        chunk: how documents were cut.
        approximate: whether large segments are to have a graph.
        given_vectors: whether the vectors of texts were given with them, as of a model's teacher.
        built: whether the first build has ended.
        next: number of the next segment or file.
        last_number: the highest that a document was ever called by.
        segments: in the order of their rows.
    """

    model: str | None
    revision: str | None
    fingerprint: str
    precision: str
    dim: int
    language: str
    chunk: Chunk
    approximate: bool = False
    given_vectors: bool = False
    built: bool = False
    next: int = 1
    last_number: int = 0
    segments: tuple[SegmentEntry, ...] = field(default=())

    def new_name(self, kind: str) -> tuple[Manifest, str]:
        """A name that was never used, and the manifest that knows it."""
        return replace(self, next=self.next + 1), f"{kind}-{self.next:06d}"


def read_manifest(folder: Path) -> Manifest:
    """What an index says of itself.

    Raises:
        InputError: there is no index, it was never finished, or index.json is damaged or of a later version.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise no_index(folder)
    try:
        said = read_json(file)
    except ModelFormatError as failure:
        raise InputError(f"{failure}: {DAMAGED}") from failure
    number = said.pop("format", None)
    if number != FORMAT:
        raise InputError(
            f"{file} is of format {number!r}; this edge-potion reads {FORMAT}: update it, or make the index again"
        )
    segments = said.pop("segments", None)
    if not isinstance(segments, list):
        raise InputError(f"{file} lists no segments: {DAMAGED}")
    entries = tuple(SegmentEntry(**_checked(SegmentEntry, entry, file)) for entry in segments)
    return Manifest(**_checked(Manifest, said, file, leave_out=("segments",)), segments=entries)


def no_index(folder: Path) -> InputError:
    """What to raise where an index was expected and none is."""
    return InputError(f"{folder} is no index; make one with: edge-potion index FILES --out {folder}")


def _holds_something_else(folder: Path) -> bool:
    """Whether there is more in a folder than an index, whole or damaged. Many others call a file index.json, too."""
    names = [path.name for path in folder.iterdir() if path.name[0] != "."]
    if MANIFEST in names:
        with suppress(ModelFormatError):
            if {"format", "fingerprint", "segments"} <= set(read_json(folder / MANIFEST)):
                return False
    return any(not OURS.fullmatch(name) for name in names if name != MANIFEST) or names == [MANIFEST]


@contextmanager
def told_of_damage(folder: Path) -> Iterator[None]:
    """InputError where a file says of something that it is where nothing is; opening looks at sizes alone."""
    try:
        yield
    except IndexError as failure:
        raise InputError(f"{folder}: {DAMAGED}") from failure


def usable_folder(folder: Path) -> Path:
    """The path of a folder that an index may be written into; InputError where it holds something else."""
    try:
        path = folder.expanduser().resolve()
        is_file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError, ValueError) as failure:  # a loop of links, a name that no file system takes
        raise AccessError(f"cannot write {folder}: {failure}") from failure
    if is_file:
        raise InputError(f"{folder} is a file; name a folder")
    if path.is_dir() and _holds_something_else(path):
        raise InputError(f"{folder} exists and holds something else than an index; choose another name or remove it")
    return path


def first_free(folder: Path) -> int:
    """The number from which on names of an index that lies there are free."""
    with suppress(InputError):
        return read_manifest(folder).next
    left = folder.iterdir() if folder.is_dir() else ()  # of one whose index.json is gone or damaged
    return 1 + max((int(path.name.partition("-")[2]) for path in left if OURS.fullmatch(path.name)), default=0)


def _checked(kind: Any, said: Any, file: Path, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a dataclass, as JSON gives them: all of them, no other, and of their types."""
    expected = {each.name: str(each.type) for each in fields(kind) if each.name not in leave_out}
    if not isinstance(said, dict) or set(said) != set(expected):
        odd = sorted(set(said) ^ set(expected)) if isinstance(said, dict) else [type(said).__name__]
        raise InputError(f"{file}: {', '.join(map(repr, odd))} is missing or unknown: {DAMAGED}")
    for name, value in said.items():
        is_name = name in ("name", "deleted") and value is not None
        if (
            type(value) not in FIELD_TYPES[expected[name]]
            or (isinstance(value, int) and value < 0)
            or (is_name and not OURS.fullmatch(str(value)))
        ):
            raise InputError(f"{file}: {name!r} is {value!r}: {DAMAGED}")
    return said


@contextmanager
def opened_for_writing(folder: Path, *, is_made: bool = False) -> Iterator[None]:
    """One writer at a time, where folders can be locked; the next one waits. What a failed one wrote is swept.

    Raises:
        AccessError: the folder cannot be made, where it is to be.
    """
    try:
        if is_made:
            folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as failure:
        raise AccessError(f"cannot write {folder}: {failure}") from failure
    with locked_folder(folder):
        try:
            yield
        except BaseException:
            with suppress(EdgePotionError, OSError):
                manifest = read_manifest(folder)
                sweep(folder, manifest)
                if not manifest.built:  # as if it had never begun
                    (folder / MANIFEST).unlink()
                    folder.rmdir()
            raise


def commit(folder: Path, manifest: Manifest) -> None:
    """Make a change true, and sweep what counts no more.

    Raises:
        AccessError: the disk takes no more; the old state stays.
    """
    content = {"format": FORMAT, **asdict(manifest)}
    with file_written_whole(folder / MANIFEST) as new:
        new.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    sweep(folder, manifest)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove segments and files of ours that do not count. Who has them open keeps what they hold."""
    named = {name for entry in manifest.segments for name in (entry.name, entry.deleted)}
    for path in folder.iterdir():
        if OURS.fullmatch(path.name) and path.name not in named:
            try:
                remove(path)
            except OSError:  # Windows removes nothing that is open: a later writer tries again
                continue
