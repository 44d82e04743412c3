"""Texts -> labels by one library, measured in a process of its own: `python -P classify_label.py JOB`.

JOB is that of speed/runners/PROTOCOL.md, with the library, the folder of its classifier and, for ours, the engine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "speed" / "runners"))  # after the environment's own packages
from measure import Library, answer, timed


def load(job: dict[str, Any]) -> Library:
    """The library, its classifier loaded."""
    return {"edge-potion": _ours, "model2vec": _model2vec}[job["library"]](job)


def _ours(job: dict[str, Any]) -> Library:
    from edge_potion import TextClassifier

    classifier, load_s = timed(lambda: TextClassifier.from_pretrained(job["folder"], engine=job["engine"], threads=1))
    return Library(
        encode=classifier.predict,
        one=classifier.predict,  # which takes a text by itself
        load_s=load_s,
        packages=["edge-potion", "onnxruntime", "numpy"],
    )


def _model2vec(job: dict[str, Any]) -> Library:
    from model2vec.inference import StaticModelPipeline

    pipeline, load_s = timed(lambda: StaticModelPipeline.from_pretrained(job["folder"]))
    return Library(
        encode=lambda texts: pipeline.predict(texts, use_multiprocessing=False),
        one=pipeline.predict,  # which starts no process for less than 10,000 texts
        load_s=load_s,
        packages=["model2vec", "tokenizers", "numpy"],
    )


if __name__ == "__main__":
    answer(load)
