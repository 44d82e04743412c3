# /// script
# requires-python = ">=3.11"
# dependencies = ["fastembed==0.9.1", "onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy==2.4.6"]
# ///
"""Runs fastembed: our tokens graph as a custom model, whose vectors are the graph's; or a table, by its static models.

Static models are known to it by three names alone; a folder of a user's own goes under one of them.
"""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed

STATIC_MODEL = "minishlab/potion-base-8M"


def load(job):
    """The library, its model loaded."""
    from fastembed import TextEmbedding

    def open_table():
        return TextEmbedding(STATIC_MODEL, specific_model_path=job["folder"])

    def open_graph():
        from fastembed.common.model_description import ModelSource, PoolingType

        TextEmbedding.add_custom_model(
            model="edge-potion/bundle",
            pooling=PoolingType.DISABLED,
            normalization=False,
            sources=ModelSource(hf="edge-potion/bundle"),
            dim=job["dim"],
            model_file=job["model_file"],
        )
        return TextEmbedding("edge-potion/bundle", specific_model_path=job["folder"], threads=job["threads"])

    model, load_s = timed(open_graph if "model_file" in job else open_table)
    return Library(
        encode=lambda texts: list(model.embed(texts, batch_size=len(texts))),
        one=lambda text: next(model.embed(text)),
        load_s=load_s,
        packages=["fastembed", "onnxruntime", "tokenizers", "numpy"],
    )


if __name__ == "__main__":
    answer(load)
