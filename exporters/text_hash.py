"""A perfect hash of a vocabulary that an ONNX graph can compute: wrapping int64 arithmetic, shifts, two lookups.

The hash of a piece is the sum of code * BASE^(position + 1), so that one running sum over a text gives the hash of each
of its words and of each part of them as a difference. A key's bucket is its low bits; each bucket has a multiplier that
sends its keys to slots of their own (hash and displace: Belazzougui, Botelho and Dietzfelbinger, 2009). The whole key
is compared, so what is not in the vocabulary is found by chance with a probability of 2^-64; who tries can make a word
of two dozen letters that has the key of a piece, and gets its vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
from onnx import TensorProto

from edge_potion.phrases_in_graph import BASE, SALT

from .graph_builder import GraphBuilder
from .text_pieces import Pieces

__all__ = ["INVERSE", "HashTable", "hash_table", "looked_up", "neighbours", "piece_table", "powers", "table_of"]

INVERSE = np.uint64(pow(int(BASE), -1, 2**64))
KEYS_A_BUCKET = 4  # on average
MULTIPLIERS = 64  # tried at once
ROUNDS = 400  # of these, before a table twice the size is taken


@dataclass(frozen=True)
class HashTable:
    """Keys and ids by slot.

    Attributes:
        slot_bits: there are 2^slot_bits slots.
        multipliers: (buckets,) int64, odd; as many as a power of two.
        keys: (slots,) int64; where nothing is, the key of another slot.
        ids: (slots,) int32.
    """

    slot_bits: int
    multipliers: np.ndarray
    keys: np.ndarray
    ids: np.ndarray


def powers(base: np.uint64, count: int, step: int = 1) -> np.ndarray:
    """(count,) int64: base^(i * step), wrapping."""
    factor = pow(int(base), step, 2**64)
    values, each = [], 1
    for _ in range(count):
        values.append(each)
        each = each * factor % 2**64
    return np.array(values, np.uint64).view(np.int64)


def piece_table(pieces: Pieces) -> HashTable:
    """The table of a vocabulary; always the same for the same one."""
    return hash_table(_keys(pieces), pieces.ids)


def hash_table(keys: np.ndarray, ids: np.ndarray) -> HashTable:
    """The table that leads from keys (P,) uint64, one at least, to ids (P,) int32; the same for the same ones."""
    if len(np.unique(keys)) < len(keys):  # 2^-31 for 100,000 pieces
        raise AssertionError("two things have one key; change BASE")
    slot_bits = max(int(np.ceil(np.log2(len(keys)))), 1)
    bucket_bits = max(slot_bits - int(np.log2(KEYS_A_BUCKET)), 1)
    while True:
        placed = _placed(keys, bucket_bits, slot_bits)
        if placed is not None:
            multipliers, slots = placed
            break
        slot_bits += 1
    # A free slot holds a key that belongs elsewhere, so that nothing is ever found there.
    table_keys, table_ids = np.full(1 << slot_bits, keys[0]), np.zeros(1 << slot_bits, np.int32)
    table_keys[slots], table_ids[slots] = keys, ids
    return HashTable(slot_bits, multipliers.view(np.int64), table_keys.view(np.int64), table_ids)


def table_of(tables: Mapping[str, np.ndarray], name: str) -> HashTable:
    """The table whose arrays are called `name`_multipliers, `name`_keys and `name`_values among `tables`."""
    multipliers, keys, values = (tables[f"{name}_{part}"] for part in ("multipliers", "keys", "values"))
    return HashTable(len(keys).bit_length() - 1, multipliers, keys, values)


def looked_up(graph: GraphBuilder, name: str, table: HashTable, keys: str) -> tuple[str, str]:
    """(n,) int64 slots of keys (n,) int64, and whether each holds the key; tables are called `name`_multipliers, ..."""
    bucket = graph.op("BitwiseAnd", keys, graph.int64(len(table.multipliers) - 1))
    factor = graph.take(graph.table(f"{name}_multipliers", lambda: table.multipliers), bucket)
    unsigned = graph.cast(graph.op("Mul", keys, factor), TensorProto.UINT64)  # shifts fill with zeros
    shift = graph.constant(64 - table.slot_bits, np.uint64)
    slot = graph.cast(graph.op("BitShift", unsigned, shift, direction="RIGHT"), TensorProto.INT64)
    held = graph.take(graph.table(f"{name}_keys", lambda: table.keys), slot)
    return slot, graph.op("Equal", held, keys)


def neighbours(graph: GraphBuilder, grid: str) -> str:
    """(B, L - 1) int64: keys of ids that stand side by side in a grid (B, L), as `pair_keys` has them."""
    above = graph.op("Add", graph.cast(grid, TensorProto.INT64), graph.int64(1))
    axis = graph.int64([1])
    first = graph.op("Slice", above, graph.int64([0]), graph.int64([-1]), axis)
    second = graph.op("Slice", above, graph.int64([1]), graph.int64([np.iinfo(np.int64).max]), axis)
    products = (
        graph.op("Mul", side, graph.int64(int(factor.view(np.int64))))
        for side, factor in ((first, BASE), (second, SALT))
    )
    return graph.op("Add", *products)


def _keys(pieces: Pieces) -> np.ndarray:
    """(P,) uint64."""
    lengths = np.fromiter(map(len, pieces.codes), np.int64, len(pieces.codes))
    starts = np.cumsum(lengths) - lengths
    codes = np.fromiter(chain.from_iterable(pieces.codes), np.uint64, int(lengths.sum()))  # of one after another
    factors = powers(BASE, int(lengths.max()) + 1).view(np.uint64)[1:]
    hashed = codes * factors[np.arange(len(codes)) - np.repeat(starts, lengths)]
    return np.add.reduceat(hashed, starts) + pieces.continues.astype(np.uint64) * SALT


def _placed(keys: np.ndarray, bucket_bits: int, slot_bits: int) -> tuple[np.ndarray, np.ndarray] | None:
    """A multiplier for each bucket and a slot for each key; None when a bucket finds none."""
    random = np.random.default_rng(0)
    bucket_of = (keys & np.uint64((1 << bucket_bits) - 1)).astype(np.int64)
    sizes = np.bincount(bucket_of, minlength=1 << bucket_bits)
    ends = np.cumsum(sizes)
    order = np.argsort(bucket_of, kind="stable")
    multipliers = np.ones(1 << bucket_bits, np.uint64)
    slots = np.zeros(len(keys), np.int64)
    taken = np.zeros(1 << slot_bits, bool)
    for bucket in np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]:
        mine = order[ends[bucket] - sizes[bucket] : ends[bucket]]
        for _ in range(ROUNDS):
            tried = random.integers(0, 2**64, MULTIPLIERS, np.uint64) | np.uint64(1)
            goals = ((keys[mine, None] * tried) >> np.uint64(64 - slot_bits)).astype(np.int64)  # (keys, tried)
            sorted_goals = np.sort(goals, axis=0)
            fits = ~taken[goals].any(axis=0) & (np.diff(sorted_goals, axis=0) > 0).all(axis=0)
            if fits.any():
                best = int(fits.argmax())
                multipliers[bucket], slots[mine] = tried[best], goals[:, best]
                taken[goals[:, best]] = True
                break
        else:
            return None
    return multipliers, slots
