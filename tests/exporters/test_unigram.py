"""The text graph of Unigram: exactly the tokenizer's ids, whatever its settings, pieces and texts."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from edge_potion import EdgeModel, ModelFormatError, StaticModel, export, verify
from edge_potion.exporters.text_family import family_of
from edge_potion.exporters.unigram_tables import unigram_pieces
from edge_potion.golden import Golden, check_parity
from edge_potion.static_model import Card
from edge_potion.tokens import plain, tokenize

from .fuzz_texts import KINDS, fuzz_bytes, fuzz_texts, texts_over
from .test_text_graph import BAD_BYTES, EDGE_TEXTS, LONG_TEXTS, TextGraph, built
from .unigram_tokenizers import BYTES, NORMALIZERS, SETTINGS, by_hand, split_by, trained

BLANKS = [
    *("▁", "▁▁", "▁ ▁", " ▁", "▁ ", "a▁b", "a▁▁b", "▁a", " a", "  a  b  ", "a ", "\u3000", "a\u3000b", " \u3000 a"),
    *(
        "<unk>",
        "<s></s>",
        "a<unk>b",
        "☃<unk>☃",
        "<unk><unk>",
        "<pad> <unk>☃",
        "<0x41>",
        "☃",
        "☃☃",
        "☃ ☃",
        "a☃☃b",
        "☃▁☃",
    ),
    *("\x00", "a\x01b", "\x80", "🧿☃𝔘", "\U0010ffff", "\ufdd0"),
]


@pytest.fixture(scope="module", params=SETTINGS)
def tokenizer(request, sentences) -> Tokenizer:
    """Trained on half of the sentences, so that characters of the others are unknown."""
    return trained(sentences[::2], request.param)


@pytest.fixture(scope="module")
def graph(tokenizer) -> TextGraph:
    return built(tokenizer, None)


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    return sorted(tokenizer.get_vocab())


# Ids.


def test_real_sentences_and_hostile_texts_have_the_tokenizers_ids(graph, sentences):
    graph.check(sentences)
    graph.check([*BLANKS, *EDGE_TEXTS, *LONG_TEXTS])
    graph.check([*BLANKS, *EDGE_TEXTS], batch=1)
    graph.check(BAD_BYTES)


def test_random_texts_of_every_class_have_the_tokenizers_ids(graph, sentences):
    seed, pieces = random.SystemRandom().randrange(10**9), pieces_of(graph.tokenizer)
    for kind in KINDS:
        graph.check(fuzz_texts(kind, seed, 100, pieces, sentences), seed=f"{kind} {seed}")
    graph.check(texts_over([*pieces, *" ▁☃x", "<unk>"], seed, 300), seed=f"pieces {seed}")
    graph.check(fuzz_bytes(seed, 200, sentences), seed=f"bytes {seed}")


def test_a_text_is_cut_at_max_tokens_in_the_order_of_its_tokens(tokenizer, sentences):
    for most in (1, 3, 17):
        built(tokenizer, most).check([*sentences[:300], *BLANKS, "☃ a" * 50])


def test_texts_without_blanks_are_exact_at_any_length(graph, sentences):
    source = random.Random(0)
    letters = "".join(sentences)[:5000].replace(" ", "").replace("\0", "")
    lengths = (7, 8, 9, 15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 9000)
    texts = ["".join(source.choices(letters, k=length)) for length in lengths]
    graph.check([*texts, "a" * 20_000, "☃" * 5000, *sentences[:50]])


@pytest.fixture(scope="module")
def letters() -> dict[str, float]:
    return {each: -4.0 - number % 3 for number, each in enumerate("▁abcd")}


def check_all_words(tokenizer: Tokenizer, alphabet: Sequence[str], longest: int = 6) -> None:
    words = ["".join(each) for length in range(1, longest + 1) for each in product(alphabet, repeat=length)]
    built(tokenizer, None).check(words, batch=2000)


def test_of_equal_sums_the_piece_that_begins_first_counts(letters):
    pieces = {**letters, "ab": -8.0, "bc": -8.0, "abc": -12.0, "cd": -10.0, "abcd": -18.0, "▁a": -8.0, "bcd": -14.0}
    check_all_words(by_hand(pieces), "abcd")
    check_all_words(by_hand(dict.fromkeys([*letters, "ab", "bc", "aa", "abc", "bb", "▁ab"], -1.0)), "abc")
    check_all_words(
        by_hand({"ab": 0.1, "a": 0.1, "b": 0.2, "ba": 0.3, "bab": 0.30000000000000004, "aba": 0.4}), "ab", 9
    )


def test_scores_above_zero_and_far_below_it_are_added_as_the_tokenizer_adds_them(letters):
    source = random.Random(5)
    names = {"".join(source.choices("▁abcd", k=source.randint(1, 5))) for _ in range(80)}
    for scale in (1e-9, 1.0, 30.0, 1e12):
        check_all_words(by_hand({name: source.gauss(0, scale) for name in sorted(names)}), "abcd", 5)


def test_a_piece_of_which_there_are_two_has_the_id_of_the_last(letters):
    pieces = [*letters.items(), ("ab", -2.0), ("ab", -30.0), ("a", -1.0), ("", -3.0)]
    check_all_words(by_hand(pieces), "abc")


def test_unknown_nodes_are_joined_and_may_be_a_piece_again(letters):
    """As in a published model, whose unknown piece is the full stop: two of them are a piece of their own."""
    stops = {**letters, ".": -3.0, "..": -40.0, ".x": -50.0, "xy": -60.0, "xyz": -61.0, "☃.": -50.0}
    number = list(stops).index(".") + 1
    for has_bytes in (False, True):
        pieces = {**stops, **dict.fromkeys(BYTES if has_bytes else (), -9.0)}
        check_all_words(by_hand(pieces, unknown=number, has_bytes=has_bytes), [*"a.xyz☃"], 5)
    check_all_words(by_hand({**letters, "<unk><unk>": -90.0, "<unk>a": -99.0}), ["<unk>", *"ax"], 5)


def test_bytes_fall_back_where_there_is_a_token_for_each(letters):
    for lacking in ((), (0xE2,), (0x98, 0x41), tuple(range(256))):
        pieces = {**letters, **{name: -9.0 for byte, name in enumerate(BYTES) if byte not in lacking}}
        check_all_words(by_hand(pieces, has_bytes=True), [*"aA☃é🧿", "<unk>"], 4)
    without_blank = dict.fromkeys(["a", *BYTES], -1.0)
    check_all_words(by_hand(without_blank, has_bytes=True), "a ☃", 5)


def test_pieces_that_hold_blanks_are_found_inside_words_that_may_hold_them(letters):
    pieces = {**letters, "a▁b": -1.0, "▁▁": -2.0, "b▁": -1.5, " ": -0.5, "a b": -0.1}
    for prepend, at_blanks, at_whitespace in product(("always", "first", "never"), (True, False), (True, False)):
        if (prepend, at_whitespace) != ("first", True):
            check_all_words(by_hand(pieces, splitter=split_by(prepend, at_blanks, at_whitespace)), "ab ▁", 6)


def test_a_long_piece_is_found_whole_and_inside_a_word(letters):
    pieces = {**letters, "━" * 95: -5.0, "━": -3.0, "a" * 40 + "b": -1.0}
    texts = ["━" * length for length in (1, 94, 95, 96, 190, 500)]
    texts += ["a" * length + "b" for length in (39, 40, 41, 90)]
    built(by_hand(pieces), None).check([*texts, " ".join(texts)])


@pytest.mark.slow
def test_every_text_of_tatoeba_in_112_languages_has_the_tokenizers_ids(tokenizer, shared):
    with gzip.open(shared / "data" / "tatoeba-112" / "pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    graph = built(tokenizer, 512)
    graph.check([pair["text"] for pair in pairs])
    graph.check([pair["english"] for pair in pairs])


# Vectors.


@pytest.fixture(scope="module")
def model(sentences) -> StaticModel:
    """With a mapping of its pieces to fewer rows, and a weight for each."""
    tokenizer = trained(sentences[::2], "white space")
    source = np.random.default_rng(0)
    table = source.normal(size=(tokenizer.get_vocab_size(), 24)).astype(np.float32)
    table[source.integers(5, len(table), 500)] = table[4]
    return StaticModel(table, tokenizer, Card("unigram", normalize=True, max_tokens=64))


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory):
    return export(
        model, tmp_path_factory.mktemp("unigram") / "bundle", quantize=["int8", "float16", "float32"], mobile=True
    )


def test_an_exported_bundle_holds_the_text_graph_and_verifies(bundle):
    assert bundle.remarks == ()
    assert {graph for graph, _ in bundle.graphs} == {"text", "bag", "tokens"}
    said = list(verify(bundle.folder))
    assert said


@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_vectors_are_the_oracles(model, bundle, sentences, precision):
    texts = [*sentences, *BLANKS, *EDGE_TEXTS, *LONG_TEXTS]
    ids = tokenize(model.tokenizer, texts, 64)
    golden = Golden(texts, [row.tolist() for row in ids.split()], model.encode(texts), ids.lengths, True)
    for engine in ("onnxruntime", "auto"):
        opened = EdgeModel.from_pretrained(bundle.folder, engine=engine, precision=precision, graph="text")
        check_parity(golden, opened.encode(texts), precision, engine)


@pytest.mark.parametrize("setting", NORMALIZERS)
def test_a_bundle_of_a_model_with_a_normalizer_verifies_on_a_phone_too(sentences, setting, tmp_path):
    tokenizer = trained(sentences[::2], setting)
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32)
    made = export(StaticModel(table, tokenizer, Card("normalized")), tmp_path / "bundle", quantize="int8", mobile=True)
    assert {graph for graph, _ in made.graphs} == {"text", "bag", "tokens"}
    assert list(verify(made.folder))


@pytest.mark.parametrize("setting", ["always", "always, in bytes", "never, whole texts", *NORMALIZERS])
def test_a_text_with_nul_and_one_of_a_megabyte_have_the_oracles_vectors(sentences, setting, tmp_path):
    tokenizer = trained(sentences[::2], setting)
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32)
    model = StaticModel(table, tokenizer, Card("nul", normalize=True, max_tokens=None))
    export(model, tmp_path / "bundle", quantize="float32", graphs="text")
    opened = [EdgeModel.from_pretrained(tmp_path / "bundle", engine=engine) for engine in ("onnxruntime", "auto")]
    texts = ["\0", "a\0b", "\0\0 a", "the\0", "☃\0☃", "\0the cat " * 2000, " ".join(sentences)[:200_000] * 5]
    for each, some in product(opened, (texts, *([text] for text in texts))):
        differences = np.abs(each.encode(some) - model.encode(some)).max(axis=1)
        allowed = [1e-5 if len(text) < 100 else 1e-4 for text in some]  # float32 sums of many terms round
        assert (differences < allowed).all()


# What is refused.


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda model: model.update(unk_id=None), "no unknown piece"),
        (lambda model: model["vocab"].append(["a\0", -1.0]), "holds a NUL"),
    ],
)
def test_vocabularies_of_which_the_graph_would_not_be_exact_are_refused(letters, change, complaint):
    content = json.loads(by_hand(letters).to_str())
    change(content["model"])
    with pytest.raises(ModelFormatError, match=f"{complaint}.*--graphs bag,tokens"):
        family_of(plain(Tokenizer.from_str(json.dumps(content))))


@pytest.mark.parametrize(
    ("splitter", "complaint"),
    [
        (None, "this tokenizer is Unigram with NoneType and NoneType"),
        (pre_tokenizers.WhitespaceSplit(), "this tokenizer is Unigram with NoneType and WhitespaceSplit"),
        (pre_tokenizers.Metaspace(replacement="_"), "Metaspace with ▁, and here it is '_'"),
        (split_by("first", True, True), "before the first"),
    ],
)
def test_other_pre_tokenizers_are_refused_by_name(letters, splitter, complaint):
    tokenizer = by_hand(letters)
    tokenizer.pre_tokenizer = splitter
    with pytest.raises(ModelFormatError, match=f"{complaint}.*--graphs bag,tokens"):
        family_of(tokenizer)


def test_added_words_and_byte_level_bpe_are_refused_by_name(letters):
    tokenizer = by_hand(letters)
    tokenizer.add_tokens([AddedToken("new york", normalized=False)])
    with pytest.raises(ModelFormatError, match=r"Unigram with Metaspace.*and added words.*--graphs bag,tokens"):
        family_of(tokenizer)
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    with pytest.raises(ModelFormatError, match=r"is byte-level BPE .*--graphs bag,tokens"):
        family_of(tokenizer)


# Tables.


def test_the_tables_say_of_every_piece_what_the_tokenizer_says(sentences):
    tokenizer = trained(sentences[::2], "always")
    pieces = unigram_pieces(tokenizer)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    nodes = {}
    for number, (text, score) in enumerate(vocabulary):
        node, trail = 0, []
        for character in text:
            child = int(pieces.units[node]) % 2**32 + pieces.symbol_of(character)
            assert pieces.units[child] >> 32 == node
            node = child
            trail.append(node)
        assert (pieces.ids[node], pieces.scores[node]) == (number, score)
        tokens = tokenizer.model.tokenize(text)
        assert pieces.words[node] == (tokens[0].id if len(tokens) == 1 else -1)
        nodes[node] = number
    assert (pieces.ids >= 0).sum() == (pieces.scores > -np.inf).sum() == len(nodes)
    assert pieces.unknown_score == min(score for _, score in vocabulary) - 10
    assert pieces.longest == max(len(text) for text, _ in vocabulary)
    assert pieces.symbol_of("☃") == 0
