"""Every row that a text can reach keeps its vector in every graph, however small; what none can reach is no bar."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from edge_potion import EdgeModel, ParityError, StaticModel, export
from edge_potion.bundle import graph_file
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import MOST_DIGITS, pack, row_agreement
from edge_potion.exporters.reachable import reachable_rows
from edge_potion.exporters.text_family import family_of
from edge_potion.exporters.text_graph import text_graph
from edge_potion.exporters.token_graph import bag_graph, fixed_graph, tokens_graph
from edge_potion.golden import TOLERANCES, cosines
from edge_potion.static_model import Card
from edge_potion.tokens import TokenIds, plain, tokenize

from ..models import pieces_of
from ..peers import OLDEST, run_script

PRECISIONS = ["int8", "float16", "float32"]
LEAST = {"int8": 0.995, "float16": 0.99999, "float32": 0.999999}
UNEVEN = 10.0 ** -np.arange(7)  # of the rows of a table: from 1 to a millionth
# Of the ordinary table below, as exported before row weights had digits: initializers and nodes of its graphs.
AS_EVER = {
    "bag.onnx": "e9003a2367428c10d9384709b1bc4f9c3d564b4418bdfed3d941d965d46fe966",
    "bag_fp16.onnx": "5d922728dbe1f11e6c9509192a39154354e5938b6e03f6ace9a2ea4a94fc2e21",
    "bag_quantized.onnx": "c7ce5b0a7d871de8f503e330bd746ddef6f438ebe320d2cfb7128e50cafc8915",
    "model.onnx": "ae87c9b68e4cfac63650f3a0ece7a4539a0674d39ee6f1766ca272e554600ff3",
    "model_fp16.onnx": "00f0dbe11bcc134ec519bcf468b58330de0b96b0ac7d1682564abe33f4a8fb20",
    "model_quantized.onnx": "ff47b9f2cfb560af49eddc25ecdc39d082be72491fe2144fbf9453c023b29041",
}


@pytest.fixture(params=[True, False], ids=["normalized", "mean"])
def uneven(request, hand_tokenizer) -> StaticModel:
    """The hand model with rows of every size."""
    table = np.random.default_rng(7).standard_normal((32, 24)).astype(np.float32)
    table *= np.resize(UNEVEN, 32)[:, None].astype(np.float32)
    return StaticModel(table, hand_tokenizer, Card("uneven", normalize=request.param, max_tokens=16))


def assert_held(found: np.ndarray, expected: np.ndarray, precision: str, *, normalize: bool) -> None:
    """Direction and length of each row."""
    assert cosines(found, expected).min() >= LEAST[precision]
    lengths, wanted = (np.linalg.norm(each.astype(np.float64), axis=1) for each in (found, expected))
    most = 5e-6 if normalize else TOLERANCES[precision].norm or 5e-6
    np.testing.assert_allclose(lengths, wanted, rtol=most)


def session_of(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_token_has_its_vector_in_every_graph(precision, uneven, tmp_path):
    bundle = export(uneven, tmp_path / "out", quantize=precision)
    texts = ["the", "cat", "sat", "on", "mat", "dog", "ran", "a", "b", "c", ".", "!", ",", "[", "]", "pad", "unk", "é"]
    texts += ["日", "本", "0", "1", "cats", "the cat", "a b c a b"]
    expected = uneven.encode(texts)
    for graph in ("text", "bag", "tokens"):
        model = EdgeModel.from_pretrained(bundle.folder, precision=precision, graph=graph)
        found = model.encode(texts)
        normalize = uneven.card.normalize
        assert_held(found[: texts.index("cats")], expected[: texts.index("cats")], precision, normalize=normalize)
        assert cosines(found, expected).min() >= LEAST[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_row_has_its_vector_in_the_graph_of_fixed_shape_and_as_a_token_embedding(precision, uneven):
    pooling = Pooling(pack(uneven.table, precision), uneven.dropped_ids, uneven.card.normalize)
    ids = np.arange(2, 32)
    expected = uneven.pool(TokenIds(ids, np.ones(30, np.int64)))
    fixed = session_of(fixed_graph(pooling, {}, 3))
    mask = np.array([[0, 1, 0]], np.int32)
    found = [
        fixed.run(None, {"input_ids": np.array([[9, row, 9]], np.int32), "attention_mask": mask})[0] for row in ids
    ]
    assert_held(np.concatenate(found), expected, precision, normalize=uneven.card.normalize)
    tokens = session_of(tokens_graph(pooling, {}, token_embeddings=True))
    _, rows = tokens.run(None, {"input_ids": ids[None], "attention_mask": np.ones((1, 30), np.int64)})
    assert_held(rows[0], uneven.table[ids], precision, normalize=False)


def test_row_weights_have_as_many_digits_as_the_smallest_row_needs(hand_table):
    """By hand: one step of 127 is a hundredth of the largest row, one of 127 * 128 + 127 a sixteen-thousandth."""
    assert pack(hand_table, "int8").row_digits.shape == (1, 32)
    step = 1 / 16383
    table = np.array([[127, 127], [-127 * step, 50 * step], [0, 0], [127 * 199.5 * step, 0]], np.float32)
    packed = pack(table, "int8")
    assert packed.row_weights.tolist() == [16383, 1, 0, 200]
    assert packed.row_digits.tolist() == [[127, 0, 0, 1], [127, 1, 0, 72]]
    assert packed.rows.tolist() == [[127, 127], [-127, 50], [0, 0], [127, 0]]
    np.testing.assert_allclose(packed.unpacked(), table, rtol=3e-3)


@pytest.mark.parametrize(("precision", "powers"), [("int8", range(1, 7)), ("float16", range(1, 31))])
def test_no_row_depends_on_how_large_the_largest_is(precision, powers):
    for power in powers:
        small = np.random.default_rng(power).standard_normal((400, 16)).astype(np.float32)
        small[1::2] *= np.float32(10.0**-power)
        packed = pack(small, precision)
        assert row_agreement(small, packed, normalize=False).is_held.all()
        assert_held(packed.unpacked(), small, precision, normalize=False)
        assert precision == "float16" or len(packed.row_digits) <= MOST_DIGITS


def test_sums_of_several_digits_are_exact_up_to_the_longest_text_of_a_call(hand_tokenizer):
    """131,072 tokens of the largest weight, and of rows that differ by ten thousand."""
    table = np.full((32, 8), 3.0, np.float32)
    table[7] = 3e-4
    model = StaticModel(table, hand_tokenizer, Card("hand", normalize=False))
    packed = pack(model.table, "int8")
    assert len(packed.row_digits) == 2
    bag = session_of(bag_graph(Pooling(packed, model.dropped_ids, normalize=False), {}))
    for row in (6, 7):
        feed = {"input_ids": np.full(131_072, row, np.int64), "offsets": np.zeros(1, np.int64)}
        np.testing.assert_allclose(bag.run(None, feed)[0], packed.unpacked()[[row]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 0), (3, 0), (2, 1)])
def test_several_digits_at_the_edges(uneven, shape):
    pooling = Pooling(pack(uneven.table, "int8"), uneven.dropped_ids, uneven.card.normalize)
    assert pooling.digits > 1
    session = session_of(tokens_graph(pooling, {}, token_embeddings=False))
    for _ in range(10):
        zeros = np.zeros(shape, np.int64)
        (found,) = session.run(None, {"input_ids": zeros + 6, "attention_mask": zeros})
        assert found.shape == (shape[0], 24) and not found.any()


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_a_row_that_cannot_be_held_is_named(precision, hand_tokenizer, tmp_path):
    table = np.random.default_rng(1).standard_normal((32, 24)).astype(np.float32)
    table[9] *= np.float32(1e-12 if precision == "int8" else 1e-13)
    model = StaticModel(table, hand_tokenizer, Card("tiny", normalize=True))
    with pytest.raises(ParityError, match=r"strays from the oracle in 1 rows: worst is the token 'mat' \(row 9, "):
        export(model, tmp_path / "out", quantize=precision)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_whose_length_counts_as_zero_is_no_bar(precision, hand_tokenizer, tmp_path):
    """As of a token that training let decay: the oracle's vector of it is next to nothing, too."""
    table = np.random.default_rng(1).standard_normal((32, 24)).astype(np.float32)
    table[[9, 24]] *= np.float32(1e-25)  # "mat", and "!", which is a golden text
    model = StaticModel(table, hand_tokenizer, Card("decayed", normalize=True))
    found = EdgeModel.from_pretrained(export(model, tmp_path / "out", quantize=precision).folder).encode(["mat", "cat"])
    np.testing.assert_allclose(found, model.encode(["mat", "cat"]), atol=0.02)


