"""Vectors of unit length, and the first values of longer ones."""

from __future__ import annotations

import numpy as np

__all__ = ["NORM_EPS", "shortened", "unit_length"]

NORM_EPS = 1e-12  # a norm below it counts as zero; torch.nn.functional.normalize's


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """(b, D) of its own dtype, each row divided by its length; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), NORM_EPS)


def shortened(vectors: np.ndarray, dim: int | None, normalize: bool) -> np.ndarray:
    """The first `dim` values of each of the vectors (b, D), None for all, of unit length again with `normalize`."""
    if dim is None or dim >= vectors.shape[1]:
        return vectors
    return unit_length(vectors[:, :dim]) if normalize else vectors[:, :dim]
