# /// script
# requires-python = ">=3.11"
# dependencies = ["model2vec==0.10.0", "tokenizers==0.23.3", "safetensors==0.8.0", "numpy==2.4.6"]
# ///
"""Runs model2vec's `encode`, in one process; from ids: its own code with the tokenizer taken out."""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed


def load(job):
    """The library, its model loaded."""
    from model2vec import StaticModel

    model, load_s = timed(lambda: StaticModel.from_pretrained(job["folder"]))

    def from_ids(batch):
        model.tokenize = lambda *_, **__: batch
        try:
            return model._encode_batch([], normalize=True)
        finally:
            del model.tokenize

    return Library(
        encode=lambda texts: model.encode(texts, use_multiprocessing=False),
        one=model.encode,  # which starts no process for less than 10,000 texts
        from_ids=from_ids,
        load_s=load_s,
        packages=["model2vec", "tokenizers", "numpy"],
    )


if __name__ == "__main__":
    answer(load)