def test_what_no_text_can_reach_has_no_say_in_the_scale(hand_tokenizer, tmp_path):
    table = np.random.default_rng(1).standard_normal((32, 24)).astype(np.float32)
    without = pack(table, "int8")
    table[[2, 3, 4]] *= np.float32(1e8)  # [CLS], [SEP], [MASK]
    model = StaticModel(table, hand_tokenizer, Card("specials"))
    reachable = reachable_rows(model)
    packed = pack(model.table, "int8", reachable, normalize=True)
    assert len(packed.row_digits) == 1 and packed.scale < without.scale * 1.5
    for precision in ("int8", "float16"):
        bundle = export(model, tmp_path / precision, quantize=precision, graphs="bag")
        found = EdgeModel.from_pretrained(bundle.folder, precision=precision).encode(["cat", "!", "日"])
        assert_held(found, model.encode(["cat", "!", "日"]), precision, normalize=True)
        kept = StaticModel.from_pretrained(bundle.folder).table  # the file has them all the same
        assert cosines(kept[2:], model.table[2:]).min() >= 0.9995
    assert not np.isinf(pack(model.table, "float16", reachable, normalize=True).unpacked()).any()


def test_rows_that_no_text_can_reach_are_found_by_the_tokenizer(hand_tokenizer):
    vocabulary = hand_tokenizer.get_vocab()
    model = StaticModel(np.ones((32, 8), np.float32), hand_tokenizer, Card("hand"))
    cut = {number for name, number in vocabulary.items() if name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
    assert set(np.flatnonzero(~reachable_rows(model))) == cut


def test_of_pieces_those_that_the_normalizer_changes_or_the_splitter_cuts_are_out_of_reach():
    pieces = ["[PAD]", "[UNK]", "cat", "Cat", "##s", "##S", "é", "e", "...", ".", "##.", "日", "##日", "日本", "##é"]
    pieces += ["[unused1]", "a b", "", "##", "x" * 101, "##" + "x" * 99, "##" + "y" * 100, "new"]
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    model = StaticModel(np.ones((len(pieces), 4), np.float32), plain(tokenizer), Card("pieces"))
    found = {piece for piece, is_reachable in zip(pieces, reachable_rows(model), strict=True) if is_reachable}
    assert found == {"cat", "##s", "e", ".", "日", "##" + "x" * 99, "new"}
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False)
    model = StaticModel(model.table, plain(tokenizer), Card("pieces"))
    found = {piece for piece, is_reachable in zip(pieces, reachable_rows(model), strict=True) if is_reachable}
    assert found == {"cat", "Cat", "##s", "##S", "é", "e", ".", "日", "##日", "日本", "##é", "##" + "x" * 99, "new"}


