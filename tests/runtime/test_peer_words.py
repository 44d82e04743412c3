"""What people have typed for years: followed with its meaning, or refused in one line; nothing is passed over."""

from __future__ import annotations

import inspect
from functools import wraps

import model2vec
import numpy as np
import pytest
import sentence_transformers
import torch

from edge_potion import EdgeModel, InputError, StaticModel, TokenIds, export, progress
from edge_potion.peer_words import DEFAULTS, ENCODE, LOAD
from edge_potion.runtime import LOAD_DEFAULTS
from edge_potion.static_model import Card

TEXTS = ["the cat sat", "", "a dog ran"]
PROMPTS = {"query": "the ", "passage": "cat "}


@pytest.fixture(scope="module", params=[EdgeModel, StaticModel])
def model(request) -> EdgeModel | StaticModel:
    return request.param.from_pretrained()


@pytest.fixture
def with_prompts(hand_table, hand_tokenizer, tmp_path) -> list[EdgeModel | StaticModel]:
    """A model that does not normalize and has prompts, both ways."""
    oracle = StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=False, prompts=PROMPTS))
    export(oracle, tmp_path / "bundle", quantize="float32", graphs="text")
    return [oracle, EdgeModel.from_pretrained(tmp_path / "bundle")]


@pytest.mark.parametrize(
    "words",
    [
        {"show_progress_bar": None},
        {"show_progress_bar": False, "convert_to_numpy": True, "convert_to_tensor": False},
        {"normalize_embeddings": True},
        {"normalize_embeddings": False},
        {"normalize": True},
        {"normalize": None},
        {"prompt_name": None},
        {"prompt_name": "document"},
        {"device": "cpu"},
        {"device": torch.device("cpu")},
        {"max_length": 512, "batch_size": 32},
        {"use_multiprocessing": True, "multiprocessing_threshold": 10_000},
        {"output_value": "sentence_embedding", "precision": "float32"},
        {"pool": None, "chunk_size": None, "task": None},
    ],
)
def test_what_asks_for_what_is_done_changes_nothing(model, words):
    assert np.array_equal(model.encode(TEXTS, **words), model.encode(TEXTS))
    assert np.array_equal(model.encode(TEXTS[0], **words), model.encode(TEXTS[0]))


def test_other_names_mean_what_ours_do(model, capsys, monkeypatch):
    assert np.array_equal(model.encode(sentences=TEXTS), model.encode(TEXTS))
    assert np.array_equal(model.encode(inputs=TEXTS[0]), model.encode(TEXTS[0]))
    assert np.array_equal(model.encode(TEXTS, max_length=1), model.encode(TEXTS, max_tokens=1))
    assert not np.array_equal(model.encode(TEXTS, max_length=1), model.encode(TEXTS))
    long = "cat " * 600 + "dog " * 600
    assert np.array_equal(model.encode(long, max_length=None), model.encode(long, max_tokens=None))
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)  # for a line before ten seconds are over
    model.encode(TEXTS, show_progress_bar=True)
    assert "encode" in capsys.readouterr().err
    model.encode(TEXTS, show_progress_bar=False)
    assert not capsys.readouterr().err


def test_tensors_are_given_where_they_are_asked_for(model):
    expected = model.encode(TEXTS)
    tensor = model.encode(TEXTS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor) and np.array_equal(tensor.numpy(), expected)
    rows = model.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(rows, list) and all(
        np.array_equal(row, wanted) for row, wanted in zip(rows, expected, strict=True)
    )
    for words in ({"convert_to_tensor": True}, {"convert_to_numpy": False}):
        assert model.encode("the cat sat", **words).shape == (256,)


