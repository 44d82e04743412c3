"""A teacher's own pipeline: features with pooling = "model" are what sentence-transformers' encode gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers as st
import torch
from sentence_transformers.sentence_transformer.modules import (
    CNN,
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    StaticEmbedding,
    Transformer,
    WeightedLayerPooling,
)

from edge_potion import InputError, ModelFormatError
from edge_potion.trainer.featurize import featurize
from edge_potion.trainer.recipe import FeaturizeRecipe
from edge_potion.trainer.shards import open_features
from edge_potion.trainer.teacher import load_teacher
from edge_potion.trainer.teacher_files import teacher_digest

TEXTS = ["cat", "dogs a cat", "Cats", "a DOG", "cat cat cat a", "dog", "a a dogs cats " * 12]
HIDDEN = 6


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


def saved(folder: Path, teacher: Path, *modules: torch.nn.Module, options: dict | None = None, **settings) -> Path:
    """A folder that sentence-transformers wrote, whose Transformer is `teacher`."""
    model = st.SentenceTransformer(
        modules=[Transformer(str(teacher), **(options or {})), *modules], device="cpu", **settings
    )
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def held_to_the_library(folder: Path, tmp_path: Path, texts: list[str] = TEXTS, prompt: str = "") -> np.ndarray:
    """Features of `texts` through the real featurize stage, once they are the library's vectors."""
    wanted = st.SentenceTransformer(str(folder), device="cpu").encode(texts, prompt=prompt or None)
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    (tmp_path / "features").mkdir()
    teacher = load_teacher(folder, device="cpu")
    featurize(teacher, tmp_path / "texts.txt", tmp_path / "features", FeaturizeRecipe(pooling="model", prompt=prompt))
    teacher = teacher.prompted(prompt)
    features = open_features(tmp_path / "features")
    assert features.manifest["dims"] == wanted.shape[1]
    found = np.concatenate([shard.vectors for shard in features.shards()]).astype(np.float32)
    cosines = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() >= 0.9999
    exact = teacher.vectors(teacher.sequences(texts, 128), pooling="model")
    np.testing.assert_allclose(exact, wanted, atol=2e-5)
    return found


@pytest.mark.parametrize(
    "mode",
    [
        *("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"),
        ("cls", "mean"),
        ("max", "weightedmean", "lasttoken"),
    ],
)
def test_every_pooling_mode_is_followed(bert_teacher, tmp_path, mode):
    held_to_the_library(saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN, mode)), tmp_path)


@pytest.mark.parametrize(
    "switches",
    [{"pooling_mode_max_tokens": True}, {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, {}],
)
def test_the_switches_of_older_versions_are_followed(bert_teacher, tmp_path, switches):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN, "mean"))
    names = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    config = {"word_embedding_dimension": HIDDEN, **{f"pooling_mode_{name}": False for name in names}, **switches}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    held_to_the_library(folder, tmp_path)


BEHIND = {
    "dense with its tanh": lambda: [Dense(HIDDEN, 4)],
    "dense, gelu": lambda: [Dense(HIDDEN, 4, activation_function=torch.nn.GELU())],
    "dense, no activation, residual": lambda: [
        Dense(HIDDEN, HIDDEN, bias=False, activation_function=torch.nn.Identity(), use_residual=True)
    ],
    "normalized, dense, layer norm": lambda: [Normalize(), Dense(HIDDEN, 5), LayerNorm(5)],
    "dropout, dense, normalized": lambda: [Dropout(0.9), Dense(HIDDEN, 9), Normalize()],
}


@pytest.mark.parametrize("case", BEHIND)
def test_what_stands_behind_the_pooling_is_followed(bert_teacher, tmp_path, case):
    held_to_the_library(saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN), *BEHIND[case]()), tmp_path)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("mode", ["mean", "cls", "weightedmean", "lasttoken", "max"])
def test_a_default_prompt_stands_before_every_text(bert_teacher, tmp_path, mode, include_prompt):
    folder = saved(
        tmp_path / "m",
        bert_teacher,
        Pooling(HIDDEN, mode, include_prompt=include_prompt),
        prompts={"ask": "a dog cat "},
        default_prompt_name="ask",
    )
    held_to_the_library(folder, tmp_path)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("default", [{}, {"prompts": {"ask": "a dog cat "}, "default_prompt_name": "ask"}])
def test_the_recipes_prompt_stands_there_in_its_place(bert_teacher, tmp_path, include_prompt, default):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN, include_prompt=include_prompt), **default)
    found = held_to_the_library(folder, tmp_path, prompt="cats ")
    without = st.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert not np.allclose(found, without, atol=1e-2)


