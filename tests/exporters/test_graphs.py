"""The hand-written graphs, run in ONNX Runtime and held to the numpy oracle on tables worked by hand."""

from __future__ import annotations

import json
from itertools import chain

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_potion import StaticModel
from edge_potion.bundle import graph_file
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import pack
from edge_potion.exporters.token_graph import bag_graph, tokens_graph
from edge_potion.golden import cosines
from edge_potion.static_model import Card
from edge_potion.tokens import TokenIds

from ..peers import OLDEST, run_script

PRECISIONS = ["float32", "float16", "int8"]
# rtol of a value: float32 rounding, float16's 11 bits, int8's 127 steps of the largest value in a row.
CLOSE = {"float32": 1e-6, "float16": 2e-3, "int8": 2e-2}
IDS = [[5, 6, 7], [], [1, 1], [6], [5, 6, 7, 8, 5, 9, 20, 1, 31]]  # [UNK] is 1


@pytest.fixture(params=PRECISIONS)
def precision(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["normalized", "mean"])
def model(request, hand_table, hand_tokenizer) -> StaticModel:
    return StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=request.param))


def session_of(graph: onnx.ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def pooling_of(model: StaticModel, precision: str) -> Pooling:
    return Pooling(pack(model.table, precision), model.dropped_ids, model.card.normalize)


def bag_of(model: StaticModel, precision: str) -> onnxruntime.InferenceSession:
    return session_of(bag_graph(pooling_of(model, precision), {}))


def tokens_of(model: StaticModel, precision: str, *, token_embeddings: bool = False) -> onnxruntime.InferenceSession:
    return session_of(tokens_graph(pooling_of(model, precision), {}, token_embeddings=token_embeddings))


def ids_of(lists: list[list[int]]) -> TokenIds:
    return TokenIds(np.array(list(chain(*lists)), np.int64), np.array([len(row) for row in lists], np.int64))


def padded(lists: list[list[int]], width: int, pad: int = 0) -> dict[str, np.ndarray]:
    grid = np.full((len(lists), width), pad, np.int64)
    mask = np.zeros_like(grid)
    for place, row in enumerate(lists):
        grid[place, : len(row)], mask[place, : len(row)] = row, 1
    return {"input_ids": grid, "attention_mask": mask}


def assert_close(found: np.ndarray, expected: np.ndarray, precision: str) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE[precision] * max(1.0, np.abs(expected).max()))


def test_bag_agrees_with_the_oracle(model, precision):
    ids = ids_of(IDS)
    found = bag_of(model, precision).run(None, {"input_ids": ids.flat, "offsets": ids.starts})[0]
    assert_close(found, model.pool(ids), precision)
    assert not found[1:3].any()


def test_tokens_agrees_with_the_oracle(model, precision):
    found = tokens_of(model, precision).run(None, padded(IDS, 9))[0]
    assert_close(found, model.pool(ids_of(IDS)), precision)


def test_what_stands_under_the_mask_does_not_matter(model, precision):
    session = tokens_of(model, precision)
    expected = session.run(None, padded(IDS, 9))[0]
    assert np.array_equal(session.run(None, padded(IDS, 12, pad=31))[0], expected)
    left = {name: array[:, ::-1].copy() for name, array in padded(IDS, 9, pad=7).items()}  # padding on the left
    np.testing.assert_allclose(session.run(None, left)[0], expected, atol=1e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 0), (3, 0), (2, 1)])
def test_tokens_at_the_edges(model, precision, shape):
    """ONNX Runtime's MatMulInteger over zero columns returns uninitialized memory: ten runs catch it."""
    session = tokens_of(model, precision)
    for _ in range(10):
        zeros = np.zeros(shape, np.int64)
        found = session.run(None, {"input_ids": zeros + 6, "attention_mask": zeros})[0]
        assert found.shape == (shape[0], 8)
        assert not found.any()


@pytest.mark.parametrize("texts", [0, 1, 3])
def test_bag_without_any_token(model, precision, texts):
    session = bag_of(model, precision)
    for _ in range(10):
        feed = {"input_ids": np.zeros(0, np.int64), "offsets": np.zeros(texts, np.int64)}
        found = session.run(None, feed)[0]
        assert found.shape == (texts, 8)
        assert not found.any()


def test_bag_with_empty_texts_first_and_last(model, precision):
    ids = ids_of([[], [], [6, 7], [], [5], []])
    found = bag_of(model, precision).run(None, {"input_ids": ids.flat, "offsets": ids.starts})[0]
    assert_close(found, model.pool(ids), precision)


