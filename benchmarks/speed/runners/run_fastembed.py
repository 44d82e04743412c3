# /// script
# requires-python = ">=3.11"
# dependencies = ["fastembed==0.9.1", "onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy==2.4.6"]
# ///
"""Runs our tokens graph as a custom model of fastembed; the vectors are the graph's, so nothing is pooled."""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed


def load(job):
    """The library, its model loaded."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    def open_model():
        TextEmbedding.add_custom_model(
            model="edge-potion/bundle",
            pooling=PoolingType.DISABLED,
            normalization=False,
            sources=ModelSource(hf="edge-potion/bundle"),
            dim=job["dim"],
            model_file=job["model_file"],
        )
        return TextEmbedding("edge-potion/bundle", specific_model_path=job["folder"], threads=job["threads"])

    model, load_s = timed(open_model)
    return Library(
        encode=lambda texts: list(model.embed(texts, batch_size=len(texts))),
        load_s=load_s,
        packages=["fastembed", "onnxruntime", "tokenizers"],
    )


if __name__ == "__main__":
    answer(load)
