"""Featurize: the teacher's vectors, shard by shard: what they are, where they go, and how a run goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_potion import InputError, ModelFormatError
from edge_potion.trainer import shards as shard_module
from edge_potion.trainer.featurize import featurize
from edge_potion.trainer.recipe import FeaturizeRecipe
from edge_potion.trainer.shards import Shard, open_features, read_shard, shard_files, write_shard
from edge_potion.trainer.teacher import load_teacher

RECIPE = FeaturizeRecipe(shard_rows=3)
TEXTS = ["cat", "dogs a cat", "cats", "a dog", "cat cat cat a", "dog", "a a"]


@pytest.fixture
def teacher(bert_teacher):
    return load_teacher(bert_teacher, device="cpu")


@pytest.fixture
def sentences_file(tmp_path) -> Path:
    file = tmp_path / "sentences.txt"
    file.write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")
    return file


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "features").mkdir()
    return tmp_path / "features"


def states_of(teacher, text: str) -> np.ndarray:
    """(L, H): the last layer's vectors of one text, [CLS] and [SEP] among them."""
    with torch.inference_mode():
        return teacher.model(torch.tensor([teacher.tokenizer.encode(text).ids])).last_hidden_state[0].numpy()


def all_rows(folder: Path) -> Shard:
    parts = list(open_features(folder).shards())
    return Shard([text for part in parts for text in part.texts], np.concatenate([part.vectors for part in parts]))


