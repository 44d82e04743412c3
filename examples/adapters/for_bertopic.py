# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "bertopic==0.17.4",
#   "torch==2.13.0",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
# ]
# ///
"""edge-potion in BERTopic: it takes any BaseEmbedder, and another model in the place of what it does not know.

    pip install 'edge-potion[cpu]' bertopic

sentence-transformers comes with BERTopic; torch is pinned, as a plain one on Linux pulls gigabytes of CUDA packages.
"""

import numpy as np
from bertopic.backend import BaseEmbedder

from edge_potion import EdgeModel


class EdgePotionEmbedder(BaseEmbedder):
    """`BERTopic(embedding_model=EdgePotionEmbedder(EdgeModel.from_pretrained()))`."""

    def embed(self, documents: list[str], verbose: bool = False) -> np.ndarray:
        return self.embedding_model.encode(documents, show_progress=verbose)


if __name__ == "__main__":
    from bertopic import BERTopic
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    animals = [f"the {animal} {verb} in the field" for animal in ("cat", "dog", "horse") for verb in ("ran", "slept")]
    money = [f"the {thing} {verb} on the market" for thing in ("bond", "stock", "price") for verb in ("fell", "rose")]
    topics = BERTopic(
        embedding_model=EdgePotionEmbedder(EdgeModel.from_pretrained()),
        umap_model=PCA(2),  # for twelve texts; of thousands, BERTopic's own UMAP and HDBSCAN are better
        hdbscan_model=KMeans(2, random_state=0, n_init=10),
    )
    found, _ = topics.fit_transform(animals + money)
    print("animals:", sorted(set(found[:6])), "money:", sorted(set(found[6:])))
