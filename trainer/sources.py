"""What a run is made from, found and fingerprinted before any work begins: teacher, corpus, features, device."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from edge_potion.errors import InputError, RecipeError
from edge_potion.folders import read_json
from edge_potion.st_pipeline import read_pipeline

from .recipe import FeaturizeRecipe, Recipe
from .run_folder import Made
from .shards import open_features
from .teacher import Teacher, find_teacher, load_teacher, teacher_digest, torch_device, transformer_home
from .teacher_name import teacher_name
from .vocabulary import check_size

__all__ = ["FEATURIZED", "Sources", "find_sources"]

log = logging.getLogger("edge_potion")

FEATURIZED = "2-featurize"  # the folder of shards in a run's folder


@dataclass(frozen=True)
class Sources:
    """What a run is made from.

    Attributes:
        recipe: the run's, naming the teacher, corpus and features that are really used.
        teacher: its files.
        corpus: the files below, or what stands in their place.
        corpus_files: local files; empty for the recipe's hub set, or the texts of `features`.
        features: shards made elsewhere, or None.
        device: "cpu", or a CUDA device that is there.
        revision, trust_remote_code: as for `load_teacher`.
        show_progress: bars on stderr.
        text_column: key or column of the texts in corpus files that have such.
    """

    recipe: Recipe
    teacher: Made
    corpus: Made
    corpus_files: Sequence[Path]
    features: Made | None
    device: str
    revision: str | None
    trust_remote_code: bool
    show_progress: bool
    text_column: str = "text"

    @cached_property
    def loaded_teacher(self) -> Teacher:
        """The teacher, loaded when a stage first needs it; InputError when its files have changed since the start."""
        teacher = load_teacher(
            self.teacher.name, revision=self.revision, device=self.device, trust_remote_code=self.trust_remote_code
        )
        if teacher_digest(teacher.folder) != self.teacher.fingerprint:
            raise InputError(
                f"the files of teacher {self.teacher.name} changed while this run was at work; run it again"
            )
        return teacher


def find_sources(
    recipe: Recipe,
    teacher: str | Path | None,
    corpus: str | Path | Sequence[str | Path],
    features: str | Path | None,
    device: str | None,
    revision: str | None,
    trust_remote_code: bool,
    *,
    show_progress: bool,
    text_column: str = "text",
) -> Sources:
    """Find everything a run needs; the arguments are those of `edge_potion.train`.

    Raises:
        InputError: something is not there, or the features were made by another teacher.
        ModelFormatError: the features' manifest is damaged.
    """
    device = torch_device(device)
    files = [Path(file).expanduser() for file in ([corpus] if isinstance(corpus, str | Path) else corpus)]
    for file in files:
        if not file.is_file():
            raise InputError(f"there is no corpus file {file}")
    name = str(teacher or recipe.teacher)
    folder = find_teacher(name, revision, trust_remote_code)
    found_teacher = Made(name, folder, teacher_digest(folder))
    width = _check_teacher(recipe, folder)
    shards = _found_features(Path(features).expanduser(), found_teacher) if features else None
    if shards and width and (found := shards.record.get("dims")) and found < min(recipe.distil.dims, width):
        raise RecipeError(
            f"the features in {shards.folder} have {found} dimensions, and the student of [distil] dims = "
            f"{recipe.distil.dims} would have more; ask for {found} in the recipe, or take other features"
        )
    corpus_recipe, featurize = recipe.corpus, recipe.featurize
    if files:
        texts = Made("corpus", files[0].parent, _digest(files, text_column))
        corpus_recipe = replace(corpus_recipe, source=", ".join(file.name for file in files), subset="")
    elif shards:
        texts = shards
        corpus_recipe = replace(corpus_recipe, source="the texts of the features", subset="")
    else:
        texts = Made("hub", Path(), f"{corpus_recipe.source} {corpus_recipe.subset}")
    if shards:
        featurize = _as_made(featurize, shards)
    used_name = teacher_name(name, folder)
    used = replace(recipe, teacher=used_name, corpus=corpus_recipe, featurize=featurize)
    switches = (device, revision, trust_remote_code, show_progress, text_column)
    return Sources(used, found_teacher, texts, files, shards, *switches)


def _check_teacher(recipe: Recipe, folder: Path) -> int | None:
    """The width of a teacher's token vectors, once it is sure that it can give what the recipe asks; None if not told.

    Raises:
        RecipeError: it cannot; says why, before any work.
    """
    home = transformer_home(folder, read_pipeline(folder))
    if (home / "tokenizer.json").is_file():
        check_size(read_json(home / "tokenizer.json"), recipe.distil.vocabulary_size)
    width = read_json(home / "config.json").get("hidden_size") if (home / "config.json").is_file() else None
    if type(width) is not int:
        return None
    if recipe.pca.dims > width:
        raise RecipeError(
            f"[pca] dims is {recipe.pca.dims}, and the teacher's token vectors have {width} values; ask for no more"
        )
    if recipe.distil.dims > width:
        log.warning(
            "[distil] dims is %d, and the teacher's token vectors have %d values: these", recipe.distil.dims, width
        )
    return width


def _found_features(folder: Path, teacher: Made) -> Made:
    inside = folder / FEATURIZED
    folder = inside if inside.is_dir() else folder
    found = open_features(folder)
    made_by = found.manifest.get("teacher_digest")
    if made_by is None:
        log.warning("features: %s does not say which teacher made them; it is taken to be %s", folder, teacher.name)
    elif made_by != teacher.fingerprint:
        raise InputError(
            f"the features in {folder} were made by {found.manifest.get('teacher')} ({made_by}), "
            f"and {teacher.name} is {teacher.fingerprint}"
        )
    return Made("features", folder, found.digest(), found.manifest)


def _as_made(recipe: FeaturizeRecipe, features: Made) -> FeaturizeRecipe:
    """The recipe section by which the features were made, as far as their manifest tells."""
    told = {key: features.record[key] for key in asdict(recipe) if key in features.record}
    made_by = replace(recipe, **told)
    for key in ("pooling", "precision", "max_tokens"):
        if getattr(made_by, key) != getattr(recipe, key):
            log.warning(
                "features: made with %s = %r, where the recipe has %r", key, getattr(made_by, key), getattr(recipe, key)
            )
    return made_by


def _digest(files: Sequence[Path], text_column: str) -> str:
    digest = hashlib.sha256(b"" if text_column == "text" else f"column {text_column}\n".encode())
    for file in files:
        try:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{''.join(file.suffixes)} {content}\n".encode())  # the ending says how it is read
        except OSError as failure:
            raise InputError(f"cannot read corpus file {file} ({failure})") from failure
    return digest.hexdigest()[:12]
