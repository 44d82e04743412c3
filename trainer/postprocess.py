"""After training: power normalization, and principal components (float64, centred, not whitened, with fixed signs)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .recipe import PowerRecipe

__all__ = ["Pca", "fit_pca", "power_normalized", "reduce_rows"]

log = logging.getLogger("edge_potion")


def power_normalized(table: np.ndarray, recipe: PowerRecipe) -> np.ndarray:
    """sign(E) * |E|^exponent, value by value (card of potion-256d-v3): (V, D) float32 -> (V, D) float32."""
    return (np.sign(table) * np.abs(table) ** np.float32(recipe.exponent)).astype(np.float32)


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


def fit_pca(blocks: Iterable[np.ndarray], dims: int) -> Pca:
    """The first `dims` (at most H) principal components of rows that come in blocks (n, H), by their covariance.

    One block is in memory at a time: the moments are updated block by block (Chan, Golub and LeVeque, 1983).
    """
    count, mean, scatter = 0, np.zeros(1), np.zeros((1, 1))
    for block in blocks:
        rows = block.astype(np.float64)
        block_mean = rows.mean(axis=0)
        rows -= block_mean
        shift = block_mean - mean  # (H,)
        total = count + len(rows)
        scatter = scatter + rows.T @ rows + np.outer(shift, shift) * (count * len(rows) / total)
        mean = mean + shift * (len(rows) / total)
        count = total
    variances, vectors = np.linalg.eigh(scatter / max(count - 1, 1))
    variances = np.clip(variances[::-1], 0, None)  # eigh is ascending; rounding can make a zero slightly negative
    components = vectors[:, ::-1].T[:dims]  # (D, H)
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(len(components)), largest])[:, None]
    kept = variances[:dims].sum() / max(variances.sum(), np.finfo(np.float64).tiny)
    return Pca(mean, components, float(kept))


def reduce_rows(rows: np.ndarray, dims: int, left_out: Sequence[int], fitted_to: int | None = None) -> np.ndarray:
    """(V, H) -> (V, min(dims, H, rows in the fit)) float32, by PCA.

    Rows `left_out` ([PAD] and [UNK], which no mean ever holds) stay out of the fit and are zero after it. With
    `fitted_to`, the fit is to the first so many rows.
    """
    fitted = np.arange(len(rows)) < (len(rows) if fitted_to is None else fitted_to)
    fitted[list(left_out)] = False
    possible = min(dims, rows.shape[1], int(fitted.sum()))
    if possible < dims:
        log.warning("dims: %d were asked for, and this teacher and vocabulary give %d", dims, possible)
    pca = fit_pca([rows[fitted]], possible)
    log.info("PCA %d -> %d keeps %.1f %% of the variance", rows.shape[1], possible, 100 * pca.explained)
    reduced = pca.apply(rows)
    reduced[list(left_out)] = 0
    return reduced
