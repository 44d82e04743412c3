"""Phrases in the engine: ONNX Runtime's bits at int8, in ids as in texts; and what a file that has them must hold."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from threading import Thread
from time import sleep

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edge_potion import StaticModel
from edge_potion.exporters.make_golden import golden_of
from edge_potion.exporters.text_family import Family, family_of
from edge_potion.golden import TOLERANCES, check_parity
from edge_potion.phrases import Phrases
from edge_potion.static_model import Card
from edge_potion.tokens import tokenize

from ..exporters.fuzz_texts import KINDS, fuzz_bytes, fuzz_texts, texts_over
from ..exporters.test_text_graph import (
    BAD_BYTES,
    EDGE_TEXTS,
    LONG_TEXTS,
    SMALL_CHARACTERS,
    SMALL_WORDS,
    small_vocabulary,
    word_piece,
)
from ..models import CHECKOUT, phrases_of
from .both import Both
from .c_interface import BAD_ARGUMENT, DAMAGED, NO_LIMIT, NOT_OURS, STOPPED, Native, Refused
from .test_exact import DIMS, FACTORS, KINDS_OF_TABLE, MOST_AT_ONCE, PLAIN, bits, joined, random_model
from .test_head import KERNELS, first_is, planted, random_head, renamed, say
from .test_safety import edited, refusal_of, table_of

pytestmark = pytest.mark.usefixtures("installed_engine")

MOST = 5000  # phrases; those of the tests' sentences
TABLES = ("phrase_multipliers", "phrase_keys", "phrase_rows")


@pytest.fixture(scope="module")
def model(sentences) -> StaticModel:
    return phrases_of(StaticModel.from_pretrained(), sentences, MOST)


@pytest.fixture(scope="module")
def tables(model) -> Family:
    return family_of(model.tokenizer)


@pytest.fixture(scope="module")
def both(model, tables) -> Both:
    return Both.of(model, tables=tables)


@pytest.fixture
def small(phrase_model) -> Both:
    return Both.of(phrase_model)


# Vectors and logits.


def test_real_and_random_texts_of_every_class_have_the_bits_of_onnxruntime(both, sentences):
    pieces = sorted(word.removeprefix("##") for word in both.model.tokenizer.get_vocab())
    texts = [*sentences, *(" ".join(sentences[place : place + 40]) for place in range(0, len(sentences), 7))]
    done = both.check([*texts, *EDGE_TEXTS, *LONG_TEXTS, *BAD_BYTES])
    seed = random.SystemRandom().randrange(10**9)
    for kind in KINDS:
        done += both.check(fuzz_texts(kind, seed, 500, pieces, sentences), told=f"{kind} {seed}")
    done += both.check(fuzz_bytes(seed, 1000, sentences), told=f"bytes {seed}")
    both.check(EDGE_TEXTS, batch=1)
    assert done > 9000


def test_the_first_lines_of_the_corpus_have_the_bits_of_onnxruntime(tables, shared_sentences):
    """With as many phrases as a model is to have."""
    texts = shared_sentences[:20_000]
    model = phrases_of(StaticModel.from_pretrained(), texts, 33_000)
    both = Both.of(model, tables=tables)
    assert both.check(texts) == len(texts)
    ids = tokenize(model.tokenizer, texts, model.card.max_tokens)
    assert len(model.phrases.found(ids).flat) > len(texts)


@pytest.mark.parametrize("kind", ["one label", "means", "vector only"])
def test_a_head_counts_the_pieces_alone_and_sees_the_vector_of_both(kind, model, tables, sentences):
    head = random_head(model, sentences, 77)
    if kind == "vector only":
        head = replace(head, grams=head.grams[:0], rows=head.rows[:0])
    each = Both.of(replace(model, head=head, card=replace(model.card, normalize=kind != "means")), tables=tables)
    each.check([*sentences, *EDGE_TEXTS, *LONG_TEXTS[::3], *BAD_BYTES])


def test_every_width_is_right_at_every_precision():
    tokenizer = word_piece(small_vocabulary(), PLAIN)
    tables = family_of(tokenizer)
    alphabet = [*SMALL_CHARACTERS, *SMALL_WORDS]
    texts = [*EDGE_TEXTS, *texts_over(alphabet, 1, 500), " ".join(texts_over(alphabet, 1, 200))]
    for number, ((precision, factor), normalize) in enumerate(product(KINDS_OF_TABLE, (True, False))):
        dim = DIMS[number % len(DIMS)]
        each = random_model(tokenizer, dim, small=factor, normalize=normalize)
        for most in (1, 40):
            Both.of(phrases_of(each, texts, most), precision, tables).check(texts, told=f"{precision} {factor} {dim=}")


@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_vectors_are_the_oracles(precision, model, tables):
    golden = golden_of(model)
    native = Both.of(model, precision, tables).native
    check_parity(golden, native.embed(joined(golden.texts)), precision, "the engine")
    alone = np.concatenate([native.embed(joined([text])) for text in golden.texts])
    check_parity(golden, alone, precision, "the engine, one text a call")


@pytest.mark.parametrize("most", [1, 2, 7, 1000])
def test_a_pair_that_the_end_of_a_text_cuts_is_no_phrase(most, model, tables, both, sentences):
    texts = [*sentences[:300], " ".join(sentences[:90]), "", "a"]
    cut = Both.of(replace(model, card=replace(model.card, max_tokens=most)), tables=tables)
    cut.check(texts)
    assert np.array_equal(bits(both.native.embed(joined(texts), most)), bits(cut.native.embed(joined(texts))))


def test_phrases_are_found_in_ids_too_and_are_no_ids_themselves(model, both, sentences):
    native = both.native
    ids = tokenize(model.tokenizer, sentences, model.card.max_tokens)
    for text, row in zip(sentences, ids.split(), strict=True):
        assert native.token_ids(text.encode()).tolist() == row.tolist()
    wanted = native.embed(joined(sentences))
    for threads in (1, 3):
        assert np.array_equal(bits(native.embed_ids(ids.flat, ids.lengths, threads)), bits(wanted))
        assert np.array_equal(
            bits(native.embed_texts([text.encode() for text in sentences], threads=threads)), bits(wanted)
        )
    assert native.vocabulary_size == model.pieces
    for wrong in (model.pieces, model.pieces + 1, len(model.table), -1):
        with pytest.raises(Refused, match="id") as refused:
            native.embed_ids(np.array([5, wrong]), np.array([2]))
        assert refused.value.status == BAD_ARGUMENT
    nothing = native.embed_ids(np.array([], np.int32), np.array([0, 0]))
    assert not nothing.any()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("factor", FACTORS)
def test_sums_over_very_many_rows_are_exact(factor, normalize):
    """Of fewer tokens than one part of a sum takes, and with their phrases of more."""
    tokenizer = word_piece(["[PAD]", "[UNK]", "a", "b", "c"], PLAIN)
    plain = random_model(tokenizer, 70, small=factor, normalize=normalize, max_tokens=None)
    rows = np.random.default_rng(1).normal(size=(3, 70)).astype(np.float32)
    pairs = np.array([[2, 2], [2, 3], [4, 2]], np.int32)
    both = Both.of(replace(plain, table=np.concatenate([plain.table, rows]), phrases=Phrases(pairs, 5)))
    exact = replace(both.model, table=both.packed.unpacked())
    for tokens in (MOST_AT_ONCE // 2, MOST_AT_ONCE // 2 + 1, MOST_AT_ONCE, 2 * MOST_AT_ONCE + 5):
        for text in ("a " * tokens, "a b c " * (tokens // 3)):
            found, wanted = both.native.embed(text.encode()), exact.encode([text])
            assert np.abs(found - wanted).max() <= 1e-6 * max(1, np.abs(wanted).max())
            ids = both.native.token_ids(text.encode())
            assert np.array_equal(bits(both.native.embed_ids(ids, np.array([len(ids)]))), bits(found))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("text", ["a " * 512, "a b c " * 170, "c a " * 256], ids=["one", "three", "two"])
def test_a_thousand_rows_of_floats_add_up_as_the_oracles_do(precision, text):
    """Each sum is rounded; of so many, one after the other, more than golden.json allows would be lost."""
    tokenizer = word_piece(["[PAD]", "[UNK]", "a", "b", "c"], PLAIN)
    plain = random_model(tokenizer, 256, max_tokens=512)
    rows = np.random.default_rng(1).normal(size=(3, 256)).astype(np.float32)
    pairs = np.array([[2, 2], [2, 3], [4, 2]], np.int32)
    both = Both.of(replace(plain, table=np.concatenate([plain.table, rows]), phrases=Phrases(pairs, 5)), precision)
    exact = replace(both.model, table=both.packed.unpacked())
    assert np.abs(both.native.embed(text.encode()) - exact.encode([text])).max() <= TOLERANCES["float32"].max_abs_diff


def test_what_is_unknown_parts_two_pieces(small):
    together, parted, unknown = small.native.embed(joined(["the cat", "the xqz cat", "xqz the"]))
    assert not np.array_equal(together, parted)
    small.check(["the cat", "the xqz cat", "cat the", "the the cat cat sat", "a b a b a", "dogs", "dog s", "☃ cat"])
    assert np.isfinite(unknown).all()


@pytest.mark.parametrize("name", KERNELS)
def test_every_kind_of_kernels_has_the_same_bits(name, both, small, sentences, tmp_path):
    texts = [*sentences, *EDGE_TEXTS]
    digest = hashlib.sha256()
    for number, each in enumerate((both, small)):
        (tmp_path / f"{number}.onnx").write_bytes(each.file)
        digest.update(each.native.embed(joined([text.replace("\0", "") for text in texts])).tobytes())
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    script = """
import hashlib, json, sys
from pathlib import Path
from edge_potion.engine import Engine, kernels
folder, digest = Path(sys.argv[1]), hashlib.sha256()
for number in "01":
    engine = Engine(folder / f"{number}.onnx")
    digest.update(engine.encode(json.loads((folder / "texts.json").read_text()), 256, engine.max_tokens).tobytes())
