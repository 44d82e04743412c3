"""Features made elsewhere, in the place of stage 2: which folder is which teacher's, and what its manifest tells."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_potion.errors import InputError, ModelFormatError, RecipeError
from edge_potion.escaping import terminal

from .credits import Credit
from .recipe import FeaturizeRecipe, OtherRecipe, Recipe
from .run_folder import Artifact
from .shards import MANIFEST, open_features
from .stages import FEATURIZE, FEATURIZE_OTHERS
from .teacher_files import licence_of, teacher_digest
from .teacher_name import one_line, short_name, teacher_name

__all__ = ["MadeElsewhere", "take_features"]

log = logging.getLogger("edge_potion")

# What a manifest tells beside the section of the recipe.
MANIFEST_KEYS = {
    *("teacher", "teacher_revision", "teacher_digest", "teacher_licence", "arithmetic"),
    *("dims", "modules", "sentences", "sentences_sha256"),
}
TOLD_OF_OTHERS = ("pooling", "precision", "max_tokens", "prompt")


@dataclass(frozen=True)
class MadeElsewhere:
    """Features that were given.

    Attributes:
        shards: of each teacher, in the recipe's order.
        recipe: the run's, with others and sections as the features were really made.
        others: what is told of each further teacher.
        width: dimensions of the vectors, of all teachers side by side.
    """

    shards: list[Artifact]
    recipe: Recipe
    others: list[Credit]
    width: int


def take_features(recipe: Recipe, given: Sequence[str | Path], teacher: Artifact) -> MadeElsewhere:
    """Find the features of each teacher, and hold what they tell of themselves against the recipe.

    Args:
        recipe: which names the teachers; where it names one, each further folder brings another one of weight 1.
        given: folders of shards or of runs: one of each teacher, or a run's that holds those of all, and no more.
        teacher: the first one.

    Raises:
        InputError: a folder has no features, they are another teacher's, there are not as many as teachers, or some
            are there twice.
        ModelFormatError: a manifest is damaged.
    """
    folders = _folders(recipe, given)
    _refuse_twice(folders)
    if len(folders) > 1 and not recipe.others:
        recipe = replace(recipe, others=tuple(_named_by(folder) for folder in folders[1:]))
    shards = [_shards_in(folders[0], teacher)]
    others, credits = [], []
    for folder, other in zip(folders[1:], recipe.others, strict=True):
        local = _there(other.teacher)
        features = _shards_in(folder, local) if local else _shards_of(folder, other)
        made = _as_made(other.featurize(recipe.featurize.shard_rows), features)
        shards.append(features)
        credits.append(_credit(other, features))
        others.append(
            replace(other, teacher=credits[-1].teacher, **{key: getattr(made, key) for key in TOLD_OF_OTHERS})
        )
    _refuse_twins(shards)
    used = replace(recipe, featurize=_as_made(recipe.featurize, shards[0]), others=tuple(others))
    return MadeElsewhere(shards, used, credits, sum(map(_width_of, shards)))


def _folders(recipe: Recipe, given: Sequence[str | Path]) -> list[Path]:
    """The folders of shards, one of each teacher."""
    if not given or not all(str(folder).strip() for folder in given):
        raise InputError("features is empty; pass a folder, or leave it out")
    folders = [Path(folder).expanduser() for folder in given]
    stages = (FEATURIZE, *FEATURIZE_OTHERS)
    if len(folders) > len(stages):
        raise InputError(f"{len(folders)} folders of features are given; at most {len(stages)} teachers are taken")
    teachers = 1 + len(recipe.others)
    held = [[stage for stage in stages if (folder / stage.name).is_dir()] for folder in folders]  # of a run's
    if len(folders) == 1 and len(held[0]) == teachers:
        return [folders[0] / stage.name for stage in held[0]]
    if recipe.others and len(folders) != teachers and not (len(folders) == 1 and held[0]):
        raise InputError(
            f"the recipe has {teachers} teachers, its own and [[others]], and {len(folders)} folders of "
            "features are given; one of each was expected, in their order"
        )
    chosen = []
    for folder, stage, inside in zip(folders, stages, held, strict=False):
        is_told = len(inside) == 1 or (len(folders) == teachers > 1 and stage in inside)
        if inside and not (is_told and len(folders) >= teachers):
            raise InputError(
                f"{folder} is a run with features of {len(inside)} teachers, and the recipe has {teachers}; name the "
                f"folder within it, as {folder / inside[0].name}, of each teacher that is meant, or all teachers in "
                "the recipe"
            )
        chosen.append(folder / (stage if stage in inside else inside[0]).name if inside else folder)
    return chosen


def _refuse_twice(folders: Sequence[Path]) -> None:
    """Raise InputError where a folder is given twice."""
    there = list(map(os.path.realpath, folders))
    for place, folder in enumerate(folders):
        if there[place] in there[:place]:
            raise InputError(f"the features in {folder} are given twice; give those of each teacher once")


def _refuse_twins(shards: Sequence[Artifact]) -> None:
    """Raise InputError where two folders hold the same vectors, or those of one teacher."""
    for place, one in enumerate(shards):
        for other in shards[:place]:
            if one.fingerprint == other.fingerprint:
                raise InputError(f"{one.folder} holds the same features as {other.folder}; leave it out")
            digest = one.record.get("teacher_digest")
            if digest is not None and digest == other.record.get("teacher_digest"):
                name = terminal(one.record.get("teacher"))
                raise InputError(
                    f"the features in {other.folder} and in {one.folder} were both made by {name}; each teacher counts "
                    "once: leave one out"
                )


def _named_by(folder: Path) -> OtherRecipe:
    """The teacher that a manifest names, for a recipe that does not."""
    name = open_features(folder).manifest.get("teacher")
    if not isinstance(name, str) or not one_line(name):
        raise InputError(f"{folder} does not say which teacher made it; name that in [[others]] of the recipe")
    return OtherRecipe(one_line(name))


def _there(name: str) -> Artifact | None:
    """A teacher that is a folder of this machine."""
    folder = Path(name).expanduser()
    return Artifact(name, folder, teacher_digest(folder)) if folder.is_dir() else None


def _shards_in(folder: Path, teacher: Artifact) -> Artifact:
    """The features in a folder, which must be those of a teacher that is here."""
    features = open_features(folder)
    made_by = features.manifest.get("teacher_digest")
    if made_by is None:
        log.warning("features: %s does not say which teacher made them; it is taken to be %s", folder, teacher.name)
    elif made_by != teacher.fingerprint:
        raise InputError(
            f"the features in {folder} were made by {features.manifest.get('teacher')} ({made_by}), "
            f"and {teacher.name} is {teacher.fingerprint}"
        )
    return Artifact("features", folder, features.digest(), features.manifest)


def _shards_of(folder: Path, other: OtherRecipe) -> Artifact:
    """The features in a folder, which must be those of a teacher that is known by its name alone."""
    features = open_features(folder)
    made_by = features.manifest.get("teacher")
    if made_by is None:
        log.warning("features: %s does not say which teacher made them; it is taken to be %s", folder, other.teacher)
    elif short_name(str(made_by)) != short_name(other.teacher):  # a hub id, and the name of a folder of it
        raise InputError(
            f"the features in {folder} were made by {terminal(made_by)}, and the recipe has {other.teacher} in that "
            "place; give folders in the order of the teachers, or name that one"
        )
    return Artifact("features", folder, features.digest(), features.manifest)


def _credit(other: OtherRecipe, features: Artifact) -> Credit:
    told = {key: one_line(str(value)) for key, value in features.record.items()}
    if teacher := _there(other.teacher):
        return Credit(teacher_name(other.teacher, teacher.folder), licence_of(teacher.folder), "", other.weight)
    name = told.get("teacher") or other.teacher
    return Credit(name, told.get("teacher_licence", ""), told.get("teacher_revision", ""), other.weight)


def _as_made(recipe: FeaturizeRecipe, features: Artifact) -> FeaturizeRecipe:
    """The recipe section by which the features were made, as far as their manifest tells."""
    told = {"prompt": "", **features.record} if "pooling" in features.record else features.record  # see `featurize`
    stated = {key: told[key] for key in asdict(recipe) if key in told}
    try:
        made_by = replace(recipe, **stated)
    except RecipeError as failure:
        raise ModelFormatError(f"{features.folder / MANIFEST}: {failure}") from failure
    if unknown := sorted(set(features.record) - MANIFEST_KEYS - set(asdict(recipe))):
        named = ", ".join(map(terminal, unknown))
        log.warning("features: %s tells %s, which means nothing here", features.folder / MANIFEST, named)
    for key in TOLD_OF_OTHERS:
        if getattr(made_by, key) != getattr(recipe, key):
            log.warning(
                "features: made with %s = %r, where the recipe has %r", key, getattr(made_by, key), getattr(recipe, key)
            )
    return made_by


def _width_of(features: Artifact) -> int:
    """Dimensions of the features, as their first shard has them; what their manifest tells must be the same."""
    first = next(open_features(features.folder).shards(), None)
    if first is None:
        raise InputError(f"the features in {features.folder} have no row")
    width, stated = int(first.vectors.shape[1]), features.record.get("dims")
    if stated is not None and stated != width:
        raise ModelFormatError(
            f"{features.folder / MANIFEST}: dims is {stated!r}, and the vectors have {width} dimensions"
        )
    return width
