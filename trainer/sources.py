"""What a run is made from, found and fingerprinted before any work begins: teacher, corpus, features, device."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from edge_potion.errors import InputError, ModelFormatError, RecipeError
from edge_potion.escaping import terminal

from .check_recipe import check_featurize, check_recipe
from .featurize_on_ray import OnRay
from .recipe import FeaturizeRecipe, Recipe
from .recipe_file import fingerprint
from .run_folder import Artifact
from .shards import MANIFEST, open_features
from .stages import FEATURIZE
from .teacher import Teacher, load_teacher, torch_device
from .teacher_files import find_teacher, teacher_digest
from .teacher_name import one_line, teacher_name
from .vocabulary import new_rules

__all__ = ["Files", "Given", "Sources", "find_sources"]

log = logging.getLogger("edge_potion")

MOST_NAMES = 900  # characters for the names of corpus files
# What a manifest tells beside the section of the recipe.
MANIFEST_KEYS = {"teacher", "teacher_revision", "teacher_digest", "dims", "modules", "sentences", "sentences_sha256"}

Files = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Given:
    """What a caller gives beside a recipe; `edge_potion.train` tells what each means.

    Attributes:
        on_ray: the cluster whose workers encode the corpus; None for this process. Of `featurize_corpus` alone.
    """

    teacher: str | Path | None = None
    corpus: Files = ()
    text_column: str = "text"
    features: str | Path | None = None
    device: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    show_progress: bool = False
    on_ray: OnRay | None = None


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
        given: all that was asked for.
    """

    recipe: Recipe
    teacher: Artifact
    corpus: Artifact
    corpus_files: Sequence[Path]
    features: Artifact | None
    device: str
    given: Given

    @property
    def loaded_teacher(self) -> Teacher:
        """The teacher, loaded once; InputError when its files have changed since the start."""
        teacher = self._loaded
        if teacher_digest(teacher.folder) != self.teacher.fingerprint:
            raise InputError(
                f"the files of teacher {self.teacher.name} changed while this run was at work; run it again"
            )
        return teacher

    @cached_property
    def vocabulary(self) -> Artifact:
        """What stage 1 is made from: the teacher, and the rules of its vocabulary where newer ones change something."""
        rules = new_rules(self._loaded.tokenizer, self.recipe.distill.vocabulary_size)
        return (
            replace(self.teacher, fingerprint=fingerprint(self.teacher.fingerprint, rules)) if rules else self.teacher
        )

    @cached_property
    def _loaded(self) -> Teacher:
        given = self.given
        return load_teacher(
            self.teacher.name, revision=given.revision, device=self.device, trust_remote_code=given.trust_remote_code
        )


def find_sources(recipe: Recipe, given: Given, *, featurize_alone: bool = False) -> Sources:
    """Find everything a run needs, and hold the recipe against it.

    Args:
        recipe: of the run.
        given: beside it, or in its place.
        featurize_alone: stage 2 is all that will be made, so that no more is asked of the recipe.

    Raises:
        InputError: something is not there, or the features were made by another teacher.
        RecipeError: the recipe asks for what this teacher, or these features, cannot give.
        ModelFormatError: the features' manifest is damaged, or the teacher cannot be loaded.
    """
    if given.on_ray and given.device is not None:
        raise InputError("a device is of this machine; on Ray, workers with GPUs run on cuda, and others on the CPU")
    device = torch_device("cpu" if given.on_ray else given.device)
    files = [Path(file).expanduser() for file in _listed(given.corpus)]
    for file in files:
        if not file.is_file():
            raise InputError(f"there is no corpus file {file}")
    name = str(recipe.teacher if given.teacher is None else given.teacher)
    if not name.strip():
        raise InputError("teacher is empty; pass a folder or hub id, or leave it out")
    if given.features is not None and not str(given.features).strip():
        raise InputError("features is empty; pass a folder, or leave it out")
    folder = find_teacher(name, given.revision, given.trust_remote_code)
    teacher = Artifact(name, folder, teacher_digest(folder))
    shards = None if given.features is None else _shards_in(Path(given.features).expanduser(), teacher)
    corpus, featurize = recipe.corpus, recipe.featurize
    if files:
        texts = Artifact("corpus", files[0].parent, _digest(files, given.text_column))
        corpus = replace(corpus, source=_names_of(files), subset="")
    elif shards:
        texts = shards
        corpus = replace(corpus, source="the texts of the features", subset="")
    else:
        texts = Artifact("hub", Path(), f"{corpus.source} {corpus.subset}")
    if shards:
        featurize = _as_made(featurize, shards)
    if shards and files:
        log.info("corpus: its words fill the vocabulary; training is on the texts of the features")
    used = replace(recipe, teacher=teacher_name(name, folder), corpus=corpus, featurize=featurize)
    sources = Sources(used, teacher, texts, files, shards, device, given)
    loaded = sources.loaded_teacher  # now: one that cannot be loaded is told before hours over the corpus
    if featurize_alone:
        check_featurize(used.featurize, loaded)
    else:
        check_recipe(used, loaded, features_width=_width_of(shards) if shards else None)
    return sources


def _listed(files: Files) -> Sequence[str | Path]:
    return [files] if isinstance(files, str | Path) else files


def _names_of(files: Sequence[Path]) -> str:
    """The names of corpus files, of all that fit where a recipe names its corpus."""
    names = [one_line(file.name) or "a file" for file in files]
    most = len(names)
    while len(listed := ", ".join(names[:most])) > MOST_NAMES and most > 1:
        most -= 1
    return listed[:MOST_NAMES] + (f" and {len(names) - most} more" if most < len(names) else "")


def _shards_in(folder: Path, teacher: Artifact) -> Artifact:
    inside = folder / FEATURIZE.name
    folder = inside if inside.is_dir() else folder
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
