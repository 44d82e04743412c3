"""Texts/s of `featurize()`, its files included, beside the calls that Tokenlearn makes; `training.py` runs it.

The peer is `SentenceTransformer.encode(output_value="token_embeddings")`, 32 texts at a time in the order of the corpus
as Tokenlearn calls it, and once more in one call for all texts, which sentence-transformers then sorts by length.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.trainer.featurize import featurize
from edge_potion.trainer.recipe import FeaturizeRecipe
from edge_potion.trainer.shards import open_features
from edge_potion.trainer.teacher import Teacher

from .rounds import rates_and_ratios, timed

__all__ = ["compare_featurize"]

OURS, BY_32, SORTED = "edge-potion", "sentence-transformers, 32 a call", "sentence-transformers, one call"
PEER_BATCH = 32  # Tokenlearn's


def compare_featurize(teacher: Teacher, texts: list[str], rounds: int, scratch: Path) -> dict[str, Any]:
    """Time both on the same texts; their vectors' lowest cosine and their padding are in the report too."""
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(teacher.folder), device="cpu")
    recipe = FeaturizeRecipe()
    peer.max_seq_length = recipe.max_tokens  # the same cut; its own may be longer
    corpus = scratch / "sentences.txt"
    corpus.write_text("".join(text + "\n" for text in texts), encoding="utf-8", newline="\n")

    def ours() -> dict[str, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            featurize(teacher, corpus, Path(folder), recipe)
            shards = list(open_features(Path(folder)).shards())
        return {text: vector for shard in shards for text, vector in zip(shard.texts, shard.vectors, strict=True)}

    def encoded(calls: list[list[str]]) -> dict[str, np.ndarray]:
        """Line by line as in `tokenlearn.featurize`, without its detokenized texts and its files."""
        vectors = {}
        for call in calls:
            embeddings: Any = peer.encode(call, output_value="token_embeddings", batch_size=PEER_BATCH)
            for text, embedding in zip(call, embeddings, strict=True):
                vectors[text] = embedding[1:-1].float().mean(axis=0).cpu().numpy()
        return vectors

    by_32 = [texts[begin : begin + PEER_BATCH] for begin in range(0, len(texts), PEER_BATCH)]
    runs: dict[str, Callable[[], dict[str, np.ndarray]]] = {
        OURS: ours,
        BY_32: lambda: encoded(by_32),
        SORTED: lambda: encoded([texts]),
    }
    encoders = {OURS: teacher.model, BY_32: peer[0].auto_model, SORTED: peer[0].auto_model}
    padded, vectors = {}, {}
    for name, run in runs.items():  # the warm-up, too
        tokens, vectors[name] = _counted(encoders[name], run)
        padded[name] = round(tokens / len(texts), 1)

    def rate_of(run: Callable[[], Any]) -> Callable[[], float]:
        def rate() -> float:
            begin = time.perf_counter()
            run()
            return len(texts) / (time.perf_counter() - begin)

        return rate

    rates = timed({name: rate_of(run) for name, run in runs.items()}, rounds)
    return {
        "texts": len(texts),
        "max_tokens": recipe.max_tokens,
        "padded_tokens_a_text": padded,
        "lowest_cosine": {name: _lowest_cosine(vectors[OURS], vectors[name]) for name in (BY_32, SORTED)},
        **rates_and_ratios(rates, [(OURS, BY_32), (OURS, SORTED)]),
    }


def _counted(encoder: Any, run: Callable[[], Any]) -> tuple[int, Any]:
    """How many token places, padding too, an encoder was given in a run; and what the run returned."""
    counts: list[int] = []
    embeddings = encoder.get_input_embeddings()  # sentence-transformers calls encoder.forward, which passes hooks by
    hook = embeddings.register_forward_pre_hook(lambda module, args: counts.append(args[0].numel()))
    result = run()
    hook.remove()
    return sum(counts), result


def _lowest_cosine(ours: Mapping[str, np.ndarray], peers: Mapping[str, np.ndarray]) -> float:
    """Over the texts that ours has: it leaves out those without a token, for which the peer gives NaN."""
    first = np.array(list(ours.values()), np.float64)
    second = np.array([peers[text] for text in ours], np.float64)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / norms).min())
