"""What a run is made from, found and fingerprinted before any work begins: teacher, corpus, features, device."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from edge_potion.errors import InputError, RecipeError

from .check_recipe import check_featurize, check_recipe
from .corpus import LANGUAGE, files_of
from .credits import Credit
from .featurize_on_ray import OnRay
from .made_elsewhere import take_features
from .recipe import Recipe
from .recipe_file import fingerprint
from .run_folder import Artifact
from .teacher import Teacher, load_teacher, torch_device
from .teacher_files import find_teacher, licence_of, teacher_digest
from .teacher_name import one_line, revision_of, teacher_name
from .vocabulary import new_rules

__all__ = ["Files", "Given", "Sources", "find_sources"]

log = logging.getLogger("edge_potion")

MOST_NAMES = 900  # characters for the names of corpus files

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
    features: Files | None = None
    device: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    show_progress: bool = False
    on_ray: OnRay | None = None


@dataclass(frozen=True)
class Sources:
    """What a run is made from.

    Attributes:
        recipe: the run's, naming the teachers, corpus and features that are really used.
        teacher: its files.
        others: those of further teachers; none where `features` take their place.
        credits: what is told of each teacher, of the first and of others.
        corpus: the files below, or what stands in their place.
        corpus_files: local files; empty for the recipe's hub set, or the texts of `features`.
        features: shards made elsewhere, of each teacher; none where they are to be made.
        device: "cpu", or a CUDA device that is there.
        given: all that was asked for.
    """

    recipe: Recipe
    teacher: Artifact
    others: Sequence[Artifact]
    credits: Sequence[Credit]
    corpus: Artifact
    corpus_files: Sequence[Path]
    features: Sequence[Artifact]
    device: str
    given: Given

    @property
    def loaded_teacher(self) -> Teacher:
        """The first teacher, loaded once; InputError when its files have changed since the start."""
        return self.loaded(self.teacher)

    def loaded(self, teacher: Artifact) -> Teacher:
        """A teacher, one of the others anew each time; InputError when its files have changed since the start."""
        loaded = self._loaded if teacher is self.teacher else self._load(teacher, None)
        if teacher_digest(teacher.folder) != teacher.fingerprint:
            raise InputError(f"the files of teacher {teacher.name} changed while this run was at work; run it again")
        return loaded

    @cached_property
    def vocabulary(self) -> Artifact:
        """What stage 1 is made from: the teacher, and the rules of its vocabulary where newer ones change something."""
        rules = new_rules(self._loaded.tokenizer, self.recipe.distill.vocabulary_size)
        return (
            replace(self.teacher, fingerprint=fingerprint(self.teacher.fingerprint, rules)) if rules else self.teacher
        )

    @cached_property
    def _loaded(self) -> Teacher:
        return self._load(self.teacher, self.given.revision)

    def _load(self, teacher: Artifact, revision: str | None) -> Teacher:
        trust = self.given.trust_remote_code
        return load_teacher(teacher.name, revision=revision, device=self.device, trust_remote_code=trust)


def find_sources(recipe: Recipe, given: Given, *, featurize_alone: bool = False) -> Sources:
    """Find everything a run needs, and hold the recipe against it.

    Args:
        recipe: of the run.
        given: beside it, or in its place.
        featurize_alone: stage 2 is all that will be made, so that no more is asked of the recipe.

    Raises:
        InputError: something is not there, or the features were made by another teacher, or are not one of each.
        RecipeError: the recipe asks for what these teachers, or these features, cannot give, or names one twice.
        ModelFormatError: a manifest of features is damaged, or a teacher cannot be loaded.
    """
    if given.on_ray and given.device is not None:
        raise InputError("a device is of this machine; on Ray, workers with GPUs run on cuda, and others on the CPU")
    device = torch_device("cpu" if given.on_ray else given.device)
    files = [Path(file).expanduser() for file in _listed(given.corpus)]
    each_file = _each_file(files, recipe, given)
    name = str(recipe.teacher if given.teacher is None else given.teacher)
    if not name.strip():
        raise InputError("teacher is empty; pass a folder or hub id, or leave it out")
    names = [name, *(other.teacher for other in recipe.others)]
    _refuse_twice(names, names)
    teacher = _found(name, given.revision, given)
    credits = [_credit(teacher, 1.0)]
    used = replace(recipe, teacher=credits[0].teacher)
    others: list[Artifact] = []
    made = None if given.features is None else take_features(used, _listed(given.features), teacher)
    if made:
        used, credits = made.recipe, [*credits, *made.others]
    else:
        others = [_found(other.teacher, None, given) for other in recipe.others]
        _refuse_twice([each.fingerprint for each in (teacher, *others)], names)
        credits += [_credit(each, other.weight) for each, other in zip(others, recipe.others, strict=True)]
        named = zip(used.others, credits[1:], strict=True)
        used = replace(used, others=tuple(replace(other, teacher=credit.teacher) for other, credit in named))
    if files:
        texts = Artifact("corpus", files[0].parent, _digest(each_file, given.text_column))
        used = replace(used, corpus=replace(recipe.corpus, source=_names_of(files), subset=""))
    elif made:
        texts = made.shards[0]
        used = replace(used, corpus=replace(recipe.corpus, source="the texts of the features", subset="", languages=()))
    else:
        texts = Artifact("hub", Path(), f"{recipe.corpus.source} {recipe.corpus.subset}")
    if made and files:
        log.info("corpus: its words fill the vocabulary; training is on the texts of the features")
    shards = made.shards if made else []
    sources = Sources(used, teacher, others, credits, texts, files, shards, device, given)
    loaded = sources.loaded_teacher  # now: one that cannot be loaded is told before hours over the corpus
    further = map(sources.loaded, others)
    if featurize_alone:
        for section, each in zip(used.featurized_by, chain([loaded], further), strict=True):
            check_featurize(section, each)
    else:
        check_recipe(used, loaded, features_width=made.width if made else None, others=further)
    return sources


def _each_file(files: Sequence[Path], recipe: Recipe, given: Given) -> list[Path]:
    """The corpus files, of each language where the recipe names some; InputError where one is not there."""
    languages, hub_set = recipe.corpus.languages, f"{recipe.corpus.source} {recipe.corpus.subset}".strip()
    if given.features is not None and not files:
        return []  # their texts are the corpus
    for name in [str(file) for file in files] or [hub_set]:
        if languages and LANGUAGE not in name:
            raise InputError(f"of languages {', '.join(languages)}, {name} names none; write {LANGUAGE} in its place")
        if not languages and LANGUAGE in name:
            raise InputError(f"{name} is of several languages; say which: --languages de,fr")
    each_file = []
    for language in languages or ("",):
        for file in files_of(files, language):
            if not file.is_file():
                raise InputError(f"there is no corpus file {file}" + (f", of language {language}" if language else ""))
            each_file.append(file)
    return each_file


def _found(name: str, revision: str | None, given: Given) -> Artifact:
    """The files of a teacher."""
    folder = find_teacher(name, revision, given.trust_remote_code)
    return Artifact(name, folder, teacher_digest(folder))


def _refuse_twice(marks: Sequence[str], names: Sequence[str]) -> None:
    """Raise RecipeError where two teachers have one mark: their name, or the fingerprint of their files."""
    for place, mark in enumerate(marks):
        if (first := marks.index(mark)) < place:
            same = "" if names[first] == names[place] else f", first as {names[first]}"
            raise RecipeError(
                f"teacher {names[place]} is named twice{same}; each counts once, by its weight: leave it out of "
                "[[others]]"
            )


def _credit(teacher: Artifact, weight: float) -> Credit:
    name, folder = teacher.name, teacher.folder
    return Credit(teacher_name(name, folder), licence_of(folder), revision_of(name, folder), weight)


def _listed(files: Files) -> Sequence[str | Path]:
    return [files] if isinstance(files, str | Path) else files


def _names_of(files: Sequence[Path]) -> str:
    """The names of corpus files, of all that fit where a recipe names its corpus."""
    names = [one_line(file.name) or "a file" for file in files]
    most = len(names)
    while len(listed := ", ".join(names[:most])) > MOST_NAMES and most > 1:
        most -= 1
    return listed[:MOST_NAMES] + (f" and {len(names) - most} more" if most < len(names) else "")


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
