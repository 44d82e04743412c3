"""Phrases in every graph, held to the numpy oracle: on small tables, and on thousands of pairs of real sentences."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import onnx
import pytest

from edge_potion import StaticModel
from edge_potion.exporters.graphs import BUILDERS, Plan, build_graph
from edge_potion.exporters.phrase_rows import phrase_table
from edge_potion.exporters.quantize import pack
from edge_potion.exporters.text_family import family_of
from edge_potion.golden import TOLERANCES, Golden, check_parity, cosines
from edge_potion.ort_files import FIXED
from edge_potion.phrases import Phrases
from edge_potion.phrases_in_graph import pair_keys
from edge_potion.static_model import Card
from edge_potion.tokens import TokenIds, tokenize

from ..models import phrases_of
from .test_graphs import assert_close, padded, session_of

PRECISIONS = list(TOLERANCES)
FIXED_TOKENS = 12
TEXTS = [
    *("the cat sat on the mat.", "a b a b", "a b", "b a", "dogs", "dogs dogs", "", "☃", " ", "the", "mat the cat"),
    *("the ☃ cat", "☃ the cat ☃", "a☃b", "[PAD] the cat", "aaa bbb", "the\ncat", "THE CAT", "the cat " * 5),
]


@pytest.fixture(params=PRECISIONS)
def precision(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["normalized", "mean"])
def model(request, phrase_model) -> StaticModel:
    return replace(phrase_model, card=Card("hand", normalize=request.param, max_tokens=FIXED_TOKENS))


@pytest.fixture(scope="session")
def spoken(sentences) -> StaticModel:
    """The built-in model, with a row for each of the commonest pairs of our sentences."""
    return phrases_of(StaticModel.from_pretrained(), sentences, 5000)


def graph_of(model: StaticModel, graph: str, precision: str, *, token_embeddings: bool = False) -> onnx.ModelProto:
    tables = family_of(model.tokenizer) if graph == "text" else None
    phrases = phrase_table(model.phrases) if model.phrases else None
    plan = Plan(model, [precision], [graph], tables, phrases, None, token_embeddings, FIXED_TOKENS, [])
    return build_graph(plan, graph, pack(model.table, precision, None, model.card.normalize))


def joined(texts) -> np.ndarray:
    return np.frombuffer("\0".join(texts).encode(), np.uint8)


def feeds_of(graph: str, model: StaticModel, texts) -> list[dict[str, np.ndarray]]:
    """What a graph is fed, call by call."""
    if graph == "text":
        return [{"text": joined(texts)}]
    ids = tokenize(model.tokenizer, texts, model.card.max_tokens)
    rows = [row.tolist() for row in ids.split()]
    if graph == "bag":
        return [{"input_ids": ids.flat, "offsets": ids.starts}]
    if graph == "tokens":
        return [padded(rows, max(map(len, rows)))]
    return [{name: grid.astype(np.int32) for name, grid in padded([row], FIXED_TOKENS, 6).items()} for row in rows]


def vectors_of(graph: str, model: StaticModel, precision: str, texts) -> np.ndarray:
    session = session_of(graph_of(model, graph, precision))
    return np.concatenate([session.run(["sentence_embedding"], feed)[0] for feed in feeds_of(graph, model, texts)])


@pytest.mark.parametrize("graph", BUILDERS)
def test_every_graph_agrees_with_the_oracle(graph, model, precision):
    found = vectors_of(graph, model, precision, TEXTS)
    assert_close(found, model.encode(TEXTS), precision)
    assert np.array_equal(found.any(axis=1), model.encode(TEXTS).any(axis=1))


@pytest.mark.parametrize("graph", BUILDERS)
def test_a_text_by_itself_has_the_vector_that_it_has_among_others(graph, model):
    together = vectors_of(graph, model, "int8", TEXTS)
    session = session_of(graph_of(model, graph, "int8"))
    for text, vector in zip(TEXTS, together, strict=True):
        (feed,) = feeds_of(graph, model, [text])
        assert np.array_equal(session.run(["sentence_embedding"], feed)[0][0], vector)


@pytest.mark.parametrize("graph", ["text", "bag", "tokens"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, None])
def test_a_pair_is_no_phrase_where_the_text_is_cut_between_its_pieces(graph, limit, phrase_model, precision):
    model = replace(phrase_model, card=Card("hand", normalize=False, max_tokens=limit))
    assert_close(vectors_of(graph, model, precision, TEXTS), model.encode(TEXTS), precision)


@pytest.mark.parametrize("graph", ["text", "bag", "tokens"])
def test_thousands_of_pairs_of_real_sentences_are_found(graph, spoken, sentences, precision):
    texts = [*sentences[:400], "", *sentences[400:450]]
    expected = spoken.encode(texts)
    ids = tokenize(spoken.tokenizer, texts, spoken.card.max_tokens)
    known = np.array([int((~np.isin(row, spoken.dropped_ids)).sum()) for row in ids.split()])
    check_parity(
        Golden(texts, [], expected, known, spoken.card.normalize),
        vectors_of(graph, spoken, precision, texts),
        precision,
        graph,
    )
    without = replace(spoken, table=spoken.table[: spoken.pieces], phrases=None).encode(texts)
    assert np.median(cosines(without, expected)) < 0.99  # the phrases do count


def test_the_commonest_pairs_of_the_shared_corpus_are_found(shared_sentences, precision):
    model = phrases_of(StaticModel.from_pretrained(), shared_sentences, 33_000)
    texts = list(islice(shared_sentences, 512))
    found = vectors_of("text", model, precision, texts)
    assert cosines(found, model.encode(texts)).min() >= (0.9995 if precision == "int8" else 0.99999)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 0), (3, 0), (2, 1)])
def test_tokens_at_the_edges(model, precision, shape):
    session = session_of(graph_of(model, "tokens", precision))
    for _ in range(10):  # of uninitialized memory
        zeros = np.zeros(shape, np.int64)
        found = session.run(None, {"input_ids": zeros + 5, "attention_mask": zeros})[0]
        assert found.shape == (shape[0], 8)
        assert not found.any()


@pytest.mark.parametrize("texts", [0, 1, 3])
def test_bag_without_any_token(model, precision, texts):
    session = session_of(graph_of(model, "bag", precision))
    for _ in range(10):
        found = session.run(None, {"input_ids": np.zeros(0, np.int64), "offsets": np.zeros(texts, np.int64)})[0]
        assert found.shape == (texts, 8)
        assert not found.any()


def test_what_the_mask_leaves_out_parts_what_stands_around_it(model, precision):
    session = session_of(graph_of(model, "tokens", precision))
    feed = {"input_ids": np.array([[5, 6, 6], [14, 15, 14]]), "attention_mask": np.array([[1, 0, 1], [0, 1, 1]])}
    expected = [model.pool(TokenIds.of([[5]])), model.pool(TokenIds.of([[6]])), model.pool(TokenIds.of([[15, 14]]))]
    apart = model.pool(TokenIds.of([[5, 1, 6]]))  # "the" and "cat" with something between
    assert_close(session.run(["sentence_embedding"], feed)[0], np.concatenate([apart, expected[2]]), precision)


def test_padding_on_the_left_hides_no_phrase(model, precision):
    session = session_of(graph_of(model, "tokens", precision))
    rows = [[5, 6, 7], [14, 15, 14, 15], []]
    left = {name: grid[:, ::-1].copy() for name, grid in padded([row[::-1] for row in rows], 6, pad=5).items()}
    assert_close(session.run(["sentence_embedding"], left)[0], model.pool(TokenIds.of(rows)), precision)


def test_a_graph_of_one_token_has_no_room_for_a_phrase(model, precision):
    plan = Plan(model, [precision], [FIXED], None, phrase_table(model.phrases), None, False, 1, [])
    session = session_of(build_graph(plan, FIXED, pack(model.table, precision, None, model.card.normalize)))
    feed = {"input_ids": np.array([[5]], np.int32), "attention_mask": np.array([[1]], np.int32)}
    assert_close(session.run(None, feed)[0], model.pool(TokenIds.of([[5]])), precision)


def test_token_embeddings_pool_to_the_sentence_embedding(phrase_model, precision):
    session = session_of(graph_of(phrase_model, "tokens", precision, token_embeddings=True))
    feed = padded([[5, 6, 7], [14, 15, 14], [8]], 5)
    sentence, tokens = session.run(None, feed)
    assert tokens.shape == (3, 5, 8)
    mask = feed["attention_mask"][..., None]
    assert cosines((tokens * mask).sum(axis=1), sentence).min() > 0.999999
    table = phrase_model.table
    np.testing.assert_allclose(tokens[0, 1], table[6] + table[32], atol=2e-2 * np.abs(table).max())


def test_a_graph_says_how_many_phrases_it_holds_and_that_its_tables_are_newer(model, hand_model):
    told, untold = (
        {entry.key: entry.value for entry in graph_of(each, "text", "int8").metadata_props}
        for each in (model, hand_model)
    )
    assert (told["tokens"], told["phrases"], told["text_tables"]) == ("32", "5", "2")
    assert (untold["tokens"], untold.get("phrases"), untold["text_tables"]) == ("32", None, "1")


def test_the_tables_are_called_as_the_engine_looks_for_them(model):
    tensors = {tensor.name: tensor for tensor in graph_of(model, "text", "int8").graph.initializer}
    kinds = {name: onnx.TensorProto.DataType.Name(tensors[name].data_type) for name in tensors if "phrase" in name}
    assert kinds == {"phrase_multipliers": "INT64", "phrase_keys": "INT64", "phrase_rows": "INT32"}
    assert list(tensors["table_rows"].dims) == [32 + 5 + 1, 8]


def test_each_pair_leads_to_its_row_and_nothing_else_to_any(model):
    table = phrase_table(model.phrases)
    first, second = (side.ravel() for side in np.meshgrid(np.arange(38), np.arange(38), indexing="ij"))
    keys = pair_keys(np.stack([first, second], axis=1))
    products = keys.view(np.uint64) * table.multipliers[keys & (len(table.multipliers) - 1)].view(np.uint64)
    slots = (products >> np.uint64(64 - table.slot_bits)).astype(np.int64)
    found = table.keys[slots] == keys
    pairs = np.stack([first[found], second[found]], axis=1).tolist()
    assert sorted(pairs) == sorted(model.phrases.pairs.tolist())
    rows = dict(zip(map(tuple, pairs), table.ids[slots[found]].tolist(), strict=True))
    assert [rows[tuple(pair)] for pair in model.phrases.pairs.tolist()] == [32, 33, 34, 35, 36]


def test_one_phrase_is_enough(hand_model, precision):
    rows = np.concatenate([hand_model.table, np.full((1, 8), 9, np.float32)])
    model = replace(hand_model, table=rows, phrases=Phrases(np.array([[5, 6]], np.int32), 32))
    for graph in ("text", "bag", "tokens"):
        assert_close(vectors_of(graph, model, precision, TEXTS), model.encode(TEXTS), precision)