def test_every_token_that_real_texts_have_counts_as_reachable(other_tokenizer, sentences):
    table = np.ones((other_tokenizer.get_vocab_size(), 4), np.float32)
    reachable = reachable_rows(StaticModel(table, other_tokenizer, Card("other")))
    texts = [*sentences, "<s> x<pad>y <|endoftext|> a<|endoftext|>", *other_tokenizer.get_vocab()]
    dropped = {other_tokenizer.token_to_id(name) for name in ("<pad>", "<unk>")}
    assert all(reachable[token] or token in dropped for token in tokenize(other_tokenizer, texts, None).flat)


def test_every_token_that_texts_of_the_built_in_model_have_counts_as_reachable(sentences):
    model = StaticModel.from_pretrained()
    reachable = reachable_rows(model)
    names = list(model.tokenizer.get_vocab())
    texts = [
        *sentences,
        *names,
        *(f"x{name.removeprefix('##')}" for name in names),
        *map("".join, pairwise(names)),
    ]
    said = np.unique(tokenize(model.tokenizer, texts, None).flat)
    assert reachable[np.setdiff1d(said, model.dropped_ids)].all()
    assert (~reachable).sum() > 300  # "##!" and the like
    assert not reachable[model.tokenizer.token_to_id("[CLS]")]


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory) -> Path:
    """A bundle of 2,000 rows whose lengths differ as usual: by less than a hundred times."""
    vocabulary = {name: number for number, name in enumerate(["[PAD]", "[UNK]", *(f"w{each}" for each in range(1998))])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]"])
    values = np.random.default_rng(11).integers(-1000, 1001, (2000, 64))
    table = (values * (1 + np.arange(2000) % 50)[:, None]).astype(np.float32) / 4096  # exact, on every machine
    model = StaticModel(table, plain(tokenizer), Card("ordinary"))
    out = tmp_path_factory.mktemp("ordinary") / "out"
    return export(model, out, quantize=PRECISIONS, graphs=["bag", "tokens"]).folder


