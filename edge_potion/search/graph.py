"""The graph of a segment (HNSW, by usearch): rows near a query without a look at all; nearly always the nearest.

graph.usearch                      of the different vectors of a segment: int8, with edges between those that are near
graph_rows.u32 graph_starts.u32    the rows of each of them, one vector after another, and where each one's begin

Equal texts are one vector here: thousands of equal ones would have edges to each other alone, and be all that is found
near them. usearch believes what it reads, so that all three files are held to a checksum before they are used.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from edge_potion.codes import quantize
from edge_potion.errors import InputError, require

__all__ = [
    "GRAPH",
    "GRAPH_ROWS",
    "GRAPH_STARTS",
    "LEAST_ROWS",
    "NEAREST",
    "Graph",
    "is_usable",
    "is_worth_it",
    "require_usearch",
    "write_graph",
]

log = logging.getLogger("edge_potion")

GRAPH, GRAPH_ROWS, GRAPH_STARTS = "graph.usearch", "graph_rows.u32", "graph_starts.u32"
NEAREST = 1_000  # vectors that a query asks for: of a million, 99.6 % of the nearest ten are among them (300: 97.8 %)
ROWS_SCANNED_MEANWHILE = 100  # while the graph finds one vector: 4 microseconds
LEAST_ROWS = NEAREST * ROWS_SCANNED_MEANWHILE  # of a segment that has a graph
ADDED_AT_ONCE = 2**13  # vectors; between two, Ctrl-C is heard


class Graph:
    """An open graph. It keeps what it holds, whatever becomes of the files.

    Args:
        file: of usearch, for errors.
        held: (B,) uint8, what is in it.
        rows: (R,) uint32, rows by their vectors.
        starts: (G + 1,) uint32, where the rows of each vector begin.
        dim: D.
        checksum: of all three, when they were written.

    Raises:
        InputError: they are damaged, or usearch cannot read its own.
    """

    def __init__(
        self, file: Path, held: np.ndarray, rows: np.ndarray, starts: np.ndarray, dim: int, checksum: int
    ) -> None:
        if _checksum((held, rows, starts)) != checksum:
            raise InputError(f"{file} is not what was written: the index is damaged; make it again")
        self._rows, self._starts = rows, starts
        self._graph = _empty(dim)
        try:
            self._graph.view(held)  # which it does not keep for itself
        except (RuntimeError, ValueError) as failure:
            raise InputError(f"usearch cannot read {file} ({failure}); make the index again") from failure
        self._held = held
        self._one_at_a_time = Lock()  # usearch has one place for what a search notes, whoever calls

    def nearest(self, query: np.ndarray, count: int, deleted: np.ndarray | None = None) -> np.ndarray | None:
        """The rows near a query.

        Args:
            query: (D,) floats, not all zeros.
            count: how many there are to be at least.
            deleted: (R,) bool, which rows do not count; None where all do.

        Returns:
            (n,) uint32, in no order; None where a scan of all rows takes no longer.
        """
        codes = quantize(query).values  # (D,) int8
        asked = count
        while asked * ROWS_SCANNED_MEANWHILE <= len(self._rows):
            with self._one_at_a_time:
                vectors = self._graph.search(codes, asked, threads=1).keys.astype(np.int64)
            begins, ends = self._starts[vectors].astype(np.int64), self._starts[vectors + 1]
            rows = self._rows[_ranges(begins, ends - begins)]
            if deleted is not None:
                rows = rows[~deleted[rows]]
            if len(rows) >= count:
                return rows
            asked *= 4
        return None


class Written(NamedTuple):
    """What was written: bytes of graph.usearch, how many different vectors it holds, and a checksum of all files."""

    size_bytes: int
    vectors: int
    checksum: int


def write_graph(folder: Path, values: np.ndarray) -> Written:
    """Write the graph of (R, D) int8 into the folder of a segment: minutes a million, by all cores.

    Raises:
        OSError: the disk takes no more.
    """
    log.info("making a graph of %s rows; a million take minutes", f"{len(values):,}")
    whole_rows = np.ascontiguousarray(values).view(np.dtype((np.void, values.shape[1])))[:, 0]  # (R,)
    _, firsts, vector_of = np.unique(whole_rows, return_index=True, return_inverse=True)
    rows = np.argsort(vector_of, kind="stable").astype(np.uint32)
    starts = np.searchsorted(vector_of[rows], np.arange(len(firsts) + 1)).astype(np.uint32)
    graph = _empty(values.shape[1])
    # In the order of the rows: neighbours in the order of `firsts` are near each other, of which worse graphs are made.
    order = np.argsort(firsts)
    for begin in range(0, len(order), ADDED_AT_ONCE):
        some = order[begin : begin + ADDED_AT_ONCE]
        graph.add(some, values[firsts[some]])
    try:
        graph.save(folder / GRAPH)
    except RuntimeError as failure:
        raise OSError(f"usearch cannot write {folder / GRAPH}: {failure}") from failure
    (folder / GRAPH_ROWS).write_bytes(rows.astype("<u4").tobytes())
    (folder / GRAPH_STARTS).write_bytes(starts.astype("<u4").tobytes())
    held = np.fromfile(folder / GRAPH, np.uint8)
    return Written(len(held), len(firsts), _checksum((held, rows, starts)))


def is_worth_it(rows: int) -> bool:
    """Whether a segment of so many rows is searched faster by a graph."""
    return rows >= LEAST_ROWS


@cache
def is_usable() -> bool:
    """Whether usearch is here; where it is not, a line says once what becomes of graphs."""
    if find_spec("usearch") is None:
        log.warning("usearch is not installed: all rows are scanned (pip install 'edge-potion[search]')")
        return False
    return True


def require_usearch() -> None:
    """Raise MissingExtraError where usearch is not here."""
    require("usearch", extra="search", purpose="an approximate index")


def _empty(dim: int) -> Any:
    from usearch.index import Index

    return Index(ndim=dim, metric="cos", dtype="i8", enable_key_lookups=False)


def _checksum(parts: Sequence[np.ndarray]) -> int:
    found = 0
    for part in parts:
        found = zlib.crc32(part.data, found)
    return found


def _ranges(begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whole numbers from each of `begins` on, so many as `lengths` says, one range after another."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(begins - before, lengths) + np.arange(lengths.sum())
