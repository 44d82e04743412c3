"""The text graph of WordLevel: words are found whole, however long, or are [UNK]; in ONNX Runtime and in the engine."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from edge_potion import EdgeModel, ModelFormatError, StaticModel, export
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import pack
from edge_potion.exporters.text_family import family_of
from edge_potion.exporters.text_graph import text_graph
from edge_potion.exporters.text_pieces import LONGEST_WORD
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.golden import Golden, check_parity
from edge_potion.static_model import Card
from edge_potion.tokens import plain, tokenize

from ..native.both import Both
from ..native.c_interface import library
from .fuzz_texts import KINDS, fuzz_bytes, fuzz_texts
from .test_text_graph import BAD_BYTES, EDGE_TEXTS, LONG_TEXTS, SMALL_CHARACTERS, built

DIM = 24
LONG = 10_000  # letters
SPLITTERS = ("BertPreTokenizer", "WhitespaceSplit")
NORMALIZERS = {
    "lower-cased": {"lowercase": True, "strip_accents": False, "handle_chinese_chars": False},
    "cased": {"lowercase": False, "strip_accents": False, "handle_chinese_chars": False},
    "bert": {},
}
# One normalizer for both pre-tokenizers: each pair takes seconds of probing.
PAIRS = [*product(SPLITTERS, ["lower-cased"]), ("WhitespaceSplit", "cased"), ("BertPreTokenizer", "bert")]


def word_level(words: Sequence[str], splitter: str = "BertPreTokenizer", normalizer: str = "lower-cased") -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(["[PAD]", "[UNK]", *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(**NORMALIZERS[normalizer])
    tokenizer.pre_tokenizer = getattr(pre_tokenizers, splitter)()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]"])
    return plain(tokenizer)


def words_of(texts: Sequence[str], splitter: str, normalizer: str) -> list[str]:
    """Two of three words, so that the others are unknown, among them beginnings and ends of known ones."""
    tokenizer = word_level([], splitter, normalizer)
    normalize, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    words = sorted({word for text in texts for word, _ in split(normalize(text))})
    return [word for place, word in enumerate(words) if place % 3]


@pytest.fixture(scope="module", params=PAIRS, ids=map("-".join, PAIRS))
def tokenizer(request, sentences) -> Tokenizer:
    """Words of many scripts, a hostile text's, single characters, and words of thousands of letters."""
    splitter, normalizer = request.param
    words = words_of([*sentences, *EDGE_TEXTS, *LONG_TEXTS], splitter, normalizer)
    return word_level([*words, *SMALL_CHARACTERS, "x" * LONG, "é" * LONG, "日" * 999], splitter, normalizer)


@pytest.fixture(scope="module")
def model(tokenizer) -> StaticModel:
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), DIM)).astype(np.float32)
    return StaticModel(table, tokenizer, Card("words", normalize=True, max_tokens=512))


