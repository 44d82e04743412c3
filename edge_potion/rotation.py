"""Rotation: a center and an orthonormal matrix that make the signs of vectors tell more of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.codes import checked_vectors, finite_slices
from edge_potion.errors import InputError, ModelFormatError

__all__ = ["Rotation"]

ROUNDS = 20  # of fitting; recall gains nothing by more
ORTHONORMAL = 1e-4  # largest deviation of matrix' * matrix from the identity; float32 rounds to 1e-6
# Vectors and matrix as whole numbers of so many bits have sums of D products that float64 holds exactly, up to a D of
# 2^14: a sum of products is at most the product of two lengths, 2^(24 + 22) * sqrt(D).
VECTOR_BITS, MATRIX_BITS = 24, 22


@dataclass(frozen=True)
class Rotation:
    """vector -> (vector - center) @ matrix, for binary codes: `quantize(vectors, "binary", rotation)`.

    Base and queries must be coded by the same one: it keeps distances, but inner products and cosines are then those
    from the center. So the bits find candidates, by Hamming distance, and what ranks them is the vectors as they were,
    float or int8, which need no rotation.

    Attributes:
        center: (D,) float32.
        matrix: (D, D) float32, orthonormal.
    """

    center: np.ndarray
    matrix: np.ndarray

    def __post_init__(self) -> None:
        dim = self.center.size
        for name, array, shape in (("center", self.center, (dim,)), ("matrix", self.matrix, (dim, dim))):
            if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
                raise InputError(
                    f"the {name} of a rotation is {array.dtype} of shape {array.shape}; it must be float32 of shape "
                    f"{shape}, and finite"
                )
        wide = self.matrix.astype(np.float64)
        if np.abs(wide.T @ wide - np.eye(dim)).max(initial=0) > ORTHONORMAL:
            raise InputError("the matrix of a rotation is not orthonormal")

    @classmethod
    def fit(cls, sample: Any, seed: int = 0) -> Rotation:
        """A rotation for vectors like those of a sample (N, D); some 10,000 are enough.

        It centers, and turns so that values lie close to their signs: iterative quantization without its reduction of
        dimensions (Gong and Lazebnik, "Iterative Quantization: A Procrustean Approach to Learning Binary Codes", CVPR
        2011), from a random orthonormal matrix. The same sample and seed give the same rotation, but for the last bits
        of another machine's linear algebra: keep it in a file.

        Raises:
            InputError: the sample is no (N, D) finite floats, or holds no vector.
        """
        given = checked_vectors(sample)
        if given.ndim != 2 or not given.size:
            raise InputError(f"a sample is of shape {given.shape}; (N, D) with some vectors was expected")
        vectors = np.concatenate([part.floats.astype(np.float64) for part in finite_slices(given)])  # (N, D)
        center = vectors.mean(axis=0).astype(np.float32)  # (D,)
        vectors -= center
        dim = vectors.shape[1]
        matrix = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim))).Q  # (D, D)
        for _ in range(ROUNDS):
            signs = np.where(vectors @ matrix > 0, 1.0, -1.0)  # (N, D)
            left, _, right = np.linalg.svd(vectors.T @ signs)
            matrix = left @ right  # the orthonormal one by which the vectors come closest to their signs
        return cls(center, matrix.astype(np.float32))

    def apply(self, vectors: Any) -> np.ndarray:
        """(N, D) or (D,) float32: centered and turned; of each the same bits, whatever is beside it, on any machine.

        Raises:
            InputError: these are no finite floats of D dimensions.
        """
        given = checked_vectors(vectors)
        rows = given if given.ndim == 2 else given[None]
        if rows.shape[1] != len(self.center):
            raise InputError(f"a rotation of {len(self.center)} dimensions cannot turn vectors of {rows.shape[1]}")
        turned = np.empty(rows.shape, np.float32)
        for part in finite_slices(rows):
            turned[part.place] = self._turned(part.floats)
        return turned if given.ndim == 2 else turned[0]

    def undo(self, turned: np.ndarray) -> np.ndarray:
        """(N, D) or (D,) float32: turned back, and moved back from the center."""
        return turned @ self.matrix.T + self.center

    def save(self, path: str | Path) -> None:
        """As a safetensors file of `center` and `matrix`."""
        from safetensors.numpy import save_file

        from edge_potion.writing import file_written_whole

        with file_written_whole(Path(path)) as new:
            save_file({"center": np.ascontiguousarray(self.center), "matrix": np.ascontiguousarray(self.matrix)}, new)

    @classmethod
    def load(cls, path: str | Path) -> Rotation:
        """The rotation that `save` wrote.

        Raises:
            ModelFormatError: the file is no such file, or what it holds is no rotation.
        """
        from edge_potion.model_table import tensors_of

        found = tensors_of(Path(path))
        if set(found) != {"center", "matrix"}:
            held = ", ".join(sorted(found)) or "no tensor"
            raise ModelFormatError(f"{path} holds {held}; a rotation's 'center' and 'matrix' were expected")
        try:
            return cls(found["center"], found["matrix"])
        except InputError as fault:
            raise ModelFormatError(f"{path}: {fault}") from fault

    def _turned(self, rows: np.ndarray) -> np.ndarray:
        """(b, D) float64 of (b, D) float32.

        A sum of floats depends on its order, which a library of linear algebra takes as it likes: by the number of
        rows, by threads, by the processor. A sum of whole numbers does not.
        """
        centered = rows.astype(np.float64) - self.center  # (b, D)
        exponents = np.frexp(np.abs(centered).max(axis=1, initial=0))[1]  # (b,); each value is below 2^exponent
        whole = np.rint(centered * np.ldexp(1.0, VECTOR_BITS - exponents)[:, None])
        return (whole @ self._whole_matrix) * np.ldexp(1.0, exponents - VECTOR_BITS - MATRIX_BITS)[:, None]

    @cached_property
    def _whole_matrix(self) -> np.ndarray:
        """(D, D) float64 of whole numbers."""
        return np.rint(self.matrix.astype(np.float64) * 2.0**MATRIX_BITS)
