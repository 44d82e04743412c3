"""Where the rows of phrases begin: what turns the rows of two tokens to the teacher's own vector of the pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from edge_potion.static_model import StaticModel

from .distill import sif_weights
from .special_tokens import silent_ids, special_tokens
from .teacher import Teacher

__all__ = ["SHARE", "rows_by_teacher"]

# Of the whole turn, that a row begins with: a pair says less of a sentence than its teacher says of the pair alone. Of
# 1, 1/2, 1/4 and 0 the validation loss is 0.1929, 0.1897, 0.1893 and 0.1900 (all-MiniLM-L6-v2, 20,000 sentences, 8,000
# pairs, four epochs of the cosine loss).
SHARE = 0.25
FITTED_A_DIMENSION = 4  # tokens by which the way from the teacher's vectors to the table is found


def rows_by_teacher(
    teacher: Teacher,
    distilled: StaticModel,
    sif_coefficient: float | None,
    table: np.ndarray,
    pairs: np.ndarray,
    *,
    show_progress: bool = False,
) -> np.ndarray:
    """(P, D) float32: first rows of phrases, by the teacher's vectors of the pairs, each read as a text of two tokens.

    Stage 1 brought the teacher's vector of a token into the table by a PCA, which is affine, and a weight. That PCA is
    found again by least squares from some of the tokens, and gives a vector d of the pair where a and b are the rows of
    its tokens. The mean of a bag is asked for its direction alone: a + b + r points along d for any r = s d - (a + b)
    with s > 0. The shortest of these, s = (a + b) d / d d, takes away what a + b has beside d, and leaves what it has
    along it; SHARE of it is given. Where a + b has nothing along d, or points away, r is 0.

    Args:
        teacher: that `distilled` was made from.
        distilled: the model of stage 1.
        sif_coefficient: by which its rows were weighted.
        table: (V, D) float32, where the rows of tokens begin.
        pairs: (P, 2) int32.
        show_progress: a bar on stderr.
    """
    tokens = np.setdiff1d(np.arange(len(distilled.table)), silent_ids(distilled.tokenizer))
    tokens = tokens[:: max(len(tokens) // (FITTED_A_DIMENSION * teacher.width), 1)]  # (n,)
    texts = tokens[:, None].tolist() + pairs.tolist()
    sequences = _sequences(texts, distilled.tokenizer, teacher)
    vectors = teacher.vectors(sequences, show_progress=show_progress)  # (n + P, H)
    unweighted = distilled.table / sif_weights(len(distilled.table), sif_coefficient)[:, None]
    wide = np.hstack([vectors[: len(tokens)], np.ones((len(tokens), 1))])  # (n, H + 1) f64
    way = np.linalg.lstsq(wide, unweighted[tokens], rcond=None)[0]  # (H + 1, D)
    own = vectors[len(tokens) :] @ way[:-1] + way[-1]  # (P, D) f64
    sums = table[pairs].sum(axis=1, dtype=np.float64)
    along = (sums * own).sum(axis=1) / np.maximum(np.square(own).sum(axis=1), np.finfo(np.float64).tiny)
    return np.where(along[:, None] > 0, SHARE * (along[:, None] * own - sums), 0).astype(np.float32)


def _sequences(texts: Sequence[Sequence[int]], student: Tokenizer, teacher: Teacher) -> list[list[int]]:
    """Texts of the student's tokens as ids of the teacher's, with special ones around them."""
    around = special_tokens(teacher.tokenizer).around
    ids_of = {token: _teacher_ids(token, student, teacher.tokenizer) for text in texts for token in text}
    return [around([each for token in text for each in ids_of[token]]) for text in texts]


def _teacher_ids(token: int, student: Tokenizer, teacher: Tokenizer) -> list[int]:
    """A piece of the teacher's by its name, and a word of the corpus as it is cut."""
    name = student.id_to_token(token)
    own = token if name is None else teacher.token_to_id(name)
    return [own] if own is not None else list(teacher.encode(name, add_special_tokens=False).ids)
