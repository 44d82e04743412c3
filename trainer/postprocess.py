"""After training: power normalization of the table."""

from __future__ import annotations

import numpy as np

from .recipe import PowerRecipe

__all__ = ["power_normalized"]


def power_normalized(table: np.ndarray, recipe: PowerRecipe) -> np.ndarray:
    """sign(E) * |E|^exponent, value by value (card of potion-256d-v3): (V, D) float32 -> (V, D) float32."""
    return (np.sign(table) * np.abs(table) ** np.float32(recipe.exponent)).astype(np.float32)
