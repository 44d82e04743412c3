"""A segment: rows that were added together. Its files are written once, memory-mapped, and never changed.

values.i8 scales.f32                     the vectors as int8 with a scale a row (edge_potion.codes), of unit length
terms.u64 starts.i64 rows.u32            the words: `postings.Postings`
counts.u8 lengths.u32
texts.utf8 text_starts.i64               the texts, one after another, and where each begins
ids.utf8 id_starts.i64                   likewise what they are called, and where they lie
wheres.utf8 where_starts.i64
id_hashes.u64 id_rows.u32                which rows are called so, by the hash of the name
graph.usearch graph_rows.u32             of a large one, where asked for: `graph.Graph`
graph_starts.u32
"""

from __future__ import annotations

import mmap
import os
import sys
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edge_potion.codes import quantize
from edge_potion.disk import remove, synced
from edge_potion.errors import AccessError, InputError
from edge_potion.search.graph import GRAPH, GRAPH_ROWS, GRAPH_STARTS, Graph, is_usable, is_worth_it, write_graph
from edge_potion.search.postings import BYTES_A_WORD, Collected, Postings, hash_of
from edge_potion.unit_length import unit_length

__all__ = ["Segment", "SegmentEntry", "SegmentWriter"]

MOST_ROWS = 2**20
MOST_HELD_BYTES = 2**29  # of words in memory, until a segment is closed
MOST_READ_BYTES = 2**16  # of a file that is read and not mapped
STRINGS = ("text", "id", "where")


@dataclass(frozen=True)
class SegmentEntry:
    """What the index says of a segment.

    Attributes:
        name: of its folder.
        rows, terms, pairs: as in `Postings`.
        text_bytes, id_bytes, where_bytes: of the files of strings.
        deleted: name of a file of a byte a row, 1 where it is deleted; None where none is.
        gone: how many are.
        graph_bytes: of graph.usearch; 0 where there is no graph.
        graph_vectors: how many different ones the graph holds.
        graph_checksum: of its files.
    """

    name: str
    rows: int
    terms: int
    pairs: int
    text_bytes: int
    id_bytes: int
    where_bytes: int
    deleted: str | None = None
    gone: int = 0
    graph_bytes: int = 0
    graph_vectors: int = 0
    graph_checksum: int = 0

    def arrays(self, dim: int) -> Mapping[str, tuple[str, int]]:
        """Name of each file, the dtype of what it holds, and how many of them."""
        rows, more = self.rows, self.rows + 1
        of_graph = {
            GRAPH: ("u1", self.graph_bytes),
            GRAPH_ROWS: ("<u4", rows),
            GRAPH_STARTS: ("<u4", self.graph_vectors + 1),
        }
        return {
            "values.i8": ("i1", rows * dim),
            "scales.f32": ("<f4", rows),
            "terms.u64": ("<u8", self.terms),
            "starts.i64": ("<i8", self.terms + 1),
            "rows.u32": ("<u4", self.pairs),
            "counts.u8": ("u1", self.pairs),
            "lengths.u32": ("<u4", rows),
            "texts.utf8": ("u1", self.text_bytes),
            "text_starts.i64": ("<i8", more),
            "ids.utf8": ("u1", self.id_bytes),
            "id_starts.i64": ("<i8", more),
            "wheres.utf8": ("u1", self.where_bytes),
            "where_starts.i64": ("<i8", more),
            "id_hashes.u64": ("<u8", rows),
            "id_rows.u32": ("<u4", rows),
            **(of_graph if self.graph_bytes else {}),
        }


