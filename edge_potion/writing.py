"""Writing: a folder or file that has its name is complete, whatever happens to process, machine or disk."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_potion.disk import synced
from edge_potion.errors import AccessError, EdgePotionError, InputError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.labels import is_classifier
from edge_potion.swapping import files_of, replace_file, swap
from edge_potion.workshop import NEW, open_workshop, sweep

__all__ = ["file_written_whole", "is_litter", "make_folder", "refuse_unwritable", "written_whole"]

# What we write into a model folder or bundle. A folder of these may be replaced; anything else is the user's.
OUR_FILES = re.compile(
    r"(without_phrases/)?(config\.json|config_sentence_transformers\.json|(head|model|phrases)\.safetensors"
    r"|modules\.json|README\.md|recipe\.toml|tokenizer\.json)"
    r"|golden\.(bin|json)|manifest\.json|tokenizer_config\.json|special_tokens_map\.json|onnx/[^/]+\.onnx"
    r"|mobile/([^/]+\.(onnx|ort)|README\.md|required_operators\.config)"
)
# What systems put into any folder: macOS and Windows when one looks at it, NFS for a file that is open and deleted.
LITTER = re.compile(r"(.*/)?(\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+)")
LOOKS = 3  # at a folder that another process may be replacing


def refuse_unwritable(folder: Path) -> Path:
    """The absolute path of a folder that `written_whole` would write; for asking before hours of work.

    Raises:
        InputError: the name is taken by something that is no model of ours.
        AccessError: the place cannot be written to.
    """
    try:
        folder = folder.expanduser().resolve()
        if _is_working_folder(folder):
            raise InputError(f"{folder} is the folder you are in, or holds it; name a new folder")
        sweep(folder.parent)
        sweep(folder)
        for tries_left in reversed(range(LOOKS)):
            reason = _why_not_ours(folder)
            if not reason:
                break
            if not tries_left:
                raise InputError(f"{folder} exists and {reason}; choose another name or remove it")
            time.sleep(0.02)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open_workshop(folder):
            pass
    except EdgePotionError:
        raise
    except (OSError, RuntimeError, ValueError) as failure:  # a loop of links, a name that no file system takes
        raise AccessError(f"cannot write {folder}: {failure}") from failure
    return folder


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the name `folder` when the block ends well, and vanishes when it does not.

    A model folder of ours that already has the name is replaced as a whole; any other folder with content is refused.
    Where folders cannot be renamed, the files are moved one by one, and back again when that fails.

    Raises:
        InputError, AccessError: what `refuse_unwritable` refuses, or writing fails on the way.
    """
    folder = refuse_unwritable(folder)
    try:
        with open_workshop(folder) as room:
            new = room / NEW
            new.mkdir()
            yield new
            _set_permissions(new, folder)
            synced(new)
            swap(new, folder, room, why_not=_why_not_ours)
    except AccessError:  # of what was written
        raise
    except OSError as failure:
        raise AccessError(f"cannot write {folder}: {failure}") from failure


@contextmanager
def file_written_whole(file: Path, *, is_swept: bool = False) -> Iterator[Path]:
    """A temporary file that takes the name `file`, or replaces it, when the block ends well.

    `is_swept` says that the caller sweeps the folder, which takes time where it holds a hundred thousand files.

    Raises:
        InputError: something that is no plain file has the name.
        AccessError: the place cannot be written to.
    """
    try:
        file = file.expanduser().resolve()
        is_other = file.exists() and not file.is_file()
    except (OSError, RuntimeError, ValueError) as failure:  # a loop of links, a name that no file system takes
        raise AccessError(f"cannot write {file}: {failure}") from failure
    if is_other:
        raise InputError(f"cannot write {file}: it exists and is no plain file; name another")
    if not is_swept:
        sweep(file.parent)
    try:
        with open_workshop(file) as room:
            if room.parent != file.parent:
                sweep(room.parent)
            new = room / NEW
            new.touch()
            yield new
            _set_permissions(new, file)
            synced(new)
            replace_file(new, file, room)
    except AccessError:  # of what was written
        raise
    except OSError as failure:
        raise AccessError(f"cannot write {file}: {failure}") from failure


def make_folder(folder: Path) -> None:
    """A folder that files go into beside what it holds, such as a report's; for asking before the work.

    Raises:
        InputError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as failure:  # ValueError: a name that no file system takes
        why = getattr(failure, "strerror", None) or failure
        raise InputError(f"{folder} cannot be written ({why}); name another folder") from failure


def is_litter(name: str) -> bool:
    """Whether a path in a folder is a system's, which nobody misses."""
    return bool(LITTER.fullmatch(name))


def _is_working_folder(folder: Path) -> bool:
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed under us
        return False
    return any(each == folder or _is_same(each, folder) for each in (here, *here.parents))


def _is_same(first: Path, second: Path) -> bool:
    """Whether two names are one folder, as on a file system that does not tell upper case from lower."""
    try:
        one, other = first.stat(), second.stat()
    except OSError:
        return False
    return one.st_ino != 0 and os.path.samestat(one, other)


def _why_not_ours(folder: Path) -> str:
    """Why a folder may not be replaced; "" when it may: it is not there, empty, or a model folder and nothing else."""
    if not folder.is_dir():
        return "is a file" if folder.exists() else ""
    try:
        names = sorted(name for name in files_of(folder) if not is_litter(name))
    except FileNotFoundError:
        return "is being replaced at this moment"
    if not names:
        return ""
    try:
        config = read_json(folder / "config.json")
        is_model = config.get("model_type") == "model2vec" or is_classifier(config)
    except ModelFormatError:
        is_model = False
    if not is_model:
        return "holds something else than a static model"
    foreign = next((name for name in names if not OUR_FILES.fullmatch(name)), None)
    return f"holds {foreign!r} beside a static model" if foreign else ""


def _set_permissions(path: Path, goal: Path) -> None:
    """Give a temporary file or folder what its goal has, or else the usual, where the file system has permissions."""
    mask = os.umask(0)
    os.umask(mask)
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        with suppress(OSError):
            inherited = each.stat().st_mode & stat.S_ISGID
            each.chmod((0o777 if each.is_dir() else 0o666) & ~mask | inherited)
    with suppress(OSError):
        path.chmod(stat.S_IMODE(goal.stat().st_mode))
