"""An index, and a search of a file, whose texts have vectors by another encoder: the model encodes queries alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edge_potion import EdgeModel, Index, InputError
from edge_potion.search.one_pass import search_in_one_pass
from edge_potion.search.ready_vectors import ReadyVectors

TEXTS = (Path(__file__).parents[1] / "data" / "sentences.txt").read_text(encoding="utf-8").splitlines()[:200]
QUERY = "a recipe for bread"


@pytest.fixture(scope="module")
def model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.fixture(scope="module")
def teachers(model) -> np.ndarray:
    """(N, D) near the model's own, as a teacher's are to its student's; of other lengths."""
    noise = np.random.default_rng(0).normal(size=(len(TEXTS), model.dim)).astype(np.float32)
    return 3 * (model.encode(TEXTS) + 0.3 * noise / np.linalg.norm(noise, axis=1, keepdims=True))


def test_documents_are_found_by_the_vectors_given_and_the_models_query(model, teachers, tmp_path):
    index = Index.build(tmp_path / "index", TEXTS, model=model, vectors=teachers)
    cosines = teachers @ model.encode(QUERY) / np.linalg.norm(teachers, axis=1)
    hits = index.search(QUERY, 10, mode="meaning")
    np.testing.assert_allclose([hit.meaning for hit in hits], np.sort(cosines)[::-1][:10], atol=5e-3)  # int8
    np.testing.assert_allclose([hit.meaning for hit in hits], [cosines[int(hit.id) - 1] for hit in hits], atol=5e-3)
    passed = search_in_one_pass(model, QUERY, TEXTS, 10, "meaning", "english", ReadyVectors(teachers, model.dim))
    np.testing.assert_allclose([hit.meaning for hit in passed.hits], np.sort(cosines)[::-1][:10], atol=1e-5)
    both = search_in_one_pass(model, QUERY, TEXTS, 5, "hybrid", "english", ReadyVectors(teachers, model.dim))
    assert [hit.number for hit in both.hits] == [int(hit.id) for hit in index.search(QUERY, 5)]


def test_lists_and_tensors_give_what_the_array_gives(model, teachers, tmp_path):
    torch = pytest.importorskip("torch")
    ranks = []
    for vectors in (teachers, teachers.tolist(), list(teachers), tuple(map(tuple, teachers)), torch.tensor(teachers)):
        index = Index.build(tmp_path / "index", TEXTS, model=model, vectors=vectors)
        ranks.append([(hit.id, hit.score) for hit in index.search(QUERY, 20)])
    assert all(each == ranks[0] for each in ranks)
    axes = np.eye(len(TEXTS), model.dim, dtype=int).tolist()  # of whole numbers
    Index.build(tmp_path / "index", TEXTS, model=model, vectors=axes).add(["more"], vectors=axes[:1])
    assert len(Index.build(tmp_path / "none", [], model=model, vectors=[])) == 0


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ([[1.0, 2.0], [1.0]], "vectors: setting an array element .*; an array of "),
        (({} for _ in TEXTS), "vectors is of generator; an array of "),
        ([None, None], "vectors is of list; an array of "),
        ({"a": 1}, "vectors is of dict; an array of "),
        ([["1", "2"], ["3", "4"]], r"is of shape \(2, 2\)"),
        ([0.5, 0.25], r"is of shape \(2,\)"),
        ([["1"] * 256] * len(TEXTS), "is of <U1; float64, float32 or float16 was expected"),
        ([[True] * 256] * len(TEXTS), "is of bool; float64"),
        ([[float("nan")] * 256] * len(TEXTS), "vectors: vector 1 holds NaN or inf; leave out its text"),
        ([[0.5] * 256] * (len(TEXTS) - 1), "vectors has 199 vectors, and there are more texts"),
    ],
)
def test_what_is_no_list_of_vectors_is_an_error_of_one_line(model, tmp_path, vectors, reason):
    with pytest.raises(InputError, match=reason) as caught:
        Index.build(tmp_path / "index", TEXTS, model=model, vectors=vectors)
    assert "\n" not in str(caught.value) and not (tmp_path / "index").exists()


def test_vectors_of_zeros_are_told_of_the_vectors_and_not_of_the_model(model, teachers, tmp_path, caplog, door):
    """Nor do they speak for another space, where they are many."""
    texts = [TEXTS[0], "", *TEXTS[1:]]
    vectors = np.insert(teachers, 1, np.float32(0), axis=0)  # that of a blank text is nobody's
    vectors[[4, *range(100, 180)]] = 0
    Index.build(tmp_path / "index", texts, model=model, vectors=vectors)
    told = "81 vectors of {} are zeros, the first is vector 5: their texts have no meaning to be found by"
    assert told.format("vectors") in caplog.text and "space" not in caplog.text
    np.save(tmp_path / "v.npy", vectors)
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    ended = door("search", tmp_path / "texts.txt", QUERY, "--index-of-teacher", tmp_path / "v.npy")
    assert ended.code == 0 and told.format(tmp_path / "v.npy") in ended.stderr
    assert "no token that the model knows" not in ended.stderr


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_files_of_vectors_give_what_the_array_gives(model, teachers, tmp_path, dtype):
    np.save(tmp_path / "v.npy", teachers.astype(dtype))
    save_file({"any name": teachers.astype(dtype)}, tmp_path / "v.safetensors")
    ranks = []
    for file in ("v.npy", "v.safetensors"):
        index = Index.build(tmp_path / "index", TEXTS, model=model, vectors=tmp_path / file)
        ranks.append([(hit.id, hit.score) for hit in index.search(QUERY, 20)])
    assert ranks[0] == ranks[1]


