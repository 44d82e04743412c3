"""Sizes and SHA-256 of files, and manifest.json, which holds those of a bundle, so that a damaged one is never run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path, PurePosixPath

from edge_potion.errors import ModelFormatError
from edge_potion.find import read_json

__all__ = [
    "MANIFEST",
    "FileSum",
    "check_content",
    "check_files",
    "damaged",
    "file_sum",
    "read_manifest",
    "sum_in",
    "write_manifest",
]

MANIFEST = "manifest.json"
LONGEST_NAME = 255  # bytes; more, no file system takes
FORMAT_KEY, FORMAT = "edge_potion_manifest", 1  # others use the file's name too: a web page's app has one
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileSum:
    """What a file was when it was written.

    Attributes:
        size_bytes: its length.
        sha256: in lower-case hexadecimal.
    """

    size_bytes: int
    sha256: str

    def as_json(self) -> dict[str, int | str]:
        """As JSON holds it."""
        return {"bytes": self.size_bytes, "sha256": self.sha256}


def file_sum(file: Path) -> FileSum:
    """What a file is now; OSError where it cannot be read."""
    return FileSum(file.stat().st_size, _sha256(file))


def sum_in(entry: object) -> FileSum | None:
    """What a JSON object tells of a file; None where it does not."""
    size, digest = (entry.get("bytes"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
    if type(size) is not int or size < 0 or not isinstance(digest, str) or not SHA256.fullmatch(digest):
        return None
    return FileSum(size, digest)


def damaged(folder: Path, sums: Mapping[str, FileSum]) -> Iterator[str]:
    """Names of the files that are missing, cannot be read, or are not what they were."""
    for name, wanted in sums.items():
        file = folder / name
        try:
            same = file.stat().st_size == wanted.size_bytes and _sha256(file) == wanted.sha256
        except (OSError, ValueError):  # ValueError: a name that no file system takes
            same = False
        if not same:
            yield name


def write_manifest(folder: Path) -> None:
    """Write manifest.json for all files that `folder` holds now."""
    files = {
        file.relative_to(folder).as_posix(): file_sum(file).as_json()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST
    }
    content = {FORMAT_KEY: FORMAT, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Mapping[str, FileSum]:
    """What each file should be, by its path in the folder; empty where there is no manifest of ours.

    Raises:
        ModelFormatError: it is damaged, or names a file outside the folder.
    """
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        content = read_json(file)
    except ModelFormatError:
        if _is_others(folder):
            return {}
        raise
    if FORMAT_KEY not in content and _is_others(folder):
        return {}
    files = content.get("files")
    if content.get(FORMAT_KEY) != FORMAT or not isinstance(files, dict) or not files:
        raise ModelFormatError(f"{file} is no manifest of format {FORMAT}; export the bundle again")
    sums = {}
    for name, entry in files.items():
        path = PurePosixPath(name)
        leaves = "\\" in name or ":" in name or "\0" in name or path.is_absolute() or ".." in path.parts
        too_long = len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME
        if leaves or too_long or name != path.as_posix() or name == ".":
            raise ModelFormatError(f"{file} names {name!r}, which leaves the bundle's folder or is no plain name")
        if (checksum := sum_in(entry)) is None:
            raise ModelFormatError(f"{file} is damaged at {name!r}; export the bundle again")
        sums[name] = checksum
    return sums


def check_files(folder: Path, sums: Mapping[str, FileSum], names: Iterable[str]) -> None:
    """Hold files to the manifest; what it does not name is not asked for.

    Raises:
        ModelFormatError: a file is missing, or not what it was.
    """
    for name in names:
        wanted = sums.get(name)
        if wanted is None:
            continue
        file = folder / name
        try:
            size = file.stat().st_size
            same = size == wanted.size_bytes and _sha256(file) == wanted.sha256
        except (OSError, ValueError) as failure:  # ValueError: a name that no file system takes
            raise ModelFormatError(f"{file} is missing or cannot be read ({failure})") from failure
        if not same:
            raise _not_exported(file, size, wanted)


def check_content(file: Path, content: bytes | mmap, wanted: FileSum | None) -> None:
    """Hold what was read of a file to the manifest; None, where that does not name it, asks for nothing.

    Raises:
        ModelFormatError: it is not what it was.
    """
    if wanted is None:
        return
    import hashlib

    if len(content) != wanted.size_bytes or hashlib.sha256(content).hexdigest() != wanted.sha256:
        raise _not_exported(file, len(content), wanted)


def _not_exported(file: Path, size: int, wanted: FileSum) -> ModelFormatError:
    return ModelFormatError(
        f"{file} is not the file that was exported ({size:,} bytes; {wanted.size_bytes:,} in {MANIFEST}): "
        "download or export the bundle again (a checkout that changes line ends does this too)"
        if size != wanted.size_bytes
        else f"{file} is damaged: its checksum is not that of {MANIFEST}; download or export the bundle again"
    )


def _is_others(folder: Path) -> bool:
    """Whether a manifest.json that does not say that it is ours lies in a folder that is no bundle either."""
    return not (folder / "golden.json").exists()


def _sha256(file: Path) -> str:
    import hashlib

    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
