"""The disk: sync, lock and move, on file systems that cannot do all of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EBADF, EBUSY, EINVAL, EISDIR, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM, EROFS, EXDEV
from pathlib import Path
from typing import IO, Any

__all__ = ["NO_PLACE", "NO_RENAME", "copy_into", "lock", "locked_folder", "move", "remove", "sync", "synced"]

# A folder cannot be renamed here, which says nothing of its files: a lower layer of overlayfs (EXDEV), a mount point
# (EBUSY), a folder above that is read-only or someone else's, a network file system that does not know how.
NO_RENAME = frozenset({EXDEV, EBUSY, EPERM, EACCES, EROFS, ENOSYS, ENOTSUP, EOPNOTSUPP, EINVAL})
# Nothing can be made in this folder, which says nothing of those in it.
NO_PLACE = frozenset({EPERM, EACCES, EROFS, ENOSYS, ENOTSUP, EOPNOTSUPP})
# This kind of file or file system has nothing to sync; a disk that is full or broken says so by others.
NO_SYNC = frozenset({EINVAL, EBADF, EISDIR, EPERM, EACCES, EROFS, ENOSYS, ENOTSUP, EOPNOTSUPP})


def synced(path: Path) -> Path:
    """Have the disk hold a file, or a folder with all that is in it, before a name promises that it is there.

    Raises:
        OSError: the disk is full or broken; that there is nothing to sync, as on some file systems, is fine.
    """
    path = path.resolve()
    for root, _, names in os.walk(path, topdown=False):
        for name in names:
            sync(Path(root, name))
        sync(Path(root))
    if not path.is_dir():
        sync(path)
    return path


def sync(path: Path) -> None:
    """`synced` for one file, or for the list of names in one folder."""
    descriptor = None
    # Windows syncs no folder, and no file that is open for reading alone. Links have nothing to sync; pipes would wait.
    how = os.O_RDWR if os.name == "nt" else os.O_RDONLY | os.O_NONBLOCK
    try:
        if not path.is_symlink():
            descriptor = os.open(path, how)
            os.fsync(descriptor)
    except OSError as failure:
        if failure.errno not in NO_SYNC:
            raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock(stream: IO[Any]) -> bool | None:
    """Lock an open file for this process, until it is closed or the process ends.

    Returns:
        True when it is ours now, False when another holds it, None where there are no locks: on Windows, and on some
        network file systems.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # ENOLCK, ENOSYS, EOPNOTSUPP, EBADF ...
        return None
    return True


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """One process at a time moves files into a folder, where folders can be locked."""
    descriptor = None
    try:
        with suppress(ImportError, OSError):
            import fcntl

            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def move(file: Path, goal: Path, beside: Path) -> None:
    """Move a file or a link over an older one, into a folder that is made; by copying where it cannot be renamed.

    Args:
        file: what is moved.
        goal: its new path.
        beside: a free path in the file system of `goal`, for the copy until it is whole.

    Raises:
        OSError: it could not be moved; `file` and `goal` are as they were, and `beside` may hold a part.
    """
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.replace(goal)
    except OSError as failure:
        if failure.errno not in NO_RENAME:
            raise
        shutil.copyfile(file, beside, follow_symlinks=False)
        with suppress(OSError):
            shutil.copymode(file, beside, follow_symlinks=False)
        sync(beside)
        beside.replace(goal)
        file.unlink()


def copy_into(source: Path, file: Path) -> None:
    """Give an existing file the content of another."""
    with source.open("rb") as read, file.open("r+b") as write:
        shutil.copyfileobj(read, write)
        write.truncate()
    synced(file)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder as far as that can be done; nothing there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
