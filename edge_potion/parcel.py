"""A folder that is sent to other machines by its content: packed here, unpacked there into the cache once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_potion.cache import cache_folder
from edge_potion.errors import AccessError, ModelFormatError
from edge_potion.workshop import open_workshop, sweep, take_name

__all__ = ["Parcel", "packed", "unpacked"]

DIGITS = 24  # of the digest that names a folder


@dataclass(frozen=True)
class Parcel:
    """Files of a folder.

    Attributes:
        digest: of their names and contents; what is unpacked has it as its name.
        contents: by their paths in the folder.
    """

    digest: str
    contents: Mapping[str, bytes]


def packed(folder: Path, files: Iterable[Path]) -> Parcel:
    """Some files of a folder.

    Raises:
        ModelFormatError: one cannot be read.
    """
    try:
        contents = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
    except OSError as failure:
        raise ModelFormatError(f"{folder} cannot be read ({failure})") from failure
    return Parcel(_digest(contents), contents)


def unpacked(digest: str, fetched: Callable[[], Mapping[str, bytes]]) -> Path:
    """The folder of the parcel with this digest, in the cache of this machine; `fetched` is called where it is not.

    Any number of processes may ask for it at once: a folder that has its name is whole.

    Raises:
        AccessError: the cache cannot be written, and does not hold it yet.
    """
    folder = cache_folder() / f"parcel-{digest}"
    if _is_whole(folder, digest):
        return folder
    contents = fetched()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        with open_workshop(folder) as room:
            new = room / folder.name
            for name, content in contents.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_bytes(content)
            try:
                take_name(new, folder)
            except OSError:
                if not _is_whole(folder, digest):  # else another was first
                    raise
    except OSError as failure:
        raise AccessError(
            f"cannot write the cache {folder} ({failure}); set EDGE_POTION_CACHE to a folder that can be written there"
        ) from failure
    return folder


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return bool(files) and packed(folder, files).digest == digest
    except (OSError, ModelFormatError):
        return False


def _digest(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name} {hashlib.sha256(contents[name]).hexdigest()}\n".encode())
    return digest.hexdigest()[:DIGITS]