def test_a_mean_is_made_a_unit_vector_where_it_is_asked_for(with_prompts):
    for model in with_prompts:
        means, units = model.encode(TEXTS, prompt=""), model.encode(TEXTS, prompt="", normalize_embeddings=True)
        assert np.linalg.norm(means[0]) > 1.1 and not units[1].any()
        np.testing.assert_allclose(units[0], means[0] / np.linalg.norm(means[0]), atol=1e-6)
        np.testing.assert_allclose(model.encode(TEXTS[0], prompt="", normalize=True), units[0], atol=1e-6)
        assert np.array_equal(model.encode(TEXTS, normalize=False), means)


def test_prompts_are_found_by_name(with_prompts):
    for model in with_prompts:
        expected = model.encode("the cat sat")
        assert np.array_equal(model.encode("cat sat", prompt_name="query"), expected)
        assert np.array_equal(model.encode_query(["cat sat"])[0], expected)
        # The model has no prompt "document"; the other library takes none then, whatever else there is.
        assert np.array_equal(model.encode_document("sat"), model.encode("sat", prompt=""))
        assert np.array_equal(model.encode_query(sentences="cat sat"), expected)
        assert np.array_equal(model.encode_query("sat", prompt="cat "), model.encode("cat sat"))
        with pytest.raises(
            InputError, match="prompt_name is 'nothing'; the model's prompts are query, document, passage"
        ):
            model.encode("sat", prompt_name="nothing")
        with pytest.raises(TypeError, match="give one of them"):
            model.encode("sat", prompt_name="query", prompt="the ")


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        ({"device": "cuda"}, r"EdgeModel\.from_pretrained\(provider='cuda'\)"),
        ({"device": ["cpu", "cpu"]}, "provider="),
        ({"output_value": "token_embeddings"}, r"StaticModel\.table"),
        ({"output_value": None}, r"StaticModel\.table"),
        ({"precision": "int8"}, r"EdgeModel\.from_pretrained\(precision=\.\.\.\)"),
        ({"pool": object()}, r"EdgeModel\.from_pretrained\(threads=\.\.\.\)"),
        ({"normalize": False}, "have unit length"),
        ({"task": "query"}, "encode_query"),
    ],
)
def test_what_is_not_done_is_refused_and_names_ours(model, words, instead):
    with pytest.raises(InputError, match=instead) as caught:
        model.encode(TEXTS, **words)
    assert "\n" not in str(caught.value) and next(iter(words)) in str(caught.value)


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("dim", "truncate_dim"), ("batchsize", "batch_size"), ("normalise_embeddings", "normalize_embeddings")],
)
def test_an_unknown_argument_names_the_nearest(model, word, nearest):
    with pytest.raises(TypeError, match=f"encode has no argument '{word}'; use {nearest}"):
        model.encode(TEXTS, **{word: 1})
    with pytest.raises(TypeError, match=r"no argument 'quux'$"):
        model.encode(TEXTS, quux=1)


def test_an_argument_by_place_or_given_twice_or_missing_is_said(model):
    with pytest.raises(
        TypeError, match=r"texts alone by place: name what follows, as in encode\(texts, batch_size=32\)"
    ):
        model.encode(TEXTS, 32)
    for words in ({"max_tokens": 3, "max_length": 5}, {"sentences": TEXTS}):
        with pytest.raises(TypeError, match="are the same argument of encode; give one"):
            model.encode(TEXTS, **words)
    with pytest.raises(TypeError, match="encode is given no texts"):
        model.encode(batch_size=3)


def test_a_stream_takes_the_same_words():
    model = EdgeModel.from_pretrained()
    (batch,) = model.stream(sentences=TEXTS, convert_to_tensor=True, show_progress_bar=False)
    assert batch.texts == TEXTS and isinstance(batch.vectors, torch.Tensor)
    with pytest.raises(TypeError, match="stream has no argument 'dim'; use truncate_dim"):
        model.stream(TEXTS, dim=3)


