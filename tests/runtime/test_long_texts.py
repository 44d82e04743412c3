"""Texts of any length: the first tokens are those of the whole text, and no more of it is looked at than they take."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from edge_potion import EdgeModel, InputError, StaticModel, first_tokens, tokens
from edge_potion.calls import beginning
from edge_potion.first_tokens import is_split_at_spaces
from edge_potion.tokens import plain, tokenize

# What moves, vanishes, splits or joins: blanks and what only looks like them, marks that are sorted, some of which
# vanish, letters that become several, words around the longest that WordPiece takes.
SCRAPS = (
    *("a", "the", "un", "believable", "I", " ", "  ", "\n", "\t", "\r", "\x0b", "\x1c", "\0", "\x01", "!", ".", "##s"),
    *("[PAD]", "é", "e\u0301", "\u0301", "\u0302\u0323", "\u0344", "\u0f73", "\u0f71", "\u302e", "\u3099", "ガ", "漢"),
    *("字", "한", "각", "🙂", "👩\u200d👧", "\u200b", "\u00a0", "\u3000", "İ", "ß", "Σ", "\ufeff", "\ufffd", "\u20dd"),
    *("\U0001d165", "\u0903", "\u0e33", "\u0378", "\ue000", "z" * 99, "z" * 101, "q" * 40, "Ω", "K"),
)
WORDPIECE = (
    "[UNK]",
    *"abehiklnqsuz!.",
    *(f"##{letter}" for letter in "abehiklnqsuz\u0301"),
    "the",
    "un",
    "漢",
    "e\u0301",
)
NORMALIZERS = {
    "BERT's": normalizers.BertNormalizer(),
    "with accents": normalizers.BertNormalizer(strip_accents=False),
    "with controls": normalizers.BertNormalizer(clean_text=False),
    "CJK in words": normalizers.BertNormalizer(handle_chinese_chars=False),
    "accents and case": normalizers.BertNormalizer(lowercase=False),
    "steps": normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]),
    "decomposed": normalizers.Sequence([normalizers.Lowercase(), normalizers.NFD()]),
    "none": None,
}
SPLITTERS = (pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit())
N = 3_000_000


def wordpiece(normalizer, splitter) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(WORDPIECE)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    return plain(tokenizer)


def whole(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids


def assert_same(tokenizer: Tokenizer, texts: list[str], rng: random.Random) -> None:
    for text in texts:
        expected = whole(tokenizer, text)
        for limit in (1, 2, rng.randint(3, 60)):
            assert tokenize(tokenizer, [text], limit).flat.tolist() == expected[:limit], repr(text)
        assert tokenize(tokenizer, [text], None).flat.tolist() == expected, repr(text)


@pytest.fixture
def at_once(monkeypatch):
    """Parts of a few characters, so that every text is a long one."""

    def set_sizes(part: int, a_token: int) -> None:
        monkeypatch.setattr(first_tokens, "PART", part)
        monkeypatch.setattr(tokens, "CHARACTERS_A_TOKEN", a_token)
        monkeypatch.setattr(tokens, "LONGEST_UNCUT", part)

    return set_sizes


@pytest.mark.parametrize("normalizer", NORMALIZERS.values(), ids=NORMALIZERS)
@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(("part", "a_token"), [(1, 1), (3, 2), (50, 4)])
def test_wordpiece_in_parts_gives_the_tokens_of_the_whole_text(normalizer, splitter, part, a_token, at_once):
    at_once(part, a_token)
    rng = random.Random(part)
    tokenizer = wordpiece(normalizer, splitter)
    few = [rng.sample(SCRAPS, rng.randint(1, 8)) for _ in range(30)]
    assert_same(tokenizer, ["".join(rng.choices(scraps, k=rng.randint(1, 120))) for scraps in few], rng)
    points = [0x250, 0x370, 0x1100, 0x2FFF, 0xD7FF, 0x2FFFF]
    strange = [[chr(rng.choice([32, 97, rng.randrange(points[at])])) for at in range(6)] for _ in range(30)]
    texts = ["".join(rng.choices(scraps, k=80)) for scraps in strange]
    assert_same(tokenizer, [text.encode("utf-8", "ignore").decode() for text in texts], rng)


def test_other_families_give_the_tokens_of_the_whole_text(other_tokenizer, sentences, at_once):
    at_once(7, 1)
    rng = random.Random(5)
    assert is_split_at_spaces(other_tokenizer)
    texts = [" ".join(rng.choices(sentences, k=3)) for _ in range(200)]
    assert_same(other_tokenizer, [*texts, *("".join(rng.choices(SCRAPS, k=60)) for _ in range(200))], rng)


@pytest.mark.parametrize("splitter", [*SPLITTERS, pre_tokenizers.Metaspace(), pre_tokenizers.ByteLevel()])
def test_added_words_with_a_space_are_never_cut(splitter, at_once):
    at_once(3, 1)
    tokenizer = wordpiece(normalizers.BertNormalizer(), splitter)
    tokenizer.add_tokens([AddedToken("the un", normalized=False), AddedToken("a▁b")])
    assert not is_split_at_spaces(tokenizer)
    assert_same(tokenizer, ["b the un a a a", "the unthe un b" * 9, "a b a▁b"], random.Random(1))


@pytest.mark.parametrize(
    ("normalizer", "splitter"),
    [
        (normalizers.Replace(" ", ""), pre_tokenizers.WhitespaceSplit()),
        (normalizers.Replace("a b", "ab"), pre_tokenizers.WhitespaceSplit()),
        (None, None),
        (None, pre_tokenizers.Split("b", "removed")),
        (None, pre_tokenizers.Metaspace(split=False)),
        (None, pre_tokenizers.ByteLevel(use_regex=False)),
        (normalizers.Prepend("a"), None),
        (normalizers.Replace(" ", "▁"), pre_tokenizers.WhitespaceSplit()),
        (normalizers.Replace("n a", "na"), pre_tokenizers.WhitespaceSplit()),
    ],
)
def test_what_is_not_known_to_split_gets_the_whole_text(normalizer, splitter, at_once):
    at_once(3, 1)
    tokenizer = wordpiece(normalizer, splitter)
    assert_same(tokenizer, ["a b the un a", "the un " * 20, "a" * 50], random.Random(1))


# In processes of their own: ru_maxrss is the highest that a process ever reached.
GROWN = """
import resource, sys
from edge_potion import EdgeModel, StaticModel
text = eval(sys.argv[2])
model = EdgeModel.from_pretrained(threads=1)
oracle = StaticModel.from_pretrained()
two = lambda text: model.encode(text, max_tokens=2)
ask = {"graph": model.encode, "oracle": oracle.encode, "two tokens": two}[sys.argv[1]]
ask("a few words " * 400)
ask("z " * 60_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
vector = ask(text)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (2**20 if sys.platform == "darwin" else 1024)
print(grown, float((vector @ vector)), float(vector @ ask("a rainy day")), float(vector @ ask("漢字" * 256)))
"""


@pytest.mark.parametrize(
    ("how", "text", "square", "first", "second"),
    [
        ("graph", "'a rainy day' + chr(8203) * N", 1, 1, None),
        ("graph", "'漢字' * (N // 2)", 1, None, 1),
        ("graph", "'a' * N + ' a rainy day'", 1, 1, None),  # one word, which is unknown
        ("oracle", "'🙂' * N", 0, 0, 0),
        ("oracle", "chr(0x301) * N + 'a rainy day'", 1, 1, None),
        ("two tokens", "chr(0) * N + 'a rainy day'", 1, None, None),
        ("two tokens", "'rain\\n' * (N // 5)", 1, None, None),
    ],
)
def test_megabytes_take_no_more_memory_than_what_is_kept(how, text, square, first, second):
    command = [sys.executable, "-c", GROWN, how, text.replace("N", str(N))]
    grown_mb, *found = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert grown_mb < 100
    for value, expected in zip(found, (square, first, second), strict=True):
        assert expected is None or value == pytest.approx(expected, abs=1e-3)


def test_a_long_text_has_the_bits_of_its_beginning():
    model = EdgeModel.from_pretrained()
    sentence = "The weather is wet today, and the bread did not rise. "
    beginnings = [sentence * 60, "日本語 の 天気 " * 300, "word\n" * 600]
    longer = [text + "wholly different words behind " * 20_000 for text in beginnings]
    expected = model.encode(beginnings)
    assert np.array_equal(model.encode(longer), expected)
    assert all(np.array_equal(model.encode(text), vector) for text, vector in zip(longer, expected, strict=True))


def test_a_beginning_counts_only_what_is_surely_a_token():
    assert beginning("one two three four", 3, 100) == "one two three"
    assert beginning("one two three", 3, 100) == "one two three"  # the last word may go on
    assert beginning("é two\u00a0x three\x01 four five", 2, 100) == "é two\u00a0x three\x01 four five"
    assert beginning("one two three", 2, 5) == "one two three"


def test_a_lone_surrogate_is_named_in_what_is_cut_off_too():
    model, oracle = EdgeModel.from_pretrained(), StaticModel.from_pretrained()
    text = "some words " * 300_000
    for encode in (model.encode, oracle.encode):
        with pytest.raises(InputError, match=r"text 1 holds the lone surrogate U\+DCFF at character 3300000"):
            encode(["fine", text + "\udcff"])
    with pytest.raises(InputError, match=r"U\+DCFF at character 3300000"):
        model.encode(["fine", text + "\udcff"], max_tokens=3)
