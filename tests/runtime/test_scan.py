"""A scan of int8 codes: exact, the same bits by the engine and by numpy; and the highest of many scores."""

from __future__ import annotations

import numpy as np
import pytest

from edge_potion import InputError, dequantize, quantize
from edge_potion.engine import absent
from edge_potion.scan import highest, scan, scans_by


def unit_vectors(count: int, dim: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_scores_are_worked_out_by_hand():
    """The query's larger value is 32,767 steps, the other half of it: 16,383.5, which is rounded to even."""
    values = np.array([[127, 0], [0, -127], [1, 1], [0, 0]], np.int8)
    scales = np.array([1 / 127, 1 / 127, 2, 0], np.float32)
    scores = scan(values, scales, np.array([1, 0.5], np.float32))
    np.testing.assert_allclose(scores, [1, -16384 / 32767, 2 * (32767 + 16384) / 32767, 0], rtol=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 15, 64, 256, 300, 768, 4096])
def test_scores_are_the_inner_products_of_the_coded_vectors(dim):
    codes, query = quantize(unit_vectors(500, dim)), unit_vectors(1, dim, seed=1)[0]
    expected = dequantize(codes).astype(np.float64) @ query.astype(np.float64)
    np.testing.assert_allclose(scan(codes.values, codes.scales, query), expected, atol=1e-4)


@pytest.mark.parametrize("dim", [1, 7, 32, 100, 256, 513, 1024, 4096])
def test_the_engine_and_numpy_give_the_same_bits(dim, monkeypatch):
    if reason := absent():
        pytest.skip(f"there is no engine here: {reason}")
    source = np.random.default_rng(dim)
    random = source.integers(-128, 128, (3000, dim)).astype(np.int8)
    scales = source.normal(size=3000).astype(np.float32)
    scales[:3] = np.nan, np.inf, 3e38
    for values in (random, np.full_like(random, -128), random[:, ::-1], random[::2], random[:1], random[:0]):
        for query in (
            source.normal(size=dim),
            np.ones(dim),
            -np.eye(dim)[0],
            np.zeros(dim),
            source.normal(size=dim) * 1e30,
        ):
            monkeypatch.delenv("EDGE_POTION_NATIVE", raising=False)
            assert scans_by() == "native"
            by_engine = scan(values, scales[: len(values)], query)
            monkeypatch.setenv("EDGE_POTION_NATIVE", "0")
            assert scans_by() == "numpy"
            by_numpy = scan(values, scales[: len(values)], query)
            np.testing.assert_array_equal(by_engine, by_numpy)  # NaN is equal to NaN here


def test_codes_are_read_from_a_mapped_file_at_any_place(tmp_path):
    codes, query = quantize(unit_vectors(50, 33)), unit_vectors(1, 33, seed=1)[0]
    file = tmp_path / "codes.bin"
    file.write_bytes(b"odd" + codes.values.tobytes() + codes.scales.tobytes())
    mapped = np.memmap(file, np.uint8, "r", 3)
    values = mapped[: codes.values.size].view(np.int8).reshape(50, 33)
    scales = mapped[codes.values.size :].view(np.float32)
    assert not scales.flags.aligned and not values.flags.writeable
    np.testing.assert_array_equal(scan(values, scales, query), scan(codes.values, codes.scales, query))


@pytest.mark.parametrize(
    ("values", "scales", "query", "complaint"),
    [
        (np.zeros((2, 3)), np.zeros(2, np.float32), np.zeros(3), r"values are float64 of shape \(2, 3\)"),
        (np.zeros(3, np.int8), np.zeros(3, np.float32), np.zeros(3), r"int8 of shape \(N, D\)"),
        (np.zeros((2, 3), np.int8), np.zeros(2), np.zeros(3), "scales are float64"),
        (np.zeros((2, 3), np.int8), np.zeros(3, np.float32), np.zeros(3), r"float32 of shape \(2,\)"),
        (np.zeros((2, 3), np.int8), np.zeros(2, np.float32), np.zeros(4), r"floats of shape \(3,\)"),
        (np.zeros((2, 3), np.int8), np.zeros(2, np.float32), np.zeros(3, int), "the query is int64"),
        (np.zeros((2, 1), np.int8), np.zeros(2, np.float32), np.array([np.nan]), "NaN"),
        (np.zeros((2, 1), np.int8), np.zeros(2, np.float32), np.array([1e39]), "float32 cannot hold"),
        (np.zeros((0, 2**24), np.int8), np.zeros(0, np.float32), np.zeros(2**24, np.float32), "16,777,215 is the most"),
    ],
)
def test_what_does_not_fit_is_told(values, scales, query, complaint):
    with pytest.raises(InputError, match=complaint):
        scan(values, scales, query)


def sorted_rows(scores: np.ndarray, k: int) -> np.ndarray:
    """All scores sorted: what `highest` is held to."""
    rows = [row for row, score in enumerate(scores) if score > -np.inf]
    return np.array(sorted(rows, key=lambda row: (-scores[row], row))[:k], np.int64)


@pytest.mark.parametrize("count", [0, 1, 5, 1023, 1024, 1025, 5000, 40_000])
@pytest.mark.parametrize("k", [1, 2, 10, 38, 39, 40, 1000, 39_999, 50_000])
def test_the_highest_are_those_that_a_sort_of_all_gives(count, k):
    source = np.random.default_rng(count)
    scores = source.normal(size=count).astype(np.float32)
    holes = np.where(source.random(count) < 0.3, np.float32(np.nan), scores)
    all_but_one = np.full(count, np.nan, np.float32)
    all_but_one[-1:] = -3
    for some in (
        scores,
        np.sort(scores),  # the highest all in one block
        np.round(scores),  # many ties
        np.zeros_like(scores),
        np.where(source.random(count) < 0.5, np.float32(-0.0), np.float32(0)),
        holes,
        np.where(np.isnan(holes), -np.inf, scores),
        all_but_one,
        np.full_like(scores, -np.inf),
        np.full_like(scores, np.inf),
        scores.astype(np.float64),
    ):
        found = highest(some, k)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, sorted_rows(some, k))


def test_none_are_highest_where_none_is_asked_for():
    assert highest(np.ones(5, np.float32), 0).tolist() == []
