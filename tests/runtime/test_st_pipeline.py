"""sentence-transformers folders: what they state becomes of a text is done, or refused by name; held to the library."""

from __future__ import annotations

import inspect
import json
import logging
import pkgutil
from importlib import import_module
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import sentence_transformers as st
import torch
from safetensors.torch import save_file
from sentence_transformers.base.modules.module import Module
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    Router,
    StaticEmbedding,
    Transformer,
)

from edge_potion import EdgeModel, InputError, ModelFormatError, StaticModel, export
from edge_potion.replay import verify
from edge_potion.st_pipeline import MODULES, OLD_NAMES, POOLING_MODES, REFUSED_MODULES, SETTINGS, read_pipeline

TEXTS = ["the cat sat on the mat", "a dog ran", "cats", "the cat, the dog!", "mats a b c", "é 日本"]


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


@pytest.fixture
def embedding(hand_tokenizer, hand_table) -> StaticEmbedding:
    return StaticEmbedding(hand_tokenizer, embedding_weights=np.array(hand_table / 10, np.float32))


def saved(folder: Path, *modules: torch.nn.Module, **options: object) -> Path:
    """A folder that sentence-transformers wrote."""
    model = st.SentenceTransformer(modules=list(modules), device="cpu", **options)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def dense(before: int, after: int, **options: object) -> Dense:
    return Dense(before, after, activation_function=options.pop("activation_function", torch.nn.Identity()), **options)


def library_vectors(folder: Path, texts: list[str], **options: object) -> np.ndarray:
    return st.SentenceTransformer(str(folder), device="cpu").encode(texts, **options)


def modules_of_the_library() -> dict[str, type]:
    found = {}
    for room in ("base", "sentence_transformer", "sparse_encoder", "multi_vector_encoder", "cross_encoder"):
        package = import_module(f"sentence_transformers.{room}.modules")
        for each in pkgutil.iter_modules(package.__path__):
            for name, kind in vars(import_module(f"{package.__name__}.{each.name}")).items():
                if inspect.isclass(kind) and issubclass(kind, Module) and not inspect.isabstract(kind):
                    found[name] = kind
    return found


def test_each_module_of_the_library_is_followed_or_refused_by_name():
    """A new one fails this test until someone decides what becomes of it."""
    needs_code = {"LambdaTokenPooling"}  # the library itself saves it as nothing that can be loaded
    assert set(modules_of_the_library()) - needs_code == set(MODULES) | set(REFUSED_MODULES)


@pytest.mark.parametrize("kind", MODULES)
def test_each_key_of_a_module_that_is_followed_is_honoured_refused_or_means_nothing(kind):
    of_the_library = set(modules_of_the_library()[kind].config_keys)
    if kind == "Transformer":  # what it takes, and no longer writes
        of_the_library |= set(inspect.signature(Transformer.__init__).parameters)
        of_the_library -= {"self", "model_name_or_path", "backend"}
    assert of_the_library == set(MODULES[kind])
    renamed = getattr(modules_of_the_library()[kind], "config_key_renames", {})
    assert renamed.items() <= OLD_NAMES.items()


def test_each_pooling_mode_and_its_switch_are_known():
    from sentence_transformers.sentence_transformer.modules import pooling

    assert pooling._LEGACY_POOLING_MODE_KWARGS == POOLING_MODES
    assert set(Pooling.POOLING_MODES) == set(POOLING_MODES.values())


def test_each_key_of_the_settings_is_known(embedding, tmp_path):
    folder = saved(tmp_path / "m", embedding, truncate_dim=4, prompts={"ask": "the "}, default_prompt_name="ask")
    written = json.loads((folder / "config_sentence_transformers.json").read_text())
    ours = {"normalize", "max_length", "requirements"}  # model2vec's two, and one that people write by hand
    assert set(written) | ours == set(SETTINGS)


def test_a_rule_that_leaves_something_out_says_why():
    rules = [rule for keys in (*MODULES.values(), SETTINGS) for rule in keys.values()]
    assert all(rule.why for rule in rules if rule.fate != "honoured") and all(REFUSED_MODULES.values())


