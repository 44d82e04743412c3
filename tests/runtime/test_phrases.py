"""Phrases: which rows a text's neighbours have."""

import numpy as np
import pytest

from edge_potion.errors import ModelFormatError
from edge_potion.phrases import Phrases
from edge_potion.tokens import TokenIds

PAIRS = np.array([[2, 3], [3, 2], [4, 4]], np.int32)


def test_neighbours_that_are_a_pair_have_a_row_and_others_none():
    found = Phrases(PAIRS, 10).found(TokenIds.of([[2, 3, 2], [5, 2, 4], [], [4, 4, 4]]))

    assert found.flat.tolist() == [10, 11, 12, 12]
    assert found.lengths.tolist() == [2, 0, 0, 2]


def test_a_phrase_crosses_neither_the_end_of_a_text_nor_what_stands_between():
    found = Phrases(PAIRS, 10).found(TokenIds.of([[2], [3], [2, 1, 3]]))

    assert found.lengths.tolist() == [0, 0, 0]


def test_a_bag_is_the_pieces_of_a_text_and_then_its_phrases():
    bags = Phrases(PAIRS, 10).joined(TokenIds.of([[2, 3, 2], [5], [], [4, 4]]))

    assert [row.tolist() for row in bags.split()] == [[2, 3, 2, 10, 11], [5], [], [4, 4, 12]]


def test_without_a_pair_or_a_text_there_is_nothing_to_find():
    none = Phrases(np.empty((0, 2), np.int32), 10)

    assert none.joined(TokenIds.of([[2, 3]])).flat.tolist() == [2, 3]
    assert Phrases(PAIRS, 10).joined(TokenIds.of([])).flat.tolist() == []


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (np.array([[2, 3], [2, 3]], np.int32), "twice"),
        (np.array([[2, 10]], np.int32), "names piece 10"),
        (np.array([[-1, 2]], np.int32), "names piece"),
        (np.array([2, 3], np.int32), "shape"),
        (np.array([[2, 3]], np.int64), "int64"),
    ],
)
def test_pairs_that_are_none_are_refused(pairs, words):
    with pytest.raises(ModelFormatError, match=words):
        Phrases(pairs, 10)