class Segment:
    """An open segment. It keeps what it holds, whatever becomes of the files.

    Args:
        folder: of the index.
        entry: what the index says of it.
        dim: D.
        before: the same one as it was open before, whose graph need not be opened again.

    Raises:
        InputError: a file is not there, or not as long as the index says.
    """

    def __init__(self, folder: Path, entry: SegmentEntry, dim: int, before: Segment | None = None) -> None:
        self.entry = entry
        held = {
            name: _mapped(folder / entry.name / name, dtype, count)
            for name, (dtype, count) in entry.arrays(dim).items()
        }
        self.values = held["values.i8"].reshape(entry.rows, dim)  # (R, D) int8
        self.scales = held["scales.f32"]  # (R,)
        words = ("terms.u64", "starts.i64", "rows.u32", "counts.u8", "lengths.u32")
        self.postings = Postings(*(held[name] for name in words))
        self._strings = {kind: (held[f"{kind}s.utf8"], held[f"{kind}_starts.i64"]) for kind in STRINGS}
        self._id_hashes, self._id_rows = held["id_hashes.u64"], held["id_rows.u32"]
        self.deleted = None if entry.deleted is None else _mapped(folder / entry.deleted, "?", entry.rows)  # (R,) bool
        self._graph_file = folder / entry.name / GRAPH
        self._graph_holds = (held[GRAPH], held[GRAPH_ROWS], held[GRAPH_STARTS]) if entry.graph_bytes else None
        self._graph: Graph | None = None if before is None else before._graph

    @property
    def live(self) -> int:
        """Rows that are not deleted."""
        return self.entry.rows - self.entry.gone

    @property
    def is_large(self) -> bool:
        """Whether it is at least half as large as one may be: no two of these would become one."""
        words = int(self.postings.lengths.sum(dtype=np.int64))
        return 2 * self.live >= MOST_ROWS or 2 * BYTES_A_WORD * words >= MOST_HELD_BYTES

    @property
    def lacks_graph(self) -> bool:
        """Whether it is large enough for a graph, and has none."""
        return is_worth_it(self.entry.rows) and not self.entry.graph_bytes

    @property
    def graph(self) -> Graph | None:
        """What finds rows near a query; None where it has none, or usearch is not here.

        It is opened when it is first used, as that takes a look at all of it.

        Raises:
            InputError: it is damaged.
        """
        if self._graph is None and self._graph_holds is not None and is_usable():
            self._graph = Graph(self._graph_file, *self._graph_holds, self.values.shape[1], self.entry.graph_checksum)
        return self._graph

    def text(self, row: int) -> str:
        return self._string("text", row)

    def id(self, row: int) -> str:
        return self._string("id", row)

    def where(self, row: int) -> str:
        return self._string("where", row)

    def rows_of(self, name: str) -> list[int]:
        """The rows that are called so and not deleted."""
        number = np.uint64(hash_of(name))
        begin, end = (int(np.searchsorted(self._id_hashes, number, side)) for side in ("left", "right"))
        rows = [int(row) for row in self._id_rows[begin:end] if self.deleted is None or not self.deleted[row]]
        return [row for row in rows if self.id(row) == name]

    def names_by_hash(self, numbers: np.ndarray) -> list[str]:
        """Names of rows here that have one of these hashes (n,) uint64, ascending."""
        places = np.searchsorted(self._id_hashes, numbers)
        is_here = self._id_hashes[np.minimum(places, len(self._id_hashes) - 1)] == numbers
        return [self.id(int(row)) for row in self._id_rows[places[is_here]]]

    def _string(self, kind: str, row: int) -> str:
        data, starts = self._strings[kind]
        return data[starts[row] : starts[row + 1]].tobytes().decode("utf-8", "replace")


