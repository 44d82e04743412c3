"""Codes of vectors, worked out by hand, and what they are worth; and the rotation that binary codes may have."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from edge_potion import Codes, EdgeModel, InputError, ModelFormatError, Rotation, dequantize, quantize
from edge_potion.codes import DTYPES, LARGEST_INT8, ROWS_AT_ONCE, SCALE_RULE


def unit_vectors(rows: int, dim: int = 24, seed: int = 0) -> np.ndarray:
    """(rows, dim) float32, around a point that is not the origin, the first values with the most variance."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, dim)) / np.sqrt(1 + np.arange(dim)) + 0.2
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def test_int8_is_the_row_over_its_largest_magnitude_of_127_steps():
    vectors = np.array([[1.27, -0.5, 0, 0.01], [-254, 127, 2, 0], [0, 0, 0, 0]], np.float32)
    codes = quantize(vectors)
    assert (codes.dtype, codes.dim) == ("int8", 4)
    assert codes.values.dtype == np.int8 and codes.scales.dtype == np.float32
    assert codes.values.tolist() == [[127, -50, 0, 1], [-127, 64, 1, 0], [0, 0, 0, 0]]  # 63.5 becomes 64, which is even
    assert codes.scales.tolist() == [np.float32(1.27) / np.float32(127), 2, 0]
    assert dequantize(codes)[1:].tolist() == [[-254, 128, 2, 0], [0, 0, 0, 0]]


def test_int8_rounds_halves_to_even():
    halves = np.array([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5], np.float32)
    assert quantize(halves).values.tolist() == [127, 0, 2, 2, 0, -2, -2, 4]


def test_binary_is_a_bit_a_value_the_first_one_highest():
    vectors = np.array([[1, -1, 0, 2, -0.0, 1e-30, -5, 3, 1, -1], [-1] * 10], np.float32)
    codes = quantize(vectors, "binary")
    assert codes.values.tolist() == [[0b10010101, 0b10000000], [0, 0]] and codes.values.dtype == np.uint8
    assert (codes.scales, codes.dim) == (None, 10)
    tenth = np.float32(1) / np.sqrt(np.float32(10))
    signs = [[1, -1, -1, 1, -1, 1, -1, 1, 1, -1], [-1] * 10]
    assert np.array_equal(dequantize(codes), np.array(signs, np.float32) * tenth)


def test_float32_and_float16_are_the_values():
    vectors = np.array([[1, 0.1, -65504], [0, 6e-8, 65519]], np.float32)
    assert np.array_equal(quantize(vectors, "float32").values, vectors)
    codes = quantize(vectors, "float16")
    assert codes.values.dtype == np.float16 and np.array_equal(codes.values, vectors.astype(np.float16))
    assert np.array_equal(dequantize(codes), vectors.astype(np.float16).astype(np.float32))


def test_float32_codes_are_a_copy():
    vectors = unit_vectors(3)
    codes = quantize(vectors, "float32")
    decoded = dequantize(codes)
    codes.values[:] = 0
    assert vectors.any() and decoded.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_has_a_rule_and_decodes_to_float32_of_the_same_shape(dtype):
    assert set(SCALE_RULE) == set(DTYPES)
    for vectors in (unit_vectors(5, 11), unit_vectors(5, 11)[0], np.zeros((0, 11)), np.zeros((4, 0)), np.zeros(0)):
        decoded = dequantize(quantize(vectors, dtype))
        assert decoded.shape == vectors.shape and decoded.dtype == np.float32


def test_an_int8_value_is_off_by_at_most_half_a_step():
    vectors = unit_vectors(3 * ROWS_AT_ONCE + 7) * np.float32(np.pi)
    codes = quantize(vectors)
    steps = codes.scales[:, None].astype(np.float64)
    assert np.abs(codes.values * steps - vectors).max() <= (0.5 + 1e-4) * steps.max()
    assert (np.abs(codes.values.astype(int)).max(axis=1) == LARGEST_INT8).all()
    assert cosines(dequantize(codes), vectors).min() > 0.9999


