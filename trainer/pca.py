"""Principal components in float64: centred, not whitened, with fixed signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Pca", "fit_pca"]


@dataclass(frozen=True)
class Pca:
    """A fitted projection.

    Attributes:
        mean: (H,) float64.
        components: (D, H) float64, orthonormal rows by falling variance; the largest entry of each is positive.
        explained: share of the variance that the D components keep, 0..1.
    """

    mean: np.ndarray
    components: np.ndarray
    explained: float

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """(N, H) any float -> (N, D) float32."""
        return ((rows - self.mean) @ self.components.T).astype(np.float32)


def fit_pca(rows: np.ndarray, dims: int) -> Pca:
    """The first `dims` (at most H) principal components of `rows` (N, H), by eigendecomposition of the covariance."""
    rows = rows.astype(np.float64)
    mean = rows.mean(axis=0)
    centred = rows - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred / max(len(rows) - 1, 1))
    variances = np.clip(variances[::-1], 0, None)  # eigh is ascending; rounding can make a zero slightly negative
    components = vectors[:, ::-1].T[:dims]  # (D, H)
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(len(components)), largest])[:, None]
    kept = variances[:dims].sum() / max(variances.sum(), np.finfo(np.float64).tiny)
    return Pca(mean, components, float(kept))
