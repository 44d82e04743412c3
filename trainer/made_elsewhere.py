"""Features made elsewhere, in the place of stage 2: which folder is which teacher's, and what its manifest tells."""

from __future__ import annotations

import logging
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
TOLD_OF_OTHERS = ("pooling", "precision", "max_tokens")


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
        given: folders of shards or of runs: one of each teacher, or a run's that holds those of all.
        teacher: the first one.

    Raises:
        InputError: a folder has no features, they are another teacher's, or there are not as many as teachers.
        ModelFormatError: a manifest is damaged.
    """
    folders = _folders(recipe, given)
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
    if len(folders) == 1 and recipe.others and (folders[0] / FEATURIZE_OTHERS[0].name).is_dir():  # a run's
        folders *= 1 + len(recipe.others)
    if recipe.others and len(folders) != 1 + len(recipe.others):
        raise InputError(
            f"the recipe has {1 + len(recipe.others)} teachers, its own and [[others]], and {len(folders)} folders of "
            "features are given; one of each was expected, in their order"
        )
    return [_inside(folder, (stage.name, FEATURIZE.name)) for folder, stage in zip(folders, stages, strict=False)]


def _inside(folder: Path, names: Sequence[str]) -> Path:
    """The first of these stages in a run's folder; else the folder itself."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


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
    stated = {key: features.record[key] for key in asdict(recipe) if key in features.record}
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