def test_codes_of_codes_are_the_same_codes():
    once = quantize(unit_vectors(1000))
    again = quantize(dequantize(once))
    assert np.array_equal(again.values, once.values)
    np.testing.assert_allclose(again.scales, once.scales, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_vector_has_the_same_codes_alone_and_in_any_company(dtype):
    vectors = unit_vectors(2 * ROWS_AT_ONCE + 3)
    rotation = Rotation.fit(vectors) if dtype == "binary" else None
    whole = quantize(vectors, dtype, rotation)
    for begin, end in ((0, 1), (5, 12), (ROWS_AT_ONCE - 1, 2 * ROWS_AT_ONCE + 2)):
        part = quantize(vectors[begin:end], dtype, rotation)
        assert part.values.tobytes() == whole.values[begin:end].tobytes()
        assert part.scales is None or part.scales.tobytes() == whole.scales[begin:end].tobytes()
    alone = quantize(vectors[300], dtype, rotation)
    assert alone.values.shape == whole.values[300].shape and np.array_equal(alone.values, whole.values[300])
    assert alone.scales is None or (alone.scales.shape == () and alone.scales == whole.scales[300])


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_are_taken_as_they_come(dtype):
    vectors = unit_vectors(10, 16)
    expected = quantize(vectors, dtype)
    wide = np.repeat(vectors, 2, axis=1)
    for given in (
        vectors.astype(np.float64),
        vectors.astype(">f4"),
        vectors.astype(np.longdouble),
        np.asfortranarray(vectors),
        wide[:, ::2],
        vectors[::-1][::-1],
        vectors.tolist(),
        list(vectors),
    ):
        codes = quantize(given, dtype)
        assert codes.values.tobytes() == expected.values.tobytes() and codes.values.flags.c_contiguous
        assert codes.scales is None or codes.scales.tobytes() == expected.scales.tobytes()
    frozen = vectors.copy()
    frozen.setflags(write=False)
    assert np.array_equal(quantize(frozen, dtype).values, expected.values)
    halves = vectors.astype(np.float16)
    assert np.array_equal(quantize(halves, dtype).values, quantize(halves.astype(np.float32), dtype).values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_what_is_no_finite_float32_is_refused_by_the_number_of_its_row(dtype, bad):
    vectors = np.zeros((2 * ROWS_AT_ONCE, 5))
    vectors[ROWS_AT_ONCE + 3, 4] = vectors[ROWS_AT_ONCE + 9, 0] = bad
    with pytest.raises(
        InputError, match=rf"^vectors\[{ROWS_AT_ONCE + 3}\] holds NaN, inf, or what float32 cannot hold$"
    ):
        quantize(vectors, dtype)


def test_what_overflows_float16_is_refused_by_the_number_of_its_row():
    vectors = np.zeros((ROWS_AT_ONCE + 9, 5), np.float32)
    vectors[ROWS_AT_ONCE + 8, 1] = -65520  # the nearest float16 would be inf
    with pytest.raises(InputError, match=rf"^vectors\[{ROWS_AT_ONCE + 8}\] holds what float16 cannot hold$"):
        quantize(vectors, "float16")


def test_magnitudes_at_the_ends_of_float32_do_not_overflow_int8():
    largest, smallest, tiny = np.finfo(np.float32).max / 2, np.float32(1e-45), np.finfo(np.float32).tiny
    vectors = np.array([[largest, -largest], [smallest, 0], [190 * smallest, 0], [254 * tiny, tiny]], np.float32)
    codes = quantize(vectors)
    assert codes.values.tolist() == [[127, -127], [0, 0], [0, 0], [127, 0]]
    assert codes.scales.tolist()[1:] == [0, 0, 2 * tiny]
    assert np.isfinite(dequantize(codes)).all()


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.zeros((2, 3), np.int8), r"int8 of shape \(2, 3\); floats of shape \(N, D\) or \(D,\) were expected"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.float32(1), r"shape \(\)"),
        (["a text"], "vectors are <U6"),
        ([[1.0], [1.0, 2.0]], "list is no array of vectors"),
        (np.array([[1.0, None]], object), "vectors are object"),
        (np.zeros((2, 2), np.complex64), "vectors are complex64"),
    ],
)
def test_what_is_no_vectors_is_refused(vectors, said):
    with pytest.raises(InputError, match=said):
        quantize(vectors)


