"""The engine has the bits of ONNX Runtime at int8; at float16 and float32 it is as near as golden.json asks."""

from __future__ import annotations

import ctypes
import json
import lzma
import random
from collections.abc import Sequence
from itertools import count, cycle, islice, product

import numpy as np
import pytest
from tokenizers import Tokenizer

from edge_potion import StaticModel
from edge_potion.exporters.make_golden import golden_of
from edge_potion.exporters.text_family import Family, family_of
from edge_potion.golden import check_parity
from edge_potion.static_model import Card
from edge_potion.tokens import plain, tokenize

from ..exporters.fuzz_texts import KINDS, fuzz_bytes, fuzz_texts, texts_over
from ..exporters.test_text_graph import (
    BAD_BYTES,
    EDGE_TEXTS,
    LONG_TEXTS,
    SMALL_CHARACTERS,
    SMALL_WORDS,
    setting_cases,
    small_vocabulary,
    word_piece,
)
from ..models import pieces_of
from .both import Both
from .c_interface import NO_LIMIT, Native, address_of
from .guarded import PAGE, guarded

pytestmark = pytest.mark.usefixtures("installed_engine")

PLAIN = {"lowercase": True, "strip_accents": None, "clean_text": True, "handle_chinese_chars": True}
RAW = {"lowercase": False, "strip_accents": None, "clean_text": False, "handle_chinese_chars": False}
DIMS = (1, 3, 8, 63, 64, 65, 100, 256, 300, 1024)
FACTORS = (1, 1e-4, 1e-6)  # of some rows: an int8 table then needs row weights of so many digits, from 1 on
KINDS_OF_TABLE = [*(("int8", factor) for factor in FACTORS), ("float16", 1), ("float16", 1e-4), ("float32", 1)]
MOST_AT_ONCE = 131_072  # tokens whose products an int32 holds: of more, sums are added up in parts


@pytest.fixture(scope="module")
def model() -> StaticModel:
    return pieces_of(StaticModel.from_pretrained())


@pytest.fixture(scope="module")
def tables(model) -> Family:
    return family_of(model.tokenizer)


@pytest.fixture(scope="module")
def cutting(model, tables) -> dict[int | None, Both]:
    """The built-in model without phrases, by where it cuts a text."""
    cards = {most: Card("cutting", normalize=True, max_tokens=most) for most in (None, 1, 2, 7, 512, 1000)}
    return {
        most: Both.of(StaticModel(model.table, model.tokenizer, card), tables=tables) for most, card in cards.items()
    }


@pytest.fixture(scope="module")
def both(cutting) -> Both:
    return cutting[512]


@pytest.fixture(scope="module")
def unlimited(cutting) -> Both:
    return cutting[None]


@pytest.fixture(scope="module")
def pieces(model) -> list[str]:
    return sorted(word.removeprefix("##") for word in model.tokenizer.get_vocab())


def random_model(
    tokenizer: Tokenizer,
    dim: int,
    *,
    small: float = 1,
    normalize: bool = True,
    max_tokens: int | None = 64,
) -> StaticModel:
    """Of normal rows, a third of which are `small` times as long."""
    table = np.random.default_rng(dim).normal(size=(tokenizer.get_vocab_size(), dim)).astype(np.float32)
    table[::3] *= np.float32(small)
    return StaticModel(table, tokenizer, Card("random", normalize, max_tokens))


# Real and random texts.


def test_real_and_random_texts_of_every_class_have_the_same_bits(both, pieces, sentences):
    texts = [*sentences, *(" ".join(sentences[place : place + 40]) for place in range(0, len(sentences), 7))]
    done = both.check([*texts, *EDGE_TEXTS, *LONG_TEXTS, *BAD_BYTES])
    for seed in (random.SystemRandom().randrange(10**9), 1):
        for kind in KINDS:
            done += both.check(fuzz_texts(kind, seed, 1500, pieces, sentences), told=f"{kind} {seed}")
        done += both.check(fuzz_bytes(seed, 3000, sentences), told=f"bytes {seed}")
    both.check(EDGE_TEXTS, batch=1)
    assert done >= 60_000


def test_the_first_lines_of_the_corpus_have_the_same_bits(both, shared):
    assert check_corpus(both, shared, 40_000) == 40_000


