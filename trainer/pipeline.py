"""The whole recipe: a teacher's name -> a 256-D model folder, stage by stage, each kept in the run's folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import edge_potion
from edge_potion.errors import InputError
from edge_potion.find import WITHOUT_PHRASES
from edge_potion.progress import unfailing_stderr
from edge_potion.static_model import StaticModel, write_model_files
from edge_potion.writing import refuse_unwritable, written_whole

from .card import PhrasesTold, trained_card
from .pairs import open_pairs
from .phrase_bags import open_bags
from .recipe import PhrasesRecipe, Recipe
from .recipe_file import load_recipe, to_toml
from .run_folder import Artifact, Run, check_stage
from .sources import Files, Given, Sources, find_sources
from .stages import (
    BORN_AGAIN,
    CONTRAST,
    CORPUS,
    DISTILL,
    FEATURIZE,
    FEATURIZE_OTHERS,
    MODEL_STAGES,
    PAIRS,
    PCA,
    PCA_ALONE,
    PHRASES,
    POWER,
    POWER_ALONE,
)
from .steps import Steps, model_of
from .summary import agreement, scored_rows, write_summary
from .teacher_name import short_name

__all__ = ["TrainedModel", "featurize_corpus", "train"]

log = logging.getLogger("edge_potion")


@dataclass(frozen=True)
class TrainedModel:
    """A finished run: the model, its folder, and what each stage cost and brought (also in summary.json)."""

    model: StaticModel
    folder: Path
    summary: list[dict[str, Any]]


@unfailing_stderr()
def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    teacher: str | Path | None = None,
    corpus: Files = (),
    text_column: str = "text",
    languages: Sequence[str] = (),
    features: Files | None = None,
    from_stage: int | None = None,
    device: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> TrainedModel:
    """Run a recipe, or what is left of it: a stage that `out` holds already, made from the same, is not made again.

    Called again with the same arguments after it was killed, it ends in the same bits as an undisturbed run on the same
    CPU and number of threads.

    Args:
        recipe: name of one that ships ("potion-256d"), a .toml file, or a Recipe.
        out: the run's folder, new or of an earlier run; the model goes to `out`/model.
        teacher: folder or hub id; the recipe's when not given.
        corpus: local files in the place of the recipe's hub set: .txt, .jsonl, .csv, .tsv, .parquet, and .gz, .bz2,
            .xz, .zst of all but the last.
        text_column: key or column of the texts in those that have such.
        languages: in the place of the recipe's; each takes that of "{language}" in the names of `corpus`, or of the
            recipe's set.
        features: folder of (text, vector) shards, or of a run that holds some, in the place of stage 2; without
            `corpus`, their texts are the corpus too. Of several teachers, a folder of each in the recipe's order, or
            the one of a run that holds those of all and of no others; where the recipe names one teacher, each further
            folder is one more, of weight 1. None is taken twice.
        from_stage: make the stages from this one on anew, 1 to 6.
        device: torch device; by default cuda where there is one, else cpu.
        revision: branch, tag or commit of a teacher from the hub.
        trust_remote_code: run Python code that comes with the teacher.
        show_progress: bars on stderr.

    Raises:
        RecipeError: a recipe that is wrong, or a loss that became NaN.
        InputError: teacher, corpus, features or folder cannot be used.
        ModelFormatError: the teacher or the features are damaged.
        MissingExtraError: a corpus format whose package is not installed.
    """
    recipe = _of_languages(recipe, languages)
    check_stage(from_stage)
    given = Given(teacher, corpus, text_column, features, device, revision, trust_remote_code, show_progress)
    sources = find_sources(recipe, given)
    steps, run = Steps(sources), Run(Path(out))
    if sources.device != "cpu":
        log.warning("on %s, a run that was killed may differ from an undisturbed one in the last bits", sources.device)
    refuse_unwritable(run.folder / "model")
    with run.held(sources.teacher, from_stage):
        texts = run.stage(CORPUS, steps.corpus, recipe.corpus, sources.corpus)
        distilled = run.stage(DISTILL, steps.distill, recipe.distill, sources.vocabulary, texts)
        vectors = sources.features or _featurized(run, steps, texts)
        pairs = run.stage(PAIRS, steps.pairs, sources.recipe.targets, distilled, *vectors)
        contrast = run.stage(CONTRAST, steps.contrast, recipe.contrast, distilled, pairs)
        born_again = run.stage(BORN_AGAIN, steps.born_again, recipe.born_again, distilled, pairs, contrast)
        made = [texts, distilled, *vectors, pairs, contrast, born_again]
        trained = born_again
        if recipe.phrases.count:
            begun = born_again if recipe.phrases.start == "trained" else distilled
            trained = run.stage(PHRASES, steps.phrases, recipe.phrases, distilled, vectors[0], pairs, begun)
            power_alone = run.stage(POWER_ALONE, steps.power, recipe.power, born_again)
            pca_alone = run.stage(PCA_ALONE, steps.pca, recipe.pca, power_alone)
            made += [trained, power_alone, pca_alone]
        power = run.stage(POWER, steps.power, recipe.power, trained)
        pca = run.stage(PCA, steps.pca, recipe.pca, power)
        return _published(run, sources, [*made, power, pca])


@unfailing_stderr()
def featurize_corpus(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    only: int | None = None,
    languages: Sequence[str] = (),
    **given: Any,
) -> list[Path]:
    """The corpus and stage 2 alone; `train` with the same `out` goes on from there, or takes the folder as `features`.

    Arguments and errors are those of `train`; with `on_ray`, an `OnRay`, workers of a Ray cluster encode the corpus,
    and all is written here. No `last_stage` of `train`: it leaves out stage 1, and asks nothing of the recipe that a
    teacher alone cannot give.

    Args:
        recipe, out, languages, given: as of `train`.
        only: of a recipe with several teachers, the number of the one that is to encode, from 1; None for all.

    Returns:
        The folders of the shards, one of each teacher.
    """
    recipe = _of_languages(recipe, languages)
    if only is not None and not 1 <= only <= 1 + len(recipe.others):
        raise InputError(f"only is {only}; the recipe's teachers are numbered from 1 to {1 + len(recipe.others)}")
    sources = find_sources(recipe, Given(**given), featurize_alone=True)
    steps, run = Steps(sources), Run(Path(out))
    with run.held(sources.teacher):
        texts = run.stage(CORPUS, steps.corpus, recipe.corpus, sources.corpus)
        return [features.folder for features in _featurized(run, steps, texts, only)]


def _of_languages(recipe: str | Path | Recipe, languages: Sequence[str]) -> Recipe:
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    if not languages:
        return loaded
    named: Any = languages if isinstance(languages, str) else tuple(languages)  # a str is refused there
    return replace(loaded, corpus=replace(loaded.corpus, languages=named))


def _featurized(run: Run, steps: Steps, texts: Artifact, only: int | None = None) -> list[Artifact]:
    """What each teacher gives for the corpus, one after the other; or the one with this number."""
    teachers = [steps.sources.teacher, *steps.sources.others]
    rows = zip((FEATURIZE, *FEATURIZE_OTHERS), steps.sources.recipe.featurized_by, teachers, strict=False)
    return [
        run.stage(stage, steps.featurize, section, teacher, texts)
        for number, (stage, section, teacher) in enumerate(rows, start=1)
        if only in (None, number)
    ]


def _published(run: Run, sources: Sources, artifacts: Sequence[Artifact]) -> TrainedModel:
    """Write DIR/summary.json and DIR/model: the last stage's table under a card that tells the whole run.

    Of a run with phrases, DIR/model/without_phrases is the model of its tokens trained alone.
    """
    recipe = sources.recipe
    by_name = {artifact.name: artifact for artifact in artifacts if artifact not in sources.features}
    pairs = open_pairs(by_name[PAIRS.name].folder)
    bags = open_bags(by_name[PHRASES.name].folder, pairs) if PHRASES.name in by_name else pairs
    models = {stage.name: model_of(by_name[stage.name]) for stage in MODEL_STAGES if stage.name in by_name}
    rows_of = scored_rows(recipe, len(pairs))
    scores = {name: agreement(model, bags if model.phrases else pairs, rows_of[name]) for name, model in models.items()}
    summary = write_summary(run.folder / "summary.json", list(by_name.values()), scores)

    model = _finished(models[PCA.name], sources, recipe, by_name[PCA.name], summary)
    folder = run.folder / "model"
    with written_whole(folder) as beside:
        write_model_files(beside, model, {"embeddings": model.table})
        if PCA_ALONE.name in models:
            recipe = replace(recipe, phrases=PhrasesRecipe())
            rows = [row for row in summary if row["stage"] not in (PHRASES.name, POWER.name, PCA.name)]
            artifact = by_name[PCA_ALONE.name]
            alone = _finished(models[PCA_ALONE.name], sources, recipe, artifact, rows, suffix="-without-phrases")
            alone.save_pretrained(beside / WITHOUT_PHRASES)
    return TrainedModel(model, folder, summary)


def _finished(
    last: StaticModel,
    sources: Sources,
    recipe: Recipe,
    artifact: Artifact,
    summary: Sequence[Mapping[str, Any]],
    suffix: str = "",
) -> StaticModel:
    """The last stage's model under a card that tells the run of its recipe."""
    origin = {**last.card.config["edge_potion"], "recipe_fingerprint": artifact.fingerprint}
    teachers = sources.credits
    if len(teachers) > 1:
        origin["others"] = [asdict(each) for each in teachers[1:]]
    if recipe.space != "own":
        origin["space"] = recipe.space
    name = f"potion-{'-and-'.join(short_name(each.teacher) for each in teachers)}-{last.dim}d{suffix}"
    packages = ("torch", "transformers", "tokenizers", "numpy")
    versions = {"edge-potion": edge_potion.__version__, **{package: version(package) for package in packages}}
    corpus = f"{recipe.corpus.source} {recipe.corpus.subset}".strip()
    if sources.features and sources.corpus_files:
        corpus = f"the texts of given features; extra words of the vocabulary by {corpus}"
    shape, phrases = (last.pieces, last.dim), PhrasesTold(len(last.phrases or ()), recipe.phrases.choice)
    prompts = [section.prompt for section in recipe.featurized_by]
    readme = trained_card(name, origin, teachers, shape, corpus, summary, versions, phrases, prompts)
    config = {**last.card.config, "apply_pca": last.dim, "edge_potion": origin}
    card = replace(last.card, name=name, config=config, readme=readme, recipe=to_toml(recipe))
    return replace(last, card=card)
