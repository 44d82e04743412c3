"""The head of a classifier in the engine: ONNX Runtime's logits, bit for bit at int8, and what its file must hold."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_potion import StaticModel
from edge_potion.engine import Engine
from edge_potion.errors import InputError
from edge_potion.exporters.make_golden import golden_of
from edge_potion.exporters.text_family import Family, family_of
from edge_potion.grams import grams_of
from edge_potion.head import MOST_TOKENS, Head
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
from ..models import CHECKOUT
from .both import Both
from .c_interface import BAD_ARGUMENT, DAMAGED, NO_LABEL, NO_LIMIT, NOT_OURS, Native, Refused, library
from .test_exact import KINDS_OF_TABLE, PLAIN, bits, joined, random_model
from .test_safety import edited, refusal_of, table_of

pytestmark = pytest.mark.usefixtures("installed_engine")

LABELS = (2, 15, 16, 17, 31, 33, 60, 63, 64, 65, 77, 129, 150, 1024)
GRAMS = 2000
NAMES = ('a "quoted" one', "naïve\\café\n", "日本語 😀", "nul\0inside", "/", " ")
KERNELS = ("scalar", "avx2", "avx512-vnni", "neon")


def random_head(model: StaticModel, texts: Sequence[str], labels: int = 12, **changes) -> Head:
    """Of random weights, with rows for half of the texts' grams, at most."""
    source = np.random.default_rng(labels)
    keys = np.unique(grams_of(tokenize(model.tokenizer, texts, 512)).keys)
    keys = source.permutation(keys)[: min(len(keys) // 2, GRAMS)]
    grams = np.stack([keys >> 31, (keys & (2**31 - 1)) - 1], axis=1).astype(np.int32)
    weights = source.normal(0, 3, (model.dim + 1 + len(grams), labels)).astype(np.float32)
    weights[model.dim + 1 :: 7] *= np.float32(0.01)  # rows of other weights
    parts = {"dense": weights[: model.dim], "bias": weights[model.dim], "grams": grams}
    names = tuple(f"label {number}" for number in range(labels))
    return Head(names, **{**parts, "rows": weights[model.dim + 1 :], "temperature": 1.5, **changes})


def without_grams(head: Head) -> Head:
    return replace(head, grams=head.grams[:0], rows=head.rows[:0])


@pytest.fixture(scope="module")
def model() -> StaticModel:
    return StaticModel.from_pretrained()


@pytest.fixture(scope="module")
def tables(model) -> Family:
    return family_of(model.tokenizer)


@pytest.fixture(scope="module")
def head(model, sentences) -> Head:
    return random_head(model, sentences, 77)


@pytest.fixture(scope="module")
def both(model, head, tables) -> Both:
    return Both.of(replace(model, head=head), tables=tables)


@pytest.fixture
def small(hand_model) -> Both:
    texts = ["the cat sat on the mat.", "a dog ran 0 1 日本"]
    return Both.of(replace(hand_model, head=random_head(hand_model, texts, 5, threshold=0.4)))


# Logits.


@pytest.mark.parametrize("kind", ["one label", "several labels", "vector only", "means"])
def test_real_and_random_texts_have_the_logits_of_onnxruntime(kind, model, head, tables, sentences):
    if kind == "several labels":
        head = replace(head, multi_label=True, threshold=0.5)
    elif kind == "vector only":
        head = without_grams(head)
    card = replace(model.card, normalize=kind != "means")
    each = Both.of(replace(model, head=head, card=card), tables=tables)
    pieces = sorted(word.removeprefix("##") for word in model.tokenizer.get_vocab())
    seed = random.SystemRandom().randrange(10**9)
    done = each.check([*sentences, *EDGE_TEXTS, *LONG_TEXTS[::3], *BAD_BYTES])
    for name in KINDS:
        done += each.check(fuzz_texts(name, seed, 300, pieces, sentences), told=f"{name} {seed}")
    done += each.check(fuzz_bytes(seed, 1000, sentences), told=f"bytes {seed}")
    each.check(EDGE_TEXTS, batch=1)
    assert done >= 6000


def test_the_first_lines_of_the_corpus_have_the_logits_of_onnxruntime(both, shared_sentences):
    assert both.check(shared_sentences[:20_000]) > 1000


@pytest.mark.parametrize("labels", LABELS)
def test_every_number_of_labels_is_right_at_every_precision_and_width(labels):
    tokenizer = word_piece(small_vocabulary(), PLAIN)
    tables = family_of(tokenizer)
    texts = [*EDGE_TEXTS, *texts_over([*SMALL_CHARACTERS, *SMALL_WORDS], labels, 300)]
    for number, ((precision, small), normalize) in enumerate(product(KINDS_OF_TABLE, (True, False))):
        dim = (1, 3, 8, 63, 64, 65, 100, 256, 300)[(number + labels) % 9]
        model = random_model(tokenizer, dim, small=small, normalize=normalize)
        head = random_head(model, texts, labels, multi_label=bool(number % 2))
        each = Both.of(replace(model, head=head if number % 3 else without_grams(head)), precision, tables)
        assert each.native.labels == labels
        each.check(texts, told=f"{precision} {small} {normalize=} {dim=}")


def test_a_head_of_one_label_is_right(hand_model):
    head = random_head(hand_model, ["the cat sat"], 1, multi_label=True)
    Both.of(replace(hand_model, head=head)).check(["the cat sat", "dog", "", *EDGE_TEXTS])


def test_logits_are_near_to_the_oracles(model, head, tables, sentences):
    texts = [*sentences, *golden_of(model).texts, "", "☃"]
    ids = tokenize(model.tokenizer, texts, model.card.max_tokens)
    wanted = head.logits(model.pool(ids), grams_of(ids))
    for precision, bound in (("float32", 0.1), ("float16", 0.1), ("int8", 0.2)):
        native = Both.of(replace(model, head=head), precision, tables).native
        assert np.abs(native.classify(joined([text.replace("\0", "") for text in texts])).logits - wanted).max() < bound


def test_what_fills_its_range_fills_no_sum(hand_tokenizer):
    """Columns and rows as large as they come, all of one sign, and a text of as many tokens as a classifier takes."""
    table = np.ones((hand_tokenizer.get_vocab_size(), 4096), np.float32)
    model = StaticModel(table, hand_tokenizer, Card("ones", normalize=True, max_tokens=MOST_TOKENS))
    the = hand_tokenizer.token_to_id("the")
    ones = np.ones((4096, 2), np.float32) * np.array([1, -1], np.float32)
    grams = np.array([[the, -1], [the, the]], np.int32)
    head = Head(("a", "b"), ones, np.zeros(2, np.float32), grams, np.array([[7, -7], [7, -7]], np.float32))
    both = Both.of(replace(model, head=head))
    text = b"the " * MOST_TOKENS
    assert not both.strays([text, b"the", b""])
    longer = both.native.classify(text + b"cat " * 9, NO_LIMIT).logits
    assert np.array_equal(bits(longer), bits(both.native.classify(text).logits))
    both.native.classify(b"the " * 200_000, 2**31 - 1)
    # The largest values that int16 holds: a few dimensions are then the whole of a column.
    spike = np.zeros((4096, 2), np.float32)
    spike[:15] = 5
    one = np.zeros((hand_tokenizer.get_vocab_size(), 4096), np.float32)
    one[:, :15] = 1
    model = StaticModel(one, hand_tokenizer, model.card)
    assert not Both.of(replace(model, head=replace(head, dense=spike))).strays([b"the cat", b"dog the"])


@pytest.mark.parametrize("most", [1, 2, 7, 1000])
def test_grams_and_the_number_of_tokens_are_those_of_the_text_that_was_cut(most, model, head, tables, both, sentences):
    cut = Both.of(replace(model, head=head, card=Card("cut", normalize=True, max_tokens=most)), tables=tables)
    texts = [" ".join(sentences[place : place + 30]) for place in range(0, 600, 29)] + ["é " * 60, "☃" * 40, "", "a"]
    cut.check(texts)
    wanted = cut.native.classify(joined(texts)).logits
    assert np.array_equal(bits(both.native.classify(joined(texts), most).logits), bits(wanted))


@pytest.mark.parametrize("name", KERNELS)
def test_every_kind_of_kernels_has_the_same_logits(name, both, small, sentences, tmp_path):
    texts = [*sentences, *EDGE_TEXTS]
    digest = hashlib.sha256()
    for number, each in enumerate((both, small)):
        (tmp_path / f"{number}.onnx").write_bytes(each.file)
        digest.update(each.native.classify(joined([text.replace("\0", "") for text in texts])).logits.tobytes())
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    script = """
import hashlib, json, sys
from pathlib import Path
from edge_potion.engine import Engine, kernels
folder, digest = Path(sys.argv[1]), hashlib.sha256()
for number in "01":
    engine = Engine(folder / f"{number}.onnx")
    digest.update(engine.classify(json.loads((folder / "texts.json").read_text()), engine.max_tokens)[0].tobytes())
print(kernels(), digest.hexdigest())
"""
    words = [sys.executable, "-c", script, tmp_path]
    environment = {**os.environ, "EDGE_POTION_KERNELS": name}
    done = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    kernels, found = done.stdout.split()
    if kernels != name:
        pytest.skip(f"this processor has no {name}")
    assert found == digest.hexdigest()


# The interface.


def test_texts_by_place_in_any_number_of_threads_have_the_same_logits_and_vectors(both, sentences):
    texts = [text.encode() for text in sentences * 4]
    wanted = both.native.classify(b"\0".join(texts), with_vectors=True)
    assert np.array_equal(bits(wanted.vectors), bits(both.native.embed(b"\0".join(texts))))
    for threads in (1, 2, 4):
        for found in (
            both.native.classify(b"\0".join(texts), threads=threads, with_vectors=True),
            both.native.classify_texts(texts, threads=threads, with_vectors=True),
        ):
            assert np.array_equal(bits(found.logits), bits(wanted.logits))
            assert np.array_equal(bits(found.vectors), bits(wanted.vectors))
        assert np.array_equal(bits(both.native.classify_texts(texts, threads=threads).logits), bits(wanted.logits))
    alone = np.concatenate([both.native.classify(text).logits for text in texts[:200]])
    assert np.array_equal(bits(alone), bits(wanted.logits[:200]))
    nul = both.native.classify_texts([b"the c\0at", b"\0"]).logits
    assert np.array_equal(bits(nul), bits(both.native.classify(b"the cat\0").logits))


def test_sixteen_threads_on_one_classifier_have_the_bits_that_each_has_alone(both, sentences):
    parts = ["\0".join(sentences[number::16] * 20).encode() for number in range(16)]
    alone = [both.native.classify(part).logits for part in parts]

    def is_right(number: int) -> bool:
        calls = [both.native.classify(parts[number], threads=1 + (number + turn) % 3).logits for turn in range(6)]
        embedded = both.native.embed(parts[number])  # among them calls that classify nothing
        return all(np.array_equal(bits(call), bits(alone[number])) for call in calls) and np.isfinite(embedded).all()

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(is_right, range(16)))


@pytest.mark.parametrize("changes", [{}, {"threshold": 0.25}, {"multi_label": True, "threshold": 0.5}])
def test_probabilities_and_labels_are_those_of_onnxruntime(changes, model, head, tables, sentences):
    head = replace(head, temperature=12.0, **changes)
    both = Both.of(replace(model, head=head), tables=tables)
    data = joined([*sentences, "", "☃"])
    wanted = both.session.run(["probabilities", "label"], {"text": np.frombuffer(data, np.uint8)})
    logits = both.native.classify(data).logits
    decided = both.native.decide(logits)
    assert np.abs(decided.probabilities - wanted[0]).max() < 2e-7
    assert np.array_equal(decided.labels, wanted[1])
    assert ("threshold" in changes and not head.multi_label) == (NO_LABEL in decided.labels)
    assert np.abs(decided.probabilities - head.probabilities(logits)).max() < 2e-7
    # In their own place, and the labels alone.
    in_place, labels = logits.copy(), np.zeros(len(logits), np.int64)
    call = both.native.library.ep_probabilities
    assert call(both.native.handle, in_place.ctypes.data, len(logits), in_place.ctypes.data, None) == len(logits)
    assert np.array_equal(bits(in_place), bits(decided.probabilities))
    assert call(both.native.handle, logits.ctypes.data, len(logits), None, labels.ctypes.data) == len(logits)
    assert np.array_equal(labels, decided.labels)


def test_probabilities_of_logits_out_of_any_range_are_numbers(small):
    logits = np.array([[3e38, -3e38, 0, 1, 2], [-3e38] * 5, [1e-40, 0, 0, 0, -1e-40]], np.float32)
    decided = small.native.decide(logits)
    assert np.allclose(decided.probabilities, [[1, 0, 0, 0, 0], [0.2] * 5, [0.2] * 5])
    assert decided.labels.tolist() == [0, NO_LABEL, NO_LABEL]  # its threshold is 0.4


@pytest.mark.parametrize("escaped", [False, True])
def test_labels_are_named_as_the_file_names_them(escaped, hand_model):
    head = random_head(hand_model, ["the cat"], len(NAMES))
    file = Both.of(replace(hand_model, head=head)).file
    native = Native(edited(file, lambda graph: say(graph, "labels", json.dumps(NAMES, ensure_ascii=escaped))))
    assert [native.label(number) for number in range(len(NAMES))] == [name.replace("\0", "\ufffd") for name in NAMES]
    assert native.label(-1) is native.label(len(NAMES)) is None
    halves = Native(
        edited(file, lambda graph: say(graph, "labels", r'["\ud83d", "\ude00\ud83d\ud83d\ude00", "", "", "", "" ]'))
    )
    assert [halves.label(number) for number in range(3)] == ["\ufffd", "\ufffd\ufffd😀", ""]


@pytest.mark.parametrize(
    "threshold", [0, 1, 1.0, 0.5, 0.1, 1e-05, 0.30000001192092896, 0.123456789012345678901, 1e-320]
)
def test_a_threshold_is_the_float_that_the_file_tells(threshold, hand_model):
    head = replace(random_head(hand_model, ["the cat"], 2), threshold=threshold)
    native = Native(Both.of(replace(hand_model, head=head)).file)
    bound = np.float32(threshold)
    shares = np.array([np.nextafter(bound, np.float32(0)), bound], np.float64).clip(1e-12, 1 - 1e-12)
    logits = np.stack([np.log(shares), np.log1p(-shares)], axis=1).astype(np.float32)
    decided = native.decide(logits)
    highest = decided.probabilities.max(axis=1)
    assert ((decided.labels == NO_LABEL) == (highest < bound)).all()


def test_what_is_no_classifier_has_no_labels_and_says_so(hand_model):
    native = Native(Both.of(hand_model).file)
    assert native.labels == 0 and native.label(0) is None
    for call in (
        lambda: native.classify(b"a"),
        lambda: native.classify_texts([b"a"]),
        lambda: native.decide(np.ones((1, 1), np.float32)),
    ):
        with pytest.raises(Refused, match="no classifier") as refused:
            call()
        assert refused.value.status == BAD_ARGUMENT


def test_arguments_out_of_range_are_errors(small):
    native, there = small.native, library()
    with pytest.raises(Refused, match="max_tokens"):
        native.classify(b"the", -2)
    logits = np.zeros((1, 5), np.float32)
    assert there.ep_classify(native.handle, b"a\0b", 3, logits.ctypes.data, None, 1, 0, 1) == BAD_ARGUMENT
    assert b"more texts" in there.ep_last_error()
    assert there.ep_classify(native.handle, b"a", 1, None, None, 1, 0, 1) == BAD_ARGUMENT
    assert there.ep_classify_texts(native.handle, None, None, 1, logits.ctypes.data, None, 0, 1) == BAD_ARGUMENT
    assert there.ep_classify(None, b"a", 1, logits.ctypes.data, None, 1, 0, 1) == BAD_ARGUMENT
    assert there.ep_probabilities(native.handle, None, 1, logits.ctypes.data, None) == BAD_ARGUMENT
    assert there.ep_label_count(None) == 0 and there.ep_label(None, 0) is None
    assert there.ep_classify_texts(native.handle, None, None, 0, None, None, 0, 1) == 0


# Python's engine.


def test_the_engine_of_python_gives_logits_and_vectors(both, sentences):
    engine = Engine(both.file, threads=2)
    assert engine.labels == 77
    texts = ["a\0b", "", *sentences, "\0"]
    wanted = both.native.classify(joined([text.replace("\0", "") for text in texts]), with_vectors=True)
    logits, vectors = engine.classify(texts, 512, with_vectors=True)
    assert np.array_equal(bits(logits), bits(wanted.logits)) and np.array_equal(bits(vectors), bits(wanted.vectors))
    logits, nothing = engine.classify(texts, None)
    assert np.array_equal(bits(logits), bits(wanted.logits)) and nothing is None
    assert np.array_equal(bits(np.stack([engine.classify_one(text) for text in texts])), bits(wanted.logits))
    empty, vectors = engine.classify([], 512, with_vectors=True)
    assert empty.shape == (0, 77) and vectors.shape == (0, 256)
    one = engine.classify_one("the cat sat " * 200_000)
    assert np.array_equal(bits(one), bits(engine.classify(["the cat sat " * 400], 512)[0][0]))
    for call in (lambda: engine.classify(["a", "\ud800"], 512), lambda: engine.classify_one("\ud800")):
        with pytest.raises(InputError):
            call()


def test_the_engine_of_python_refuses_to_classify_without_a_head(hand_model):
    engine = Engine(Both.of(hand_model).file)
    assert engine.labels == 0
    for call in (lambda: engine.classify(["a"], None), lambda: engine.classify_one("a")):
        with pytest.raises(InputError, match="no classifier"):
            call()


# Files that are damaged.


def say(graph: onnx.ModelProto, key: str, value: str | None) -> None:
    said = {each.key: each.value for each in graph.metadata_props} | {key: value}
    del graph.metadata_props[:]
    helper.set_model_props(graph, {name: text for name, text in said.items() if text is not None})


def planted(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[onnx.ModelProto], None]:
    def edit(graph: onnx.ModelProto) -> None:
        tensor = table_of(graph, name)
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))

    return edit