print(kernels(), digest.hexdigest())
"""
    words = [sys.executable, "-c", script, tmp_path]
    environment = {**os.environ, "EDGE_POTION_KERNELS": name}
    done = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    kernels, found = done.stdout.split()
    if kernels != name:
        pytest.skip(f"this processor has no {name}")
    assert found == digest.hexdigest()


def test_a_model_of_one_phrase_and_of_no_pair_in_a_text_are_right(phrase_model):
    one = replace(phrase_model, table=phrase_model.table[:33], phrases=Phrases(phrase_model.phrases.pairs[:1], 32))
    Both.of(one).check(["the cat", "cat sat", "", "the", "the cat the cat", *EDGE_TEXTS])


# Files that are damaged.


def typed_otherwise(model: onnx.ModelProto) -> None:
    table_of(model, "phrase_rows").data_type = TensorProto.UINT32


def truncated(name: str) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        tensor = table_of(model, name)
        tensor.raw_data = tensor.raw_data[:-1]

    return edit


def said(key: str, value: str | None) -> Callable[[onnx.ModelProto], None]:
    return lambda graph: say(graph, key, value)


def rows_are(value: int) -> Callable[[onnx.ModelProto], None]:
    return planted("phrase_rows", lambda rows: np.full_like(rows, value))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        *((renamed(name), f"no table {name}") for name in TABLES),
        *((truncated(name), f"{name} has not as many bytes") for name in TABLES),
        *((planted(name, lambda numbers: numbers.astype(np.float32)), f"{name} has another type") for name in TABLES),
        (typed_otherwise, "phrase_rows has another type"),
        *((planted(name, lambda numbers: numbers[None]), f"{name} has another type or rank") for name in TABLES),
        *(
            (planted(name, lambda numbers: np.resize(numbers, 3)), "tables of phrases have other sizes")
            for name in TABLES
        ),
        (planted("phrase_rows", lambda rows: np.resize(rows, 4)), "tables of phrases have other sizes"),
        *((rows_are(value), "phrase_rows are not those") for value in (-1, 0, 31, 37, 2**31 - 1)),
        (planted("phrase_keys", lambda keys: np.zeros_like(keys)), "hold not as many"),
        (planted("phrase_multipliers", lambda numbers: np.zeros_like(numbers)), "hold not as many"),
        (planted("table_rows", lambda rows: rows[:-1]), "not a row for each"),
        (said("phrases", "4"), "not a row for each"),
        (said("tokens", "31"), "not a row for each"),
        *((said("phrases", value), "phrases is missing") for value in (None, "", "0", "-1")),
        *((said("tokens", value), "tokens is missing") for value in (None, "x", "0")),
        (said("text_tables", "1"), "does not say so"),
        (said("unknown_id", "32"), "unknown_id points beyond"),
        (planted("piece_ids", first_is(32)), "piece_ids point beyond"),
    ],
)
def test_tables_of_phrases_that_are_not_as_written_are_named_in_the_error(edit, told, small):
    refused = refusal_of(edited(small.file, edit))
    assert told in refused.sentence and refused.status == DAMAGED


def test_a_file_of_a_later_version_is_refused_by_name(small):
    refused = refusal_of(edited(small.file, lambda graph: say(graph, "text_tables", "4")))
    assert refused.status == NOT_OURS and "another version than this engine's" in refused.sentence


def test_a_file_that_tells_of_phrases_and_has_none_is_refused(small):
    def edit(graph: onnx.ModelProto) -> None:
        for name in TABLES:
            renamed(name)(graph)

    assert "no table phrase_multipliers" in refusal_of(edited(small.file, edit)).sentence


@pytest.mark.parametrize("name", TABLES)
def test_bytes_that_were_turned_in_a_table_of_phrases_are_refused_or_give_numbers(name, small):
    source = random.Random(name)
    texts = b"the cat sat on the mat.\0a b a b dogs\0\0[PAD] running 0 1\0" + b"the cat " * 40
    outcomes = []
    for _ in range(100):

        def edit(graph: onnx.ModelProto) -> None:
            tensor = table_of(graph, name)
            content = bytearray(tensor.raw_data)
            for _ in range(source.choice((1, 1, 8))):
                content[source.randrange(len(content))] ^= 1 << source.randrange(8)
            tensor.raw_data = bytes(content)

        try:
            native = Native(edited(small.file, edit))
        except Refused as refused:
            assert refused.status == DAMAGED and len(refused.sentence) > 20
            outcomes.append("refused")
            continue
        assert np.isfinite(native.embed(texts)).all()
        outcomes.append("embedded")
        native.close()
    assert "refused" in outcomes


def test_a_long_call_is_stopped(phrase_model):
    card = Card("endless", normalize=True, max_tokens=None)
    native = Both.of(replace(phrase_model, card=card)).native
    long = b"the cat sat on the mat. \0" * 400_000
    statuses: list[int] = []

    def work() -> None:
        try:
            native.embed(long, NO_LIMIT)
        except Refused as refused:
            statuses.append(refused.status)

    worker = Thread(target=work)
    worker.start()
    while worker.is_alive():
        sleep(0.001)
        native.library.ep_stop(native.handle)
    worker.join()
    assert statuses == [STOPPED]
