"""What `similarity` takes: texts, and vectors as people hold them."""

from __future__ import annotations

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError


def test_similarity_takes_vectors_as_people_hold_them():
    torch = pytest.importorskip("torch")
    model = EdgeModel.from_pretrained()
    texts = ["a cat sleeps", "stock prices fell"]
    vectors = model.encode(texts)
    expected = model.similarity(vectors, vectors)
    rounded = np.rint(vectors * 500).clip(-128, 127).astype(np.int8)
    tensor = torch.from_numpy(vectors)
    for held in (
        vectors.tolist(),
        tuple(map(tuple, vectors.tolist())),
        list(vectors),
        iter(vectors),
        vectors.astype(object),
        vectors.astype(">f8"),
        memoryview(vectors),
        tensor,
        tensor.double().requires_grad_(),
        list(tensor),
        texts,
        iter(texts),
        tuple(texts),
        np.array(texts),
        np.array(texts, object),
    ):
        np.testing.assert_allclose(model.similarity(held, vectors), expected, atol=1e-6)
    for coarse in (
        rounded,
        rounded.astype(np.uint16) * 0 + rounded,
        torch.from_numpy(rounded),
        tensor.bfloat16(),
        tensor.half(),
    ):
        np.testing.assert_allclose(model.similarity(vectors, coarse), expected, atol=0.02)
    for one in (vectors[0], vectors[0].tolist(), tensor[0], texts[0], np.float64(1) * vectors[0]):
        np.testing.assert_allclose(model.similarity(one, vectors), expected[0], atol=1e-6)
    assert model.similarity([], vectors).shape == (0, 2)
    extremes = np.array([[-128] * 256, [127] * 256], np.int8)
    np.testing.assert_allclose(model.similarity(extremes, extremes), [[1, -1], [-1, 1]], atol=1e-6)
    least = np.array([np.iinfo(np.int64).min] * 256)
    assert model.similarity(least, least) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        (3, "int cannot be compared"),
        (None, "NoneType cannot be compared"),
        (b"bytes", "bytes"),
        ([1.0, "a"], "cannot be compared"),
        (["a", 1.0], "text 1 is of type float"),
        ([[1.0, 2.0], [1.0]], "cannot be compared"),
        ([[1.0] * 256, None], "cannot be compared"),
        (np.ones((1, 256), complex), "complex128 cannot be compared"),
        (np.array(["2020"], "M8[Y]"), "cannot be compared"),
        (np.array([[1.0, "a"]], object), "cannot be compared"),
        (np.ones((1, 1, 256)), r"shape \(1, 1, 256\)"),
        (np.float32(1), r"shape \(\)"),
        ([[float("nan")] * 256], "NaN or inf"),
        ([10**400] * 256, "cannot be compared"),
        ([1.0, 2.0], "vectors of 2 and of 256 dimensions"),
    ],
)
def test_what_similarity_does_not_take_is_one_line(items, complaint):
    model = EdgeModel.from_pretrained()
    with pytest.raises(InputError, match=complaint) as caught:
        model.similarity(items, "a cat")
    assert "\n" not in str(caught.value)
