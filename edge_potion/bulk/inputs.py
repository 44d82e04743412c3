"""The inputs of a bulk job: files, folders and globs -> files in a fixed order, each looked at before any work."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.texts import KINDS, kind_of

__all__ = ["Input", "find_inputs"]

GLOB = frozenset("*?[")


@dataclass(frozen=True)
class Input:
    """A file of texts.

    Attributes:
        number: its place among the inputs, from 0.
        path: as it was named, or found below what was named; "-" for stdin.
        kind: how it is read: one of `texts.KINDS`.
        size_bytes: of the file; None where nobody knows, as of stdin and pipes.
        modified_ns: when it was written last; None likewise.
    """

    number: int
    path: str
    kind: str
    size_bytes: int | None
    modified_ns: int | None

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only, from its beginning."""
        return self.size_bytes is None

    def refuse_changed(self) -> None:
        """Raise InputError where the file is no longer what it was."""
        if self.is_stream:
            return
        try:
            now = _looked_at(self.number, self.path)
        except InputError as failure:
            raise InputError(f"{failure}; it was there when this job began") from failure
        if now != self:
            raise InputError(
                f"{self.path} was changed while it was read; run the same command on files that stay as they are"
            )


def find_inputs(named: Sequence[str], out: Path) -> list[Input]:
    """The files that are named, in the order of their names as given; those of a folder or a glob by name.

    Of a folder, all files below it whose ending is one of `texts.KINDS` (compressed or not) count; names that begin
    with "." or "_" do not, as with other readers of folders, and neither does `out` where it lies in the folder. A glob
    passes over `out` and over folders.

    Args:
        named: files, folders, globs, "-".
        out: the folder that is written.

    Raises:
        InputError: something is not there, holds no texts, is named twice, or lies in `out`.
    """
    inputs: list[Input] = []
    paths: dict[str, str] = {}  # by what they are in the end
    goal = os.path.realpath(out.expanduser())
    for path in (path for name in named for path in _files_of(str(name), goal)):
        real = _real(path)
        if real in paths:
            also = f", also as {paths[real]}" if paths[real] != path else ""
            raise InputError(f"{path} is named twice{also}; name every input once")
        if _is_in(real, goal):
            raise InputError(f"{path} lies in the folder that is written ({out}); write to another")
        paths[real] = path
        inputs.append(_looked_at(len(inputs), path))
    return inputs


def _real(path: str) -> str:
    return path if path == "-" else os.path.realpath(Path(path).expanduser())


def _is_in(real: str, folder: str) -> bool:
    return real == folder or real.startswith(folder + os.sep)


def _files_of(name: str, out: str) -> Iterator[str]:
    if name == "-":
        yield name
        return
    try:
        path = Path(name).expanduser()
        is_folder, is_file = path.is_dir(), os.path.lexists(path)
    except (OSError, RuntimeError, ValueError) as failure:  # a loop of links, a home of nobody, NUL in a name
        raise InputError(f"cannot read {name}: {getattr(failure, 'strerror', None) or failure}") from failure
    if is_folder:
        files = sorted(_below(path, out))
        if not files:
            raise InputError(f"{name} holds no file of texts: {', '.join(KINDS)}, compressed or not, were looked for")
        yield from files
    elif is_file:
        yield name
    elif GLOB & set(name):
        # Of the glob module, as Path.glob takes no absolute pattern.
        found = glob.glob(str(path), recursive=True)  # noqa: PTH207
        files = sorted(file for file in found if not (Path(file).is_dir() or _is_in(_real(file), out)))
        if not files:
            raise InputError(f"no file matches {name}")
        yield from files
    else:
        raise InputError(f"{name}: there is no such file or folder")


def _below(folder: Path, out: str) -> Iterator[str]:
    def refuse(failure: OSError) -> None:
        raise InputError(f"cannot read {failure.filename}: {failure.strerror}") from failure

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if name[0] not in "._" and _real(str(Path(place, name))) != out]
        for name in names:
            if name[0] not in "._" and _is_known(name):
                yield str(Path(place, name))


def _is_known(name: str) -> bool:
    try:
        return kind_of(name) is not None
    except InputError:
        return False


def _looked_at(number: int, path: str) -> Input:
    kind = kind_of(path) or ".txt"
    if path == "-":
        return Input(number, path, kind, None, None)
    try:
        status = Path(path).expanduser().stat()
    except (OSError, RuntimeError, ValueError) as failure:
        raise InputError(f"cannot read {path}: {getattr(failure, 'strerror', None) or failure}") from failure
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder now; name files")
    if stat.S_ISREG(status.st_mode):
        return Input(number, path, kind, status.st_size, status.st_mtime_ns)
    if kind == ".parquet":
        raise InputError(f"{path} is no plain file, and .parquet is read from its end; save it first")
    return Input(number, path, kind, None, None)
