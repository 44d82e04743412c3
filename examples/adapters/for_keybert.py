# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "keybert==0.9.0",
#   "torch==2.13.0",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
# ]
# ///
"""edge-potion in KeyBERT: it takes any BaseEmbedder, and another model in the place of what it does not know.

    pip install 'edge-potion[cpu]' keybert

sentence-transformers comes with KeyBERT; torch is pinned, as a plain one on Linux pulls gigabytes of CUDA packages.
"""

import numpy as np
from keybert.backend import BaseEmbedder

from edge_potion import EdgeModel


class EdgePotionEmbedder(BaseEmbedder):
    """`KeyBERT(EdgePotionEmbedder(EdgeModel.from_pretrained()))`."""

    def embed(self, documents: list[str], verbose: bool = False) -> np.ndarray:
        return self.embedding_model.encode(documents, show_progress=verbose)


if __name__ == "__main__":
    from keybert import KeyBERT

    text = "Bread rises because yeast eats the sugar of the flour and gives off a gas; in the cold it does so slowly."
    for word, score in KeyBERT(EdgePotionEmbedder(EdgeModel.from_pretrained())).extract_keywords(text, top_n=3):
        print(f"{score:.2f} {word}")
