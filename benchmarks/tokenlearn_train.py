"""Tokenlearn 0.2.1 end to end, by its own code in an environment of its own; `quality.py` runs this file.

    python tokenlearn_train.py TEACHER_FOLDER FEATURES_FOLDER OUT MINUTES

Its defaults: a vocabulary of 56,000 words, model2vec's distillation at 256 dimensions, MSE on PCA'd means, its early
stopping. FEATURES_FOLDER holds feature_<i>.json (texts) and feature_<i>.npy (vectors), as its `featurize` writes them.
After MINUTES of training it is interrupted as by Ctrl-C, which its code takes for the end of training.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

VOCABULARY_SIZE = 56_000
DIMS = 256
PACKAGES = ("tokenlearn", "model2vec", "torch", "transformers")


def main() -> None:
    """Follow `tokenlearn.train.main`, with a clock."""
    from model2vec.distill import distill
    from tokenlearn.train import train_model  # type: ignore[import-not-found]
    from tokenlearn.utils import collect_means_and_texts, create_vocab  # type: ignore[import-not-found]

    teacher, features, out, minutes = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
    texts, vectors = collect_means_and_texts(sorted(features.glob("*.json")))
    words = create_vocab(texts=texts, vocab_size=VOCABULARY_SIZE)
    model = distill(model_name=teacher, quantize_to="float32", vocabulary=words, pca_dims=DIMS)
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    begin = time.monotonic()
    model = train_model(model, texts, vectors, device="cpu", pca_dims=DIMS)
    seconds = time.monotonic() - begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    model.save_pretrained(out)
    report = {
        "seconds": round(seconds),
        "stopped_by_the_clock": seconds >= 60 * minutes,
        "versions": {package: version(package) for package in PACKAGES},
    }
    print(json.dumps(report))


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
