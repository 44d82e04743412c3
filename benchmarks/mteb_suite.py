"""The real tasks through the `mteb` package, for people with a network: English STS, classification, pairs.

The adapter is mteb's current encoder protocol (2.26): a class over `AbsEncoder` whose `encode` takes batches of texts,
and a ModelMeta.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import InputError, require

from .encoders import Encoder

__all__ = ["ENGLISH_TASKS", "english_tasks", "run_mteb"]

# The English tasks of these three categories that MTEB's first version has, by category.
ENGLISH_TASKS = {
    "STS": ("BIOSSES", "SICK-R", "STS12", "STS13", "STS14", "STS15", "STS16", "STS17", "STS22", "STSBenchmark"),
    "Classification": (
        "AmazonCounterfactualClassification",
        "AmazonPolarityClassification",
        "AmazonReviewsClassification",
        "Banking77Classification",
        "EmotionClassification",
        "ImdbClassification",
        "MassiveIntentClassification",
        "MassiveScenarioClassification",
        "MTOPDomainClassification",
        "MTOPIntentClassification",
        "ToxicConversationsClassification",
        "TweetSentimentExtractionClassification",
    ),
    "PairClassification": ("SprintDuplicateQuestions", "TwitterSemEval2015", "TwitterURLCorpus"),
}
BATCH = 1024


def _model(encoder: Encoder, revision: str = "local") -> Any:
    """A model that `mteb.evaluate` takes, around an encoder."""
    _prepare()
    from mteb.models import ModelMeta
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ScoringFunction

    class Adapter(AbsEncoder):
        """Texts of a batch in, vectors out; prompts are not used, as no static model was trained with any."""

        def __init__(self) -> None:
            told = {"revision": revision, "embed_dim": encoder.dims, "framework": ["NumPy"]}
            name = f"edge-potion/{Path(encoder.name).name or 'model'}"  # mteb wants an organization
            function = ScoringFunction.COSINE
            self.mteb_model_meta = ModelMeta.create_empty(
                overwrites={**told, "name": name, "similarity_fn_name": function}
            )

        def encode(self, inputs: Iterable[dict[str, Any]], **_: Any) -> np.ndarray:
            return encoder.encode([text for batch in inputs for text in batch["text"]])

    return Adapter()


def run_mteb(encoder: Encoder, tasks: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The scores of `tasks`, mteb's task objects, by task name: `main`, and all that mteb gives.

    Nothing is read from or written to mteb's own cache of results.

    Raises:
        InputError: mteb could not run a task, for example because its data cannot be had.
    """
    _prepare()
    import mteb

    result = mteb.evaluate(
        _model(encoder),
        list(tasks),
        cache=None,
        encode_kwargs={"batch_size": BATCH},
        co2_tracker=False,
        raise_error=False,
        show_progress_bar=False,
    )
    if failed := list(result.exceptions or ()):
        raise InputError(f"mteb could not run {failed[0].task_name}: {str(failed[0].exception).splitlines()[0]}")
    scores = {}
    for task in result.task_results:
        entries = [entry for split in task.scores.values() for entry in split]
        scores[task.task_name] = {"main": float(np.mean([entry["main_score"] for entry in entries])), "mteb": entries}
    return scores


def english_tasks() -> list[Any]:
    """mteb's task objects of ENGLISH_TASKS, test splits."""
    _prepare()
    import mteb

    names = [name for names in ENGLISH_TASKS.values() for name in names]
    return list(mteb.get_tasks(tasks=names, languages=["eng"], eval_splits=["test"], exclusive_language_filter=True))


def _prepare() -> None:
    require("mteb", extra="mteb", purpose="running MTEB's own tasks")
    if "mteb" not in sys.modules and "MTEB_CACHE" not in os.environ:
        # Importing mteb makes a cache of results in the user's home; nothing of ours is kept there.
        scratch = tempfile.mkdtemp(prefix="edge-potion-mteb-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        os.environ["MTEB_CACHE"] = scratch