def test_sums_do_not_depend_on_threads(model, precision):
    """ScatterND(add), which the bag graph might have used, races in ONNX Runtime 1.32."""
    random = np.random.default_rng(3)
    ids = ids_of([random.integers(2, 32, size).tolist() for size in random.integers(1, 4000, 6)])
    feed = {"input_ids": ids.flat, "offsets": ids.starts}
    graph = bag_graph(pooling_of(model, precision), {})
    alone = session_of(graph, threads=1).run(None, feed)[0]
    together = session_of(graph, threads=2)
    for _ in range(20):
        np.testing.assert_allclose(together.run(None, feed)[0], alone, rtol=2e-6)


def test_int8_sums_are_exact_up_to_the_limit_the_runtime_keeps(hand_tokenizer):
    """131,072 tokens of the largest row: 127 * 127 * 131072 is just under 2^31."""
    table = np.full((32, 8), 3.0, np.float32)
    model = StaticModel(table, hand_tokenizer, Card("hand", normalize=False))
    feed = {"input_ids": np.full(131_072, 6, np.int64), "offsets": np.zeros(1, np.int64)}
    np.testing.assert_allclose(bag_of(model, "int8").run(None, feed)[0], np.full((1, 8), 3.0), rtol=1e-5)


def test_token_embeddings_pool_to_the_sentence_embedding(hand_table, hand_tokenizer, precision):
    """What a transformers.js pipeline does: masked mean of the token vectors, then unit length."""
    model = StaticModel(hand_table, hand_tokenizer, Card("hand"))
    session = tokens_of(model, precision, token_embeddings=True)
    assert [output.name for output in session.get_outputs()] == ["sentence_embedding", "token_embeddings"]
    feed = padded([[5, 6, 7], [6, 9]], 5)
    sentence, tokens = session.run(None, feed)
    assert tokens.shape == (2, 5, 8)
    mask = feed["attention_mask"][..., None]
    assert cosines((tokens * mask).sum(axis=1), sentence).min() > 0.999999
    np.testing.assert_allclose(tokens[0, 1], hand_table[6], atol=CLOSE[precision] * hand_table.max())


def test_graphs_are_plain_onnx(bundle):
    """Opset 18, IR version 8, no contrib domain, one self-contained file, valid, and the card in the metadata."""
    for (graph, precision), file in bundle.graphs.items():
        model = onnx.load(file, load_external_data=False)
        onnx.checker.check_model(model, full_check=True)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
        assert model.ir_version == 8
        assert {node.domain for node in model.graph.node} == {""}
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        assert len(model.graph.value_info) > 5  # shapes were inferred
        card = {entry.key: entry.value for entry in model.metadata_props}
        assert card["teacher"] == "all-MiniLM-L6-v2"
        assert (card["graph"], card["precision"]) == (graph, precision)
        assert card["recipe_fingerprint"] and card["edge_potion_version"] and "teacher_revision" in card


def test_inputs_and_outputs_are_named_as_promised(bundle):
    for (graph, _), file in bundle.graphs.items():
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        of_ids = [("input_ids", "tensor(int64)"), ("offsets" if graph == "bag" else "attention_mask", "tensor(int64)")]
        wanted = [("text", "tensor(uint8)")] if graph == "text" else of_ids
        assert [(put.name, put.type) for put in session.get_inputs()] == wanted
        (output,) = session.get_outputs()
        assert (output.name, output.type, output.shape[1]) == ("sentence_embedding", "tensor(float)", 256)


@pytest.mark.peers
def test_the_graphs_load_with_the_oldest_onnxruntime(bundle, tmp_path):
    """From golden.json alone, as a port would: ids or text in, vectors out."""
    golden = json.loads((bundle.folder / "golden.json").read_text())
    flat = np.concatenate([np.array(row, np.int64) for row in golden["ids"]])
    lengths = np.array([len(row) for row in golden["ids"]])
    mask = np.arange(lengths.max()) < lengths[:, None]
    grid = np.zeros(mask.shape, np.int64)
    grid[mask] = flat
    joined = "\0".join(text.replace("\0", "") for text in golden["texts"]).encode()
    inputs = {
        "bag": {"input_ids": flat, "offsets": np.cumsum(lengths) - lengths},
        "tokens": {"input_ids": grid, "attention_mask": mask.astype(np.int64)},
        "text": {"text": np.frombuffer(joined, np.uint8)},
    }
    expected = np.array(golden["vectors"], np.float32)
    least = {"float32": 0.9999999, "float16": 0.99999, "int8": 0.9995}
    for graph, feeds in inputs.items():
        np.savez(tmp_path / "inputs.npz", **feeds)
        files = {precision: bundle.folder / graph_file(graph, precision) for precision in least}
        said = run_script(OLDEST, *map(str, (tmp_path / "inputs.npz", tmp_path / "found.npz", *files.values())))
        assert tuple(map(int, said.split(".")[:2])) < (1, 21), said
        found = np.load(tmp_path / "found.npz")
        for precision, file in files.items():
            assert cosines(found[file.stem], expected).min() >= least[precision], file.name
