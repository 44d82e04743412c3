"""Bad input: one clear line for each, and nothing half-written left behind."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import edge_potion.exporters.export as export_module
from edge_potion import (
    AccessError,
    EdgeModel,
    InputError,
    ModelFormatError,
    ParityError,
    ProviderError,
    StaticModel,
    export,
)
from edge_potion.exporters.make_golden import golden_of
from edge_potion.golden import check_parity
from edge_potion.static_model import Card


def truncate(file: Path, share: float = 0.5) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


BAD_TEXTS = [
    (["ok", 5], "text 1 is of type int; every text must be a str"),
    ([None], "text 0 is of type NoneType; every text must be a str"),
    (["ok", "ok", b"bytes"], r"text 2 is bytes; decode it first, for example text.decode\('utf-8'\)"),
    ([("a", "b")], "text 0 is of type tuple"),  # tokenizers would take it for a text pair
    ([["a", "b"]], "text 0 is of type list"),
    ([float("nan")], "text 0 is of type float"),
    (["fine", "lone \ud800 one"], r"text 1 holds the lone surrogate U\+D800 at character 5"),
]


@pytest.mark.parametrize(("texts", "message"), BAD_TEXTS)
def test_texts_that_are_no_texts(hand_model, hand_bundle, texts, message):
    for model in (hand_model, EdgeModel.from_pretrained(hand_bundle)):
        with pytest.raises(InputError, match=message):
            model.encode(texts)


def test_bytes_in_the_place_of_texts(hand_bundle):
    for texts in (b"bytes", None, 5, np.array(3.0)):
        with pytest.raises(InputError, match=r"texts is \w+; an iterable of str was expected"):
            EdgeModel.from_pretrained(hand_bundle).encode(texts)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; a whole number of at least 1"),
        ({"batch_size": None}, "batch_size is None"),
        ({"max_tokens": 0}, "max_tokens is 0; a whole number of at least 1"),
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"truncate_dim": 9}, "truncate_dim is 9; a whole number from 1 to 8"),
        ({"truncate_dim": 2.5}, "truncate_dim is 2.5"),
        ({"truncate_dim": True}, "truncate_dim is True"),
    ],
)
def test_arguments_out_of_range(hand_bundle, option, message):
    with pytest.raises(InputError, match=message):
        EdgeModel.from_pretrained(hand_bundle).encode(["a"], **option)


@pytest.mark.parametrize("load", [StaticModel.from_pretrained, EdgeModel.from_pretrained])
def test_a_model_that_is_not_there(load, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "missing")
    with pytest.raises((AccessError, InputError), match="is no folder here, and the model hub did not give it"):
        load("nobody-here/no-such-model")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; pass the model's folder"):
        load(tmp_path / "file")
    with pytest.raises(InputError, match="revision='main' is for hub ids"):
        load(tmp_path, revision="main")


def test_a_folder_that_holds_no_static_model(tmp_path, teacher_folder):
    with pytest.raises(ModelFormatError, match=r"holds no model.safetensors; .*edge-potion distill"):
        StaticModel.from_pretrained(tmp_path)
    with pytest.raises(ModelFormatError, match=r"begins with the module Transformer, .*edge-potion distill"):
        StaticModel.from_pretrained(teacher_folder)
    bare = Path(shutil.copytree(teacher_folder, tmp_path / "bare"))
    (bare / "modules.json").unlink()
    shutil.rmtree(bare / "1_Pooling")
    with pytest.raises(ModelFormatError, match=r"'embeddings' \(Model2Vec\) or 'embedding.weight' .* was expected"):
        StaticModel.from_pretrained(bare)  # foreign tensors


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "modules.json"])
def test_a_truncated_file_of_a_model(hand_folder, name):
    truncate(hand_folder / name)
    if name == "modules.json":  # read for sentence-transformers layouts alone
        tensors = load_file(hand_folder / "model.safetensors")
        save_file({"embedding.weight": tensors["embeddings"]}, hand_folder / "model.safetensors")
    with pytest.raises(ModelFormatError, match=name):
        StaticModel.from_pretrained(hand_folder)


def test_a_model_without_a_tokenizer(hand_folder):
    (hand_folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFormatError, match=r"tokenizer.json is missing"):
        StaticModel.from_pretrained(hand_folder)


@pytest.mark.parametrize(
    ("key", "value"), [("normalize", "yes"), ("max_length", -1), ("max_length", "512"), ("max_length", True)]
)
def test_a_config_with_impossible_values(hand_folder, key, value):
    config = json.loads((hand_folder / "config.json").read_text())
    (hand_folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(ModelFormatError, match=key):
        StaticModel.from_pretrained(hand_folder)


@pytest.mark.parametrize("rows", [31, 33])
def test_a_table_whose_rows_do_not_match_the_tokenizer(hand_folder, rows):
    save_file({"embeddings": np.ones((rows, 8), np.float32)}, hand_folder / "model.safetensors")
    with pytest.raises(ModelFormatError, match=f"the table has {rows} rows and the tokenizer 32 tokens"):
        StaticModel.from_pretrained(hand_folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])
def test_a_table_with_values_that_are_no_numbers(hand_folder, hand_table, bad):
    hand_table[7, 3] = bad
    save_file({"embeddings": hand_table}, hand_folder / "model.safetensors")
    with pytest.raises(ModelFormatError, match=r"row 7 of the table holds NaN, inf or a value beyond 1e\+09"):
        StaticModel.from_pretrained(hand_folder)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"embeddings": np.ones((32, 8), np.int32)}, "the table is int32"),
        ({"embeddings": np.ones(32, np.float32)}, r"of shape \(32,\)"),
        ({"embeddings": np.ones((32, 0), np.float32)}, r"\(tokens, dimensions\) was expected"),
        (
            {"embeddings": np.ones((4, 8), np.float32), "mapping": np.full(32, 4)},
            "'mapping' does not give a row in 0..3",
        ),
        ({"embeddings": np.ones((32, 8), np.float32), "weights": np.ones(31, np.float32)}, "'weights' is float32"),
        ({"embeddings": np.ones((32, 8), np.float32), "weights": np.ones(32, np.int8)}, "'weights' is int8"),
        ({"something": np.ones(3)}, "holds something; 'embeddings'"),
    ],
)
def test_tensors_of_the_wrong_kind(hand_folder, tensors, message):
    save_file(tensors, hand_folder / "model.safetensors")
    with pytest.raises(ModelFormatError, match=message):
        StaticModel.from_pretrained(hand_folder)


def test_a_dtype_that_numpy_does_not_have(hand_folder):
    import torch
    from safetensors.torch import save_file as save_torch

    save_torch({"embeddings": torch.ones((32, 8)).to(torch.float8_e4m3fn)}, hand_folder / "model.safetensors")
    with pytest.raises(ModelFormatError, match=r"model.safetensors"):
        StaticModel.from_pretrained(hand_folder)


def test_a_truncated_graph(hand_bundle):
    for name, engine in (("text", "native"), ("text", "onnxruntime"), ("bag", "onnxruntime")):
        truncate(hand_bundle / "onnx" / f"{name}_quantized.onnx")
        with pytest.raises(ModelFormatError, match=rf"{name}_quantized.onnx is no graph of ours"):
            EdgeModel.from_pretrained(hand_bundle, graph=name, engine=engine)


def test_a_bundle_whose_parts_are_missing(hand_bundle):
    config = (hand_bundle / "config.json").read_text()
    (hand_bundle / "config.json").unlink()
    with pytest.raises(ModelFormatError, match=r"config.json is missing"):
        EdgeModel.from_pretrained(hand_bundle)
    (hand_bundle / "config.json").write_text(json.dumps({**json.loads(config), "hidden_dim": "8"}))
    with pytest.raises(ModelFormatError, match="hidden_dim is '8'"):
        EdgeModel.from_pretrained(hand_bundle)
    shutil.rmtree(hand_bundle / "onnx")
    with pytest.raises(ModelFormatError, match="holds none of our graphs"):
        EdgeModel.from_pretrained(hand_bundle)


def test_choices_of_export_that_do_not_exist(hand_model, tmp_path):
    for option, message in (
        ({"quantize": ["int4"]}, "no precision 'int4'; choose from int8, float16, float32"),
        ({"graphs": ["words"]}, "no graph 'words'; choose from text, bag, tokens"),
        ({"quantize": []}, "at least one of int8"),
        ({"quantize": ["int8", "int8"]}, "name each precision once"),
    ):
        with pytest.raises(InputError, match=message):
            export(hand_model, tmp_path / "out", **option)
    assert not (tmp_path / "out").exists()


def test_a_table_that_float16_cannot_hold_exactly_enough_is_still_within_bounds(hand_tokenizer, tmp_path):
    """Values from 1e-6 to 1e6 in one table: float16 alone would overflow at 65,504."""
    random = np.random.default_rng(11)
    table = random.standard_normal((32, 8)) * 10.0 ** random.integers(-6, 6, (32, 1))
    model = StaticModel(table.astype(np.float32), hand_tokenizer, Card("wide"))
    export(model, tmp_path / "out", quantize=["float32"])
    with pytest.raises(ParityError, match="export with --quantize float16"):
        export(model, tmp_path / "out8", quantize=["int8"])


def test_texts_are_numbered_across_windows(hand_bundle):
    with pytest.raises(InputError, match="text 8999 is of type int"):
        EdgeModel.from_pretrained(hand_bundle).encode(["a"] * 8999 + [5])


def test_a_tokenizer_that_lacks_its_unknown_token(hand_table):
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordPiece({"cat": 0, "dog": 1}, unk_token="[UNK]"))
    model = StaticModel(hand_table[:2], tokenizer, Card("no unk"))
    with pytest.raises(ModelFormatError, match=r"tokenizer.json cannot tokenize \(.*\[UNK\]"):
        model.encode("bird")


@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_a_bundle_whose_files_are_of_different_models(hand_bundle, distilled_folder, engine):
    config = json.loads((hand_bundle / "config.json").read_text())
    (hand_bundle / "config.json").write_text(json.dumps({**config, "hidden_dim": 9}))
    with pytest.raises(
        ModelFormatError, match=r"the graph is for 32 tokens and 8 dimensions, .* config.json 9 dimensions"
    ):
        EdgeModel.from_pretrained(hand_bundle, engine=engine)
    (hand_bundle / "config.json").write_text(json.dumps(config))
    shutil.copy(distilled_folder / "tokenizer.json", hand_bundle / "tokenizer.json")
    with pytest.raises(ModelFormatError, match=r"tokenizer.json has 29528 tokens"):
        EdgeModel.from_pretrained(hand_bundle, graph="bag")
    assert (
        EdgeModel.from_pretrained(hand_bundle, engine=engine).encode("the cat").any()
    )  # the text graph does not read it
    (hand_bundle / "config.json").write_text(json.dumps({**config, "max_length": 3}))
    with pytest.raises(ModelFormatError, match=r"the text graph cuts at 16 tokens, and config.json says 3"):
        EdgeModel.from_pretrained(hand_bundle, engine=engine)
    (hand_bundle / "config.json").write_text(json.dumps(config))
    shutil.copy(hand_bundle / "onnx" / "bag_quantized.onnx", hand_bundle / "onnx" / "text_quantized.onnx")
    with pytest.raises(ModelFormatError, match=r"the file of the graph 'text' holds 'bag'"):
        EdgeModel.from_pretrained(hand_bundle, engine=engine)


def test_an_origin_that_is_none_does_no_harm(hand_folder, tmp_path):
    config = json.loads((hand_folder / "config.json").read_text())
    (hand_folder / "config.json").write_text(json.dumps({**config, "edge_potion": None}))
    assert export(hand_folder, tmp_path / "out").dim == 8


@pytest.mark.parametrize("provider", [None, ["CPUExecutionProvider"], ("cpu",), ("cpu", None), 3])
def test_a_provider_that_is_no_name(hand_bundle, provider):
    with pytest.raises(ProviderError, match=r"a name, or \(name, options\), was expected"):
        EdgeModel.from_pretrained(hand_bundle, provider=provider)


@pytest.mark.parametrize("threads", [0, -5, "2", 2**40])
def test_threads_that_are_no_number_of_threads(hand_bundle, threads):
    with pytest.raises(InputError, match="threads is"):
        EdgeModel.from_pretrained(hand_bundle, threads=threads)


def test_similarity_of_what_cannot_be_compared(hand_bundle):
    model = EdgeModel.from_pretrained(hand_bundle)
    with pytest.raises(InputError, match="vectors of 3 and of 8 dimensions"):
        model.similarity(np.ones(3), "the cat")
    with pytest.raises(InputError, match=r"vectors of shape \(1, 1, 8\) cannot be compared"):
        model.similarity(np.ones((1, 1, 8)), "the cat")
    with pytest.raises(InputError, match="vectors hold NaN or inf"):
        model.similarity(np.full(8, np.nan), "the cat")
    huge, tiny = np.array([1e200, 0, 0]), np.array([[1e-200, 0, 0], [0, 1e-30, 0]])
    np.testing.assert_allclose(model.similarity(huge, tiny), [1, 0], atol=1e-6)


def test_an_export_of_the_wrong_size_is_refused(hand_table, hand_tokenizer, tmp_path, monkeypatch):
    """A cosine does not see a length: vectors a thousand times too long must be refused all the same."""
    real = export_module.pack
    monkeypatch.setattr(export_module, "pack", lambda *args: replace(real(*args), scale=real(*args).scale * 1000))
    model = StaticModel(hand_table, hand_tokenizer, Card("mean", normalize=False))
    for precision in ("int8", "float16", "float32"):
        with pytest.raises(ParityError, match="strays from the oracle"):
            export(model, tmp_path / "out", quantize=precision)


def test_parity_of_means_is_relative_to_their_size(hand_table, hand_tokenizer, tmp_path):
    small = StaticModel(hand_table * np.float32(1e-7), hand_tokenizer, Card("small", normalize=False))
    assert export(small, tmp_path / "out", quantize=["float32", "float16", "int8"]).dim == 8
    golden = golden_of(small)
    with pytest.raises(ParityError, match="max abs difference 1 >"):
        check_parity(golden, np.zeros_like(golden.vectors), "float32", "zeros")