def test_truncate_dim_cuts_the_vectors_of_a_teacher_too(bert_teacher, tmp_path):
    held_to_the_library(saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN), Normalize(), truncate_dim=3), tmp_path)


def test_where_a_text_is_cut_is_followed(bert_teacher, tmp_path):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN))
    file = folder / "sentence_bert_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_seq_length": 5}))
    held_to_the_library(folder, tmp_path)


def test_a_tokenizer_that_keeps_the_end_of_a_text_is_followed(bert_teacher, tmp_path):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN))
    file = folder / "tokenizer_config.json"
    told = json.loads(file.read_text()) | {"truncation_side": "left", "model_max_length": 6}
    file.write_text(json.dumps(told))
    held_to_the_library(folder, tmp_path)


def test_lower_casing_is_followed(bert_teacher, bert_tokenizer, tmp_path):
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast

    bert_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    PreTrainedTokenizerFast(tokenizer_object=bert_tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        bert_teacher
    )
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN))
    cased = st.SentenceTransformer(str(folder), device="cpu").encode(["DOG"])
    file = folder / "sentence_bert_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"do_lower_case": True}))
    assert not np.allclose(held_to_the_library(folder, tmp_path, [*TEXTS, "DOG"])[-1], cased[0], atol=1e-2)


@pytest.mark.parametrize("home", ["0_Transformer", "encoder/inner"])
def test_the_transformer_lies_where_modules_json_says(bert_teacher, tmp_path, home):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN, "cls"))
    (folder / home).mkdir(parents=True)
    for file in [each for each in folder.iterdir() if each.is_file()]:
        if file.name not in ("modules.json", "config_sentence_transformers.json"):
            file.rename(folder / home / file.name)
    (folder / "1_Pooling").rename(folder / "pooled")
    entries = json.loads((folder / "modules.json").read_text())
    entries[0]["path"], entries[1]["path"] = home, "pooled"
    (folder / "modules.json").write_text(json.dumps(entries))
    held_to_the_library(folder, tmp_path)
    before = teacher_digest(folder)
    (folder / "pooled" / "config.json").write_text(json.dumps({"embedding_dimension": HIDDEN, "pooling_mode": "max"}))
    assert teacher_digest(folder) != before  # what decides its vectors is in the digest, wherever it lies


def test_a_transformer_in_0_transformer_without_modules_json(bert_teacher, tmp_path):
    bert_teacher.rename(tmp_path / "0_Transformer")
    teacher = load_teacher(tmp_path, device="cpu")
    assert teacher.vectors(teacher.sequences(["cat"], 128)).shape == (1, HIDDEN)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("transformer_task", "fill-mask", "only the last hidden state"),
        ("processing_kwargs", {"text": {"padding": "max_length"}}, "processing_kwargs"),
        ("query_expansion", {"length": 32}, "a vector a token"),
        ("model_args", {"rotary_scaling": 2}, "model_kwargs = "),
        ("config_kwargs", {"num_hidden_layers": 1}, "config_kwargs = "),
        ("tokenizer_args", {"do_basic_tokenize": False}, "processor_kwargs = "),
        ("modality_config", {"message": {"method": "forward", "method_output_name": "logits"}}, "modality_config"),
        ("max_seq_length", -1, "max_seq_length is -1"),
        ("do_lower_case", "yes", "do_lower_case 'yes'"),
        ("layers", 3, "what layers = 3 does to a vector of Transformer is not known"),
    ],
)
def test_what_a_transformers_configuration_asks_and_we_cannot_is_refused(bert_teacher, tmp_path, key, value, reason):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN))
    file = folder / "sentence_bert_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(ModelFormatError, match=reason) as told:
        load_teacher(folder, device="cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("module", ["WeightedLayerPooling", "CNN"])
def test_a_module_that_cannot_be_followed_is_refused_by_name(bert_teacher, tmp_path, module):
    made = {"WeightedLayerPooling": lambda: WeightedLayerPooling(HIDDEN, 1, 1), "CNN": lambda: CNN(HIDDEN, 4)}
    folder = saved(tmp_path / "m", bert_teacher, made[module](), Pooling(HIDDEN))
    with pytest.raises(ModelFormatError, match=f"the module {module} cannot be followed"):
        load_teacher(folder, device="cpu")


@pytest.mark.parametrize(
    ("entry", "change", "reason"),
    [
        ("1_Pooling", {"pooling_mode": "median"}, "pooling_mode is 'median'"),
        ("1_Pooling", {"pooling_mode": []}, r"pooling_mode is \[\]"),
        ("1_Pooling", {"pooling_mode_median": True}, "pooling_mode_median = True does to a vector of Pooling"),
        ("1_Pooling", {"embedding_dimension": 7}, "embedding_dimension is 7"),
        ("2_Dense", {"activation_function": "os.system"}, "none of torch.nn's"),
        ("2_Dense", {"activation_function": "torch.nn.modules.activation.MultiheadAttention"}, "cannot be used"),
        ("2_Dense", {"module_input_name": "token_embeddings"}, "only sentence vectors are projected"),
        ("2_Dense", {"out_features": 3}, "was expected"),
        ("2_Dense", {"gate": True}, "what gate = True does to a vector of Dense"),
    ],
)
def test_a_modules_configuration_that_cannot_be_followed(bert_teacher, tmp_path, entry, change, reason):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN), Dense(HIDDEN, 4))
    file = folder / entry / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelFormatError, match=reason):
        load_teacher(folder, device="cpu").pooled_width("model")