HONOURED = {
    "alone": list,
    "normalized": lambda: [Normalize()],
    "dense": lambda: [dense(8, 3)],
    "dense without bias": lambda: [dense(8, 5, bias=False)],
    "dense and a residual": lambda: [dense(8, 8, use_residual=True)],
    "dense and a projected residual": lambda: [dense(8, 3, use_residual=True)],
    "two dense, dropout, normalized twice": lambda: [
        dense(8, 12),
        Dropout(0.5),
        dense(12, 4),
        Normalize(),
        Normalize(),
    ],
}


@pytest.mark.parametrize("case", HONOURED)
def test_what_can_be_folded_gives_the_librarys_vectors(embedding, tmp_path, case):
    folder = saved(tmp_path / "m", embedding, *HONOURED[case]())
    wanted = library_vectors(folder, TEXTS)
    model = StaticModel.from_pretrained(folder)
    np.testing.assert_allclose(model.encode(TEXTS), wanted, atol=1e-6)
    again = StaticModel.from_pretrained(model.save_pretrained(tmp_path / "ours"))
    np.testing.assert_allclose(library_vectors(tmp_path / "ours", TEXTS), wanted, atol=1e-6)
    np.testing.assert_allclose(again.encode(TEXTS), wanted, atol=1e-6)
    export(folder, tmp_path / "b", quantize="float32")
    for graph in ("text", "bag", "tokens"):
        edge = EdgeModel.from_pretrained(tmp_path / "b", graph=graph, provider="cpu")
        np.testing.assert_allclose(edge.encode(TEXTS), wanted, atol=2e-6)


@pytest.mark.parametrize("behind", [[], [lambda: dense(8, 6)]])
def test_truncate_dim_cuts_vectors(embedding, tmp_path, behind):
    folder = saved(tmp_path / "m", embedding, *(make() for make in behind), truncate_dim=4)
    np.testing.assert_allclose(
        StaticModel.from_pretrained(folder).encode(TEXTS), library_vectors(folder, TEXTS), atol=1e-6
    )


def test_truncated_vectors_of_a_normalized_model_have_unit_length_and_it_says_so(embedding, tmp_path, caplog):
    folder = saved(tmp_path / "m", embedding, Normalize(), truncate_dim=4)
    wanted = library_vectors(folder, TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(StaticModel.from_pretrained(folder).encode(TEXTS), wanted, atol=1e-6)
    assert "truncate_dim = 4" in caplog.text


@pytest.mark.parametrize(
    ("prompts", "default"),
    [
        ({"ask": "the dog "}, "ask"),
        ({"ask": "the dog "}, None),
        ({"query": "a ", "document": "b "}, "document"),
        ({}, "query"),
    ],
)
def test_a_default_prompt_stands_before_every_text(embedding, tmp_path, prompts, default):
    folder = saved(tmp_path / "m", embedding, Normalize(), prompts=prompts, default_prompt_name=default)
    wanted = library_vectors(folder, TEXTS)
    model = StaticModel.from_pretrained(folder)
    np.testing.assert_allclose(model.encode(TEXTS), wanted, atol=1e-6)
    np.testing.assert_allclose(model.encode(TEXTS, prompt=""), library_vectors(folder, TEXTS, prompt=""), atol=1e-6)
    np.testing.assert_allclose(
        model.encode("cat", prompt="a b "), library_vectors(folder, ["a b cat"], prompt="")[0], atol=1e-6
    )
    model.save_pretrained(tmp_path / "ours")  # the prompts go with it, also to the library
    np.testing.assert_allclose(library_vectors(tmp_path / "ours", TEXTS), wanted, atol=1e-6)


@pytest.mark.parametrize("path", ["", ".", "0_StaticEmbedding", "table", "deep/down"])
def test_the_embedding_lies_where_modules_json_says(embedding, tmp_path, path):
    folder = saved(tmp_path / "m", embedding)
    wanted = library_vectors(folder, TEXTS)
    home = folder / path
    home.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).rename(home / name)
    entry = {"idx": 0, "name": "0", "path": path, "type": "sentence_transformers.models.StaticEmbedding"}
    (folder / "modules.json").write_text(json.dumps([entry]))
    np.testing.assert_allclose(StaticModel.from_pretrained(folder).encode(TEXTS), wanted, atol=1e-6)