@pytest.mark.parametrize("name", AS_EVER)
def test_ordinary_tables_have_the_graphs_that_they_had(name, ordinary):
    model = onnx.load(ordinary / "onnx" / name)
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        digest.update(repr((tensor.name, tensor.data_type, list(tensor.dims))).encode() + tensor.raw_data)
    for node in model.graph.node:
        digest.update(repr((node.op_type, list(node.input), list(node.output))).encode())
    assert digest.hexdigest() == AS_EVER[name]


@pytest.fixture(scope="module")
def built_in(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("built-in") / "out"
    return export("potion-256d-minilm", out, quantize=PRECISIONS, graphs="bag").folder


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_row_of_the_built_in_model_is_held_in_the_graph_that_is_exported(precision, built_in):
    model = StaticModel.from_pretrained()
    ids = np.flatnonzero(reachable_rows(model)[: model.pieces])
    suffix = {"int8": "_quantized", "float16": "_fp16", "float32": ""}[precision]
    session = onnxruntime.InferenceSession(built_in / "onnx" / f"bag{suffix}.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input_ids": ids, "offsets": np.arange(len(ids))})
    expected = model.table[ids] / np.linalg.norm(model.table[ids], axis=1, keepdims=True)
    assert_held(found, expected, precision, normalize=True)


def test_an_int8_file_exported_again_is_the_same_file(hand_model, tmp_path):
    """Each row has a step of its own, so that nothing is rounded twice."""
    model = replace(hand_model, table=np.random.default_rng(2).standard_normal((32, 24)).astype(np.float32))
    once = export(model, tmp_path / "once", graphs="bag").folder
    twice = export(once, tmp_path / "twice", graphs="bag").folder
    assert (once / "model.safetensors").read_bytes() == (twice / "model.safetensors").read_bytes()


def test_a_large_vocabulary_of_small_rows_has_the_vectors_of_its_texts_too(sentences):
    """The text graph, at two digits, on real sentences."""
    built_in = pieces_of(StaticModel.from_pretrained())
    rows = np.random.default_rng(3).random(len(built_in.table)) < 0.5
    lengths = np.linalg.norm(built_in.table, axis=1, keepdims=True)  # which differ from one built-in model to another
    unit = built_in.table / np.where(lengths > 0, lengths, 1)
    table = np.where(rows[:, None], unit * np.float32(1e-4), unit).astype(np.float32)
    model = StaticModel(table, built_in.tokenizer, Card("half"))
    packed = pack(model.table, "int8", reachable_rows(model), normalize=True)
    assert len(packed.row_digits) == 2
    graph = text_graph(Pooling(packed, model.dropped_ids, normalize=True), family_of(model.tokenizer), 512, {})
    text = "\0".join(sentences).encode()
    (found,) = session_of(graph).run(None, {"text": np.frombuffer(text, np.uint8)})
    assert cosines(found, model.encode(sentences)).min() >= 0.995


@pytest.mark.peers
def test_the_oldest_onnxruntime_runs_row_weights_of_several_digits(uneven, tmp_path):
    folder = export(uneven, tmp_path / "out", quantize=["int8", "float16"]).folder
    files = {precision: folder / graph_file("bag", precision) for precision in ("int8", "float16")}
    np.savez(tmp_path / "inputs.npz", input_ids=np.arange(2, 32), offsets=np.arange(30))
    run_script(OLDEST, *map(str, (tmp_path / "inputs.npz", tmp_path / "found.npz", *files.values())))
    ids = TokenIds(np.arange(2, 32), np.ones(30, np.int64))
    for precision, file in files.items():
        found = np.load(tmp_path / "found.npz")[file.stem]
        assert_held(found, uneven.pool(ids), precision, normalize=uneven.card.normalize)
