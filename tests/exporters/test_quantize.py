"""Tables at each precision, against values worked by hand and bounds on a real model."""

from __future__ import annotations

import numpy as np
import pytest

from edge_potion.exporters.quantize import LARGEST_INT8, LARGEST_ROW_WEIGHT, file_tensors, pack
from edge_potion.golden import cosines

PRECISIONS = ["float32", "float16", "int8"]


def test_float32_is_the_table_itself(hand_table):
    packed = pack(hand_table, "float32")
    assert packed.scale == 1
    assert np.array_equal(packed.unpacked(), hand_table)


def test_float16_is_scaled_by_a_power_of_two_so_that_small_rows_keep_their_digits():
    table = np.array([[1.0, -2.0], [3e-6, 1e-7]], np.float32)
    packed = pack(table, "float16")
    assert packed.scale == 2.0**-11  # the largest value, 2, becomes 2^12
    np.testing.assert_allclose(packed.unpacked(), table, rtol=2**-11)


def test_int8_by_hand():
    """Column 0 holds twice what column 1 does, so it weighs 8 and column 1 weighs 4; rows differ by 127."""
    table = np.array([[127.0, 63.5], [1.0, -0.5], [0.0, 0.0]], np.float32)
    packed = pack(table, "int8")
    assert packed.column_weights.tolist() == [8, 4]
    assert packed.row_weights.tolist() == [127, 1, 0]
    assert packed.rows.tolist() == [[127, 127], [127, -127], [0, 0]]
    np.testing.assert_allclose(packed.unpacked(), table, rtol=1e-6)


def test_int8_products_fit_the_pairs_that_avx2_adds_in_int16():
    assert LARGEST_ROW_WEIGHT * LARGEST_INT8 * 2 < 2**15


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_of_zeros_stay_zeros(precision):
    table = np.zeros((4, 3), np.float32)
    assert not pack(table, precision).unpacked().any()
    for array in file_tensors(table, precision).values():
        assert np.isfinite(array).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_size_of_the_numbers_does_not_matter(hand_table, precision, scale):
    table = (hand_table * np.float32(scale)).astype(np.float32)
    unpacked = pack(table, precision).unpacked()
    assert cosines(unpacked[1:], table[1:]).min() > 0.9999


def test_every_row_of_a_real_model_keeps_its_direction(distilled):
    """Row weights alone leave "!" at 0.9993; no reachable row is below 0.9995 with column weights."""
    unpacked = pack(distilled.table, "int8").unpacked()
    ids = [distilled.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]", "[MASK]")]
    reachable = np.setdiff1d(np.arange(len(unpacked)), ids)
    found = cosines(unpacked[reachable], distilled.table[reachable])
    assert found.min() > 0.9995
    assert np.median(found) > 0.99995


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_the_file_holds_the_same_table_as_rows_times_weights(distilled, precision):
    tensors = file_tensors(distilled.table, precision)
    table = tensors["embeddings"].astype(np.float32) * tensors["weights"][:, None]
    assert np.median(cosines(table, distilled.table)) > 0.9999
    assert tensors["weights"].dtype == np.float32
