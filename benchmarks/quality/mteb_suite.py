"""The real tasks through the `mteb` package, for people with a network: English STS, classification, pairs, NanoBEIR.

The adapter is mteb's current encoder protocol (2.26): a class over `AbsEncoder` whose `encode` takes batches of texts,
and a ModelMeta.
"""

from __future__ import annotations

import atexit
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import require

from .encoders import Encoder
from .retrieval_rows import METRICS, RETRIEVAL
from .scoring import NoScore

__all__ = ["ENGLISH_TASKS", "english_tasks", "run_mteb"]

# The English tasks of three categories that MTEB's first version has, by category; and NanoBEIR: BEIR's sets with 50
# queries and some thousand documents each.
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
    RETRIEVAL: (
        "NanoArguAnaRetrieval",
        "NanoClimateFeverRetrieval",
        "NanoDBPediaRetrieval",
        "NanoFEVERRetrieval",
        "NanoFiQA2018Retrieval",
        "NanoHotpotQARetrieval",
        "NanoMSMARCORetrieval",
        "NanoNFCorpusRetrieval",
        "NanoNQRetrieval",
        "NanoQuoraRetrieval",
        "NanoSCIDOCSRetrieval",
        "NanoSciFactRetrieval",
        "NanoTouche2020Retrieval",
    ),
}
SPLIT = {RETRIEVAL: "train"}  # NanoBEIR has no other; else "test"
BATCH = 1024
LONGEST_NAME = 100  # letters


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
            plain = re.sub(r"[^\w.-]+", "-", Path(encoder.name).name, flags=re.ASCII)[:LONGEST_NAME]
            name = f"edge-potion/{plain or 'model'}"  # mteb wants an organization, and no more than one slash
            function = ScoringFunction.COSINE
            self.mteb_model_meta = ModelMeta.create_empty(
                overwrites={**told, "name": name, "similarity_fn_name": function}
            )

        def encode(self, inputs: Iterable[dict[str, Any]], **_: Any) -> np.ndarray:
            return encoder.encode([text for batch in inputs for text in batch["text"]])

    return Adapter()


def run_mteb(encoder: Encoder, tasks: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The scores of `tasks`, mteb's task objects, by task name: `main`, of retrieval METRICS, and all that mteb gives.

    Nothing is read from or written to mteb's own cache of results.

    Raises:
        NoScore: mteb could not run a task, for example because its data cannot be had; or gave no number.
    """
    _prepare()
    import mteb

    try:
        result = mteb.evaluate(
            _model(encoder),
            list(tasks),
            cache=None,
            encode_kwargs={"batch_size": BATCH},
            co2_tracker=False,
            raise_error=False,
            show_progress_bar=False,
        )
    except Exception as failure:  # it keeps most for itself, below, and not all
        raise NoScore(f"mteb could not run it: {_first_line(failure)}") from failure
    if failed := list(result.exceptions or ()):
        raise NoScore(f"mteb could not run {failed[0].task_name}: {_first_line(failed[0].exception)}")
    scores = {}
    for task in result.task_results:
        entries = [entry for split in task.scores.values() for entry in split]
        mains = [entry.get("main_score") for entry in entries]
        finite = [float(main) for main in mains if isinstance(main, int | float) and math.isfinite(main)]
        if not mains or len(finite) < len(mains):
            raise NoScore(f"mteb gives {', '.join(map(str, mains)) or 'nothing'} as main score of {task.task_name}")
        told = {name: [entry[name] for entry in entries] for name in METRICS if all(name in each for each in entries)}
        means = {name: float(np.mean(numbers)) for name, numbers in told.items()}
        scores[task.task_name] = {"main": float(np.mean(finite)), **means, "mteb": _without_nan(entries)}
    if missing := [task.metadata.name for task in tasks if task.metadata.name not in scores]:
        raise NoScore(f"mteb gives no score of {', '.join(missing)}")
    return scores


def _first_line(failure: object) -> str:
    return (str(failure).strip() or type(failure).__name__).splitlines()[0]


def _without_nan(value: Any) -> Any:
    """mteb's numbers as JSON has them: what is no number is null. Some are numpy's."""
    if isinstance(value, dict):
        return {str(key): _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_without_nan(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def english_tasks() -> list[Any]:
    """mteb's task objects of ENGLISH_TASKS."""
    _prepare()
    import mteb

    tasks: list[Any] = []
    for kind, names in ENGLISH_TASKS.items():
        splits = [SPLIT.get(kind, "test")]
        tasks += mteb.get_tasks(tasks=names, languages=["eng"], eval_splits=splits, exclusive_language_filter=True)
    return tasks


def _prepare() -> None:
    require("mteb", extra="mteb", purpose="running MTEB's own tasks")
    if "mteb" not in sys.modules and "MTEB_CACHE" not in os.environ:
        # Importing mteb makes a cache of results in the user's home; nothing of ours is kept there.
        scratch = tempfile.mkdtemp(prefix="edge-potion-mteb-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        os.environ["MTEB_CACHE"] = scratch
