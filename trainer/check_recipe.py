"""A recipe held against its teacher before any work begins: what it asks for can be had, or is refused here."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from edge_potion.errors import RecipeError

from .recipe import FeaturizeRecipe, Recipe
from .special_tokens import special_tokens
from .teacher import Teacher
from .vocabulary import check_size

__all__ = ["check_featurize", "check_recipe"]

log = logging.getLogger("edge_potion")


def check_recipe(
    recipe: Recipe, teacher: Teacher, *, features_width: int | None, others: Iterable[Teacher] = ()
) -> None:
    """Raise RecipeError, with the true reason, when a whole run of the recipe could not give what it says.

    Args:
        recipe: whose values were held against each other when it was made.
        teacher: loaded, so that nothing is guessed from its files.
        features_width: dimensions of the features that take the place of stage 2, of several teachers side by side;
            None where the teachers make them.
        others: further teachers that make features, each loaded when it is asked for.
    """
    check_size(json.loads(teacher.tokenizer.to_str()), recipe.distill.vocabulary_size)
    asked, width = recipe.distill.dims, teacher.width
    if recipe.pca.dims > width:
        raise RecipeError(
            f"[pca] dims is {recipe.pca.dims}, and the teacher's token vectors have {width} values; ask for no more"
        )
    if asked > width:
        log.warning("[distill] dims is %d, and the teacher's token vectors have %d values: these", asked, width)
    if features_width is None:
        check_featurize(recipe.featurize, teacher)
        width_of_vectors = teacher.pooled_width(recipe.featurize.pooling)
        for section, other in zip(recipe.featurized_by[1:], others, strict=True):
            check_featurize(section, other)
            width_of_vectors += other.pooled_width(section.pooling)
        if width_of_vectors < min(asked, width):
            raise RecipeError(
                f"[distill] dims is {asked}, and [featurize] pooling = {recipe.featurize.pooling!r} gives vectors of "
                f"{width_of_vectors} dimensions with this teacher; ask for at most {width_of_vectors}"
            )
    elif features_width < min(asked, width):
        raise RecipeError(
            f"the features have {features_width} dimensions, and the student of [distill] dims = {asked} would have "
            f"more; ask for {features_width} in the recipe, or take other features"
        )
    _check_space(recipe, width_of_vectors if features_width is None else features_width)


def _check_space(recipe: Recipe, width: int) -> None:
    if recipe.space == "teacher" and recipe.pca.dims != width:
        raise RecipeError(
            f'[pca] dims is {recipe.pca.dims}, and the teacher\'s vectors have {width}; with space = "teacher" ask for '
            f"{width} there and in [distill]"
        )


def check_featurize(recipe: FeaturizeRecipe, teacher: Teacher) -> None:
    """Raise RecipeError when no room is left beside special tokens and prompt; say it when the teacher cuts before."""
    around = special_tokens(teacher.tokenizer)
    prompt = teacher.prompted(recipe.prompt).pipeline.prompt
    taken = len(around.before) + len(teacher.tokenizer.encode(prompt, add_special_tokens=False).ids) + len(around.after)
    longest = min(recipe.max_tokens, teacher.longest or recipe.max_tokens)
    if longest <= taken:
        puts = "tokens of its prompt and special ones" if prompt else "special tokens"
        raise RecipeError(
            f"[featurize] max_tokens is {longest} with teacher {teacher.name}, which puts {taken} {puts} "
            f"around each text; at least {taken + 1} was expected"
        )
    if longest < recipe.max_tokens:
        log.warning("[featurize] max_tokens is %d, and the teacher cuts at %d", recipe.max_tokens, longest)
