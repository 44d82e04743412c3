"""Near-duplicates, held to a comparison of all pairs in numpy; and what is a duplicate of what, worked out by hand."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError
from edge_potion.duplicates import DifferentTexts
from edge_potion.leaders import BLOCK_ROWS, CHUNK_ROWS, MARGIN, WIDTHS, Leaders, whole_numbers

from ..models import DATA, SHARED
from .test_codes import unit_vectors

TOLERANCE = 1e-4  # of a cosine of whole numbers


@pytest.fixture(scope="module")
def model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.fixture(scope="module")
def mutated(request) -> list[str]:
    """Thousands of real texts, and each once more with a word changed, swapped, doubled, or in other letters."""
    if (SHARED / "data" / "sentences.txt.xz").is_file():
        texts = request.getfixturevalue("shared_sentences")[:3000]
    else:
        texts = DATA.read_text(encoding="utf-8").splitlines()
    rng = random.Random(0)
    words = [word for text in texts[:200] for word in text.split()]
    found = texts + [rng.choice(MUTATIONS)(text, rng, words) for text in texts] + ["", "", "\u2603", "\u2603 \u2603"]
    rng.shuffle(found)
    return found


def changed(text: str, rng: random.Random, words: list[str]) -> str:
    return text.replace(rng.choice(text.split() or [""]), rng.choice(words), 1)


def swapped(text: str, rng: random.Random, words: list[str]) -> str:
    return " ".join(rng.sample(text.split(), len(text.split())))


def doubled(text: str, rng: random.Random, words: list[str]) -> str:
    return f"{text} {rng.choice(text.split() or [''])}"


MUTATIONS: list[Callable[[str, random.Random, list[str]], str]] = [
    changed,
    swapped,
    doubled,
    lambda text, *_: text.upper(),
    lambda text, *_: f"{text.rstrip('.')}!",
    lambda text, *_: text,
]


def all_cosines(vectors: np.ndarray) -> np.ndarray:
    """(N, N) float64, of every pair, by the numbers that docs/dedupe.md names."""
    wide = vectors.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)
    codes = np.rint(wide * (32767 / np.where(largest > 0, largest, 1)))
    squares = (codes * codes).sum(axis=1)
    return codes @ codes.T / np.sqrt(np.maximum(np.outer(squares, squares), 1))


def by_all_pairs(texts: list[str], cosines: np.ndarray, threshold: float) -> tuple[list[int], list[float]]:
    """The rule, a text at a time: of each its leader, and the cosine to it."""
    first: dict[str, int] = {}
    kept: list[int] = []
    leaders: list[int] = []
    nearness: list[float] = []
    for place, text in enumerate(texts):
        twin = first.setdefault(text, place)
        to_kept = cosines[place, kept]
        if twin != place:
            leader, cosine = leaders[twin], nearness[twin]
        elif kept and to_kept.max() >= threshold:
            leader, cosine = kept[to_kept.argmax()], to_kept.max()
        else:
            leader, cosine = place, 1.0
            kept.append(place)
        leaders.append(leader)
        nearness.append(cosine)
    return leaders, nearness


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.8, 0.9, 0.95, 1])
def test_the_duplicates_of_real_texts_are_those_of_a_comparison_of_all_pairs(model, mutated, threshold):
    leaders, cosines = by_all_pairs(mutated, all_cosines(model.encode(mutated)), threshold)
    found = model.duplicates(iter(mutated), threshold)
    assert found.leaders.tolist() == leaders
    assert found.cosines.tolist() == cosines
    assert len(found.kept) + found.exact + found.near == len(mutated)
    assert found.exact == len(mutated) - len(set(mutated)) > 0 and found.near > 0


def test_a_cosine_is_nearly_that_of_the_vectors_as_they_are(model, mutated):
    vectors = model.encode(mutated[:2000])
    assert np.abs(all_cosines(vectors) - model.similarity(vectors, vectors)).max() < TOLERANCE


@pytest.mark.parametrize("dim", [1, 3, 24, 300])
@pytest.mark.parametrize("threshold", [0.5, 0.95])
def test_vectors_of_any_width_are_compared_without_a_miss(dim, threshold):
    rng = np.random.default_rng(dim)
    vectors = np.repeat(unit_vectors(CHUNK_ROWS + BLOCK_ROWS, dim), 2, axis=0)  # more than a chunk and a block
    vectors += rng.standard_normal(vectors.shape).astype(np.float32) * 0.3 / np.sqrt(dim)
    rng.shuffle(vectors)
    texts = [str(place) for place in range(len(vectors))]
    with Leaders(threshold, threads=3) as one, Leaders(threshold, threads=1) as other:
        at_once = one.place(vectors)
        parts = [other.place(part) for part in np.array_split(vectors, 7)]
    leaders, cosines = by_all_pairs(texts, all_cosines(vectors), threshold)
    assert at_once.leaders.tolist() == np.concatenate([part.leaders for part in parts]).tolist() == leaders
    assert at_once.cosines.tolist() == np.concatenate([part.cosines for part in parts]).tolist() == cosines


def test_the_margin_is_more_than_float32_can_take_from_a_bound():
    assert (max(WIDTHS) + 2) * 2.0**-24 < MARGIN / 5


def test_vectors_are_whole_numbers_of_which_the_largest_is_32767():
    assert whole_numbers(np.array([[2, -1, 0], [-0.5, 0.25, 0.1]], np.float32)).tolist() == [
        [32767, -16384, 0],  # 16383.5 becomes 16384, which is even
        [-32767, 16384, 6553],
    ]
    smallest = np.array([[1e-45, 0]], np.float32)
    assert whole_numbers(smallest).tolist() == [[32767, 0]]


def test_a_text_at_the_threshold_is_a_duplicate_and_one_just_below_is_not():
    vectors = np.array([[1, 0], [0.6, 0.8]], np.float32)
    cosine = float(all_cosines(vectors)[0, 1])
    with Leaders(cosine, 1) as at, Leaders(np.nextafter(cosine, 1), 1) as above:
        assert at.place(vectors).leaders.tolist() == [0, 0]
        assert above.place(vectors).leaders.tolist() == [0, 1]


def test_a_duplicate_goes_to_the_nearest_kept_one_and_of_equally_near_ones_to_the_first():
    east, north, between = [1, 0], [0, 1], [1, 1]
    nearer_north = [1, 1.1]
    with Leaders(0.7, 1) as leaders:
        placed = leaders.place(np.array([east, north, between, nearer_north, between], np.float32))
    assert placed.leaders.tolist() == [0, 1, 0, 1, 0]  # not to each other: those that are not kept stand for nothing


def test_there_are_no_chains():
    angles = np.radians([0, 20, 40, 60])
    with Leaders(np.cos(np.radians(25)), 1) as leaders:
        placed = leaders.place(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    assert placed.leaders.tolist() == [0, 0, 2, 2]  # 40 is near 20, which is not kept


def test_equal_vectors_are_duplicates_at_any_threshold(model):
    found = model.duplicates(["man bites dog", "dog bites man", "Dog bites man", "a cat"], threshold=1.0)
    assert found.leaders.tolist() == [0, 0, 0, 3]
    assert found.cosines.tolist() == [1, 1, 1, 1]
    assert (found.exact, found.near) == (0, 2)


def test_texts_without_a_known_token_are_duplicates_of_equal_ones_alone(model):
    texts = ["", "\u2603", " ", "", "\u2603", "It rains."]
    assert not model.encode(texts[:3]).any()
    found = model.duplicates(texts, threshold=0.1)
    assert found.leaders.tolist() == [0, 1, 2, 0, 1, 5]
    assert (found.exact, found.near) == (2, 0)


def test_equal_texts_are_embedded_once():
    texts = DifferentTexts(["It rains.", "It rains.", "it rains", "It rains."])
    assert list(texts) == ["It rains.", "it rains"]
    assert (texts.number.tolist(), texts.first.tolist()) == ([0, 0, 1, 0], [0, 2])


def test_an_equal_text_goes_where_the_first_of_its_kind_went(model):
    texts = ["It rains.", "it rains", "cheese", "it rains"]
    found = model.duplicates(texts)
    assert found.leaders.tolist() == [0, 0, 2, 0]
    assert found.cosines[1] == found.cosines[3] < 1


def test_groups_are_kept_texts_with_their_duplicates(model):
    found = model.duplicates(["cheese", "It rains.", "a dog", "it rains", "It rains.", "cheese"])
    assert [group.tolist() for group in found.groups()] == [[0, 5], [1, 3, 4]]
    assert found.kept.tolist() == [0, 1, 2]


def test_nothing_has_no_duplicates(model):
    found = model.duplicates([])
    assert found.leaders.shape == found.kept.shape == (0,)
    assert (found.exact, found.near, list(found.groups())) == (0, 0, [])


@pytest.mark.parametrize("threshold", [0, -1, -0.5, 1.0001, 2, float("nan"), float("inf"), "0.9", None, True])
def test_thresholds_out_of_range_are_refused_by_name(model, threshold):
    with pytest.raises(InputError, match=r"threshold is .*above 0 and at most 1"):
        model.duplicates(["a"], threshold)


def test_what_is_no_text_is_refused_by_its_place(model):
    with pytest.raises(InputError, match="texts is str"):
        model.duplicates("a text")
    with pytest.raises(InputError, match="text 2 is of type int"):
        model.duplicates(["a", "a", 3])
    with pytest.raises(InputError, match="text 3 holds the lone surrogate"):
        model.duplicates(["a", "a", "b", "\ud800"])


def test_any_model_will_do_and_any_number_of_threads(hand_folder):
    texts = ["ein Haus", "ein Haus", "das Haus", "Haus ein", "", "eine Katze"] * 3
    vectors = EdgeModel.from_pretrained(hand_folder).encode(texts)
    leaders, _ = by_all_pairs(texts, all_cosines(vectors), 0.9)
    for threads in (1, 2, 5):
        found = EdgeModel.from_pretrained(hand_folder, threads=threads).duplicates(texts)
        assert found.leaders.tolist() == leaders