class SegmentWriter:
    """Writes a segment into a new folder, as rows come.

    Args:
        folder: of the index.
        name: of the folder of the segment in it.
        approximate: whether it is to have a graph, where it is large enough for one and usearch is here.

    Raises:
        AccessError: nothing can be made there.
    """

    def __init__(self, folder: Path, name: str, approximate: bool) -> None:
        self._folder, self._name, self._approximate = folder / name, name, approximate
        self._words = Collected()
        self._starts = {kind: array("q", [0]) for kind in STRINGS}
        self._hashes = array("Q")
        self._files: dict[str, BinaryIO] = {}
        with ExitStack() as closing:
            try:
                remove(self._folder)  # of a writer that was killed
                self._folder.mkdir()
                for file in ("values.i8", "scales.f32", *(f"{kind}s.utf8" for kind in STRINGS)):
                    self._files[file] = closing.enter_context((self._folder / file).open("wb"))
            except OSError as failure:
                raise AccessError(f"cannot write {self._folder}: {failure}") from failure
            self._closing = closing.pop_all()

    @property
    def rows(self) -> int:
        return len(self._hashes)

    @property
    def is_full(self) -> bool:
        """Whether a segment should be closed, so that memory stays bounded."""
        return self.rows >= MOST_ROWS or self._words.size_bytes >= MOST_HELD_BYTES

    def add(self, vectors: np.ndarray, stems: Sequence[Sequence[str]], strings: Mapping[str, Sequence[str]]) -> None:
        """Add rows by their vectors (n, D) float32, of any length; see `add_codes`."""
        codes = quantize(unit_length(vectors))
        assert codes.scales is not None
        self.add_codes(codes.values, codes.scales, stems, strings)

    def add_codes(
        self,
        values: np.ndarray,
        scales: np.ndarray,
        stems: Sequence[Sequence[str]],
        strings: Mapping[str, Sequence[str]],
    ) -> None:
        """Add rows.

        Args:
            values: (n, D) int8 of vectors of unit length, or zeros.
            scales: (n,) float32.
            stems: of the words of each.
            strings: "text", "id" and "where" of each.

        Raises:
            AccessError: the disk takes no more.
        """
        try:
            self._files["values.i8"].write(values.tobytes())
            self._files["scales.f32"].write(scales.astype("<f4").tobytes())
            for kind in STRINGS:
                encoded = [string.encode() for string in strings[kind]]
                self._files[f"{kind}s.utf8"].write(b"".join(encoded))
                starts = self._starts[kind]
                for size in map(len, encoded):
                    starts.append(starts[-1] + size)
        except OSError as failure:
            raise AccessError(f"cannot write {self._folder}: {failure}") from failure
        self._hashes.extend(map(hash_of, strings["id"]))
        for each in stems:
            self._words.add(each)

    def close(self) -> SegmentEntry:
        """Write the rest, and have the disk hold it.

        Raises:
            AccessError: the disk takes no more.
        """
        postings = self._words.postings()
        hashes = np.frombuffer(self._hashes, np.uint64) if self._hashes else np.empty(0, np.uint64)
        order = np.argsort(hashes, kind="stable")
        held = {
            "terms.u64": postings.terms,
            "starts.i64": postings.starts,
            "rows.u32": postings.rows,
            "counts.u8": postings.counts,
            "lengths.u32": postings.lengths,
            "id_hashes.u64": hashes[order],
            "id_rows.u32": order.astype(np.uint32),
            **{f"{kind}_starts.i64": np.frombuffer(self._starts[kind], np.int64) for kind in STRINGS},
        }
        text_bytes, id_bytes, where_bytes = (self._starts[kind][-1] for kind in STRINGS)
        entry = SegmentEntry(
            self._name, self.rows, len(postings.terms), len(postings.rows), text_bytes, id_bytes, where_bytes
        )
        dtypes = entry.arrays(0)
        try:
            self._closing.close()
            for name, values in held.items():
                (self._folder / name).write_bytes(values.astype(dtypes[name][0]).tobytes())
            if self._approximate and is_worth_it(self.rows) and is_usable():
                made = write_graph(
                    self._folder, np.fromfile(self._folder / "values.i8", np.int8).reshape(self.rows, -1)
                )
                entry = replace(
                    entry, graph_bytes=made.size_bytes, graph_vectors=made.vectors, graph_checksum=made.checksum
                )
            synced(self._folder)
        except OSError as failure:
            raise AccessError(f"cannot write {self._folder}: {failure}") from failure
        return entry

    def stop(self) -> None:
        """Close the files of a segment that is not wanted."""
        self._closing.close()


def _mapped(file: Path, dtype: str, count: int) -> np.ndarray:
    """(count,) of a file, as the disk holds it: what is not looked at takes no memory.

    A small one is read: until Python 3.13 each map keeps a file open, of which macOS allows 256.
    """
    kind = np.dtype(dtype)
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        if size != count * kind.itemsize:
            raise InputError(
                f"{file} has {size} bytes and not {count * kind.itemsize}: the index is damaged; make it again"
            )
        if size <= MOST_READ_BYTES:
            stream.seek(0)
            return np.frombuffer(stream.read(), kind)
        if sys.version_info >= (3, 13) and os.name == "posix":
            mapped: Any = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False)
        else:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, kind)
