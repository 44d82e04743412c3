# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "langchain-core==1.7.2",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
# ]
# ///
"""Runs the Embeddings of examples/langchain, as LangChain calls it.

langchain-core 1.7.3 to 1.8.2 ask for a certifi that was not to be had.
"""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, Unable, answer, timed


def load(job):
    """The library, its model loaded."""
    sys.path += [job["package"], job["example"]]  # after the environment's own packages
    import onnxruntime  # noqa: F401 - the imports are no part of the load
    from embeddings import EdgePotionEmbeddings

    model, load_s = timed(lambda: EdgePotionEmbeddings(job["folder"]))
    if model.embed_query(job["first"]) != model.embed_documents([job["first"]])[0]:
        raise Unable("failed", "embed_query and embed_documents give two vectors for one text")
    if model.edge_model.precision != job["precision"]:
        raise Unable("failed", f"it runs at {model.edge_model.precision}")
    return Library(
        encode=model.embed_documents,
        one=model.embed_query,
        load_s=load_s,
        packages=["langchain-core", "onnxruntime", "tokenizers", "numpy"],
    )


if __name__ == "__main__":
    answer(load)
