"""A trie as a double array: two numbers a node, in which one addition and one comparison lead to a child.

The child of node n by symbol s (1 or above) is t = base[n] + s, if check[t] == n (Aoe, 1989). Nodes with several
children are laid first, those with most before the others, wherever all of their children find room; children that
have no sister fill the gaps that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["HIGH", "DoubleArray", "double_array"]

WINDOW = 512  # places that are looked at together
FULL = 16  # a window with fewer free places than that is not looked at again
NONE = -1
HIGH = 1 << 32


@dataclass(frozen=True)
class DoubleArray:
    """A trie of P strings of symbols.

    Attributes:
        units: (N,) int64, base + check * 2^32 of each node. The root is node 0. Where no node is, and at the root,
            check is -1; base + symbol is below N for every node and symbol.
        ends: (P,) int64, the node at which each string ends.
        depth: symbols of the longest string.
    """

    units: np.ndarray
    ends: np.ndarray
    depth: int

    def node_of(self, string: Sequence[int]) -> int | None:
        """The node to which a string leads; None where it leads to none."""
        node = 0
        for symbol in string:
            child = self.base_of(node) + symbol
            if self.units[child] >> 32 != node:
                return None
            node = child
        return node

    def base_of(self, node: int) -> int:
        """Where the children of a node are counted from."""
        return int(self.units[node]) % HIGH


@dataclass(frozen=True)
class _Nodes:
    """The trie level by level: M nodes but for the root, sisters side by side; node 0 is the root.

    Attributes:
        parents: (M,) int64, of node 1, 2, ...
        symbols: (M,) int64, by which each is reached.
        ends: (P,) int64, the node of each string.
    """

    parents: np.ndarray
    symbols: np.ndarray
    ends: np.ndarray


def double_array(strings: Sequence[Sequence[int]] | Sequence[np.ndarray], symbols: int) -> DoubleArray:
    """The trie of strings of symbols 1 .. `symbols`, none empty, in ascending order and each once; always the same."""
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    flat = np.concatenate([np.asarray(each, np.int64) for each in strings]) if len(strings) else np.zeros(0, np.int64)
    nodes = _nodes(flat, lengths)
    places = _placed(nodes, symbols)  # (M + 1,) of each node
    count = int(places.max()) + symbols + 1
    bases, checks = np.zeros(count, np.int64), np.full(count, NONE, np.int64)
    checks[places[1:]] = places[nodes.parents]
    bases[places[nodes.parents]] = places[1:] - nodes.symbols  # sisters agree
    return DoubleArray(bases + checks * HIGH, places[nodes.ends], int(lengths.max(initial=0)))


def _nodes(flat: np.ndarray, lengths: np.ndarray) -> _Nodes:
    begins = np.cumsum(lengths) - lengths
    at = np.zeros(len(lengths), np.int64)  # (P,) the node that each string has come to
    parents, symbols, count = [], [], 1
    for depth in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths > depth)
        parent, symbol = at[going], flat[begins[going] + depth]
        # In ascending order those that share a node stand side by side.
        is_new = np.ones(len(going), bool)
        is_new[1:] = (parent[1:] != parent[:-1]) | (symbol[1:] != symbol[:-1])
        at[going] = count + np.cumsum(is_new) - 1
        parents.append(parent[is_new])
        symbols.append(symbol[is_new])
        count += int(is_new.sum())
    none = [np.zeros(0, np.int64)]
    return _Nodes(np.concatenate(parents or none), np.concatenate(symbols or none), at)


def _placed(nodes: _Nodes, symbols: int) -> np.ndarray:
    """(M + 1,) int64: where each node lies."""
    count = len(nodes.parents)
    places = np.zeros(count + 1, np.int64)
    children = np.bincount(nodes.parents, minlength=count + 1)
    first = np.searchsorted(nodes.parents, np.arange(count + 1))  # parents ascend
    free = _Free(2 * (count + symbols) + WINDOW)
    several = np.flatnonzero(children > 1)
    for node in several[np.argsort(-children[several], kind="stable")].tolist():
        own = slice(int(first[node]), int(first[node] + children[node]))
        by = nodes.symbols[own]
        places[1:][own] = by + free.take(by.tolist())
    alone = np.flatnonzero(children[nodes.parents] == 1)
    alone = alone[np.argsort(nodes.symbols[alone], kind="stable")]
    gaps = free.places()
    # A base is never below 0, so a child's place is never below its symbol.
    least = np.searchsorted(gaps, nodes.symbols[alone])
    ranks = np.arange(len(alone))
    places[1:][alone] = gaps[np.maximum.accumulate(least - ranks) + ranks] if len(alone) else 0
    return places


class _Free:
    """Which places are free, as bits; 0 is the root's."""

    def __init__(self, size: int) -> None:
        self._bits = bytearray(b"\xff" * (size // 8 + 1))
        self._bits[0] = 0xFE
        self._full = 0  # windows from the front in which next to nothing is free

    def take(self, symbols: list[int]) -> int:
        """The base at which all of a node's children have room, which is then taken."""
        bits, first = self._bits, symbols[0]
        begin = max(self._full * WINDOW - first, 0)
        while True:
            fits = (1 << WINDOW) - 1
            for symbol in symbols:
                at = begin + symbol
                if at + WINDOW >= 8 * len(bits):
                    bits.extend(b"\xff" * len(bits))
                fits &= int.from_bytes(bits[at >> 3 : (at + WINDOW + 7) >> 3], "little") >> (at & 7)
                if not fits:
                    break
            if fits:
                base = begin + (fits & -fits).bit_length() - 1
                for symbol in symbols:
                    bits[(base + symbol) >> 3] &= ~(1 << ((base + symbol) & 7))
                self._skip_full()
                return base
            begin += WINDOW

    def places(self) -> np.ndarray:
        """(free,) int64, ascending, and as many behind them as were asked for at first."""
        self._bits.extend(b"\xff" * len(self._bits))
        return np.flatnonzero(np.unpackbits(np.frombuffer(self._bits, np.uint8), bitorder="little"))

    def _skip_full(self) -> None:
        size = WINDOW // 8
        while int.from_bytes(self._bits[self._full * size : (self._full + 1) * size], "little").bit_count() < FULL:
            self._full += 1
