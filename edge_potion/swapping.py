"""Give something finished the name of something older, so that one of both always has it, or can be brought back.

A folder is renamed; where no folder can be, its files are moved one by one, by a list that tells how to undo it.
"""

from __future__ import annotations

import filecmp
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from errno import EEXIST, ENOENT, ENOTEMPTY
from pathlib import Path

from edge_potion.disk import NO_RENAME, copy_into, locked_folder, move, remove, sync, synced
from edge_potion.errors import InputError

__all__ = ["MOVES", "REPLACED", "TEMPORARY", "bring_back", "discard", "files_of", "replace_file", "swap"]

log = logging.getLogger("edge_potion")

TEMPORARY = ".edge-potion-"  # what temporary names begin with
REPLACED, MOVES = "replaced", "moves.json"
SWAP_TRIES = 20  # other processes may replace the same folder at the same moment
VOLUME_OWN = "lost+found"  # lies at the top of an ext4 volume


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
                discard(replaced)  # another's whole folder has the name now
        time.sleep(0.05)
    return _move_in(new, goal, room, why_not)


def _refuse(why_not: Callable[[Path], str] | None, old: Path, goal: Path) -> None:
    """InputError where what had the name of `goal`, and is now `old`, came while we were writing and is not ours."""
    if why_not is not None and (reason := why_not(old)):
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


def bring_back(room: Path, new: Path, goal: Path) -> bool:
    """Put back what was moved away for `new`, which then did not take the name; False where that cannot be done."""
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


def discard(replaced: Path) -> None:
    """Remove a folder so that a kill on the way leaves no half of it under its name."""
    if os.path.lexists(replaced):
        gone = replaced.with_name(f"gone-{time.monotonic_ns()}")
        replaced.rename(gone)
        remove(gone)


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