@pytest.mark.parametrize("name", ["npz", "torn", "shape of true", "no file of its size", "pickled", "empty"])
def test_an_npy_that_is_none_is_an_error_of_one_line(model, tmp_path, name):
    file = tmp_path / "v.npy"
    with file.open("wb") as stream:
        if name == "npz":
            np.savez(stream, np.zeros((3, model.dim), np.float32))
        elif name == "pickled":
            np.save(stream, np.array([{}], object), allow_pickle=True)
        elif name != "empty":
            shape = {"torn": "(3,", "shape of true": "(True, 256)"}.get(name, f"({10**30}, 256)")
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            stream.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(3072))
    with pytest.raises(InputError, match=r"v\.npy cannot be read") as caught:
        ReadyVectors(file, model.dim)
    assert "\n" not in str(caught.value)


def test_texts_that_are_all_alike_say_nothing_of_the_space(model, caplog):
    texts = ["the same row"] * 40
    ReadyVectors(model.encode(texts), model.dim).of(texts, range(40), model)
    assert "space" not in caplog.text


def test_an_empty_text_has_a_vector_that_is_passed_over(model, teachers, tmp_path):
    texts = ["", *TEXTS[:50], "  ", *TEXTS[50:]]
    vectors = np.insert(teachers, [0, 50], np.float32(7), axis=0)
    index = Index.build(tmp_path / "index", texts, model=model, vectors=vectors)
    plain = Index.build(tmp_path / "plain", TEXTS, model=model, vectors=teachers)
    assert len(index) == len(TEXTS)
    ours, theirs = (each.search(QUERY, 30) for each in (index, plain))
    assert [(hit.text, hit.score) for hit in ours] == [(hit.text, hit.score) for hit in theirs]


def test_what_is_added_brings_its_vectors_too_and_compacting_keeps_them(model, teachers, tmp_path):
    index = Index.build(tmp_path / "index", TEXTS[:150], model=model, vectors=teachers[:150])
    with pytest.raises(InputError, match="built from vectors that were given; give those of what is added"):
        index.add(TEXTS[150:])
    index.add(TEXTS[150:], vectors=teachers[150:])
    index.delete(["3"])
    index.compact()
    again = Index.open(tmp_path / "index", model=model)
    whole = Index.build(tmp_path / "whole", TEXTS, model=model, vectors=teachers)
    expected = [hit.id for hit in whole.search(QUERY, 20, mode="meaning") if hit.id != "3"]
    assert [hit.id for hit in again.search(QUERY, 20, mode="meaning")][: len(expected)] == expected
    own = Index.build(tmp_path / "own", TEXTS, model=model)
    with pytest.raises(InputError, match="the vectors of this index are its model's"):
        own.add(["x"], vectors=teachers[:1])


def test_vectors_that_do_not_fit_are_refused_and_nothing_is_left(model, teachers, tmp_path):
    spoilt = teachers.copy()
    spoilt[41, 3] = np.nan
    np.save(tmp_path / "spoilt.npy", spoilt)
    np.save(tmp_path / "objects.npy", np.array([{}, 1]), allow_pickle=True)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    save_file({"a": teachers, "b": teachers}, tmp_path / "two.safetensors")
    save_file({"a": teachers.astype(np.int32)}, tmp_path / "whole.safetensors")
    for vectors, reason in (
        (teachers[:-1], r"has 199 vectors, and there are more texts"),
        (np.vstack([teachers, teachers[:1]]), r"has 201 vectors, and there are 200 texts"),
        (teachers[:, :-1], rf"is of shape \(200, {model.dim - 1}\); \(texts, {model.dim}\) was expected"),
        (teachers[0], "is of shape"),
        (teachers.astype(np.int32), "is of int32; float64, float32 or float16"),
        (tmp_path / "spoilt.npy", "spoilt.npy: vector 42 holds NaN or inf"),
        (tmp_path / "objects.npy", "cannot be read as vectors"),
        (tmp_path / "broken.npy", "cannot be read as vectors"),
        (tmp_path / "broken.safetensors", "cannot be read as vectors"),
        (tmp_path / "missing.npy", "cannot be read as vectors"),
        (tmp_path / "two.safetensors", "holds 2 tensors; one of shape"),
        (tmp_path / "whole.safetensors", "is of I32; float64"),
        (tmp_path / "vectors.txt", "must end in .npy or .safetensors"),
    ):
        with pytest.raises(InputError, match=reason):
            Index.build(tmp_path / "index", TEXTS, model=model, vectors=vectors)
        assert not (tmp_path / "index").exists()
    with pytest.raises(InputError, match="chunk is 'words', and vectors are those of whole texts"):
        Index.build(tmp_path / "index", TEXTS, model=model, vectors=teachers, chunk="words")
    for vectors in (teachers[:-1], np.vstack([teachers, teachers[:1]])):
        with pytest.raises(InputError, match="one of each was expected"):
            search_in_one_pass(model, QUERY, TEXTS, 3, "hybrid", "english", ReadyVectors(vectors, model.dim))


def test_vectors_of_another_space_are_told(model, teachers, tmp_path, caplog):
    """Turned away they are as wide, as finite and as many, and rank by chance."""
    Index.build(tmp_path / "near", TEXTS, model=model, vectors=teachers)
    assert "does not seem to lie in the space" not in caplog.text
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(model.dim, model.dim))).Q
    for vectors in (teachers @ turn, teachers @ turn + 5):
        caplog.clear()
        Index.build(tmp_path / "far", TEXTS, model=model, vectors=vectors)
        assert caplog.text.count("vectors does not seem to lie in the space of the model") == 1