def first_is(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(numbers: np.ndarray) -> np.ndarray:
        numbers.flat[0] = value
        return numbers

    return change


def renamed(name: str) -> Callable[[onnx.ModelProto], None]:
    def edit(graph: onnx.ModelProto) -> None:
        table_of(graph, name).name = f"{name}s"

    return edit


TABLES = (
    *("head_dense", "head_rows", "head_row_weights", "head_multipliers", "head_keys", "head_places"),
    *("head_dense_scale", "head_row_scale", "head_bias"),
)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        *((renamed(name), f"no table {name}") for name in TABLES),
        *(
            (planted("head_dense", first_is(value)), "no whole number of int16")
            for value in (0.5, 32768, np.nan, np.inf)
        ),
        (planted("head_dense", lambda steps: steps[:-1]), "not one row a dimension"),
        (planted("head_dense", lambda steps: steps[:, :-1]), "labels is missing"),
        (planted("head_dense", lambda steps: np.zeros((8, 2000))), "not one row a dimension"),
        (planted("head_dense", lambda steps: steps.astype(np.float32)), "head_dense has another type"),
        *(
            (planted(name, first_is(value)), f"{name} holds NaN, inf")
            for name in ("head_dense_scale", "head_row_scale", "head_bias")
            for value in (np.nan, -np.inf, 1e13)
        ),
        (planted("head_bias", lambda bias: bias[:-1]), "head_bias is not one a label"),
        (planted("head_rows", lambda rows: rows[:, :-1]), "not one column a label"),
        (planted("head_rows", lambda rows: rows[:-1]), "one weight a row"),
        (planted("head_row_weights", first_is(128)), "above 127"),
        (planted("head_places", first_is(10_000)), "head_places point beyond"),
        (planted("head_places", first_is(-1)), "head_places point beyond"),
        (planted("head_places", lambda places: places[:-1]), "tables of grams have other sizes"),
        (planted("head_keys", lambda keys: keys[:-1]), "tables of grams have other sizes"),
        (planted("head_multipliers", lambda numbers: numbers[[0, 0, 0]]), "tables of grams have other sizes"),
    ],
)
def test_tables_of_a_head_that_are_not_as_written_are_named_in_the_error(edit, told, small):
    refused = refusal_of(edited(small.file, edit))
    assert told in refused.sentence and refused.status == DAMAGED