def test_texts_are_cut_where_the_tokenizer_json_says(hand_tokenizer, hand_table, tmp_path):
    hand_tokenizer.enable_truncation(3)
    folder = saved(tmp_path / "m", StaticEmbedding(hand_tokenizer, embedding_weights=hand_table))
    assert StaticModel.from_pretrained(folder).card.max_tokens == 3
    np.testing.assert_allclose(
        StaticModel.from_pretrained(folder).encode(TEXTS), library_vectors(folder, TEXTS), atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_table_of_another_dtype_is_read(embedding, tmp_path, dtype):
    folder = saved(tmp_path / "m", embedding)
    table = embedding.embedding.weight.detach().to(dtype)
    save_file({"embedding.weight": table}, folder / "model.safetensors")
    found = StaticModel.from_pretrained(folder)
    wanted = table.to(torch.float32).numpy().copy()
    wanted[list(found.dropped_ids)] = 0
    np.testing.assert_array_equal(found.table, wanted)


REFUSED = {
    "LayerNorm": lambda: [LayerNorm(8)],
    "Dense": lambda: [Dense(8, 3)],  # with its tanh
    "activation 'torch.nn.modules.activation.GELU'": lambda: [dense(8, 3, activation_function=torch.nn.GELU())],
    "Dense behind a Normalize": lambda: [Normalize(), dense(8, 3)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_folded_is_refused_by_name(embedding, tmp_path, name):
    folder = saved(tmp_path / "m", embedding, *REFUSED[name]())
    for read in (StaticModel.from_pretrained, EdgeModel.from_pretrained):
        with pytest.raises(ModelFormatError, match=name) as told:
            read(folder)
        assert "\n" not in str(told.value)


def test_a_router_is_refused_by_name(embedding, tmp_path):
    other = StaticEmbedding(embedding.tokenizer, embedding_dim=8)
    folder = saved(tmp_path / "m", Router.for_query_document([embedding], [other]))
    with pytest.raises(ModelFormatError, match="the module Router cannot be followed"):
        StaticModel.from_pretrained(folder)


@pytest.mark.parametrize("kind", REFUSED_MODULES)
def test_every_module_that_we_do_not_follow_is_refused_by_name(embedding, tmp_path, kind):
    folder = saved(tmp_path / "m", embedding)
    entries = json.loads((folder / "modules.json").read_text())
    entries.append({"idx": 1, "name": "1", "path": "1", "type": f"sentence_transformers.models.{kind}"})
    (folder / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(ModelFormatError, match=f"the module {kind} cannot be followed: .+"):
        StaticModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"type": "sentence_transformers.models.Later"}, "'sentence_transformers.models.Later' is not known"),
        ({"type": "modeling_own.Normalize"}, "'modeling_own.Normalize' is not known"),
        ({"type": 3}, "no list of sentence-transformers modules"),
        ({"path": "../elsewhere"}, "leaves the folder"),
        ({"path": "/etc"}, "leaves the folder"),
        ({"path": "C:\\x"}, "leaves the folder"),
        ({"path": None}, "leaves the folder"),
        ({"weight": 0.5}, "'weight' means is not known"),
    ],
)
def test_an_entry_of_modules_json_that_is_not_understood(embedding, tmp_path, entry, reason):
    folder = saved(tmp_path / "m", embedding, Normalize())
    entries = json.loads((folder / "modules.json").read_text())
    entries[1] |= entry
    (folder / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(ModelFormatError, match=reason):
        StaticModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model_type": "SparseEncoder"}, "model_type = 'SparseEncoder' cannot be followed"),
        ({"truncate_dim": 0}, "truncate_dim is 0"),
        ({"truncate_dim": True}, "truncate_dim is True"),
        ({"truncate_dim": "4"}, "truncate_dim is '4'"),
        ({"prompts": ["a"]}, r"prompts is \['a'\]"),
        ({"prompts": {"a": 1}}, "prompts is {'a': 1}"),
        ({"default_prompt_name": "ask"}, "default_prompt_name is 'ask'"),
        ({"default_prompt_name": ["ask"]}, "default_prompt_name is"),
    ],
)
def test_a_setting_that_cannot_be_followed(embedding, tmp_path, settings, reason):
    folder = saved(tmp_path / "m", embedding)
    file = folder / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    with pytest.raises(ModelFormatError, match=reason):
        StaticModel.from_pretrained(folder)


