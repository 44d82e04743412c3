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

import filecmp
import json
import logging
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOENT, ENOTEMPTY
from pathlib import Path
from typing import IO

from edge_potion.disk import NO_PLACE, NO_RENAME, copy_into, lock, locked_folder, move, remove, sync, synced
from edge_potion.errors import InputError

__all__ = ["NEW", "TEMPORARY", "files_of", "open_workshop", "replace_file", "swap", "sweep", "take_name"]

log = logging.getLogger("edge_potion")

TEMPORARY = ".edge-potion-"  # what temporary names begin with
WRITER, NEW, REPLACED, MOVES = "writer.json", "new.part", "replaced", "moves.json"
SECONDS_UNTOUCHED = 24 * 3600  # of what nobody can tell whether its writer lives
SWAP_TRIES = 20  # other processes may replace the same folder at the same moment
VOLUME_OWN = "lost+found"  # lies at the top of an ext4 volume


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
            left = [place / each.name for each in entries if each.name.startswith(TEMPORARY)]
    except (OSError, ValueError):
        return
    if not left:
        return
    now, owner = _clock_and_owner(place)
    for each in left:
        with suppress(OSError, ValueError):  # what cannot be swept stays; it is in nobody's way
            _sweep(each, now, owner)


def files_of(folder: Path) -> Iterator[str]:
    """Paths of everything in a folder that is no folder, links among them; OSError where something cannot be read.

    Without what is the volume's own, and workshops, where the folder is written to from within.
    """

    def refuse(failure: OSError) -> None:
        raise failure

    for root, folders, names in os.walk(folder, onerror=refuse):
        if Path(root) == folder:
            folders[:] = [name for name in folders if name != VOLUME_OWN and not name.startswith(TEMPORARY)]
            names = [name for name in names if not name.startswith(TEMPORARY)]
        links = [name for name in folders if Path(root, name).is_symlink()]
        yield from (Path(root, name).relative_to(folder).as_posix() for name in (*names, *links))


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
        found = json.loads((room / WRITER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_whole = isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ("goal", "machine"))
    return found if is_whole else {}


def _empty(room: Path) -> None:
    """Remove what a workshop holds, but for the writer's file, which holds its lock."""
    _discard(room / REPLACED)
    for each in room.iterdir():
        if each.name != WRITER:
            remove(each)


def _discard(replaced: Path) -> None:
    """Remove a folder so that a kill on the way leaves no half of it under its name."""
    if os.path.lexists(replaced):
        gone = replaced.with_name(f"gone-{time.monotonic_ns()}")
        replaced.rename(gone)
        remove(gone)


def swap(new: Path, goal: Path, room: Path, why_not: Callable[[Path], str] | None = None) -> None:
    """Give `new` the name `goal`; what had it is deleted only when that is done, and comes back when it is not."""
    if room.parent == goal:
        return _move_in(new, goal, room, why_not)
    replaced, has_name = room / REPLACED, False
    for tries_left in reversed(range(SWAP_TRIES)):
        try:
            if os.path.lexists(goal):
                goal.rename(replaced)
                _refuse(why_not, replaced, goal)
            new.rename(goal)
            has_name = True
            return sync(goal.parent)
        except OSError as failure:
            if failure.errno in NO_RENAME and not has_name:
                break
            # Another process took the name, or the old folder, between two of our steps.
            if failure.errno not in (ENOENT, EEXIST, ENOTEMPTY) or not tries_left or not os.path.lexists(new):
                raise
        finally:
            if not has_name:
                _put_back(replaced, goal)
                _discard(replaced)  # another's whole folder has the name now
        time.sleep(0.05)
    return _move_in(new, goal, room, why_not)


def _refuse(why_not: Callable[[Path], str] | None, found: Path, goal: Path) -> None:
    """InputError where what had the name of `goal`, and is now `found`, came while we were writing and is not ours."""
    if why_not is not None and (reason := why_not(found)):
        raise InputError(f"{goal} exists and {reason}; choose another name or remove it")


def _put_back(replaced: Path, goal: Path) -> None:
    if os.path.lexists(replaced) and not os.path.lexists(goal):
        try:
            replaced.rename(goal)
        except OSError:
            if not os.path.lexists(goal):
                raise


def _move_in(new: Path, goal: Path, room: Path, why_not: Callable[[Path], str] | None) -> None:
    """Move the files of `new` into the folder `goal`, once those that it has are out; all back when that fails."""
    if goal.is_symlink():  # whatever it points to is not ours to empty
        raise InputError(f"{goal} is a link that cannot be replaced; remove it")
    was_there = goal.exists()
    goal.mkdir(exist_ok=True)
    with locked_folder(goal):
        # The manifest first: a reader that comes in between finds files missing, never a mixture that looks whole.
        coming = sorted(files_of(new), key=lambda name: (name != "manifest.json", name))
        moves = {"before": sorted(files_of(goal)), "coming": coming}
        (room / MOVES).write_text(json.dumps(moves), encoding="utf-8")
        synced(room / MOVES)
        try:
            for name in moves["before"]:
                _move(name, goal, room / REPLACED, room)
            if (room / REPLACED).exists():
                _refuse(why_not, room / REPLACED, goal)
            for name in coming:
                _move(name, new, goal, room)
            synced(goal)
            (room / MOVES).unlink()
        except BaseException:
            _move_back(room, new, goal)
            with suppress(OSError):
                if not was_there:
                    goal.rmdir()
            raise
        _remove_empty(goal)
    remove(new)


def _move_back(room: Path, new: Path, goal: Path) -> None:
    """Undo what `_move_in` has done so far; a kill on the way is no harm when it is called again."""
    try:
        moves = json.loads((room / MOVES).read_text(encoding="utf-8"))
        before, coming = moves["before"], moves["coming"]
    except (OSError, ValueError, KeyError, TypeError):  # killed before it was whole: nothing had been moved
        (room / MOVES).unlink(missing_ok=True)
        return
    for folder in (goal, new):
        _copied_to(folder, room).unlink(missing_ok=True)
    for name in coming:
        if os.path.lexists(new / name):  # never moved, or copied and not yet deleted
            if name not in before:
                (goal / name).unlink(missing_ok=True)
        elif os.path.lexists(goal / name):
            _move(name, goal, new, room)
    for name in before:
        kept, there = room / REPLACED / name, goal / name
        if kept.is_file() and there.is_file() and filecmp.cmp(kept, there, shallow=False):
            kept.unlink()  # it was copied, and could not be deleted
        elif os.path.lexists(kept):
            _move(name, room / REPLACED, goal, room)
    _remove_empty(goal)
    synced(goal)
    (room / MOVES).unlink()


def _move(name: str, source: Path, goal: Path, room: Path) -> None:
    move(source / name, goal / name, beside=_copied_to(goal, room))


def _copied_to(folder: Path, room: Path) -> Path:
    """Where `_move` copies to, until the copy is whole: a name that tells whose it is."""
    return folder / f"{room.name.removesuffix('.part')}.move"


def _remove_empty(folder: Path) -> None:
    """Remove the folders in `folder` that hold nothing."""
    for root, folders, _ in os.walk(folder, topdown=False):
        for name in folders:
            if Path(root) != folder or (name != VOLUME_OWN and not name.startswith(TEMPORARY)):
                with suppress(OSError):
                    Path(root, name).rmdir()


def replace_file(new: Path, file: Path, room: Path) -> None:
    """Give `new` the name `file`; write its content there where that cannot be replaced, as if it is mounted alone."""
    try:
        new.replace(file)
        sync(file.parent)
        return
    except OSError as failure:
        if failure.errno not in NO_RENAME or os.name == "nt" or not file.exists() or not new.exists():
            raise
    with file.open("r+b"):  # may it be written at all?
        shutil.copyfile(file, room / REPLACED)
    (room / MOVES).write_text("{}", encoding="utf-8")
    synced(room)
    try:
        copy_into(new, file)
    except BaseException:
        copy_into(room / REPLACED, file)
        (room / MOVES).unlink()
        raise
    (room / MOVES).unlink()


def _clock_and_owner(place: Path) -> tuple[float, int]:
    """The time now, and who we are, as the file system of `place` sees it: both may be another's on a network."""
    with suppress(OSError), tempfile.TemporaryFile(prefix=TEMPORARY, dir=place) as probe:
        found = os.fstat(probe.fileno())
        return found.st_mtime, found.st_uid
    return time.time(), os.geteuid() if hasattr(os, "geteuid") else 0


def _sweep(left: Path, now: float, owner: int) -> None:
    found = left.lstat()
    if found.st_uid != owner or stat.S_ISLNK(found.st_mode):  # in a folder for all, such as /tmp, it may be anything
        return
    if stat.S_ISDIR(found.st_mode):
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
    return [each.name for each in room.iterdir()] == [WRITER]


def _is_old(path: Path, now: float) -> bool:
    times = [each.lstat().st_mtime for each in (path, *path.rglob("*"))]
    return max(times) < now - SECONDS_UNTOUCHED


def _brought_back(room: Path, writer: Mapping[str, str]) -> bool:
    """Put back what was moved away for something that then did not take the name; False where that cannot be done."""
    if not writer:
        return True
    goal = room.parent / writer["goal"]
    new = room.parent / writer["new"] if "new" in writer else room / NEW
    try:
        if (room / MOVES).exists() and (room / REPLACED).is_file():
            copy_into(room / REPLACED, goal)
            (room / MOVES).unlink()
        elif (room / MOVES).exists():
            with locked_folder(goal):
                _move_back(room, new, goal)
        elif os.path.lexists(new):
            _put_back(room / REPLACED, goal)
    except OSError as failure:
        log.warning("%s holds what could not be put back (%s)", room / REPLACED, failure)
        return False
    return True