def test_a_dtype_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InputError, match="there is no dtype 'uint8'; float32, float16, int8 or binary was expected"):
        quantize(np.zeros((1, 2)), "uint8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (("int4", np.zeros((2, 8), np.int8), None, 8), "no dtype 'int4'"),
        (("int8", np.zeros((2, 8), np.uint8), np.ones(2, np.float32), 8), "values are uint8 .* are int8"),
        (("int8", np.zeros((2, 8), np.int8), np.ones(2, np.float32), 9), r"are int8 of shape \(N, 9\)"),
        (("int8", np.zeros((2, 8), np.int8), None, 8), "scales are missing"),
        (("int8", np.zeros((2, 8), np.int8), np.ones(2), 8), "scales are float64"),
        (("int8", np.zeros((2, 8), np.int8), np.ones((2, 1), np.float32), 8), r"have float32 of shape \(2,\)"),
        (("float16", np.zeros((2, 8), np.float16), np.ones(2, np.float32), 8), "float16 codes have no scales"),
        (("binary", np.zeros((2, 2), np.uint8), None, 17), r"17 dimensions are uint8 of shape \(N, 3\)"),
    ],
)
def test_codes_that_do_not_fit_together_are_refused(codes, said):
    with pytest.raises(InputError, match=said):
        Codes(*codes)


def test_a_model_quantizes_and_dequantizes_its_vectors():
    model = EdgeModel.from_pretrained()
    vectors = model.encode(["bread rises", "it rains", ""])
    codes = model.quantize(vectors)
    assert np.array_equal(codes.values, quantize(vectors).values) and codes.scales[2] == 0
    assert cosines(model.dequantize(codes)[:2], vectors[:2]).min() > 0.9999
    assert model.quantize(vectors, "binary").values.shape == (3, 32)


def test_a_rotation_centers_and_turns_as_its_numbers_say():
    rotation = Rotation(np.array([1, 2], np.float32), np.array([[0, 1], [-1, 0]], np.float32))
    vectors = np.array([[4, 3], [1, 2], [0, 0]], np.float32)
    assert rotation.apply(vectors).tolist() == [[-1, 3], [0, 0], [2, -1]]
    assert rotation.apply(vectors[0]).tolist() == [-1, 3]
    assert rotation.undo(rotation.apply(vectors)).tolist() == vectors.tolist()
    codes = quantize(vectors, "binary", rotation)
    assert codes.values.tolist() == [[0b01000000], [0], [0b10000000]]
    half = np.float32(1) / np.sqrt(np.float32(2))
    expected = [[1 + half, 2 + half], [1 - half, 2 + half], [1 - half, 2 - half]]  # at distance 1 from the center
    np.testing.assert_allclose(dequantize(codes, rotation), expected, rtol=1e-6)


def test_a_rotation_turns_to_the_same_numbers_as_a_product_of_matrices():
    vectors = unit_vectors(500) * np.float32(1000)
    rotation = Rotation.fit(vectors)
    expected = (vectors.astype(np.float64) - rotation.center) @ rotation.matrix
    np.testing.assert_allclose(rotation.apply(vectors), expected, atol=1000 * 2e-6)
    lengths = np.linalg.norm(vectors - rotation.center, axis=1)
    np.testing.assert_allclose(np.linalg.norm(rotation.apply(vectors), axis=1), lengths, rtol=1e-5)


def test_whole_numbers_make_a_rotation_exact_whatever_the_order_of_a_sum():
    """Python's own whole numbers have no width, and no order."""
    vectors = unit_vectors(20, 64)
    rotation = Rotation.fit(unit_vectors(1000, 64))
    matrix = [[round(float(value) * 2**22) for value in row] for row in rotation.matrix]
    for vector, turned in zip(vectors, rotation.apply(vectors), strict=True):
        centered = vector.astype(np.float64) - rotation.center
        exponent = int(np.frexp(np.abs(centered).max())[1])
        whole = [round(float(value) * 2.0 ** (24 - exponent)) for value in centered]
        sums = [sum(a * row[column] for a, row in zip(whole, matrix, strict=True)) for column in range(64)]
        assert turned.tolist() == [np.float32(each * 2.0 ** (exponent - 46)) for each in sums]


def test_a_rotation_is_the_same_for_the_same_sample_and_seed():
    sample = unit_vectors(300)
    first, again, other = Rotation.fit(sample), Rotation.fit(sample.astype(np.float64)), Rotation.fit(sample, seed=1)
    assert np.array_equal(first.matrix, again.matrix) and np.array_equal(first.center, again.center)
    assert not np.array_equal(first.matrix, other.matrix)
    np.testing.assert_allclose(first.center, sample.mean(axis=0), rtol=1e-5)


