"""Models with phrases in the runtime: every way from texts or ids to vectors gives the oracle's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_potion import EdgeModel, InputError, ModelFormatError, ProviderError, StaticModel, export
from edge_potion.bundle import GRAPHS, graph_file, open_bundle
from edge_potion.find import read_json
from edge_potion.from_ids import MOST_ROWS
from edge_potion.golden import TOLERANCES, cosines, read_golden
from edge_potion.golden_binary import read_golden_binary
from edge_potion.grams import grams_of
from edge_potion.manifest import MANIFEST
from edge_potion.replay import verify
from edge_potion.static_model import Card
from edge_potion.tokens import TokenIds, tokenize

from .test_head import head_of

TEXTS = ["the cat sat on the mat.", "a b a b", "a ☃ b", "dogs", "", "☃", "the", "mat the cat", "the cat " * 30]
LIMITS = [16, 1, 2, 3, 5, None]  # 16 is the model's own, which the text graph takes
LEAST = {"int8": 0.999, "float16": 0.99999, "float32": 0.999999}


@pytest.fixture(scope="module", params=[True, False], ids=["normalized", "mean"])
def normalize(request) -> bool:
    return request.param


@pytest.fixture
def model(normalize, phrase_model) -> StaticModel:
    return replace(phrase_model, card=Card("hand", normalize=normalize, max_tokens=16))


EXPORTED: dict[bool, Path] = {}  # by whether it normalizes


@pytest.fixture
def folder(model, normalize, tmp_path_factory) -> Path:
    if normalize not in EXPORTED:
        out = tmp_path_factory.mktemp("phrases") / "bundle"
        EXPORTED[normalize] = export(model, out, quantize=list(TOLERANCES), mobile=True, max_tokens=8).folder
    return EXPORTED[normalize]


@pytest.fixture
def changed(folder, tmp_path) -> Path:
    """A bundle to damage, whose manifest does not tell."""
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "changed"))
    (copy / MANIFEST).unlink()
    return copy


def opened(folder: Path, graph: str, precision: str = "float32", engine: str = "onnxruntime") -> EdgeModel:
    return EdgeModel.from_pretrained(folder, graph=graph, precision=precision, engine=engine)


def assert_agrees(found: np.ndarray, expected: np.ndarray, precision: str) -> None:
    assert found.shape == expected.shape
    assert cosines(found, expected).min() >= LEAST[precision]
    lengths = np.linalg.norm(expected, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), lengths, rtol=0.02 if precision == "int8" else 1e-3)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("limit", LIMITS)
def test_every_graph_at_every_limit_agrees_with_the_oracle(graph, precision, limit, folder, model):
    found = opened(folder, graph, precision).encode(TEXTS, max_tokens=limit)
    assert_agrees(found, model.encode(TEXTS, max_tokens=limit), precision)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_ids_of_pieces_are_what_is_given_and_phrases_are_found_in_them(graph, precision, folder, model):
    edge = opened(folder, graph, precision)
    ids = tokenize(model.tokenizer, TEXTS, None)
    assert_agrees(edge.encode_ids(ids), model.pool(ids), precision)
    assert_agrees(edge.encode_ids([[14, 15]]), model.pool(TokenIds.of([[14, 15]])), precision)
    assert edge.encode_ids([]).shape == (0, 8)
    assert not edge.encode_ids([[], [1]]).any()
    with pytest.raises(InputError, match="from 0 to 31"):  # the row of a phrase is no id
        edge.encode_ids([[32]])


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_text_beyond_what_a_graph_sums_loses_no_phrase_where_it_is_parted(graph, folder, model):
    """An odd number of tokens first, so that the pairs "a b" and "b a" lie across every place of a cut."""
    edge = opened(folder, graph, "int8")
    for words in (["the"], ["the", "the"]):
        text = " ".join([*words, *["a", "b"] * (MOST_ROWS // 2 + 3)])
        assert_agrees(edge.encode([text], max_tokens=None), model.encode([text], max_tokens=None), "int8")


@pytest.mark.parametrize("graph", GRAPHS)
def test_sums_of_tokens_that_are_all_phrases_stay_within_int32(graph, phrase_model, tmp_path):
    """Two rows a token, each the largest that there is."""
    largest = np.where(phrase_model.table != 0, np.float32(3), phrase_model.table)
    model = replace(phrase_model, table=largest, card=Card("hand", normalize=False, max_tokens=None))
    edge = opened(export(model, tmp_path / "bundle", graphs=[graph]).folder, graph, "int8")
    text = "a b " * (MOST_ROWS // 4 - 1)
    for more in ("", "a b a b a b"):
        np.testing.assert_allclose(edge.encode([text + more]), model.encode([text + more]), rtol=1e-3)


def test_vectors_are_cut_as_the_oracle_cuts_them(folder, model):
    found = opened(folder, "text").encode(TEXTS, truncate_dim=3)
    np.testing.assert_allclose(found, model.encode(TEXTS, truncate_dim=3), atol=1e-4)


def test_the_native_engine_gives_the_bits_of_the_graph(folder):
    from edge_potion.engine import absent

    if reason := absent():
        pytest.skip(f"there is no native engine here: {reason}")
    for limit in LIMITS:
        by_engine = opened(folder, "text", "int8", "native").encode(TEXTS, max_tokens=limit)
        by_graph = opened(folder, "text", "int8").encode(TEXTS, max_tokens=limit)
        assert np.array_equal(by_engine.view(np.uint32), by_graph.view(np.uint32))


def test_a_model_without_graphs_is_exported_into_the_cache_once(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "model")
    for _ in range(2):
        edge = EdgeModel.from_pretrained(folder, engine="onnxruntime")
        assert_agrees(edge.encode(TEXTS), model.encode(TEXTS), "int8")
    assert len([each for each in (tmp_path / "cache").iterdir() if each.is_dir()]) == 1
    pairs = model.phrases.pairs[::-1].copy()
    other = replace(model, phrases=replace(model.phrases, pairs=pairs)).save_pretrained(tmp_path / "model")
    edge = EdgeModel.from_pretrained(other, engine="onnxruntime")  # by its content, the pairs among it
    assert_agrees(edge.encode(TEXTS), StaticModel.from_pretrained(other).encode(TEXTS), "int8")


def test_a_bundle_is_a_model_folder_too(folder, model):
    bundle, read = open_bundle(folder), StaticModel.from_pretrained(folder)
    assert (bundle.phrases, len(read.phrases), read.pieces) == (5, 5, 32)
    assert cosines(read.encode(TEXTS), model.encode(TEXTS)).min() > LEAST["int8"]
    assert "phrases.safetensors" in bundle.sums


def test_golden_texts_hold_phrases_of_the_model_itself(folder, model):
    golden = read_golden(folder)
    more = golden.texts[216:]
    found = model.phrases.found(tokenize(model.tokenizer, more, 16)).lengths
    assert (found > 0).sum() >= 8
    assert {"a b a b", "the ☃ cat", "dogs"} <= {*more, *(f"{text}" for text in golden.texts)}
    assert all(max(ids, default=0) < 32 for ids in golden.ids)  # of pieces
    assert np.array_equal(read_golden_binary(folder / "golden.bin").vectors, golden.vectors)
    cut = [ids for ids, text in zip(golden.ids[216:], more, strict=True) if len(ids) == 16 and len(text.split()) > 16]
    assert cut


def test_verify_holds_every_graph_and_ort_file_to_them_and_tells_of_phrases(folder):
    verdicts = list(verify(folder))
    assert all(verdict.passed for verdict in verdicts), verdicts
    assert "5 phrases" in verdicts[0].message
    assert sum(verdict.what.endswith(".ort") for verdict in verdicts) == 12


def test_info_tells_how_many_phrases_there_are(folder, model, door, tmp_path):
    assert "5 phrases" in door("info", folder).stdout.splitlines()[0]
    assert "32 tokens and 5 phrases" in door("info", model.save_pretrained(tmp_path / "model")).stdout


def test_other_providers_are_refused_by_name(folder):
    with pytest.raises(ProviderError, match=r"phrases.*on the cpu alone"):
        EdgeModel.from_pretrained(folder, provider="AzureExecutionProvider", graph="bag")


@pytest.mark.parametrize("graph", [*GRAPHS, "text in the native engine"])
def test_a_graph_of_another_number_of_phrases_is_refused(graph, changed):
    graph, engine = (graph, "onnxruntime") if graph in GRAPHS else ("text", "auto")
    config = read_json(changed / "config.json")
    for number in (4, 0):
        (changed / "config.json").write_text(json.dumps({**config, "phrases": number}))
        with pytest.raises(ModelFormatError, match=f"has 5 phrases, and config.json tells of {number}"):
            opened(changed, graph, "int8", engine)


def test_a_graph_whose_tables_of_phrases_have_other_names_gives_no_vectors_without_them(changed):
    file = changed / graph_file("text", "int8")
    graph = onnx.load(file)
    for tensor in graph.graph.initializer:
        tensor.name = re.sub("^phrase_", "other_", tensor.name)
    for node in graph.graph.node:
        node.input[:] = [re.sub("^phrase_", "other_", name) for name in node.input]
    onnx.save(graph, file)
    edge = opened(changed, "text", "int8")
    with pytest.raises(ModelFormatError, match="0 phrases under our names"):
        edge.encode(TEXTS, max_tokens=3)


@pytest.mark.parametrize("engine", ["onnxruntime", "native"])
def test_a_classifier_counts_pieces_alone_and_its_vectors_hold_phrases(phrase_model, tmp_path, engine):
    from edge_potion.engine import absent

    if engine == "native" and (reason := absent()):
        pytest.skip(f"there is no native engine here: {reason}")
    model = replace(phrase_model, head=head_of())
    folder = export(model, tmp_path / "bundle", quantize=list(TOLERANCES)).folder
    from edge_potion import TextClassifier

    ids = tokenize(model.tokenizer, TEXTS, 16)
    expected = model.head.probabilities(model.head.logits(model.encode(TEXTS), grams_of(ids)))
    found = TextClassifier.from_pretrained(folder, engine=engine).predict_proba(TEXTS)
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert all(verdict.passed for verdict in verify(folder))


def test_vectors_of_tokens_are_refused_where_vectors_have_any_length(phrase_model, tmp_path):
    model = replace(phrase_model, card=Card("hand", normalize=False))
    with pytest.raises(InputError, match="phrases, and vectors of any length"):
        export(model, tmp_path / "bundle", token_embeddings=True)
    assert not (tmp_path / "bundle").exists()


def test_vectors_of_tokens_and_files_for_phones_go_together(phrase_model, tmp_path):
    model = replace(phrase_model, card=Card("hand", max_tokens=None))
    folder = export(model, tmp_path / "bundle", graphs="tokens", token_embeddings=True, mobile=True).folder
    assert all(verdict.passed for verdict in verify(folder))


def test_the_model_without_phrases_is_exported_where_there_is_one(phrase_model, hand_model, door, tmp_path):
    folder = phrase_model.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="holds no without_phrases/"):
        export(folder, tmp_path / "bundle", without_phrases=True)
    hand_model.save_pretrained(folder / "without_phrases")
    ended = door("export", folder, "--without-phrases", "--out", tmp_path / "bundle")
    assert ended.code == 0, ended.stderr
    edge = EdgeModel.from_pretrained(tmp_path / "bundle")
    assert edge.bundle.phrases == 0
    assert_agrees(edge.encode(TEXTS), hand_model.encode(TEXTS), "int8")


def test_by_default_the_two_bundles_of_a_model_have_names_of_their_own(
    phrase_model, hand_model, door, tmp_path, monkeypatch
):
    folder = phrase_model.save_pretrained(tmp_path / "model")
    hand_model.save_pretrained(folder / "without_phrases")
    monkeypatch.chdir(tmp_path)
    for options in ((), ("--without-phrases",)):
        ended = door("export", folder, "--graphs", "text", *options)
        assert ended.code == 0, ended.stderr
    phrases = [EdgeModel.from_pretrained(tmp_path / f"model{name}-onnx") for name in ("", "-without-phrases")]
    assert [model.bundle.phrases for model in phrases] == [5, 0]


def test_a_model_that_has_no_phrases_has_none_without(hand_folder, hand_model, tmp_path):
    with pytest.raises(InputError, match="has no phrases; export it as it is"):
        export(hand_folder, tmp_path / "bundle", without_phrases=True)
    with pytest.raises(InputError, match="name the folder"):
        export(hand_model, tmp_path / "bundle", without_phrases=True)


def test_the_card_says_what_there_is(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "5 phrases, pairs of tokens that stand side by side" in card
    assert "refuse the folder" in card and "load it." not in card