def test_a_vector_is_the_mean_of_the_token_vectors_without_cls_and_sep(teacher, sentences_file, out):
    facts = featurize(teacher, sentences_file, out, RECIPE)
    found = all_rows(out)
    assert facts == {"rows": 7, "skipped": {}} and found.texts == TEXTS
    assert found.vectors.dtype == np.float16 and len(shard_files(out)) == 3
    wanted = [states_of(teacher, text)[1:-1].mean(axis=0) for text in TEXTS]
    np.testing.assert_allclose(found.vectors, wanted, atol=2e-3)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"embedding_dimension": 6, "pooling_mode": "cls"}, "first"),  # sentence-transformers 6
        (None, "mean"),
    ],
)
def test_a_pooling_is_followed_where_modules_json_is_lost(bert_teacher, config, wanted):
    if config is not None:
        (bert_teacher / "1_Pooling").mkdir()
        (bert_teacher / "1_Pooling" / "config.json").write_text(json.dumps(config))
    teacher = load_teacher(bert_teacher, device="cpu")
    found = teacher.vectors(teacher.sequences(TEXTS, 128), pooling="model")
    for row, text in zip(found, TEXTS, strict=True):
        states = states_of(teacher, text)
        np.testing.assert_allclose(row, states[0] if wanted == "first" else states.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precisions_stay_near_float32(teacher, precision):
    ids = [teacher.tokenizer.encode(text).ids for text in TEXTS]
    exact, found = teacher.vectors(ids), teacher.vectors(ids, precision=precision)
    assert found.dtype == np.float32 and not np.array_equal(found, exact)
    np.testing.assert_allclose(found, exact, atol=0.05)


def test_a_text_is_cut_at_max_tokens_special_ones_included(teacher, sentences_file, out):
    featurize(teacher, sentences_file, out, replace(RECIPE, max_tokens=4))
    cut = all_rows(out).vectors[TEXTS.index("cat cat cat a")]
    np.testing.assert_allclose(cut, states_of(teacher, "cat cat")[1:-1].mean(axis=0), atol=2e-3)


def test_datasets_loads_the_shards(teacher, sentences_file, out):
    from datasets import load_dataset

    featurize(teacher, sentences_file, out, RECIPE)
    loaded = load_dataset(str(out), cache_dir=str(out.parent / "cache"))["train"]
    assert loaded["text"][:] == TEXTS
    assert loaded.features["vector"].feature.dtype == "float16" and loaded.features["vector"].length == 6
    np.testing.assert_array_equal(np.array(loaded["vector"][:], np.float16), all_rows(out).vectors)


def test_without_pyarrow_the_shards_are_safetensors_and_hold_the_same(
    teacher, sentences_file, out, tmp_path, monkeypatch
):
    featurize(teacher, sentences_file, out, RECIPE)
    (tmp_path / "bare").mkdir()
    monkeypatch.setattr(shard_module, "find_spec", lambda name: None)
    featurize(teacher, sentences_file, tmp_path / "bare", RECIPE)
    assert [file.suffix for file in shard_files(tmp_path / "bare")] == [".safetensors"] * 3
    assert all_rows(tmp_path / "bare").texts == TEXTS
    np.testing.assert_array_equal(all_rows(tmp_path / "bare").vectors, all_rows(out).vectors)


def test_a_run_goes_on_at_the_last_whole_shard(teacher, sentences_file, out, tmp_path, monkeypatch):
    featurize(teacher, sentences_file, out, RECIPE)
    stopped = tmp_path / "stopped"
    shutil.copytree(out, stopped)
    (stopped / "shard-00002.json").unlink()  # as if it was killed between the last shard and its count
    sizes = []
    real = type(teacher).vectors
    monkeypatch.setattr(
        type(teacher), "vectors", lambda self, ids, **more: sizes.append(len(ids)) or real(self, ids, **more)
    )
    assert featurize(teacher, sentences_file, stopped, RECIPE) == {"rows": 7, "skipped": {}}
    assert sizes == [1]  # the seventh text alone
    for file in out.iterdir():
        assert (stopped / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("how", ["zeros", "half", "missing", "another's counts", "no counts"])
def test_a_damaged_shard_is_featurized_again_and_no_other(teacher, sentences_file, out, tmp_path, monkeypatch, how):
    featurize(teacher, sentences_file, out, RECIPE)
    hurt = Path(shutil.copytree(out, tmp_path / "hurt"))
    shard, counts = hurt / "train-00001.parquet", hurt / "shard-00001.json"
    if how == "missing":
        shard.unlink()
    elif "counts" in how:
        counts.write_bytes((hurt / "shard-00002.json").read_bytes() if how == "another's counts" else b"\0" * 20)
    else:
        shard.write_bytes(bytes(shard.stat().st_size) if how == "zeros" else shard.read_bytes()[:300])
    sizes = []
    real = type(teacher).vectors
    monkeypatch.setattr(
        type(teacher), "vectors", lambda self, ids, **more: sizes.append(len(ids)) or real(self, ids, **more)
    )
    assert featurize(teacher, sentences_file, hurt, RECIPE) == {"rows": 7, "skipped": {}}
    assert sizes == [3]
    for file in out.iterdir():
        assert (hurt / file.name).read_bytes() == file.read_bytes()


def test_features_that_were_damaged_on_their_way_are_refused_by_name(teacher, sentences_file, out):
    featurize(teacher, sentences_file, out, RECIPE)
    whole = open_features(out).digest()
    shard = out / "train-00001.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"\0")
    with pytest.raises(ModelFormatError, match=r"train-00001\.parquet is damaged: its checksum is not the one"):
        open_features(out).digest()
    shard.write_bytes(content)
    assert open_features(out).digest() == whole
    manifest = json.loads((out / "features.json").read_text())
    (out / "features.json").write_text(json.dumps({**manifest, "shard_rows": 0}))
    with pytest.raises(ModelFormatError, match="is damaged: it counts 7 sentences, 0 a shard"):
        open_features(out)


def test_shards_of_an_earlier_version_are_gone_on_with(teacher, sentences_file, out):
    """Their counts tell no checksum."""
    sentences_file.write_text("cat\ncats\n\u200d\na dog\ndogs a cat\n")
    facts = featurize(teacher, sentences_file, out, RECIPE)
    before = {file.name: file.stat().st_mtime_ns for file in shard_files(out)}
    for file in out.glob("shard-*.json"):
        counts = json.loads(file.read_text())
        del counts["file"]
        file.write_text(json.dumps(counts))
    assert featurize(teacher, sentences_file, out, RECIPE) == facts == {"rows": 4, "skipped": {"no token": 1}}
    assert {file.name: file.stat().st_mtime_ns for file in shard_files(out)} == before
    assert len(open_features(out).digest()) == 12


def test_features_of_another_teacher_corpus_or_recipe_are_not_gone_on_with(teacher, sentences_file, out):
    featurize(teacher, sentences_file, out, RECIPE)
    with pytest.raises(InputError, match="another kind: pooling is 'tokens' there and 'model' now"):
        featurize(teacher, sentences_file, out, replace(RECIPE, pooling="model"))
    config = teacher.folder / "config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(InputError, match="another kind: teacher_digest is"):
        featurize(teacher, sentences_file, out, RECIPE)
    config.write_text(config.read_text()[:-1])
    assert (
        featurize(replace(teacher, name="other", revision="abc"), sentences_file, out, RECIPE)["rows"] == 7
    )  # a name only
    sentences_file.write_text("cat\n")
    with pytest.raises(InputError, match="another kind"):
        featurize(teacher, sentences_file, out, RECIPE)


def test_features_with_another_prompt_are_not_gone_on_with(teacher, sentences_file, out):
    prompted = replace(RECIPE, pooling="model", prompt="a cat ")
    featurize(teacher, sentences_file, out, replace(RECIPE, pooling="model"))
    manifest = out / "features.json"
    told = json.loads(manifest.read_text())
    assert told.pop("prompt") == ""
    manifest.write_text(json.dumps(told))  # as it was before there was that key
    before = manifest.read_bytes()
    with pytest.raises(InputError, match="another kind: prompt is '' there and 'a cat ' now"):
        featurize(teacher, sentences_file, out, prompted)
    assert featurize(teacher, sentences_file, out, replace(RECIPE, pooling="model"))["rows"] == 7
    assert manifest.read_bytes() == before


def test_sentences_with_nan_or_without_tokens_are_left_out_and_counted(teacher, sentences_file, out):
    """NaN in the row of "##s" spoils every sentence that holds it, and no other: batches do not mix rows."""
    with torch.no_grad():
        teacher.model.get_input_embeddings().weight[7] = float("nan")
    sentences_file.write_text("cat\ncats\n\u200d\na dog\ndogs a cat\n")
    facts = featurize(teacher, sentences_file, out, RECIPE)
    assert facts == {"rows": 2, "skipped": {"NaN or inf": 2, "no token": 1}}
    assert all_rows(out).texts == ["cat", "a dog"]
    assert np.isfinite(all_rows(out).vectors).all()


def test_a_teacher_that_gives_nan_for_everything_is_an_error(teacher, sentences_file, out):
    with torch.no_grad():
        teacher.model.get_input_embeddings().weight[:] = float("nan")
    with pytest.raises(ModelFormatError, match="NaN or inf for each of 3 sentences at precision float32"):
        featurize(teacher, sentences_file, out, RECIPE)


@pytest.mark.parametrize("ending", [".parquet", ".safetensors"])
def test_a_damaged_shard_is_a_format_error(out, ending, monkeypatch):
    if ending == ".safetensors":
        monkeypatch.setattr(shard_module, "find_spec", lambda name: None)
    file = write_shard(out, 0, Shard(["a", "b"], np.ones((2, 3))))
    assert file.suffix == ending
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ModelFormatError, match=r"train-00000\.(parquet|safetensors)"):
        list(read_shard(file))


def test_shards_made_elsewhere_need_a_text_and_a_vector(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(InputError, match=r"holds no \.parquet or \.safetensors file"):
        open_features(tmp_path)
    pq.write_table(pa.table({"text": ["a", "b"], "vector": [[1.0, 2.0], [3.0, 4.0]]}), tmp_path / "a.parquet")
    assert all_rows(tmp_path).vectors.tolist() == [[1, 2], [3, 4]]  # float64 lists of any width will do
    pq.write_table(pa.table({"text": ["a", None], "vector": [[1.0, 2.0], [3.0, 4.0]]}), tmp_path / "a.parquet")
    with pytest.raises(ModelFormatError, match="a row lacks its text"):
        all_rows(tmp_path)
    pq.write_table(pa.table({"text": ["a", "b"], "vector": [[1.0, 2.0, 5.0], [3.0]]}), tmp_path / "a.parquet")
    with pytest.raises(ModelFormatError, match="vectors are not floats of one width"):
        all_rows(tmp_path)
    pq.write_table(pa.table({"text": ["a"], "mean": [[1.0]]}), tmp_path / "a.parquet")
    with pytest.raises(ModelFormatError, match="has no column vector"):
        all_rows(tmp_path)


def agreement_with_the_given_features(teacher_folder, shared, tmp_path, count: int) -> np.ndarray:
    """(count,) cosines between our vectors of the first sentences and those that are given with them."""
    import lzma

    with lzma.open(shared / "sentences.txt.xz", "rb") as lines:
        (tmp_path / "sentences.txt").write_bytes(b"".join(islice(lines, count)))
    (tmp_path / "features").mkdir()
    teacher = load_teacher(teacher_folder, device="cpu")
    featurize(teacher, tmp_path / "sentences.txt", tmp_path / "features", FeaturizeRecipe(), show_progress=True)
    ours = all_rows(tmp_path / "features").vectors.astype(np.float64)
    given = np.load(shared / "minilm-features" / "vectors.int8.npy", mmap_mode="r")[:count].astype(np.float64)
    return (ours * given).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(given, axis=1)


def test_our_vectors_agree_with_the_given_ones(teacher_folder, shared, tmp_path):
    cosines = agreement_with_the_given_features(teacher_folder, shared, tmp_path, 400)
    assert len(cosines) == 400 and cosines.min() >= 0.999


@pytest.mark.slow
def test_our_vectors_agree_with_the_given_ones_on_twenty_thousand_sentences(teacher_folder, shared, tmp_path):
    cosines = agreement_with_the_given_features(teacher_folder, shared, tmp_path, 20_000)
    print(f"cosine: lowest {cosines.min():.6f}, median {np.median(cosines):.6f}")
    assert len(cosines) == 20_000 and cosines.min() >= 0.999