def test_a_setting_that_nobody_knows_is_named(embedding, tmp_path, caplog):
    folder = saved(tmp_path / "m", embedding, similarity_fn_name="euclidean")
    file = folder / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"query_prefix": "query: ", "empty": None}))
    with caplog.at_level(logging.WARNING, "edge_potion"):
        StaticModel.from_pretrained(folder)
    assert "'query_prefix' means nothing to us" in caplog.text and "empty" not in caplog.text
    assert "compared by 'euclidean'" in caplog.text


@pytest.mark.parametrize(
    ("truncation", "reason"),
    [
        ({"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}, "truncated at the left"),
        ({"direction": "Right", "max_length": 4, "strategy": "OnlySecond", "stride": 0}, "by 'OnlySecond'"),
    ],
)
def test_a_truncation_that_keeps_other_tokens_is_refused(embedding, tmp_path, truncation, reason):
    folder = saved(tmp_path / "m", embedding)
    content = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(content | {"truncation": truncation}))
    with pytest.raises(ModelFormatError, match=reason):
        StaticModel.from_pretrained(folder)


def test_a_normalize_module_and_config_json_that_disagree_are_named(hand_folder, caplog):
    entries = json.loads((hand_folder / "modules.json").read_text())
    (hand_folder / "modules.json").write_text(json.dumps(entries[:1]))
    assert StaticModel.from_pretrained(hand_folder).card.normalize
    assert "normalize = true and modules.json lacks a Normalize" in caplog.text


def test_tensors_and_keys_of_config_json_that_nobody_reads_are_named(hand_model, hand_folder, caplog):
    save_file({"embeddings": torch.tensor(hand_model.table), "bias": torch.ones(8)}, hand_folder / "model.safetensors")
    config = json.loads((hand_folder / "config.json").read_text())
    (hand_folder / "config.json").write_text(json.dumps(config | {"head_config": {"n_layers": 1}}))
    StaticModel.from_pretrained(hand_folder)
    assert "the tensor 'bias'" in caplog.text and "'head_config'" in caplog.text


def test_weights_of_a_dense_that_do_not_fit_or_are_pickled(embedding, tmp_path):
    folder = saved(tmp_path / "m", embedding, dense(8, 3))
    file = folder / "1_Dense" / "model.safetensors"
    save_file({"linear.weight": torch.ones(2, 8), "linear.bias": torch.ones(2)}, file)
    with pytest.raises(ModelFormatError, match="was expected"):
        StaticModel.from_pretrained(folder)
    save_file({"linear.weight": torch.full((3, 8), torch.nan), "linear.bias": torch.ones(3)}, file)
    with pytest.raises(ModelFormatError, match="NaN"):
        StaticModel.from_pretrained(folder)
    file.rename(file.with_name("pytorch_model.bin"))
    with pytest.raises(ModelFormatError, match="nothing pickled"):
        StaticModel.from_pretrained(folder)


def test_a_table_that_is_pickled_is_refused_by_name(embedding, tmp_path):
    folder = saved(tmp_path / "m", embedding)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelFormatError, match=r"pytorch_model\.bin is pickled"):
        StaticModel.from_pretrained(folder)


JSON = ("config.json", "modules.json", "tokenizer.json")


