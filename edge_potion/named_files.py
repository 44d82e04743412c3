"""Names on a command line -> files of texts: a file is itself, of a folder or a glob all that can be read count.

Of a folder, all files below it whose ending is one of `texts.KINDS` (compressed or not) count, by name; names that
begin with "." or "_" do not, as with other readers of folders. A glob passes over folders.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.texts import KINDS, kind_of

__all__ = ["files_named", "is_in", "real_path"]

GLOB = frozenset("*?[")


def real_path(path: str) -> str:
    """Of a file that is named, where it lies in the end; "-" as it is."""
    return path if path == "-" else os.path.realpath(Path(path).expanduser())


def is_in(real: str, folder: str) -> bool:
    """Whether a real path is that of a folder, or lies in it; of "", none is."""
    return bool(folder) and (real == folder or real.startswith(folder + os.sep))


def files_named(name: str, out: str) -> Iterator[str]:
    """The files that a name stands for; InputError where there are none.

    Args:
        name: a file, a folder, a glob, or "-".
        out: the real path of a folder that is written, which is passed over; "" for none.
    """
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
        files = sorted(file for file in found if not (Path(file).is_dir() or is_in(real_path(file), out)))
        if not files:
            raise InputError(f"no file matches {name}")
        yield from files
    else:
        raise InputError(f"{name}: there is no such file or folder")


def _below(folder: Path, out: str) -> Iterator[str]:
    def refuse(failure: OSError) -> None:
        raise InputError(f"cannot read {failure.filename}: {failure.strerror}") from failure

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if name[0] not in "._" and real_path(str(Path(place, name))) != out]
        for name in names:
            if name[0] not in "._" and _is_known(name):
                yield str(Path(place, name))


def _is_known(name: str) -> bool:
    try:
        return kind_of(name) is not None
    except InputError:
        return False