@pytest.mark.parametrize("model_class", [EdgeModel, StaticModel])
def test_a_subclass_and_a_wrapper_take_the_same_words(model_class, hand_folder, monkeypatch):
    class Prefixed(model_class):
        def encode(self, texts, **options):
            return super().encode([f"cat {text}" for text in texts], **options)

        @classmethod
        def from_pretrained(cls, name, **options):
            return super().from_pretrained(name, **options)

    model = Prefixed.from_pretrained(hand_folder, token=None)
    expected = model_class.from_pretrained(hand_folder).encode(["cat dog"], show_progress_bar=False)
    assert np.array_equal(model.encode(["dog"], show_progress_bar=False), expected)
    original = model_class.encode
    monkeypatch.setattr(
        model_class, "encode", wraps(original)(lambda self, *texts, **words: original(self, *texts, **words))
    )
    assert np.array_equal(model_class.from_pretrained(hand_folder).encode(["cat dog"], convert_to_numpy=True), expected)


def test_defaults_are_those_of_the_signatures():
    for verb in (EdgeModel.encode, EdgeModel.stream, StaticModel.encode):
        assert verb.__kwdefaults__ == DEFAULTS
    assert {"model": None, **EdgeModel.from_pretrained.__func__.__kwdefaults__} == LOAD_DEFAULTS


def test_what_is_set_on_a_model_is_refused_and_names_ours(hand_bundle):
    model = EdgeModel.from_pretrained(hand_bundle)
    for name in ("truncate_dim", "prompts", "max_seq_length"):
        with pytest.raises(AttributeError, match=f"{name} cannot be set: it is"):
            setattr(model, name, 4)
    with pytest.raises(AttributeError, match="cannot assign"):
        StaticModel.from_pretrained(hand_bundle).truncate_dim = 4
    with pytest.raises(InputError, match="normalize_embeddings is False"):
        model.encode(["cat"], truncate_dim=4, normalize_embeddings=False)
    with pytest.raises(TypeError, match=r"opened by StaticModel\.from_pretrained"):
        StaticModel("some/folder")


def test_every_argument_of_the_other_libraries_has_its_line():
    """Of the versions in constraints.txt; those that are ours too need none."""
    ours = {"texts", *EdgeModel.encode.__kwdefaults__, *EdgeModel.from_pretrained.__func__.__kwdefaults__, "model"}
    for theirs, table in (
        (sentence_transformers.SentenceTransformer.encode, ENCODE),
        (model2vec.StaticModel.encode, ENCODE),
        (model2vec.StaticModel.from_pretrained, LOAD),
        (sentence_transformers.SentenceTransformer.__init__, LOAD),
    ):
        names = {name for name, each in inspect.signature(theirs).parameters.items() if each.kind != each.VAR_KEYWORD}
        assert names - {"self", "modules", "processor_kwargs", "config_kwargs", "model_card_data"} <= {*table, *ours}


def test_names_that_other_libraries_look_for_are_there(model):
    assert model.get_sentence_embedding_dimension() == model.get_embedding_dimension() == model.dim == 256
    assert model.get_max_seq_length() == model.max_seq_length == model.max_length == 512
    assert len(model.tokenizer.encode("a rainy day", add_special_tokens=False).ids) == 3
    assert model.device == "cpu" and model.to("cpu") is model and model.to(torch.device("cpu")) is model
    with pytest.raises(InputError, match=r"EdgeModel\.from_pretrained\(provider=\.\.\.\)"):
        model.to("cuda:0")
    with pytest.raises(AttributeError, match=r"no attribute 'save'; use StaticModel\.save_pretrained"):
        model.save("x")
    assert not hasattr(model, "push_to_hub") and not hasattr(model, "nothing")


