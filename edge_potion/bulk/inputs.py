"""The inputs of a bulk job: files, folders and globs -> files in a fixed order, each looked at before any work."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.named_files import files_named, is_in, real_path
from edge_potion.texts import kind_of

__all__ = ["Input", "find_inputs"]


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
    for path in (path for name in named for path in files_named(str(name), goal)):
        real = real_path(path)
        if real in paths:
            also = f", also as {paths[real]}" if paths[real] != path else ""
            raise InputError(f"{path} is named twice{also}; name every input once")
        if is_in(real, goal):
            raise InputError(f"{path} lies in the folder that is written ({out}); write to another")
        paths[real] = path
        inputs.append(_looked_at(len(inputs), path))
    return inputs


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