@pytest.mark.slow
def test_every_line_of_the_corpus_has_the_same_bits(both, shared):
    assert check_corpus(both, shared, None) > 490_000


def check_corpus(both: Both, shared, most: int | None) -> int:
    with lzma.open(shared / "sentences.txt.xz", "rt", encoding="utf-8", newline="\n") as lines:
        texts = islice((line.rstrip("\n") for line in lines), most)
        done = 0
        while some := list(islice(texts, 5000)):
            done += both.check(some, told=f"line {done}")
    print(f"{done} lines of the corpus, 0 that differ", flush=True)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])  # for a process each
def test_ten_million_random_texts_have_the_same_bits(half, both, pieces, sentences):
    begin = random.SystemRandom().randrange(10**9)
    made = dict.fromkeys([*KINDS, "bytes"], 0)
    for seed, kind in zip(count(begin), cycle(made), strict=False):
        if kind == "bytes":
            texts: Sequence[str | bytes] = fuzz_bytes(seed, 2500, sentences)
        else:
            texts = fuzz_texts(kind, seed, 2500, pieces, sentences)
        made[kind] += both.check(texts, told=f"{kind} {seed}")
        done = sum(made.values())
        if done % 250_000 == 0:
            print(f"half {half}: {done} texts, 0 that differ, seeds {begin} to {seed}: {made}", flush=True)
        if done >= 5_000_000:
            break


# Bytes that are no UTF-8.


@pytest.fixture(scope="module")
def replacing() -> Both:
    """Of a vocabulary that has U+FFFD as a piece, and a normalizer that keeps it: every byte counts."""
    letters = [*"a\x01\x7f\ufffd", *map(chr, range(0x80, 0x900)), *"日한\ud7ff\ue000\uffff😀\U0010ffff"]
    words = ["[PAD]", "[UNK]", *letters, *(f"##{letter}" for letter in letters), *".,!"]
    return Both.of(random_model(word_piece(words, RAW), 16, max_tokens=None))


def test_every_pair_of_bytes_has_the_same_bits(both, replacing):
    pairs = [bytes(pair) for pair in product(range(256), repeat=2)]
    for each in (both, replacing):
        assert each.check(pairs, batch=4096) == 65_536  # where NUL parts texts, both say so
        each.check([b"a" + pair + b"a" for pair in pairs], batch=4096)


