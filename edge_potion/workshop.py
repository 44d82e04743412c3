"""Workshops: hidden folders in which something is written until it is whole, held by their writers while these live.

A workshop lies beside its goal, or in it, where only the goal can be written to:

.edge-potion-<letters>.part/
    writer.json   the goal, and the machine of the writer, who keeps this file locked as long as it lives
    new.part      the folder or file that is to take the name
    replaced      the folder that had the name
    moves.json    only while files are moved one by one, because here no folder can be renamed: which, to undo it

A workshop that no living process holds is swept by the next call that writes beside it, which first brings back what a
killed process had moved away. Where nobody can tell who lives (no locks, or a writer on another machine), and where an
earlier version left something, that is done when nothing in it has changed for a day.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edge_potion.disk import NO_PLACE, lock, remove
from edge_potion.swapping import REPLACED, TEMPORARY, bring_back, discard, swap

__all__ = ["NEW", "TEMPORARY", "open_workshop", "sweep", "take_name"]

log = logging.getLogger("edge_potion")

WRITER, NEW = "writer.json", "new.part"
SECONDS_UNTOUCHED = 24 * 3600  # of what nobody can tell whether its writer lives


@contextmanager
def open_workshop(goal: Path, new: Path | None = None) -> Iterator[Path]:
    """A workshop for `goal`, held by this process; gone when the block ends, but for what could not be put back.

    Args:
        goal: a path in an existing folder.
        new: what is to get the name; by default NEW in the workshop.

    Raises:
        OSError: nothing can be written there.
    """
    held = _make_workshop(goal, new)
    room = Path(held.name).parent
    try:
        yield room
    finally:
        if _brought_back(room, _writer_of(room)):
            with suppress(OSError):  # what cannot be removed now is swept later
                _empty(room)
            held.close()  # Windows deletes no open file
            shutil.rmtree(room, ignore_errors=True)
        else:  # the next call tries again
            held.close()


def take_name(new: Path, goal: Path) -> None:
    """Give a finished folder the name `goal`; what had it goes, and comes back when the new one cannot take it.

    Args:
        new: a folder, or a link to one, in the file system of `goal`; it should be `synced`.
        goal: a folder, a link that may be replaced, or nothing.

    Raises:
        OSError: neither the folder nor the files in it could be moved; `new` and `goal` are as they were.
    """
    with open_workshop(goal, new) as room:
        swap(new, goal, room)


def sweep(place: Path) -> None:
    """Remove from the folder `place` what killed processes left, once what they had moved away is back.

    What a living process holds stays, also what might be one's on another machine; see the head of this file.
    """
    try:
        with os.scandir(place) as entries:
            left = [place / entry.name for entry in entries if entry.name.startswith(TEMPORARY)]
    except (OSError, ValueError):
        return
    if not left:
        return
    now, owner = _clock_and_owner(place)
    for leftover in left:
        with suppress(OSError, ValueError):  # what cannot be swept stays; it is in nobody's way
            _sweep(leftover, now, owner)


def _make_workshop(goal: Path, new: Path | None) -> IO[str]:
    """A new workshop: its writer's file, open and locked."""
    if goal.is_dir():
        places = [goal] if os.path.ismount(goal) else [goal.parent, goal]
    elif goal.is_file():  # one that is mounted alone, say: its folder need not be writable
        places = [goal.parent, Path(tempfile.gettempdir())]
    else:
        places = [goal.parent]
    for place in places[:-1]:
        try:
            return _make_workshop_in(place, goal, new)
        except OSError as failure:
            if failure.errno not in NO_PLACE:
                raise
    return _make_workshop_in(places[-1], goal, new)


def _make_workshop_in(place: Path, goal: Path, new: Path | None) -> IO[str]:
    # Paths from the place, where they can be: it may have another name in another container.
    names = {"goal": str(goal) if place not in (goal, goal.parent) else os.path.relpath(goal, place)}
    if new is not None:
        names["new"] = os.path.relpath(new, place)
    content = json.dumps({**names, "machine": _machine()})
    while True:
        room = Path(tempfile.mkdtemp(prefix=TEMPORARY, suffix=".part", dir=place))
        try:
            stream = (room / WRITER).open("x", encoding="utf-8")
        except FileNotFoundError:  # swept while it was still empty
            continue
        try:
            is_locked = lock(stream) is not False
            stream.write(content)
            stream.flush()
            if is_locked and (room / WRITER).exists():  # else swept before it was locked
                return stream
        except BaseException:
            with suppress(OSError):  # it would write what is left
                stream.close()
            shutil.rmtree(room, ignore_errors=True)
            raise
        stream.close()


def _machine() -> str:
    """The running kernel, which all containers on a machine share, as they share its locks; else the machine's name."""
    with suppress(OSError, ValueError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return platform.node()


def _writer_of(room: Path) -> Mapping[str, str]:
    """What a workshop says of its writer; empty when it does not."""
    try:
        content = json.loads((room / WRITER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_whole = isinstance(content, dict) and all(isinstance(content.get(key), str) for key in ("goal", "machine"))
    return content if is_whole else {}


def _empty(room: Path) -> None:
    """Remove what a workshop holds, but for the writer's file, which holds its lock."""
    discard(room / REPLACED)
    for entry in room.iterdir():
        if entry.name != WRITER:
            remove(entry)


def _clock_and_owner(place: Path) -> tuple[float, int]:
    """The time now, and who we are, as the file system of `place` sees it: both may be another's on a network."""
    with suppress(OSError), tempfile.TemporaryFile(prefix=TEMPORARY, dir=place) as probe:
        status = os.fstat(probe.fileno())
        return status.st_mtime, status.st_uid
    return time.time(), os.geteuid() if hasattr(os, "geteuid") else 0


def _sweep(left: Path, now: float, owner: int) -> None:
    status = left.lstat()
    if status.st_uid != owner or stat.S_ISLNK(status.st_mode):  # in a folder for all, such as /tmp, it may be anything
        return
    if stat.S_ISDIR(status.st_mode):
        with suppress(OSError):
            left.rmdir()  # killed before anything was in it
            return
    writer = _writer_of(left)
    if not writer and os.path.lexists(left / REPLACED):
        log.warning("%s holds what a killed process had moved away; move it back, or remove it", left / REPLACED)
    elif not (left / WRITER).exists():  # an earlier version's
        if _is_old(left, now):
            remove(left)
    else:
        with (left / WRITER).open("r+", encoding="utf-8") as stream:
            is_free = lock(stream)
            # Without a word it was killed before it could write one.
            is_dead = is_free and (writer["machine"] == _machine() if writer else _is_silent(left))
            if (is_dead or (is_free is not False and _is_old(left, now))) and _brought_back(left, writer):
                _empty(left)
                (left / WRITER).unlink()
                left.rmdir()


def _is_silent(room: Path) -> bool:
    return [entry.name for entry in room.iterdir()] == [WRITER]


def _is_old(path: Path, now: float) -> bool:
    times = [file.lstat().st_mtime for file in (path, *path.rglob("*"))]
    return max(times) < now - SECONDS_UNTOUCHED


def _brought_back(room: Path, writer: Mapping[str, str]) -> bool:
    """Whether all is in its place that a workshop had moved away."""
    if not writer:
        return True
    new = room.parent / writer["new"] if "new" in writer else room / NEW
    return bring_back(room, new, room.parent / writer["goal"])
