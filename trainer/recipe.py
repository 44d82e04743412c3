"""Recipes: one frozen dataclass a stage, whose defaults are the published potion-256d recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edge_potion.errors import RecipeError

__all__ = ["DistilRecipe"]


@dataclass(frozen=True)
class DistilRecipe:
    """How a teacher becomes a table of token vectors (Model2Vec's method).

    Attributes:
        dims: D, width of the table after PCA; the teacher's width when that is smaller. 512 in the recipe, whose
            last stage halves it; `edge-potion distill`, which ends here, asks for 256.
        sif_coefficient: a in the SIF weight a / (a + p(rank)) of a row, with Zipf's p; None leaves rows as they are.

    Raises:
        RecipeError: a value that no run could use.
    """

    dims: int = 512
    sif_coefficient: float | None = 1e-4

    def __post_init__(self) -> None:
        if self.dims < 1:
            raise RecipeError(f"dims is {self.dims}; at least 1 was expected")
        if self.sif_coefficient is not None and not 0 < self.sif_coefficient < 1:
            raise RecipeError(f"sif_coefficient is {self.sif_coefficient}; a number between 0 and 1 was expected")

    def to_toml(self) -> str:
        """The section as it is written into a model's recipe.toml; None has no word in TOML and becomes false."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        lines = [f"{key} = {'false' if value is None else repr(value)}" for key, value in values.items()]
        return "\n".join(["[distil]", *lines]) + "\n"