def test_a_column_whose_sums_would_leave_int32_is_refused(hand_tokenizer):
    model = random_model(hand_tokenizer, 64)
    both = Both.of(replace(model, head=random_head(model, ["the cat"], 3)))
    for count, is_refused in ((15, False), (16, True)):  # 15 * 32767^2 is below 130,000^2

        def edit(graph: onnx.ModelProto, count: int = count) -> None:
            steps = np.zeros((64, 3))
            steps[:count, 2] = -32767
            planted("head_dense", lambda _: steps)(graph)

        file = edited(both.file, edit)
        if is_refused:
            assert "beyond int32" in refusal_of(file).sentence
        else:
            assert np.isfinite(Native(file).classify(b"the cat").logits).all()


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        *(("head_format", value, DAMAGED) for value in (None, "", "x", "-1")),
        *(("head_format", value, NOT_OURS) for value in ("0", "2")),
        *(("multi_label", value, DAMAGED) for value in (None, "True", "0")),
        *(
            ("threshold", value, DAMAGED)
            for value in (None, "", "None", "-0.1", "1.5", "1e1", "0.5x", "0,5", ".", "1e")
        ),
        *(("labels", value, DAMAGED) for value in (None, "", "[]", "null", '["a", "b", "c", "d"]')),
        *(
            ("labels", value, DAMAGED)
            for value in ('["a" "b", "c", "d", "e"]', '["a", "b", "c", "d", "e"', '["a", "b", "c", "d", 5]')
        ),
        *(
            ("labels", f'["a", "b", "c", "d", "{end}', DAMAGED)
            for end in ("", "\\", "\\u12", "\\ud83d\\u", "\\x", 'e"] x', 'e", "f"]')
        ),
    ],
)
def test_what_a_head_must_say_of_itself_is_named_where_it_does_not(key, value, status, small):
    refused = refusal_of(edited(small.file, lambda graph: say(graph, key, value)))
    assert refused.status == status and (key in refused.sentence or "version" in refused.sentence)


