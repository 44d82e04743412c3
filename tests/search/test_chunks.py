"""Long documents in parts."""

from itertools import pairwise

import pytest

from edge_potion import InputError
from edge_potion.search.chunks import MOST_WORDS, SHARED_WORDS, chunks_of

LONG = " ".join(f"w{number}" for number in range(1000))


def test_words_are_cut_into_windows_that_share_some_and_lose_none():
    parts = chunks_of(LONG, "words")
    assert all(len(part.split()) <= MOST_WORDS for part in parts)
    for part, after in pairwise(parts):
        assert part.split()[-SHARED_WORDS:] == after.split()[:SHARED_WORDS]
    assert {word for part in parts for word in part.split()} == set(LONG.split())


def test_sentences_stay_whole_unless_one_is_longer_than_a_part():
    text = "".join(f'He said "number {number} is it." Then he left! ' for number in range(60))
    parts = chunks_of(text, "sentences")
    assert len(parts) > 1 and all(len(part.split()) <= MOST_WORDS for part in parts)
    assert "".join(" ".join(parts).split()) == "".join(text.split())
    assert all(part.endswith(('"', "!")) and part.startswith(("He", "Then")) for part in parts)
    joined = chunks_of(f"Short one. {LONG}. Another.", "sentences")
    assert joined[0] == "Short one." and joined[-1] == "Another."
    assert {word for part in joined for word in part.split()} >= set(LONG.split()[:-1])


@pytest.mark.parametrize("text", ["", "short", " \n two lines\n\nof it "])
@pytest.mark.parametrize("how", ["none", "words", "sentences"])
def test_a_short_text_is_one_part_as_it_stands(text, how):
    assert chunks_of(text, how) == [text]


def test_an_unknown_way_is_refused():
    with pytest.raises(InputError, match="none, words, sentences"):
        chunks_of("a", "pages")  # type: ignore[arg-type]  # as a caller without a type checker may say


@pytest.mark.parametrize("how", ["words", "sentences"])
def test_texts_without_spaces_are_cut_too(how):
    text = "これは長い文章です。" * 100
    parts = chunks_of(text, how)
    assert len(parts) > 5 and all(len(part) <= 128 and part in text for part in parts)
    if how == "sentences":
        assert "".join(parts) == text and all(part.endswith("。") for part in parts)
