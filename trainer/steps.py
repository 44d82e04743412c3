"""What each stage does: it takes its own recipe section and what came before, fills a folder, and returns its facts.

Those that make a model keep it in `model/` of their folder, so that any of them can be exported and measured.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers.models import Unigram

from edge_potion.errors import RecipeError
from edge_potion.phrases import Phrases
from edge_potion.static_model import StaticModel

from .contrast import Goal, contrast, split_rows
from .corpus import sample_corpus, sample_sentences
from .credits import as_words
from .distill import distill
from .featurize import EncodeAll, encoded_here, featurize
from .featurize_on_ray import encoded_on_ray
from .join import join
from .pairs import NOT_FINITE, ZERO, Pairs, moved, open_pairs, write_means, write_pairs
from .phrase_bags import write_bags, write_sentences
from .phrase_rows import rows_by_teacher
from .phrases import choose_phrases
from .postprocess import power_normalized, reduce_rows
from .recipe import (
    BornAgainRecipe,
    ContrastRecipe,
    CorpusRecipe,
    DistillRecipe,
    FeaturizeRecipe,
    PcaRecipe,
    PhrasesRecipe,
    PowerRecipe,
    TargetsRecipe,
)
from .recipe_file import to_toml
from .run_folder import WORK, Artifact
from .shards import open_features
from .sources import Sources
from .special_tokens import silent_ids
from .stages import BORN_AGAIN
from .vocabulary import frequent_words

__all__ = ["Steps", "model_of"]

log = logging.getLogger("edge_potion")

SENTENCES = "sentences.txt"
MODEL = "model"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Steps:
    """What the stages do with `sources`; the first argument of each is the folder that it fills."""

    sources: Sources

    def corpus(self, folder: Path, recipe: CorpusRecipe, _: Artifact) -> Facts:
        """Sample sentences of the corpus files, else of the features' texts, else of the hub set."""
        out, files = folder / SENTENCES, self.sources.corpus_files
        if self.sources.features and not files:
            report = sample_sentences(open_features(self.sources.features[0].folder).texts(), recipe, out)
        else:
            column, show = self.sources.given.text_column, self.sources.given.show_progress
            report = sample_corpus(recipe, out, files, column=column, show_progress=show)
        facts = {"sentences": report.sentences, "seen": report.seen, "skipped": dict(report.skipped)}
        return {**facts, "languages": dict(report.languages)} if report.languages else facts

    def distill(self, folder: Path, recipe: DistillRecipe, _: Artifact, corpus: Artifact) -> Facts:
        """Make a table of the teacher's tokens and the most frequent words of the corpus."""
        teacher = self.sources.loaded_teacher
        words: Mapping[str, int] = {}  # where all pieces of a Unigram teacher are asked for, they are enough
        if recipe.vocabulary_size is not None or not isinstance(teacher.tokenizer.model, Unigram):
            with (corpus.folder / SENTENCES).open(encoding="utf-8", newline="\n") as lines:
                words = frequent_words((line.rstrip("\n") for line in lines), teacher.tokenizer)
        model = distill(teacher, recipe, words=words, show_progress=self.sources.given.show_progress)
        if model.dim < self.sources.recipe.pca.dims:  # of fewer tokens than dimensions
            raise RecipeError(
                f"[pca] dims is {self.sources.recipe.pca.dims}, and this teacher and corpus give {len(model.table)} "
                f"tokens, which span {model.dim} dimensions; ask for no more"
            )
        model.save_pretrained(folder / MODEL)
        return {"tokens": len(model.table), "dims": model.dim}

    def featurize(self, folder: Path, recipe: FeaturizeRecipe, teacher_files: Artifact, corpus: Artifact) -> Facts:
        """Have a teacher encode the corpus."""
        sentences, given, teacher = corpus.folder / SENTENCES, self.sources.given, self.sources.loaded(teacher_files)
        encode_all: EncodeAll = encoded_here
        if given.on_ray is not None:
            encode_all = partial(encoded_on_ray, on_ray=given.on_ray, trust_remote_code=given.trust_remote_code)
        show = given.show_progress
        facts = featurize(teacher, sentences, folder, recipe, show_progress=show, encode_all=encode_all)
        return {"teacher": teacher.name, **facts} if self.sources.recipe.others else facts

    def pairs(self, folder: Path, recipe: TargetsRecipe | None, distilled: Artifact, *features: Artifact) -> Facts:
        """Tokenize the texts for the student, and bring the vectors to its width; of several teachers, joined."""
        student, teachers = model_of(distilled), [open_features(each.folder) for each in features]
        if len(teachers) == 1:
            facts = write_pairs(teachers[0], student, folder, recipe.space if recipe else "own")
            _tell_of_unusable(features[0], sum(facts["skipped"].get(reason, 0) for reason in (ZERO, NOT_FINITE)))
            return facts
        assert recipe is not None  # of several teachers there is one
        joined = join(teachers, recipe.weights)
        for each, unusable in zip(features, joined.unusable, strict=True):
            _tell_of_unusable(each, unusable)
        facts = write_pairs(joined, student, folder)
        if count := len(joined.left_out):
            facts = {**facts, "skipped_by_a_teacher": count}
        return {"teachers": as_words(self.sources.credits), **facts}

    def contrast(self, folder: Path, recipe: ContrastRecipe, distilled: Artifact, pairs: Artifact) -> Facts:
        """Train the table on the teacher's vectors."""
        data = open_pairs(pairs.folder)
        student = moved(model_of(distilled), pairs.folder)
        return self._trained(folder, recipe, student, data, [Goal(data.targets, 1.0)], "contrast")

    def born_again(
        self, folder: Path, recipe: BornAgainRecipe, distilled: Artifact, pairs: Artifact, first: Artifact
    ) -> Facts:
        """Train a fresh student on the vectors of the first; for 1 - alpha of the loss, on the teacher's."""
        if recipe.epochs == 0:
            log.info("%s: left out, as its epochs are 0", BORN_AGAIN.name)
            _followed_by(model_of(first), model_of(first).table, recipe).save_pretrained(folder / MODEL)
            return {}
        data = open_pairs(pairs.folder)
        goals = [Goal(data.targets, 1 - recipe.alpha)] if recipe.alpha < 1 else []
        if recipe.alpha:
            own = write_means(data, model_of(first).table, folder / WORK / "own.f16")
            goals.insert(0, Goal(own, recipe.alpha))
        return self._trained(folder, recipe, moved(model_of(distilled), pairs.folder), data, goals, "born again")

    def phrases(
        self,
        folder: Path,
        recipe: PhrasesRecipe,
        distilled: Artifact,
        features: Artifact,
        pairs: Artifact,
        begun: Artifact,
    ) -> Facts:
        """Choose pairs of tokens, and train rows of theirs on the teacher's vectors, with those of the tokens."""
        data, student = open_pairs(pairs.folder), model_of(begun)
        if begun is distilled:
            student = moved(student, pairs.folder)
        texts = (shard.texts for shard in open_features(features.folder).shards())
        sentences = write_sentences(texts, student, data, folder / WORK / "sentences.i32")
        training = split_rows(len(data), recipe).training
        tokens, left_out = student.pieces, silent_ids(student.tokenizer)
        chosen = choose_phrases(sentences, training, recipe, tokens=tokens, left_out=left_out)
        phrases = Phrases(chosen, tokens)
        bags = write_bags(sentences, phrases, data, left_out, folder)
        begin = np.zeros((len(chosen), student.dim), np.float32)
        if recipe.begin == "teacher":
            teacher, sif = self.sources.loaded_teacher, self.sources.recipe.distill.sif_coefficient
            show = self.sources.given.show_progress
            begin = rows_by_teacher(teacher, model_of(distilled), sif, student.table, chosen, show_progress=show)
        whole = replace(student, table=np.vstack([student.table, begin]), phrases=phrases)
        facts = self._trained(folder, recipe, whole, bags, [Goal(bags.targets, 1.0)], "phrases")
        found = len(bags.ids) - len(data.ids)
        return {"phrases": len(chosen), "phrases_a_sentence": round(found / len(data), 2), **facts}

    def power(self, folder: Path, recipe: PowerRecipe, before: Artifact) -> Facts:
        """Power-normalize the table."""
        model = model_of(before)
        _followed_by(model, power_normalized(model.table, recipe), recipe).save_pretrained(folder / MODEL)
        return {}

    def pca(self, folder: Path, recipe: PcaRecipe, before: Artifact) -> Facts:
        """Reduce the table to the width that ships; in the teacher's own space, where it has that, leave it."""
        model = model_of(before)
        table = model.table
        if self.sources.recipe.space == "own":
            fitted_to = model.pieces if recipe.fitted_to == "tokens" else None
            table = reduce_rows(table, recipe.dims, left_out=silent_ids(model.tokenizer), fitted_to=fitted_to)
        _followed_by(model, table, recipe).save_pretrained(folder / MODEL)
        return {"dims": table.shape[1]}

    def _trained(
        self, folder: Path, recipe: ContrastRecipe, student: StaticModel, data: Pairs, goals: Sequence[Goal], title: str
    ) -> Facts:
        device, show = self.sources.device, self.sources.given.show_progress
        result = contrast(student, data, goals, recipe, folder, title=title, device=device, show_progress=show)
        _followed_by(student, result.table, recipe).save_pretrained(folder / MODEL)
        return {
            "validation_loss": round(result.progress.best_loss, 5),
            "validation_accuracy": round(result.progress.best_accuracy, 4),
            "best_step": result.progress.best_step,
            "steps": result.progress.step,
            "device": device,
        }


def model_of(stage: Artifact) -> StaticModel:
    """The model that a stage made."""
    return StaticModel.from_pretrained(stage.folder / MODEL)


def _tell_of_unusable(features: Artifact, count: int) -> None:
    if count:
        log.warning(
            "features: %d of the vectors in %s are zeros, or not finite in float16; their texts are left out",
            count,
            features.folder,
        )


def _followed_by(before: StaticModel, table: np.ndarray, section: Any) -> StaticModel:
    """The model after one more stage, whose section its recipe then tells."""
    card = replace(before.card, recipe=f"{before.card.recipe}\n{to_toml(section)}", readme="")
    return replace(before, table=table, card=card)