def test_a_file_that_tells_of_a_head_and_has_none_is_refused(hand_model):
    file = Both.of(hand_model).file
    assert "head_dense" in refusal_of(edited(file, lambda graph: say(graph, "head_format", "1"))).sentence


@pytest.mark.parametrize("name", TABLES)
def test_bytes_that_were_turned_in_a_table_of_a_head_are_refused_or_give_numbers(name, small):
    source = random.Random(name)
    texts = b"the cat sat on the mat.\0a dog\0\0\xe6\x97\xa5 \xc3\xa9 [PAD] running 0 1\0" + b"the cat " * 40
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
        found = native.classify(texts, with_vectors=True)
        assert np.isfinite(found.logits).all() and np.isfinite(found.vectors).all()
        assert np.isfinite(native.decide(found.logits).probabilities).all()
        outcomes.append("classified")
        native.close()
    assert name in ("head_dense", "head_places") or "classified" in outcomes
    assert name in ("head_rows", "head_keys", "head_multipliers") or "refused" in outcomes


def test_an_interrupt_ends_a_long_call_that_classifies(hand_tokenizer, tmp_path):
    """Of wide rows, so that few texts are much work."""
    wide = StaticModel(
        np.ones((hand_tokenizer.get_vocab_size(), 4096), np.float32), hand_tokenizer, Card("wide", True, None)
    )
    (tmp_path / "text.onnx").write_bytes(
        Both.of(replace(wide, head=random_head(wide, ["the cat"], 100)), "float32").file
    )
    script = """
import os, signal, sys, threading
from pathlib import Path
from edge_potion.engine import Engine
engine = Engine(Path(sys.argv[1]), threads=2)
wanted = engine.classify_one("the cat")
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    engine.classify(["the " * 10_000] * 1_000, None)
except KeyboardInterrupt:
    print("interrupted")
print((engine.classify_one("the cat") == wanted).all())
"""
    words = [sys.executable, "-X", "faulthandler", "-c", script, tmp_path / "text.onnx"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\nTrue\n", "")
