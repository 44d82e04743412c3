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
from .recipe import FeaturizeRecipe, Recipe, fingerprint
from .run_folder import Made
from .shards import MANIFEST, open_features
from .teacher import Teacher, find_teacher, load_teacher, teacher_digest, torch_device
from .teacher_name import one_line, teacher_name
from .vocabulary import new_rules

__all__ = ["FEATURIZED", "Sources", "find_sources"]

log = logging.getLogger("edge_potion")

FEATURIZED = "2-featurize"  # the folder of shards in a run's folder
MOST_NAMES = 900  # characters for the names of corpus files
# What a manifest tells beside the section of the recipe.
TOLD = {"teacher", "teacher_revision", "teacher_digest", "dims", "modules", "sentences", "sentences_sha256"}


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
    def vocabulary(self) -> Made:
        """What stage 1 is made from: the teacher, and the rules of its vocabulary where newer ones change something."""
        rules = new_rules(self._loaded.tokenizer, self.recipe.distill.vocabulary_size)
        return (
            replace(self.teacher, fingerprint=fingerprint(self.teacher.fingerprint, rules)) if rules else self.teacher
        )

    @cached_property
    def _loaded(self) -> Teacher:
        return load_teacher(
            self.teacher.name, revision=self.revision, device=self.device, trust_remote_code=self.trust_remote_code
        )


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
    featurize_alone: bool = False,
) -> Sources:
    """Find everything a run needs, and hold the recipe against it; the arguments are those of `edge_potion.train`.

    Args:
        featurize_alone: stage 2 is all that will be made, so that no more is asked of the recipe.

    Raises:
        InputError: something is not there, or the features were made by another teacher.
        RecipeError: the recipe asks for what this teacher, or these features, cannot give.
        ModelFormatError: the features' manifest is damaged, or the teacher cannot be loaded.
    """
    device = torch_device(device)
    files = [Path(file).expanduser() for file in ([corpus] if isinstance(corpus, str | Path) else corpus)]
    for file in files:
        if not file.is_file():
            raise InputError(f"there is no corpus file {file}")
    name = str(recipe.teacher if teacher is None else teacher)
    if not name.strip() or (features is not None and not str(features).strip()):
        what = "features" if name.strip() else "teacher"
        raise InputError(f"{what} is empty; pass a folder{'' if name.strip() else ' or hub id'}, or leave it out")
    folder = find_teacher(name, revision, trust_remote_code)
    found_teacher = Made(name, folder, teacher_digest(folder))
    shards = None if features is None else _found_features(Path(features).expanduser(), found_teacher)
    corpus_recipe, featurize = recipe.corpus, recipe.featurize
    if files:
        texts = Made("corpus", files[0].parent, _digest(files, text_column))
        corpus_recipe = replace(corpus_recipe, source=_names_of(files), subset="")
    elif shards:
        texts = shards
        corpus_recipe = replace(corpus_recipe, source="the texts of the features", subset="")
    else:
        texts = Made("hub", Path(), f"{corpus_recipe.source} {corpus_recipe.subset}")
    if shards:
        featurize = _as_made(featurize, shards)
    if shards and files:
        log.info("corpus: its words fill the vocabulary; training is on the texts of the features")
    used = replace(recipe, teacher=teacher_name(name, folder), corpus=corpus_recipe, featurize=featurize)
    switches = (device, revision, trust_remote_code, show_progress, text_column)
    sources = Sources(used, found_teacher, texts, files, shards, *switches)
    loaded = sources.loaded_teacher  # now: one that cannot be loaded is told before hours over the corpus
    if featurize_alone:
        check_featurize(used.featurize, loaded)
    else:
        check_recipe(used, loaded, features_width=_width_of(shards) if shards else None)
    return sources


def _names_of(files: Sequence[Path]) -> str:
    """The names of corpus files, of all that fit where a recipe names its corpus."""
    names = [one_line(file.name) or "a file" for file in files]
    most = len(names)
    while len(told := ", ".join(names[:most])) > MOST_NAMES and most > 1:
        most -= 1
    return told[:MOST_NAMES] + (f" and {len(names) - most} more" if most < len(names) else "")


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


def _width_of(features: Made) -> int:
    """Dimensions of the features, as their first shard has them; what their manifest tells must be the same."""
    first = next(open_features(features.folder).shards(), None)
    if first is None:
        raise InputError(f"the features in {features.folder} have no row")
    width, told = int(first.vectors.shape[1]), features.record.get("dims")
    if told is not None and told != width:
        raise ModelFormatError(
            f"{features.folder / MANIFEST}: dims is {told!r}, and the vectors have {width} dimensions"
        )
    return width


def _as_made(recipe: FeaturizeRecipe, features: Made) -> FeaturizeRecipe:
    """The recipe section by which the features were made, as far as their manifest tells."""
    told = {key: features.record[key] for key in asdict(recipe) if key in features.record}
    try:
        made_by = replace(recipe, **told)
    except RecipeError as failure:
        raise ModelFormatError(f"{features.folder / MANIFEST}: {failure}") from failure
    if unknown := sorted(set(features.record) - TOLD - set(asdict(recipe))):
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
