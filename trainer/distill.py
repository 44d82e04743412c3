"""Distill: every token of the vocabulary through the teacher, PCA, SIF weights -> a static model.

The method is Model2Vec's (Tulkens and van Dongen, 2024; the `model2vec` library, MIT), written anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

import edge_potion
from edge_potion.errors import ModelFormatError
from edge_potion.progress import unfailing_stderr
from edge_potion.static_model import DEFAULT_MAX_TOKENS, Card, StaticModel

from .card import distilled_card
from .postprocess import reduce_rows
from .recipe import DistillRecipe
from .recipe_file import fingerprint, to_toml
from .special_tokens import silent_ids
from .teacher import Teacher, load_teacher
from .teacher_name import short_name
from .vocabulary import Vocabulary, build_vocabulary

__all__ = ["distill", "sif_weights"]


@unfailing_stderr()
def distill(
    teacher: str | Path | Teacher,
    recipe: DistillRecipe | None = None,
    *,
    words: Iterable[str] | Mapping[str, int] = (),
    revision: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> StaticModel:
    """Turn a transformers encoder into a static model, without any text.

    Args:
        teacher: folder, hub id, or a loaded Teacher.
        recipe: dims, vocabulary size and SIF coefficient; when not given, the published recipe's dims and coefficient,
            and all tokens.
        words: extra words for the vocabulary, by falling frequency (WordPiece and Unigram teachers). With their
            counts, a vocabulary size below the teacher's keeps the pieces that they use most; without, those of the
            first words.
        revision: branch, tag or commit, for hub ids.
        device: torch device; by default cuda where there is one, else cpu.
        trust_remote_code: run Python code that comes with the teacher.
        show_progress: a bar on stderr.

    Returns:
        A model with a (V, D) float32 table, normalizing its vectors; D = min(dims, teacher's width, tokens).

    Raises:
        InputError: the teacher cannot be found, or words for a tokenizer other than WordPiece and Unigram.
        RecipeError: a vocabulary size that the teacher's tokenizer cannot be brought to.
        ModelFormatError: the teacher cannot be loaded, or gives NaN.
    """
    recipe = recipe or DistillRecipe(vocabulary_size=None)
    if not isinstance(teacher, Teacher):
        teacher = load_teacher(teacher, revision=revision, device=device, trust_remote_code=trust_remote_code)
    vocabulary = build_vocabulary(
        teacher.tokenizer, words if isinstance(words, Mapping) else list(words), recipe.vocabulary_size
    )
    vectors = teacher.vectors(vocabulary.sequences, show_progress=show_progress)  # (V, H) f32
    if not np.isfinite(vectors).all():
        bad = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise ModelFormatError(f"teacher {teacher.name} gives NaN or inf, first for token {bad}")
    table = reduce_rows(vectors, recipe.dims, left_out=silent_ids(vocabulary.tokenizer))  # (V, D) f32
    table *= sif_weights(len(table), recipe.sif_coefficient)[:, None]
    return StaticModel(table, vocabulary.tokenizer, _card(teacher, recipe, vocabulary, table.shape))


def sif_weights(count: int, coefficient: float | None) -> np.ndarray:
    """(V,) float32: a / (a + p) with Zipf's p(rank) ~ 1 / rank, taking the id for the rank (SIF: Arora et al. 2017)."""
    if coefficient is None:
        return np.ones(count, np.float32)
    inverse_rank = 1 / np.arange(2, count + 2)
    share = inverse_rank / inverse_rank.sum()
    return (coefficient / (coefficient + share)).astype(np.float32)


def _card(teacher: Teacher, recipe: DistillRecipe, vocabulary: Vocabulary, shape: tuple[int, ...]) -> Card:
    made_by = to_toml(recipe)
    if vocabulary.added:
        digest = hashlib.sha256("\n".join(vocabulary.added).encode()).hexdigest()
        made_by += f"# and {len(vocabulary.added)} extra words, sha256 {digest}\n"
    origin = {
        "teacher": teacher.name,
        "teacher_revision": teacher.revision,
        "recipe_fingerprint": fingerprint(made_by),
        "version": edge_potion.__version__,
    }
    config = {
        "tokenizer_name": teacher.name,
        "apply_pca": shape[1],
        "sif_coefficient": recipe.sif_coefficient,
        "edge_potion": origin,
    }
    name = f"{short_name(teacher.name)}-{shape[1]}d"
    readme = distilled_card(name, teacher.name, teacher.licence, shape)
    return Card(name, True, DEFAULT_MAX_TOKENS, config, readme, made_by)
