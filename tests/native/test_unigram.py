"""Unigram in the engine: exactly the tokenizer's ids, whatever its settings, pieces and texts; no file is trusted."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from threading import Thread

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import pack
from edge_potion.exporters.text_family import family_of
from edge_potion.exporters.text_graph import text_graph
from edge_potion.static_model import Card
from edge_potion.tokens import tokenize

from ..exporters.fuzz_texts import KINDS, fuzz_bytes, fuzz_texts, texts_over
from ..exporters.test_text_graph import BAD_BYTES, EDGE_TEXTS, LONG_TEXTS
from ..exporters.test_unigram import BLANKS
from ..exporters.unigram_tokenizers import BYTES, SETTINGS, by_hand, split_by, trained
from ..models import CHECKOUT
from .built import engine_built, run
from .c_interface import DAMAGED, NO_LIMIT, NOT_OURS, STOPPED, Native, Refused

pytestmark = pytest.mark.usefixtures("installed_engine")

DIM = 8
NODES = 2**16  # of a trie: what a table is damaged by


@dataclass(frozen=True)
class Unigram:
    """A file in the engine, and the tokenizer that it was made of."""

    tokenizer: Tokenizer
    file: bytes
    native: Native

    @classmethod
    def of(cls, tokenizer: Tokenizer, max_tokens: int | None = None) -> Unigram:
        count = tokenizer.get_vocab_size()
        table = np.random.default_rng(0).normal(size=(count, DIM)).astype(np.float32)
        says = {"tokens": str(count), "normalize": "true", "max_tokens": json.dumps(max_tokens)}
        pooling = Pooling(pack(table, "int8"), np.zeros(0, np.int64), normalize=True)
        file = text_graph(pooling, family_of(tokenizer), max_tokens, says).SerializeToString()
        return cls(tokenizer, file, Native(file))

    def check(self, texts: Sequence[str | bytes], max_tokens: int | None = None, told: object = "") -> None:
        """Fails with the shortest text that differs; what is no UTF-8 comes as bytes."""
        content = [text if isinstance(text, bytes) else text.encode() for text in texts]
        decoded = [text.decode(errors="replace") for text in content]
        expected = tokenize(self.tokenizer, decoded, max_tokens).split()
        limit = NO_LIMIT if max_tokens is None else max_tokens
        wrong = [
            (text, ids.tolist())
            for text, ids in zip(content, expected, strict=True)
            if not np.array_equal(self.native.token_ids(text, limit), ids)
        ]
        if wrong:
            text, ids = min(wrong, key=lambda pair: len(pair[0]))
            found = self.native.token_ids(text, limit).tolist()
            pytest.fail(f"{told}: {len(wrong)} differ, such as {text[:1000]!r}: {found[:50]}, and {ids[:50]} expected")


@pytest.fixture(scope="module", params=SETTINGS)
def unigram(request, sentences) -> Unigram:
    """Trained on half of the sentences, so that characters of the others are unknown."""
    return Unigram.of(trained(sentences[::2], request.param))


# Ids.


def test_real_sentences_and_hostile_texts_have_the_tokenizers_ids(unigram, sentences):
    unigram.check(sentences)
    unigram.check([*BLANKS, *EDGE_TEXTS, *LONG_TEXTS, *BAD_BYTES])
    joined = "\n".join(sentences)
    unigram.check([joined, joined.replace("\n", "  "), "  " + joined, joined.replace(" ", "") + " "])


def test_words_that_are_remembered_have_the_same_ids(unigram, sentences):
    source = random.Random(0)
    words = [word for sentence in sentences for word in sentence.split(" ")][:3000]
    texts = [" ".join(source.choices(words, k=source.randint(1, 40))) for _ in range(500)]
    for _ in range(2):
        unigram.check([*texts, *[word + "\0" for word in words[:200]], *words])


def test_random_texts_of_every_class_have_the_tokenizers_ids(unigram, sentences):
    seed, pieces = random.SystemRandom().randrange(10**9), sorted(unigram.tokenizer.get_vocab())
    for kind in KINDS:
        unigram.check(fuzz_texts(kind, seed, 200, pieces, sentences), told=f"{kind} {seed}")
    unigram.check(texts_over([*pieces, *" ▁☃x\0", "<unk>"], seed, 500), told=f"pieces {seed}")
    unigram.check([bytes(text) for text in fuzz_bytes(seed, 300, sentences)], told=f"bytes {seed}")


def test_a_text_is_cut_at_max_tokens_in_the_order_of_its_tokens(unigram, sentences):
    texts = [*sentences[:200], *BLANKS, "☃ a" * 50, "☃" * 5000 + "a", "a" * 20_000, *LONG_TEXTS]
    for most in (1, 2, 3, 17, 500):
        unigram.check(texts, most, told=most)


def test_words_of_any_length_are_cut_as_the_tokenizer_cuts_them(unigram, sentences):
    source = random.Random(0)
    letters = "".join(sentences)[:5000].replace(" ", "").replace("\0", "")
    lengths = (15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 4200, 9000, 50_000)
    texts = ["".join(source.choices(letters, k=length)) for length in lengths]
    unigram.check([*texts, *["a " + text + " b" for text in texts], "a" * 100_000, "☃" * 30_000 + "a", "the" * 30_000])


def test_every_tie_and_every_run_of_the_unknown_is_the_tokenizers():
    letters = {each: -4.0 - number % 3 for number, each in enumerate("▁abcd")}
    stops = {**letters, ".": -3.0, "..": -40.0, ".x": -50.0, "xy": -60.0, "☃.": -50.0}
    blanks = {**letters, "a▁b": -1.0, "▁▁": -2.0, "b▁": -1.5, " ": -0.5, "a b": -0.1}
    some_bytes = {**letters, **dict.fromkeys(set(BYTES) - {"<0xE2>"}, -9.0)}
    far = {name: random.Random(name).gauss(0, 1e12) for name in ("a", "b", "ab", "abc", "ca", "▁a", "▁ab", "bca")}
    for tokenizer, alphabet in (
        (by_hand({**letters, "ab": -8.0, "bc": -8.0, "abc": -12.0, "cd": -10.0, "abcd": -18.0, "▁a": -8.0}), "abcd"),
        (by_hand({"ab": 0.1, "a": 0.1, "b": 0.2, "ba": 0.3, "bab": 0.30000000000000004, "aba": 0.4}), "ab"),
        (by_hand(far), "abc"),
        (by_hand([*letters.items(), ("ab", -2.0), ("ab", -30.0), ("a", -1.0), ("", -3.0)]), "abc"),
        (by_hand(stops, unknown=list(stops).index(".") + 1), "a.xy☃"),
        (by_hand({**stops, **dict.fromkeys(BYTES, -9.0)}, unknown=6, has_bytes=True), "a.xy☃"),
        (by_hand(some_bytes, has_bytes=True), "a☃é\0"),
        (by_hand(blanks, splitter=split_by("always", False, False)), "ab ▁"),
        (by_hand(blanks, splitter=split_by("never", True, True)), "ab ▁"),
        (by_hand(blanks, splitter=split_by("always", False, True)), "ab ▁"),
    ):
        words = ["".join(each) for length in range(1, 7) for each in product(alphabet, repeat=length)]
        unigram = Unigram.of(tokenizer)
        for some in (words, words[:200]):
            unigram.check(some)


def test_a_long_piece_is_found_whole_and_inside_a_word():
    pieces = {
        "▁": -2.0,
        "a": -3.0,
        "b": -3.0,
        "━" * 95: -5.0,
        "━": -3.0,
        "a" * 40 + "b": -1.0,
        "c" * 9000: -1.0,
        "c": -3.0,
    }
    texts = ["━" * length for length in (1, 94, 95, 96, 190, 500)] + ["a" * length + "b" for length in (39, 40, 41, 90)]
    Unigram.of(by_hand(pieces)).check(
        [*texts, " ".join(texts), *["c" * length for length in (8999, 9000, 9001, 40_000)]]
    )


@pytest.mark.slow
def test_every_text_of_tatoeba_in_112_languages_has_the_tokenizers_ids(unigram, shared, shared_sentences):
    with gzip.open(shared / "data" / "tatoeba-112" / "pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    unigram.check([text for pair in pairs for text in (pair["text"], pair["english"])])
    unigram.check(shared_sentences)


# Calls.


def test_vectors_are_those_of_the_ids_however_texts_are_given(unigram, sentences):
    texts = [text.encode() for text in (*sentences, *BLANKS) if "\0" not in text]
    ids = [unigram.native.token_ids(text) for text in texts]
    lengths = np.array([len(each) for each in ids])
    wanted = unigram.native.embed_ids(np.concatenate(ids), lengths)
    joined = b"\0".join(texts)
    for threads in (1, 2, 3):
        assert np.array_equal(unigram.native.embed(joined, threads=threads), wanted)
        assert np.array_equal(unigram.native.embed_texts(texts, threads=threads), wanted)


@pytest.mark.parametrize("setting", ["always", "always, in bytes", "never, whole texts"])
def test_a_text_with_nul_has_the_oracles_vector(sentences, setting, tmp_path):
    tokenizer = trained(sentences[::2], setting)
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), DIM)).astype(np.float32)
    model = StaticModel(table, tokenizer, Card("nul", normalize=True, max_tokens=None))
    export(model, tmp_path / "bundle", quantize="float32", graphs="text")
    opened = EdgeModel.from_pretrained(tmp_path / "bundle", engine="native")
    texts = ["\0", "a\0b", "\0\0 a", "the\0", "☃\0☃", "the cat", ""]
    for some in (texts, *([text] for text in texts)):
        assert np.allclose(opened.encode(some), model.encode(some), atol=1e-5)


def test_a_call_on_one_long_word_is_stopped(unigram):
    texts = [b"ab" * (8 << 20), "日本".encode() * (4 << 20), b"a b " * (4 << 20)]
    for text in texts:
        ended: list[int] = []

        def work(text: bytes = text, ended: list[int] = ended) -> None:
            vector = np.empty(DIM, np.float32)
            library, handle = unigram.native.library, unigram.native.handle
            ended.append(library.ep_embed(handle, text, len(text), vector.ctypes.data, 1, NO_LIMIT, 1))

        thread = Thread(target=work)
        thread.start()
        while thread.is_alive():
            unigram.native.library.ep_stop(unigram.native.handle)
            thread.join(0.01)
        assert ended[0] in (1, STOPPED)


@pytest.mark.slow
def test_the_tests_in_cpp_pass_and_every_access_is_watched(sentences, tmp_path):
    for number, setting in enumerate(("always", "white space in bytes", "first, whole texts in bytes")):
        file = tmp_path / f"{number}.onnx"
        file.write_bytes(Unigram.of(trained(sentences[::2], setting), 512).file)
        for built in (engine_built("plain"), engine_built("watched", "-DEP_SANITIZE=address,undefined")):
            assert "0 failures" in run(built / "test_engine", file)


# Files that are damaged.


@pytest.fixture(scope="module")
def graph(sentences) -> bytes:
    return Unigram.of(trained(sentences[::2], "white space in bytes"), 64).file


def test_no_damage_of_a_file_ends_the_process_or_gives_nan(graph, sentences, tmp_path):
    (tmp_path / "bytes.onnx").write_bytes(graph)
    (tmp_path / "whole.onnx").write_bytes(Unigram.of(trained(sentences[::2], "never, whole texts")).file)
    words = [sys.executable, "-X", "faulthandler", "-m", "tests.native.damaged_files", tmp_path, "0", "1500"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{(tmp_path / 'last').read_text()[-100:]}: {done.stderr[-3000:]}"
    outcomes = json.loads(done.stdout)
    assert outcomes["mutation refused"] > 100 and outcomes["mutation embedded"] > 100
    assert not outcomes.get("cut embedded")


def refusal_of(file: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        Native(file)
    assert len(refused.value.sentence) > 20
    return refused.value


def test_every_table_is_missed_and_held_to_its_size_and_type(graph):
    names = [tensor.name for tensor in onnx.load_model_from_string(graph).graph.initializer]
    needed = [name for name in names if name.startswith(("trie_", "symbol", "unknown_score", "byte_ids"))]
    assert len(needed) == 8
    for name in needed:
        for spoil in (lambda tensor: setattr(tensor, "name", "other"), halved, retyped):
            model = onnx.load_model_from_string(graph)
            spoil(next(tensor for tensor in model.graph.initializer if tensor.name == name))
            refused = refusal_of(model.SerializeToString())
            assert refused.status == DAMAGED


def halved(tensor: TensorProto) -> None:
    numbers = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.concatenate([numbers, numbers])[: len(numbers) // 2 or 2], tensor.name))


def retyped(tensor: TensorProto) -> None:
    numbers = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(numbers.astype(np.float32), tensor.name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trie_units", NODES << 8),
        ("trie_units", 2**32 - 1),
        ("trie_ids", 1 << 20),
        ("trie_ids", -2),
        ("trie_words", 1 << 20),
        ("trie_words", -2),
        ("trie_scores", np.nan),
        ("trie_scores", np.inf),
        ("unknown_score", np.nan),
        ("unknown_score", -np.inf),
        ("byte_ids", 1 << 20),
        ("symbols", -1),
        ("symbols", 1 << 22),
        ("symbol_page_of", 1 << 20),
        ("symbol_page_of", -1),
    ],
)
def test_a_number_out_of_range_is_refused_by_the_name_of_its_table(graph, name, value):
    model = onnx.load_model_from_string(graph)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    numbers = numpy_helper.to_array(tensor).copy()
    numbers[-1] = value
    tensor.raw_data = numbers.tobytes()
    refused = refusal_of(model.SerializeToString())
    assert refused.status == DAMAGED and (name.split("_")[0] in refused.sentence)


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("tokenizer", "bpe", NOT_OURS),
        ("text_tables", "4", NOT_OURS),
        ("passes", "dance", NOT_OURS),
        *(
            (key, value, DAMAGED)
            for key in ("split", "split_whitespace", "collapse_spaces", "byte_fallback")
            for value in (None, "yes")
        ),
        *(("prepend", value, DAMAGED) for value in (None, "", "first")),
        *(("nul", value, DAMAGED) for value in (None, "dropped", "0", "55296", "1114112")),
        *(("strip", value, DAMAGED) for value in (None, "middle")),
        *(
            (key, value, DAMAGED)
            for key in ("longest_piece", "tokens", "unknown_id")
            for value in (None, "0x1", "999999999999")
        ),
        ("passes", None, DAMAGED),
        ("passes", "map", DAMAGED),
    ],
)
def test_what_a_file_must_say_of_itself_is_named_where_it_does_not(graph, key, value, status):
    model = onnx.load_model_from_string(graph)
    said = {each.key: each.value for each in model.metadata_props} | {key: value}
    del model.metadata_props[:]
    helper.set_model_props(model, {name: text for name, text in said.items() if text is not None})
    assert refusal_of(model.SerializeToString()).status == status
