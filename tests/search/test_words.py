"""Words of texts, and BM25 beside its formula written out."""

import math
import sys
import threading
from collections import Counter

import numpy as np
import pytest

from edge_potion import InputError
from edge_potion.search.postings import K1, B, Collected, weights_of
from edge_potion.search.words import Words


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("The running dogs' naïve CAFÉ", ["run", "dog", "naiv", "cafe"]),
        ("error E1234, v1.2 (foo_bar)", ["error", "e1234", "v1", "2", "foo_bar"]),
        ("It isn't what we'd have done; can't", ["done"]),
        ("日本語", ["日本", "本語"]),
        ("猫", ["猫"]),
        ("สวัสดี", ["สว", "วั", "ัส", "สด", "ดี"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("한국어 검색", ["한국어", "검색"]),
        ("ＦＵＬＬ ﬁne Straße", ["full", "fine", "strass"]),
        ("𝐁𝐨𝐥𝐝 ℡", ["bold", "tel"]),
        ("co\u00adoperate \ufeffword", ["cooper", "word"]),
        ("☃☃ 🙂 -- ...", []),
        ("", []),
    ],
)
def test_a_text_has_these_words(text, stems):
    assert Words().stems(text) == stems


def test_what_differs_in_case_accents_and_form_alone_is_one_word():
    words = Words()
    for forms in (["Zürich", "ZURICH", "zurich", "zu\u0308rich"], ["Ёлка", "елка"], ["connection", "connected"]):
        assert len({tuple(words.stems(form)) for form in forms}) == 1


def test_other_languages_have_their_own_stems():
    assert Words("german").stems("Häuser und Haus") == ["haus", "und", "haus"]
    assert Words("french").stems("continuellement") == Words("french").stems("continuelles")
    assert Words("none").stems("running the dogs") == ["running", "the", "dogs"]


@pytest.mark.parametrize("language", ["klingon", "", "porter", "English"])
def test_a_language_that_is_none_is_refused_with_those_that_are(language):
    with pytest.raises(InputError, match="english"):
        Words(language)


def test_the_words_of_a_query_are_shown_as_they_stand_there():
    assert [tuple(word) for word in Words().words("The Dogs ran")] == [("the", ""), ("dogs", "dog"), ("ran", "ran")]


def by_the_formula(query: list[str], rows: list[list[str]]) -> list[float]:
    mean = sum(map(len, rows)) / len(rows)
    scores = []
    for row in rows:
        total = 0.0
        for stem, times in Counter(query).items():
            found = sum(stem in other for other in rows)
            idf = math.log(1 + (len(rows) - found + 0.5) / (found + 0.5))
            tf = row.count(stem)
            total += times * idf * tf / (tf + K1 * (1 - B + B * len(row) / mean))
        scores.append(total)
    return scores


@pytest.mark.parametrize("parts", [1, 3])
def test_bm25_is_that_of_the_formula_in_one_segment_and_in_several(parts):
    chance = np.random.default_rng(5)
    rows = [[f"w{number}" for number in chance.zipf(1.6, chance.integers(0, 30)) if number < 50] for _ in range(60)]
    collected = [Collected() for _ in range(parts)]
    for number, row in enumerate(rows):
        collected[number * parts // len(rows)].add(row)
    postings = [each.postings() for each in collected]
    for query in (["w1"], ["w2", "w7", "w2"], ["w49", "nowhere"], [], ["nowhere"]):
        weights = weights_of(query, postings)
        scores = []
        for each in postings:
            scores.append(np.zeros(len(each.lengths), np.float32))
            each.add_scores(weights, scores[-1])
        expected = by_the_formula(query, rows)
        np.testing.assert_allclose(np.concatenate(scores), expected, rtol=1e-5)
        shares = [
            sum(each.share(stem, row, weights) for stem in weights.of_stem)
            for each in postings
            for row in range(len(each.lengths))
        ]
        np.testing.assert_allclose(shares, expected, rtol=1e-5)
        assert max(expected) <= weights.most


def test_a_word_is_counted_up_to_255_times_and_rows_may_have_none():
    collected = Collected()
    collected.add(["ping"] * 1000)
    collected.add([])
    postings = collected.postings()
    assert postings.counts.tolist() == [255] and postings.lengths.tolist() == [1000, 0]
    assert len(Collected().postings().terms) == 0


def test_threads_that_share_words_never_mix_them():
    begins = ("connect", "relat", "nation", "hop", "formal", "operat", "adjust", "electric", "gener", "triplic")
    all_words = [begin + end for begin in begins for end in ("ational", "ing", "ed", "iveness", "fulness", "ization")]
    alone = Words()
    expected = [alone.stems(word) for word in all_words]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            shared = Words()
            threads = [threading.Thread(target=lambda: list(map(shared.stems, all_words))) for _ in range(4)]  # noqa: B023
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [shared.stems(word) for word in all_words] == expected
    finally:
        sys.setswitchinterval(interval)


def test_what_is_remembered_of_long_words_is_bounded():
    words = Words()
    for number in range(100):
        words.stems("a" * 1000 + str(number))
    assert sum(map(len, words._stems)) < 1000