def hostile(sentences: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    words = sorted(tokenizer.get_vocab(), key=len)
    texts = [*EDGE_TEXTS, *LONG_TEXTS, *SMALL_CHARACTERS, *words, "[PAD] [UNK] [pad] [unk]"]
    texts += [part * length for part in ("x", "é", "X", "日", "x\u200b", "a") for length in (LONG - 1, LONG, LONG + 1)]
    texts += [f"a {'x' * LONG} é {'é' * LONG}. {'x' * 3 * LONG} b"]
    for kind in KINDS:
        texts += fuzz_texts(kind, random.SystemRandom().randrange(10**9), 60, words[:-3], sentences)
    return texts


# Ids.


def test_ids_are_the_tokenizers_for_real_and_hostile_texts(tokenizer, sentences):
    texts = hostile(sentences, tokenizer)
    graph = built(tokenizer, 512)
    graph.check([*sentences, *texts])
    graph.check([*EDGE_TEXTS, *LONG_TEXTS, "x" * LONG, "é" * LONG, "x" * (LONG + 1)], batch=1)
    graph.check([*BAD_BYTES, *fuzz_bytes(random.SystemRandom().randrange(10**9), 500, sentences)])
    for most in (1, 3, None):
        built(tokenizer, most).check([*sentences[:200], *texts[-300:]])


def test_ids_of_the_shared_corpus_are_the_tokenizers(shared_sentences):
    for splitter in SPLITTERS:
        words = words_of(shared_sentences, splitter, "lower-cased")
        built(word_level(words, splitter), 512).check(shared_sentences, batch=1000)


@pytest.mark.skipif(library() is None, reason="this install has no native engine")
def test_the_engine_has_the_tokenizers_ids_and_onnxruntimes_bits(model, sentences):
    texts = [*sentences, *hostile(sentences, model.tokenizer)]
    both = Both.of(model)
    both.check(texts)
    both.check(BAD_BYTES)
    texts = [text.replace("\0", "") for text in texts]
    wanted = tokenize(model.tokenizer, texts, 512).split()
    for text, ids in zip(texts, wanted, strict=True):
        assert both.native.token_ids(text.encode()).tolist() == ids.tolist(), text[:200]


# Vectors.


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_vectors_are_the_oracles_in_both_engines(model, sentences, tmp_path, precision):
    bundle = export(model, tmp_path / "bundle", quantize=precision)
    assert {graph for graph, _ in bundle.graphs} == {"text", "bag", "tokens"}
    texts = [*sentences[:300], *hostile(sentences, model.tokenizer)[::5], "x" * LONG, "é" * LONG, "x" * (LONG + 1)]
    ids = tokenize(model.tokenizer, texts, 512)
    known = np.array([int((~np.isin(row, model.dropped_ids)).sum()) for row in ids.split()])
    golden = Golden(texts, [row.tolist() for row in ids.split()], model.encode(texts), known, True)
    assert golden.vectors[-3].any() and not golden.vectors[-1].any()
    for engine, graph in (("native", "text"), ("onnxruntime", "text"), ("onnxruntime", "bag")):
        if engine == "onnxruntime" or library() is not None:
            opened = EdgeModel.from_pretrained(bundle.folder, engine=engine, graph=graph)
            check_parity(golden, opened.encode(texts), precision, f"{graph} in {engine}")


# What is not cut, and what is refused.


def test_no_word_is_cut_whatever_parts_of_it_are_words():
    words = ["a", "ab", "##b", "##c", "b", "abab", "é", "aé"]
    graph = built(word_level(words), None)
    graph.check(["".join(text) for length in range(5) for text in product("abcé", repeat=length)])
    said = {each.key: each.value for each in graph.model.metadata_props}
    assert (said["longest_piece"], said["longest_word"], said["unknown_id"]) == (
        "1",
        "5",
        "1",
    )  # [PAD] has five letters


def test_words_that_no_text_has_do_no_harm():
    graph = built(word_level(["", "\0", "a\0", " ", "a b", "A", "b."]), None)
    graph.check(["a", "A b", "a b", "b.", "", " "])


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("pre_tokenizer", pre_tokenizers.Whitespace()),
        ("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit()])),
        ("pre_tokenizer", pre_tokenizers.Punctuation()),
        ("pre_tokenizer", None),
        ("normalizer", normalizers.Lowercase()),
        ("normalizer", None),
        ("model", models.WordLevel({"a": 0}, unk_token="[UNK]")),
        ("model", models.WordPiece({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")),
    ],
)
def test_others_are_refused_by_name_with_what_is_supported(part, value):
    tokenizer = word_level(["a"], "WhitespaceSplit")
    setattr(tokenizer, part, value)
    supported = "WordLevel with BertNormalizer and BertPreTokenizer or WhitespaceSplit, and this tokenizer is "
    names = [type(getattr(tokenizer, name)).__name__ for name in ("model", "normalizer", "pre_tokenizer")]
    with pytest.raises(ModelFormatError, match=f"{supported}{names[0]} with {names[1]} and {names[2]}"):
        family_of(tokenizer)


def test_added_words_and_words_beyond_every_limit_are_refused():
    tokenizer = word_level(["a"])
    tokenizer.add_tokens([AddedToken("new york", normalized=False)])
    with pytest.raises(ModelFormatError, match="and added words"):
        family_of(tokenizer)
    with pytest.raises(ModelFormatError, match="at most 100,000 letters, and the vocabulary has one of 100,001"):
        family_of(word_level(["x" * (LONGEST_WORD + 1)]))


def test_a_word_of_the_longest_length_is_found_in_both_engines(tmp_path):
    tokenizer = word_level(["x" * LONGEST_WORD, "y"])
    model = StaticModel(np.eye(4, dtype=np.float32), tokenizer, Card("long", max_tokens=None))
    export(model, tmp_path / "bundle", graphs="text")
    texts = ["x" * LONGEST_WORD, "x" * (LONGEST_WORD - 1), "x" * (LONGEST_WORD + 1), f"y {'x' * LONGEST_WORD}"]
    wanted = model.encode(texts)
    assert wanted.any(axis=1).tolist() == [True, False, False, True]
    for engine in ("onnxruntime", *(["native"] if library() else [])):
        found = EdgeModel.from_pretrained(tmp_path / "bundle", engine=engine).encode(texts)
        assert np.abs(found - wanted).max() < 0.02


# WordPiece.


@pytest.mark.parametrize(
    ("words", "sha256"),
    [
        (None, "218c0fc4f08724f5dd8518df4bf01378a2db6cc977c6629d1409e5ba58033a5a"),
        (["[PAD]", "[UNK]", "a", "bb"], "e2a09423cd4e423dffef08654877eb471341881c9b39a3a5348eacbcf6e661f7"),
    ],
    ids=["hand", "without pieces that go on"],
)
def test_a_graph_of_wordpiece_is_what_it_was_before_wordlevel_byte_for_byte(hand_tokenizer, words, sha256):
    if words:
        hand_tokenizer.model = models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    pooling = Pooling(pack(np.ones((32, 2), np.float32), "int8"), (0,), True)
    graph = text_graph(pooling, family_of(hand_tokenizer), 16, {})
    assert hashlib.sha256(graph.SerializeToString()).hexdigest() == sha256


def test_the_built_in_models_graph_is_the_one_that_ships(tmp_path):
    """Nodes, small constants, inputs and outputs, by the digest that the engine holds a file to."""
    folder = BUILT_IN_FOLDER / BUILT_IN
    again = export(folder, tmp_path / "again", graphs="text")
    digests = [structure(each / "onnx" / "text_quantized.onnx") for each in (folder, again.folder)]
    assert digests[0] == digests[1]


def structure(file: Path) -> str:
    import onnx

    return next(each.value for each in onnx.load(file).metadata_props if each.key == "structure")