def test_bits_tell_more_of_vectors_that_were_rotated():
    """Nearest neighbours by Hamming distance, of vectors whose first values have the most variance."""
    vectors, sample = unit_vectors(2000, 64), unit_vectors(2000, 64, seed=1)
    rotation = Rotation.fit(sample)
    exact = np.argsort(-(vectors[:100] @ vectors.T), axis=1)[:, :10]

    def recall(codes: Codes) -> float:
        bits = np.unpackbits(codes.values, axis=1).astype(np.int32)
        distances = (bits[:100, None] != bits[None]).sum(axis=2)
        found = np.argsort(distances, axis=1, kind="stable")[:, :50]
        return np.mean([len(set(one) & set(other)) / 10 for one, other in zip(found, exact, strict=True)])

    assert recall(quantize(vectors, "binary", rotation)) > recall(quantize(vectors, "binary")) + 0.05
    turned, plain = (
        cosines(dequantize(quantize(vectors, "binary", each), each), vectors).mean() for each in (rotation, None)
    )
    assert turned > plain + 0.05


def test_a_rotation_comes_back_from_its_file(tmp_path):
    rotation = Rotation.fit(unit_vectors(300))
    rotation.save(tmp_path / "one.safetensors")
    again = Rotation.load(tmp_path / "one.safetensors")
    assert np.array_equal(again.center, rotation.center) and np.array_equal(again.matrix, rotation.matrix)
    turned = Rotation(rotation.center, np.asfortranarray(rotation.matrix))
    turned.save(str(tmp_path / "other.safetensors"))
    assert (tmp_path / "other.safetensors").read_bytes() == (tmp_path / "one.safetensors").read_bytes()


EYE = np.eye(4, dtype=np.float32)
ZERO = np.zeros(4, np.float32)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"center": ZERO}, "holds center; a rotation's 'center' and 'matrix' were expected"),
        ({"embeddings": EYE}, "holds embeddings"),
        ({"center": ZERO, "matrix": EYE[:3]}, r"matrix of a rotation is float32 of shape \(3, 4\)"),
        ({"center": ZERO[None], "matrix": EYE}, r"center of a rotation is float32 of shape \(1, 4\)"),
        ({"center": ZERO, "matrix": EYE.astype(np.float64)}, "matrix of a rotation is float64"),
        ({"center": ZERO, "matrix": 2 * EYE}, "not orthonormal"),
        ({"center": ZERO, "matrix": 0 * EYE}, "not orthonormal"),
        ({"center": ZERO + np.float32(np.nan), "matrix": EYE}, "finite"),
        ({"center": ZERO, "matrix": EYE + np.float32(np.inf)}, "finite"),
    ],
)
def test_a_file_that_holds_no_rotation_is_refused(tmp_path, tensors, said):
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, tmp_path / "file.safetensors")
    with pytest.raises(ModelFormatError, match=rf"file\.safetensors.* {said}"):
        Rotation.load(tmp_path / "file.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"no safetensors"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(ModelFormatError, match="is no safetensors file that can be read"):
        Rotation.load(tmp_path / "file")


def test_a_rotation_of_other_dimensions_or_for_other_codes_is_refused():
    rotation = Rotation(ZERO, EYE)
    with pytest.raises(InputError, match="a rotation of 4 dimensions cannot turn vectors of 5"):
        quantize(np.zeros((2, 5)), "binary", rotation)
    with pytest.raises(InputError, match="a rotation is for binary codes; int8 codes need none"):
        quantize(np.zeros((2, 4)), "int8", rotation)
    with pytest.raises(InputError, match="a rotation is for binary codes; int8 codes are made without"):
        dequantize(quantize(np.zeros((2, 4))), rotation)


@pytest.mark.parametrize("sample", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(4)])
def test_a_rotation_is_fitted_to_some_vectors(sample):
    with pytest.raises(InputError, match=r"a sample is of shape .*; \(N, D\) with some vectors was expected"):
        Rotation.fit(sample)


def test_a_sample_of_equal_vectors_still_gives_a_rotation():
    rotation = Rotation.fit(np.ones((3, 5), np.float32))
    assert rotation.apply(np.ones(5)).tolist() == [0] * 5
