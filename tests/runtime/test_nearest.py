"""What `EdgeModel.search` finds, among texts, vectors and codes: held to a sort of all cosines in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import Codes, EdgeModel, InputError, StaticModel, dequantize, quantize
from edge_potion.nearest import Hit

SENTENCES = (Path(__file__).parents[1] / "data" / "sentences.txt").read_text(encoding="utf-8").splitlines()
UNKNOWN = "\ue000"  # a character of nobody's


@pytest.fixture(scope="module")
def model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.fixture(scope="module")
def vectors(model) -> np.ndarray:
    return model.encode(SENTENCES)


def oracle(vectors: np.ndarray, query: np.ndarray, k: int) -> list[tuple[float, int]]:
    """(score, number) of the nearest, from all cosines in float64."""
    wide, asked = vectors.astype(np.float64), query.astype(np.float64)
    with np.errstate(invalid="ignore"):
        scores = (wide * asked).sum(axis=1) / np.linalg.norm(wide, axis=1) / np.linalg.norm(asked)
    rounded = scores.astype(np.float32)
    rows = [row for row in range(len(rounded)) if not np.isnan(rounded[row])]
    return [(float(rounded[row]), row) for row in sorted(rows, key=lambda row: (-rounded[row], row))[:k]]


def check(hits: list[Hit], expected: list[tuple[float, int]], atol: float = 2e-7) -> None:
    assert [hit.number for hit in hits] == [number for _, number in expected]
    np.testing.assert_allclose([hit.score for hit in hits], [score for score, _ in expected], atol=atol)


def test_the_best_are_found_by_hand(model):
    east, north = np.eye(2)
    vectors = np.array([[2, 0], [1, 1], [0, 0], [0, 3], [-5, 0], [0.5, 0.5]], np.float32)
    hits = model.search(east, vectors)
    check(hits, [(1, 0), (0.5**0.5, 1), (0.5**0.5, 5), (0, 3), (-1, 4)])
    assert all(hit.text is None for hit in hits)
    check(model.search(north, vectors, k=1), [(1, 3)])


@pytest.mark.parametrize("k", [1, 10, 500, 10**9])
@pytest.mark.parametrize("query", ["the weather is wet", "people who dance"])
def test_texts_are_found_as_by_all_cosines(model, vectors, query, k):
    expected = oracle(vectors, model.encode(query), k)
    for texts in (SENTENCES, iter(SENTENCES), np.array(SENTENCES), np.array(SENTENCES, object)):
        hits = model.search(query, texts, k)
        check(hits, expected)
        assert [hit.text for hit in hits] == [SENTENCES[hit.number] for hit in hits]


def test_vectors_are_found_as_their_texts_are(model, vectors):
    query = "the weather is wet"
    for searched in (vectors, vectors.astype(np.float64), vectors[:, ::-1][:, ::-1], vectors * 1e30, vectors * 1e-30):
        check(model.search(query, searched), oracle(vectors, model.encode(query), 10))
    check(model.search(vectors[7], vectors), oracle(vectors, vectors[7], 10))
    check(model.search(vectors[7].tolist(), SENTENCES), oracle(vectors, vectors[7], 10))
    check(model.search(vectors[7, :64], vectors[:, :64]), oracle(vectors[:, :64], vectors[7, :64], 10))
    short = vectors.astype(np.float16)
    check(model.search(short[7], short), oracle(short, short[7], 10))


def test_a_tensor_and_a_column_of_a_table_are_searched(model, vectors):
    torch, polars = pytest.importorskip("torch"), pytest.importorskip("polars")
    expected = oracle(vectors, vectors[7], 10)
    check(model.search(torch.from_numpy(vectors[7]), torch.from_numpy(vectors)), expected)
    check(model.search(vectors[7], polars.Series(SENTENCES)), expected)


def test_codes_are_found_as_the_vectors_that_they_stand_for(model, vectors):
    codes, query = quantize(vectors), vectors[7]
    hits, atol = model.search(query, codes), 2e-3  # the query is coded too
    scores = {number: score for score, number in oracle(dequantize(codes), query, len(vectors))}
    np.testing.assert_allclose([hit.score for hit in hits], [scores[hit.number] for hit in hits], atol=atol)
    best = sorted(scores.values(), reverse=True)[: len(hits)]
    np.testing.assert_allclose([scores[hit.number] for hit in hits], best, atol=2 * atol)  # those beside it may swap
    assert len({hit.number for hit in hits}) == 10 and hits[0].score <= 1


def test_codes_of_a_model_without_unit_length_are_compared_by_direction(tmp_path, vectors):
    """An inner product would find the longest."""
    reference = StaticModel.from_pretrained()
    replace(reference, card=replace(reference.card, normalize=False)).save_pretrained(tmp_path / "model")
    model = EdgeModel.from_pretrained(tmp_path / "model")
    longer = vectors * np.random.default_rng(0).uniform(0.01, 100, (len(vectors), 1)).astype(np.float32)
    longer[3] = 0
    codes = quantize(longer)
    check(model.search(vectors[7], codes, 20), oracle(dequantize(codes), vectors[7], 20), atol=1e-5)


def test_of_equal_texts_the_first_is_first_wherever_they_stand(model):
    """Two windows of texts, and more."""
    texts = [f"line {number} of a long file" for number in range(20_000)]
    places = [0, 5, 8191, 8192, 12_345, 19_999]
    for place in places:
        texts[place] = "the parcel never came"
    hits = model.search("where is my parcel?", iter(texts), k=len(places))
    assert [hit.number for hit in hits] == places
    assert len({hit.score for hit in hits}) == 1
    assert [hit.number for hit in model.search("where is my parcel?", model.encode(texts), k=6)] == places
    assert [hit.number for hit in model.search("where is my parcel?", quantize(model.encode(texts)), k=6)] == places


def test_what_has_no_known_token_is_never_found_and_finds_nothing(model):
    texts = ["", "rain", UNKNOWN, "sunshine", " "]
    for searched in (texts, model.encode(texts), quantize(model.encode(texts))):
        hits = model.search("it rains", searched)
        assert [hit.number for hit in hits] == [1, 3]
        assert all(np.isfinite(hit.score) for hit in hits)
        assert model.search(UNKNOWN, searched) == []
    assert model.search("rain", []) == [] == model.search("rain", ["", UNKNOWN])
    assert model.search("rain", np.empty((0, 256), np.float32)) == []


def test_an_iterator_is_held_a_window_at_a_time(model):
    alive = 0

    class Watched(str):
        def __new__(cls, text: str) -> Watched:
            nonlocal alive
            alive += 1
            return super().__new__(cls, text)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def texts():
        nonlocal most
        for number in range(50_000):
            most = max(most, alive)
            yield Watched(f"a line about {number}")

    assert len(model.search("a line", texts())) == 10
    assert most < 3 * 8192


def with_nan(vectors: np.ndarray) -> np.ndarray:
    damaged = vectors.copy()
    damaged[5, 3] = np.nan
    return damaged


@pytest.mark.parametrize(
    ("query", "searched", "k", "complaint"),
    [
        ("rain", "a single text", 10, "a single str is searched; an iterable of str, vectors"),
        ("rain", b"bytes", 10, "a single bytes"),
        ("rain", 3, 10, "int cannot be searched"),
        ("rain", None, 10, "NoneType cannot be searched"),
        ("rain", ["wet", 3], 10, "int"),
        ("rain", ["wet"], 0, "k is 0; a whole number of at least 1"),
        ("rain", ["wet"], -1, "k is -1"),
        ("rain", ["wet"], 2.0, "k is 2.0"),
        ("rain", ["wet"], None, "k is None"),
        ("rain", np.ones((3, 128), np.float32), 10, "the query has 256 dimensions, and what is searched 128"),
        (np.ones(3), ["wet"], 10, "the query has 3 dimensions, and what is searched 256"),
        (np.ones(3), quantize(np.ones((2, 4))), 10, "the query has 3 dimensions, and what is searched 4"),
        ("rain", np.ones(256), 10, "a single vector of 256 values"),
        ("rain", np.ones((2, 256), int), 10, "int64"),
        ("rain", np.ones((2, 2, 256)), 10, "shape"),
        ("rain", with_nan(np.ones((9, 256))), 10, r"vectors\[5\] holds NaN"),
        (with_nan(np.ones((9, 256)))[5], ["wet"], 10, "the query holds NaN or inf"),
        (np.ones((1, 256)), ["wet"], 10, r"the query is vectors of shape \(1, 256\)"),
        (["rain"], ["wet"], 10, "vectors are <U4"),
        (b"rain", ["wet"], 10, "vectors are"),
        ("rain", quantize(np.ones((2, 256)), "binary"), 10, "binary codes cannot be searched"),
        ("rain", quantize(np.ones((2, 256)), "float16"), 10, "float16 codes cannot be searched"),
        ("rain", quantize(np.ones(256)), 10, "a single code cannot be searched"),
        (
            "rain",
            Codes("int8", np.ones((2, 256), np.int8), np.array([1, np.inf], np.float32), 256),
            10,
            "scales of the codes hold NaN or inf",
        ),
    ],
)
def test_what_cannot_be_searched_is_told_in_one_line(model, query, searched, k, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        model.search(query, searched, k)
    assert "\n" not in str(caught.value)
