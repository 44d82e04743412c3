# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "llama-index-core==0.14.25",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
# ]
# ///
"""edge-potion in LlamaIndex: `EdgePotionEmbedding()` goes wherever LlamaIndex takes an embed_model.

pip install 'edge-potion[cpu]' llama-index-core
"""

from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings import BaseEmbedding

from edge_potion import EdgeModel


class EdgePotionEmbedding(BaseEmbedding):
    _edge_model: EdgeModel = PrivateAttr()

    def __init__(self, model: str | None = None, **options: Any) -> None:
        edge_model = EdgeModel.from_pretrained(model)
        super().__init__(**{"model_name": str(model or edge_model.bundle.folder.name), **options})
        self._edge_model = edge_model

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._edge_model.encode_document(text).tolist()

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._edge_model.encode_document(texts).tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._edge_model.encode_query(query).tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


if __name__ == "__main__":
    from llama_index.core import Document, VectorStoreIndex

    texts = ["Bread rises slowly in the cold.", "The stock market fell today.", "My cat sleeps all day."]
    index = VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=EdgePotionEmbedding())
    (nearest,) = index.as_retriever(similarity_top_k=1).retrieve("yeast dough")
    print(nearest.text)