def test_sequences_at_the_edges_of_utf8_have_the_same_bits(both, replacing):
    seconds = (0x00, 0x20, 0x61, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    lasts = (0x61, 0x7F, 0x80, 0xBF, 0xC0)
    triples = [bytes(three) for three in product(range(0xE0, 0xF0), seconds, lasts)]
    quadruples = [bytes(four) for four in product(range(0xF0, 0x100), seconds, lasts, lasts)]
    points = [0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF]
    whole = [chr(point).encode() for point in points]
    cut = [text[:size] for text in whole for size in range(1, len(text))]
    surrogates = [f"{chr(point)}".encode("utf-8", "surrogatepass") for point in (0xD800, 0xDBFF, 0xDC00, 0xDFFF)]
    overlong = [b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf"]
    beyond = [
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xff" * 5,
    ]
    some = [*whole, *cut, *surrogates, *overlong, *beyond]
    for each in (both, replacing):
        each.check([*triples, *quadruples])
        each.check([b"".join(two) for two in product(some, repeat=2)])
        each.check(some, batch=1)  # at the end of the call, too
        each.check([b"a" + text for text in cut], batch=1)


# Every kind of model.


@pytest.mark.parametrize("settings", setting_cases())
def test_every_setting_of_the_normalizer_is_followed_at_every_precision(settings, sentences):
    vocabulary = small_vocabulary()
    tokenizer = word_piece(vocabulary, settings)
    tables = family_of(tokenizer)
    alphabet = [*SMALL_CHARACTERS, *SMALL_WORDS, *(word.removeprefix("##") for word in vocabulary)]
    pairs = [f"{first}{second}" for first, second in product(SMALL_CHARACTERS, repeat=2)]
    seed = random.SystemRandom().randrange(10**9)
    texts = [*EDGE_TEXTS, *alphabet, *LONG_TEXTS[::9], *BAD_BYTES, *texts_over(alphabet, seed, 1000)]
    for number, kind in enumerate(KINDS):
        texts += fuzz_texts(kind, seed + number, 20, alphabet, sentences)
    for number, ((precision, small), normalize) in enumerate(product(KINDS_OF_TABLE, (True, False))):
        dim = DIMS[number % len(DIMS)]
        each = Both.of(random_model(tokenizer, dim, small=small, normalize=normalize), precision, tables)
        each.check(texts, told=f"{precision} {small} {normalize=} {dim=} {seed=}")
        if number == 0:
            each.check(pairs, batch=4000)


@pytest.mark.parametrize("dim", DIMS)
def test_every_width_of_a_vector_is_right_at_every_precision(dim):
    tokenizer = word_piece(small_vocabulary(), PLAIN)
    tables = family_of(tokenizer)
    alphabet = [*SMALL_CHARACTERS, *SMALL_WORDS]
    texts = [*EDGE_TEXTS, *texts_over(alphabet, dim, 1000), " ".join(texts_over(alphabet, dim, 200))]
    for (precision, small), normalize in product(KINDS_OF_TABLE, (True, False)):
        each = Both.of(random_model(tokenizer, dim, small=small, normalize=normalize), precision, tables)
        if precision == "int8" and dim >= 8:
            assert len(each.packed.row_digits) == 1 + FACTORS.index(small)
        each.check(texts, told=f"{precision} {small} {normalize=}")


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_vectors_of_the_built_in_model_are_the_oracles(precision, normalize, model, tables):
    each = StaticModel(model.table, model.tokenizer, Card("built-in", normalize, max_tokens=512))
    golden = golden_of(each)
    native = Both.of(each, precision, tables).native
    check_parity(golden, native.embed(joined(golden.texts)), precision, "the engine")
    alone = np.concatenate([native.embed(joined([text])) for text in golden.texts])
    check_parity(golden, alone, precision, "the engine, one text a call")


@pytest.mark.parametrize("size", [63_000, pytest.param(500_000, marks=pytest.mark.slow)])
def test_large_vocabularies_have_the_same_bits(size, model, sentences):
    tokenizer = of_many_words(model.tokenizer, sentences, size)
    each = Both.of(random_model(tokenizer, 16, max_tokens=512))
    words = [word.removeprefix("##") for word in tokenizer.get_vocab()]
    assert len(words) == size
    each.check(words[:: size // 20_000], batch=4000)
    each.check([*sentences, *EDGE_TEXTS, *LONG_TEXTS[::3]])
    seed = random.SystemRandom().randrange(10**9)
    each.check(fuzz_texts("pieces", seed, 10_000, words, sentences), told=seed)
    ids = tokenize(tokenizer, words[::1000], 512)
    for text, wanted in zip(words[::1000], ids.split(), strict=True):
        assert each.native.token_ids(text.encode()).tolist() == wanted.tolist()


def of_many_words(tokenizer: Tokenizer, sentences: Sequence[str], size: int) -> Tokenizer:
    """A tokenizer with the words of real sentences, then made-up ones in several alphabets, as pieces of its own."""
    content, source = json.loads(tokenizer.to_str()), random.Random(size)
    vocabulary = content["model"]["vocab"]
    for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(" ".join(sentences))):
        if len(vocabulary) < size:
            vocabulary.setdefault(word, len(vocabulary))
    alphabets = ["abcdefghijklmnopqrstuvwxyz", "абвгдежзиклмнопрстуфхцчшщыьэюя", "αβγδεζηθικλμνξοπρστυφχψω", "äöüß0123"]
    while len(vocabulary) < size:
        word = "".join(source.choices(source.choice(alphabets), k=source.randrange(3, 13)))
        vocabulary.setdefault(source.choice(("", "##")) + word, len(vocabulary))
    return plain(Tokenizer.from_str(json.dumps(content)))


@pytest.mark.parametrize("most", [5, 99, 100, 101])
def test_words_of_about_the_longest_length_are_known_or_unknown_alike(most):
    pieces = ["a", "é", "日", "a" * (most - 1), "a" * most, "a" * (most + 1), "é" * most]
    words = ["[PAD]", "[UNK]", ".", *pieces, *(f"##{piece}" for piece in pieces)]
    tokenizer = word_piece(words, {"strip_accents": False}, max_input_chars_per_word=most)
    each = Both.of(random_model(tokenizer, 8))
    lengths = [most - 1, most, most + 1, most + 7, most + 8, 2 * most]
    texts = [letter * length for letter in ("a", "é", "aé", "éa", "e\u0301", "日", "a\x01", "한") for length in lengths]
    around = [f"{before}{text}{after}" for text in texts for before in ("", "a ", ".") for after in ("", " a", ".a")]
    each.check(around)
    each.check(texts, batch=1)


# Where texts are cut, and ids.

PARTS = ["the", "é", "running", "xqzvjk", "☃", "naïveté", "日本", "unaffableness", ".", "İ", "é.é", "\x01", "a" * 101]


def cut_texts() -> list[str]:
    source = random.Random(1)
    texts = [" ".join(source.choices(PARTS, k=source.randrange(12))) for _ in range(1000)]
    return texts + ["".join(source.choices(PARTS, k=source.randrange(9))) for _ in range(500)] + EDGE_TEXTS


@pytest.mark.parametrize("most", [None, 1, 2, 512])
def test_a_text_is_cut_where_the_model_says(most, cutting):
    each = cutting[most]
    assert each.native.max_tokens == (most or -1)
    each.check([*cut_texts(), "the cat sat " * 1000, "日本" * 600])


@pytest.mark.parametrize("most", [None, 1, 2, 7, 1000])
def test_a_text_is_cut_where_the_call_says(most, model, cutting):
    limit = NO_LIMIT if most is None else most
    texts = [text.replace("\0", "") for text in [*cut_texts(), "the cat sat " * 1000, "日本" * 600]]
    ids = tokenize(model.tokenizer, texts, most)
    wanted = np.concatenate([cutting[most].by_onnxruntime(joined([text])) for text in texts])
    for native in (cutting[512].native, cutting[None].native):
        found = native.embed(joined(texts), limit)
        assert np.array_equal(bits(found), bits(wanted))
        assert np.array_equal(bits(found), bits(native.embed_texts([text.encode() for text in texts], limit)))
        assert np.array_equal(bits(found), bits(native.embed_ids(ids.flat, ids.lengths)))
        for text, row in zip(texts, ids.split(), strict=True):
            assert native.token_ids(text.encode(), limit).tolist() == row.tolist()
    oracle = model.encode(texts, max_tokens=most)
    known = np.abs(oracle).sum(axis=1) > 0
    assert np.array_equal(known, np.abs(found).sum(axis=1) > 0)
    assert np.median((found * oracle).sum(axis=1)[known]) > 0.999
    assert (found * oracle).sum(axis=1)[known].min() > 0.995


def test_ids_are_the_tokenizers_for_random_texts_of_every_class(model, unlimited, pieces, sentences):
    seed = random.SystemRandom().randrange(10**9)
    for kind in KINDS:
        texts = fuzz_texts(kind, seed, 200, pieces, sentences)
        ids = tokenize(model.tokenizer, texts, None)
        for text, row in zip(texts, ids.split(), strict=True):
            assert unlimited.native.token_ids(text.encode()).tolist() == row.tolist(), f"{kind} {seed} {text!a}"
        by_ids = unlimited.native.embed_ids(ids.flat, ids.lengths)
        assert np.array_equal(bits(by_ids), bits(unlimited.native.embed(joined(texts))))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("small", FACTORS)
def test_sums_of_very_many_tokens_are_exact(small, normalize):
    """Of rows and weights so large that the sum of one part fills an int32."""
    tokenizer = word_piece(["[PAD]", "[UNK]", "a", "b", "c"], PLAIN)
    model = random_model(tokenizer, 70, small=small, normalize=normalize, max_tokens=None)
    both = Both.of(model)
    exact = StaticModel(both.packed.unpacked(), tokenizer, model.card)
    heaviest = max("abc", key=lambda letter: both.packed.row_weights[tokenizer.token_to_id(letter)])
    for tokens in (MOST_AT_ONCE - 1, MOST_AT_ONCE, MOST_AT_ONCE + 1, 3 * MOST_AT_ONCE + 5):
        for text in (f"{heaviest} " * tokens, "a b c " * (tokens // 3)):
            found, wanted = both.native.embed(text.encode()), exact.encode([text])
            assert np.abs(found - wanted).max() <= 1e-6 * max(1, np.abs(wanted).max())
            ids = both.native.token_ids(text.encode())
            assert np.array_equal(bits(both.native.embed_ids(ids, np.array([len(ids)]))), bits(found))


# Where the engine's own steps begin and end.


def test_words_around_the_ends_of_blocks_and_stretches_have_the_same_bits(unlimited):
    signs = (" ", ".", "é", "\x01", "日", "\u0301", "\xa0", "")
    texts = []
    for at, length, before, sign in product((62, 63, 64, 65, 126, 128), (1, 2, 7, 8, 9), "a ", signs):
        texts.append((before * 200)[: at - length] + sign + ("running" * 3)[:length] + sign + "the cat")
    for at, length, sign in product((4090, 4095, 4096, 4097, 8192), (1, 3, 8, 9, 70), signs):
        filler = ("the cat sat on the mat. " * 400)[: at - length]
        texts.append(filler + sign + ("unbelievable" * 9)[:length] + sign + " the cat")
    unlimited.check(texts, batch=200)
    unlimited.check(texts[::20], batch=1)


def test_texts_of_one_long_word_or_without_blanks_have_the_same_bits(unlimited):
    texts = [
        *(
            "a" * 5000,
            "a" * 100_000,
            "cat " + "a" * 4096 + " cat",
            "é" * 5000,
            "aé" * 2048 + " the",
            "x" * 4095 + "é cat",
        ),
        *("日本語" * 6_667, "the" * 3000, "." * 5000, "a." * 4000, "é." * 3000, "\x01" * 9000 + "cat", "\xad" * 5000),
        *(" " * 5000 + "cat", "cat" + " " * 4093 + "cat", "\u0301" * 5000, "a" + "\u0301" * 5000 + "b", "😀" * 2000),
        *("한국어" * 2000, "a\u200d" * 3000, "[UNK]" * 1000, "\ufffd" * 5000, "the cat " * 20_000),
    ]
    for text in texts:
        unlimited.check([text])
    bad = [b"\xff" * 5000, b"cat\xff" * 2000, b"\xe6\x97" * 4000, (b"\xe6\x97\xa5" * 3000)[:-1], b"a" * 4095 + b"\xe6"]
    for content in bad:
        unlimited.check([content])
    unlimited.check([text[:9000] for text in texts])


def test_nothing_is_read_beyond_a_text_and_what_stands_there_counts_for_nothing(both):
    """Each length from 0 to 200 up to a page that cannot be read, and from the first byte of one that can."""
    native = both.native
    contents = [
        *(b"the cat sat on the mat. " * 9, b"a" * 200, "naïve façade ".encode() * 15, "日本語".encode() * 23),
        *(b"\xf0\x9f\x98\x80" * 50, b"\xff" * 200, b"a.b c\x01" * 40, b"unbelievable" * 17, b"\xe6\x97 " * 70),
    ]
    with guarded(PAGE) as end:
        begin = end - PAGE
        for content, size in product(contents, range(201)):
            text = content[:size]
            wanted, ids = native.embed(text + b"\0the")[:1], native.token_ids(text)
            for place in (begin, end - size):
                ctypes.memset(begin, ord("x"), PAGE)
                ctypes.memmove(place, text, size)
                assert np.array_equal(bits(native.embed_at(place, size, 1)), bits(wanted))
                assert np.array_equal(native.token_ids_at(place, size), ids)


def test_nothing_is_read_beyond_the_file_nor_written_beyond_the_vectors(both, sentences):
    text = joined(sentences[:50])
    with guarded(len(both.file)) as end:
        ctypes.memmove(end - len(both.file), both.file, len(both.file))
        native = Native((end - len(both.file), len(both.file)))
        wanted = native.embed(text)
        assert np.array_equal(bits(wanted), bits(both.native.embed(text)))
        native.close()
    with guarded(wanted.nbytes) as end:
        place = end - wanted.nbytes
        assert both.native.library.ep_embed(both.native.handle, address_of(text), len(text), place, 50, 0, 1) == 50
        assert ctypes.string_at(place, wanted.nbytes) == wanted.tobytes()


def joined(texts: Sequence[str]) -> bytes:
    return "\0".join(texts).encode()


def bits(vectors: np.ndarray) -> np.ndarray:
    """NaN and -0 are told apart, too."""
    return vectors.view(np.uint32)
