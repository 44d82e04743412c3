"""The double array holds what a dict holds, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edge_potion.exporters.double_array import HIGH, double_array


@pytest.mark.parametrize(("symbols", "longest", "count"), [(1, 40, 30), (3, 6, 300), (5000, 4, 3000), (40, 12, 2000)])
def test_every_string_and_every_prefix_has_a_node_of_its_own_and_no_other_string_has_one(symbols, longest, count):
    chance = random.Random(symbols)
    made = {tuple(chance.choices(range(1, symbols + 1), k=chance.randint(1, longest))) for _ in range(count)}
    strings = [list(each) for each in sorted(made)]
    trie = double_array(strings, symbols)
    prefixes = {tuple(string[:end]) for string in strings for end in range(len(string) + 1)}
    nodes = {prefix: trie.node_of(prefix) for prefix in prefixes}
    assert None not in nodes.values()
    assert len(set(nodes.values())) == len(prefixes)
    assert [nodes[tuple(string)] for string in strings] == trie.ends.tolist()
    bases, checks = trie.units % HIGH, trie.units >> 32
    assert (checks >= 0).sum() == len(prefixes) - 1
    for prefix in prefixes:
        for symbol in {*chance.sample(range(1, symbols + 1), min(symbols, 50)), 1, symbols}:
            longer = (*prefix, symbol)
            assert (trie.node_of(longer) is not None) == (longer in prefixes)
    assert bases.max() + symbols < len(trie.units) < 2**31
    assert trie.depth == max(map(len, strings))


def test_the_same_strings_make_the_same_array_in_little_more_room_than_nodes():
    chance = random.Random(0)
    strings = [list(each) for each in sorted({tuple(chance.choices(range(1, 60), k=5)) for _ in range(5000)})]
    one, other = double_array(strings, 60), double_array(strings, 60)
    assert np.array_equal(one.units, other.units)
    assert len(one.units) < 1.1 * (one.units >= 0).sum() + 100
