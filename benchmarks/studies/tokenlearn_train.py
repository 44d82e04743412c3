# sentence-transformers 5 keeps transformers at 4, which Tokenlearn was made for.
# /// script
# requires-python = ">=3.11"
# dependencies = ["tokenlearn==0.2.1", "torch==2.13.0", "sentence-transformers==5.1.0"]
# ///
"""Tokenlearn 0.2.1 end to end, by its own code in an environment of its own; `peers.py` runs this file.

    python tokenlearn_train.py TEACHER_FOLDER FEATURES_FOLDER MINUTES LOSS SEED OUT

Its defaults: a vocabulary of 56,000 words, model2vec's distillation at 256 dimensions, PCA'd means, its batch, learning
rate and early stopping. LOSS is "mse", its own, or "contrastive", that of our recipe in its place. FEATURES_FOLDER
holds feature_<i>.json (texts) and feature_<i>.npy (vectors), as its `featurize` writes them. After MINUTES of training
it is interrupted as by Ctrl-C, which its code takes for the end of training. What happened is kept as tokenlearn.json
beside the model.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

VOCABULARY_SIZE = 56_000
DIMS = 256
TEMPERATURE = 0.07  # of the recipe
ARGUMENTS = (str, Path, float, str, int, Path)
PACKAGES = ("tokenlearn", "model2vec", "torch", "transformers")


def main() -> None:
    """Follow `tokenlearn.train.main`, with a clock."""
    import numpy as np
    import torch
    from model2vec.distill import distill
    from tokenlearn import pretrain  # type: ignore[import-not-found]
    from tokenlearn.train import train_model  # type: ignore[import-not-found]
    from tokenlearn.utils import collect_means_and_texts, create_vocab  # type: ignore[import-not-found]

    teacher, features, minutes, loss, seed, out = (of(text) for of, text in zip(ARGUMENTS, sys.argv[1:], strict=True))
    if loss == "contrastive":
        pretrain.nn.MSELoss = lambda: _contrastive  # where it makes its criterion
    texts, vectors = collect_means_and_texts(sorted(features.glob("*.json")))
    words = create_vocab(texts=texts, vocab_size=VOCABULARY_SIZE)
    model = distill(model_name=teacher, quantize_to="float32", vocabulary=words, pca_dims=DIMS)
    for seeded in (random.seed, np.random.seed, torch.manual_seed):
        seeded(seed)
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    begin = time.monotonic()
    model = train_model(model, texts, vectors, device="cpu", pca_dims=DIMS)
    seconds = time.monotonic() - begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    model.save_pretrained(out)
    report = {
        "loss": loss,
        "seed": seed,
        "seconds": round(seconds),
        "stopped_by_the_clock": seconds >= 60 * minutes,
        "versions": {package: version(package) for package in PACKAGES},
    }
    (out / "tokenlearn.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
    print(json.dumps(report))


def _contrastive(vectors: Any, targets: Any) -> Any:
    """Cross-entropy of choosing one's own target among the batch's."""
    import torch
    import torch.nn.functional as F

    cosines = F.normalize(vectors, dim=1) @ F.normalize(targets, dim=1).T
    return F.cross_entropy(cosines / TEMPERATURE, torch.arange(len(targets)))


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
