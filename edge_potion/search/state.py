"""What a reader of an index has open: its manifest and its segments, as they were at one moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_potion.errors import AccessError, InputError
from edge_potion.search.folder import MANIFEST, Manifest, no_index, read_manifest
from edge_potion.search.segment import Segment

__all__ = ["State", "read_state", "seen"]

LOOKS = 20  # at an index of which a writer removes what was just replaced


class State(NamedTuple):
    """What a reader has open.

    Attributes:
        manifest: what index.json says.
        segments: those that it names.
        seen: of index.json: number of its file, size, and when it was written.
        deleted: (N,) bool, which rows of all segments are; None where none is.
    """

    manifest: Manifest
    segments: list[Segment]
    seen: tuple[int, int, int]
    deleted: np.ndarray | None

    @property
    def rows(self) -> int:
        return sum(segment.entry.rows for segment in self.segments)

    @property
    def live(self) -> int:
        """Rows that are not deleted."""
        return sum(segment.live for segment in self.segments)

    def at(self, place: int) -> tuple[Segment, int]:
        """The segment of a row of the index, and which of its rows that is."""
        for segment in self.segments:
            if place < segment.entry.rows:
                return segment, place
            place -= segment.entry.rows
        raise IndexError(place)


def read_state(folder: Path, before: Sequence[Segment] = ()) -> State:
    """What an index is now. A writer may remove a segment between our look at index.json and at the segment.

    Args:
        folder: of the index.
        before: what was open of it, whose graphs need not be opened again.

    Raises:
        InputError: there is no index, it was never finished, or it is damaged.
        AccessError: it cannot be read, or too many files are open.
    """
    known = {(segment.entry.name, segment.entry.graph_checksum): segment for segment in before}
    for tries_left in reversed(range(LOOKS)):
        now = seen(folder)  # before what it says: a change in between is then seen by `refresh`
        manifest = read_manifest(folder)
        try:
            segments = [
                Segment(folder, entry, manifest.dim, known.get((entry.name, entry.graph_checksum)))
                for entry in manifest.segments
            ]
        except FileNotFoundError as failure:
            if not tries_left:
                raise InputError(f"{failure.filename} is missing: the index is damaged; make it again") from failure
            time.sleep(0.01)
            continue
        except OSError as failure:
            raise AccessError(f"cannot read {folder}: {failure}") from failure
        if not manifest.built:
            raise InputError(f"{folder} was never finished: whoever made it was stopped; make it again")
        return State(manifest, segments, now, _deleted(segments))
    raise AssertionError


def seen(folder: Path) -> tuple[int, int, int]:
    """What changes whenever index.json does; InputError where it is gone."""
    try:
        status = (folder / MANIFEST).stat()
    except (OSError, ValueError) as failure:  # ValueError: a name that no file system takes
        raise no_index(folder) from failure
    return status.st_ino, status.st_size, status.st_mtime_ns


def _deleted(segments: Sequence[Segment]) -> np.ndarray | None:
    if all(segment.deleted is None for segment in segments):
        return None
    return np.concatenate(
        [np.zeros(each.entry.rows, bool) if each.deleted is None else each.deleted for each in segments]
    )