@pytest.mark.parametrize(
    ("name", "encoding"),
    [*((name, "utf-16") for name in JSON), *((name, "utf-8-sig") for name in (*JSON, "README.md", "recipe.toml"))],
)
def test_a_byte_order_mark_is_no_content(hand_model, hand_folder, name, encoding):
    file = hand_folder / name
    text = file.read_text(encoding="utf-8") if file.is_file() else "# A model\n"
    file.write_text(text, encoding=encoding)
    found = StaticModel.from_pretrained(hand_folder)
    np.testing.assert_array_equal(found.encode(TEXTS), hand_model.encode(TEXTS))
    assert "\ufeff" not in found.card.readme + found.card.recipe


def test_a_card_in_latin_1_is_read(hand_folder):
    (hand_folder / "README.md").write_bytes("Modèle français".encode("latin-1"))
    assert StaticModel.from_pretrained(hand_folder).card.readme == "Modèle français"


def test_a_file_of_a_strangers_folder_is_not_read_beyond_its_bound(hand_folder):
    for name, bytes_ in (("README.md", 2**24 + 1), ("tokenizer.json", 2**28 + 1)):
        with (hand_folder / name).open("wb") as stream:
            stream.truncate(bytes_)  # sparse: it takes no room
        with pytest.raises(ModelFormatError, match=f"{name} is no file, or larger than"):
            StaticModel.from_pretrained(hand_folder)


def test_a_folder_without_modules_json_states_nothing(hand_folder):
    (hand_folder / "modules.json").unlink()
    assert read_pipeline(hand_folder).steps == []


PROMPTED = {"prompts": {"ask": "the dog "}, "default_prompt_name": "ask"}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_bundle_puts_the_default_prompt_before_every_text_in_each_graph(embedding, tmp_path, precision):
    folder = saved(tmp_path / "m", embedding, Normalize(), **PROMPTED)
    wanted = library_vectors(folder, TEXTS)
    bundle = export(folder, tmp_path / "b", quantize=precision)
    assert any("'the dog '" in remark for remark in bundle.remarks)
    for graph in ("text", "bag", "tokens"):
        model = EdgeModel.from_pretrained(tmp_path / "b", graph=graph, provider="cpu")
        one_by_one = np.array([model.encode(text) for text in TEXTS])
        for vectors in (model.encode(TEXTS), one_by_one, model.encode(TEXTS, max_tokens=99)):
            assert ((vectors * wanted).sum(1) > (0.999999 if precision == "float32" else 0.999)).all()
        bare = library_vectors(folder, TEXTS, prompt="")
        assert ((model.encode(TEXTS, prompt="") * bare).sum(1) > 0.999).all()
    with pytest.raises(InputError, match="prompt is int"):
        model.encode("cat", prompt=3)
    assert all(verdict.passed for verdict in verify(tmp_path / "b"))
    session = ort.InferenceSession(str(bundle.graphs["text", precision]), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["prompt"] == "the dog "


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("config_sentence_transformers.json", {"truncate_dim": 4}, "truncate_dim"),
        ("modules.json", [("", "StaticEmbedding"), ("1", "LayerNorm")], "LayerNorm"),
    ],
)
def test_a_bundle_that_states_what_its_graphs_do_not_do_is_refused(hand_bundle, file, content, named):
    if file == "modules.json":
        (hand_bundle / "1").mkdir()
        (hand_bundle / "1" / "config.json").write_text('{"dimension": 8}')
        content = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in content]
    (hand_bundle / file).write_text(json.dumps(content))
    with pytest.raises(ModelFormatError, match=f"states {named}, which its graphs do not do"):
        EdgeModel.from_pretrained(hand_bundle)


def test_what_is_for_transformers_is_named_in_a_static_folder(embedding, tmp_path, caplog):
    folder = saved(tmp_path / "m", embedding)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4, "do_lower_case": true}')
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "truncation_side": "left"}')
    found = StaticModel.from_pretrained(folder).encode(TEXTS)
    np.testing.assert_allclose(found, library_vectors(folder, TEXTS), atol=1e-6)
    assert "sentence_bert_config.json is for transformers" in caplog.text
    assert "truncation_side = 'left' means nothing" in caplog.text and "lower-cases nothing" not in caplog.text