def test_a_static_model_is_no_teacher(hand_tokenizer, tmp_path):
    model = st.SentenceTransformer(modules=[StaticEmbedding(hand_tokenizer, embedding_dim=8)], device="cpu")
    model.save_pretrained(str(tmp_path / "m"), create_model_card=False)
    with pytest.raises(ModelFormatError, match="begins with the module StaticEmbedding"):
        load_teacher(tmp_path / "m", device="cpu")


def test_an_adapter_and_a_byte_order_mark_are_refused_by_name(bert_teacher):
    config = (bert_teacher / "config.json").read_text()
    (bert_teacher / "config.json").write_text(config, encoding="utf-8-sig")
    with pytest.raises(ModelFormatError, match=r"config.json begins with a byte-order mark"):
        load_teacher(bert_teacher, device="cpu")
    (bert_teacher / "config.json").write_text(config)
    (bert_teacher / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelFormatError, match="merge it into its model first"):
        load_teacher(bert_teacher, device="cpu")


def test_averaging_token_vectors_says_what_it_leaves_out(bert_teacher, tmp_path, caplog):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN), Dense(HIDDEN, 4), Normalize())
    teacher = load_teacher(folder, device="cpu")
    for _ in range(2):
        assert teacher.vectors(teacher.sequences(["cat"], 128), pooling="tokens").shape == (1, HIDDEN)
    assert caplog.text.count("without Dense") == 1


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def with_half_its_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def with_more_layers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))


def with_a_size_in_words(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": "six"}))


def with_a_tokenizer_that_panics(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"] = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}
    (folder / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (without_tokenizer, "holds no tokenizer"),  # transformers would make one up that knows no word
        (with_half_its_weights, "no encoder that transformers loads"),
        (with_more_layers, r"lacks 16 of the model's weights, encoder\.layer\.1"),  # and random ones in their place
        (with_a_size_in_words, "hidden_size"),
        (with_a_tokenizer_that_panics, "no fast tokenizer"),
    ],
)
def test_a_teacher_that_is_not_whole_is_one_line(bert_teacher, broken, reason):
    broken(bert_teacher)
    with pytest.raises(ModelFormatError, match=reason) as told:
        load_teacher(bert_teacher, device="cpu")
    assert "\n" not in str(told.value)


def test_a_teacher_is_called_what_it_says_and_never_by_a_path(bert_teacher, tmp_path):
    home = tmp_path / "model"
    bert_teacher.rename(home)
    assert load_teacher(home, device="cpu").name == "unnamed-bert"
    config = json.loads((home / "config.json").read_text())
    (home / "config.json").write_text(json.dumps(config | {"_name_or_path": "us/clever-bert"}))
    assert load_teacher(home, device="cpu").name == "us/clever-bert"
    (home / "README.md").write_text("---\nmodel_name: wise\n---\n\n# A model\n")
    assert load_teacher(home, device="cpu").name == "wise"
    home.rename(tmp_path / "my-own-bert")
    assert load_teacher(tmp_path / "my-own-bert", device="cpu").name == "my-own-bert"


def test_features_of_another_way_of_pooling_are_not_gone_on_with(bert_teacher, tmp_path):
    folder = saved(tmp_path / "m", bert_teacher, Pooling(HIDDEN), Normalize())
    held_to_the_library(folder, tmp_path)
    manifest = tmp_path / "features" / "features.json"
    told = json.loads(manifest.read_text())
    del told["modules"]  # as an earlier version wrote it, which left a Normalize out
    manifest.write_text(json.dumps(told))
    teacher = load_teacher(folder, device="cpu")
    with pytest.raises(InputError, match="another kind: modules is None"):
        featurize(teacher, tmp_path / "texts.txt", tmp_path / "features", FeaturizeRecipe(pooling="model"))