def test_pairs_are_compared(model):
    texts, others = ["a cat", "rain", ""], ["a kitten", "cheese", "rain"]
    found = model.similarity_pairwise(texts, others)
    vectors = model.encode(texts), model.encode(others)
    np.testing.assert_allclose(found, (vectors[0] * vectors[1]).sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(model.similarity_pairwise(*vectors), found, atol=1e-6)
    assert model.similarity_pairwise("a cat", "a cat") == pytest.approx(1)
    with pytest.raises(InputError, match="make no pairs"):
        model.similarity_pairwise(texts, others[:2])


def test_what_becomes_of_the_tokenizer_that_is_given_changes_no_vector():
    model = EdgeModel.from_pretrained()
    expected = model.encode("a rainy day", max_tokens=3)
    model.tokenizer.enable_truncation(1)
    model.tokenizer.enable_padding(length=9)
    assert np.array_equal(model.encode("a rainy day", max_tokens=3), expected)


@pytest.mark.parametrize("model_class", [EdgeModel, StaticModel])
def test_arguments_at_load_are_followed_or_refused_by_name(model_class, hand_folder):
    for words in ({"normalize": None, "subfolder": None}, {"token": None, "device": "cpu"}, {"normalize": True}):
        assert model_class.from_pretrained(**words).dim == 256
    assert model_class.from_pretrained(path=hand_folder, trust_remote_code=True).dim == 8
    for words, instead in (
        ({"dimensionality": 64}, "truncate_dim"),
        ({"max_length": 99}, "max_tokens"),
        ({"force_download": True}, "hf download"),
        ({"token": "hf_secret"}, "HF_TOKEN"),
        ({"subfolder": "x"}, "path of that folder"),
        ({"normalize": False}, "the model itself says True"),
        ({"device": "cuda"}, "provider='cuda'"),
    ):
        with pytest.raises(InputError, match=instead) as caught:
            model_class.from_pretrained(**words)
        assert "\n" not in str(caught.value) and "hf_secret" not in str(caught.value)
    with pytest.raises(TypeError, match="from_pretrained has no argument 'revison'; use revision"):
        model_class.from_pretrained(revison="main")


def test_a_precision_may_be_named_as_model2vec_does(tmp_path, hand_model):
    export(hand_model, tmp_path / "b", quantize=["int8", "float16"], graphs="text")
    assert EdgeModel.from_pretrained(tmp_path / "b", quantize_to="float16").precision == "float16"
    with pytest.raises(TypeError, match="quantize_to and precision are the same argument"):
        EdgeModel.from_pretrained(tmp_path / "b", quantize_to="float16", precision="int8")
    with pytest.raises(InputError, match="which this from_pretrained does not do; EdgeModel's does, by precision"):
        StaticModel.from_pretrained(tmp_path / "b", quantize_to="float16")


# Token ids.


@pytest.mark.parametrize("graph", ["text", "bag", "tokens"])
def test_token_ids_have_the_vectors_of_their_texts(graph, hand_model, tmp_path):
    export(hand_model, tmp_path / "b", quantize="float32")
    model = EdgeModel.from_pretrained(tmp_path / "b", graph=graph)
    texts = ["the cat sat on the mat", "", "☃", "a dog ran " * 4]
    rows = [model.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    expected = hand_model.encode(texts, max_tokens=None)
    for ids in (rows, TokenIds.of(rows), [np.array(row, np.int64) for row in rows]):
        np.testing.assert_allclose(model.encode_ids(ids), expected, atol=1e-6)
    assert np.array_equal(model.encode_ids(rows, batch_size=1), model.encode_ids(rows, batch_size=1))
    assert model.encode_ids([]).shape == (0, 8)


NO_IDS = [
    *([[32]], [[-1]], [["a"]], [3], [[0.5]], 7, [[2**70]], TokenIds(np.ones(1), np.array([1]))),
    TokenIds(np.array([1, 2]), np.array([1])),
    TokenIds(np.array([1, 2]), np.array([3, -1])),
]


@pytest.mark.parametrize("ids", NO_IDS)
def test_ids_that_are_none_of_the_models_are_refused(ids, hand_bundle):
    for graph in ("text", "bag"):
        with pytest.raises(InputError, match=r"ids (hold|are)"):
            EdgeModel.from_pretrained(hand_bundle, graph=graph).encode_ids(ids)
