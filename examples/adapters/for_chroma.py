# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "chromadb==1.5.9",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
# ]
# ///
"""edge-potion in Chroma: `EdgePotionFunction()` goes wherever Chroma takes an embedding_function.

pip install 'edge-potion[cpu]' chromadb
"""

from typing import Any

from chromadb import Documents, EmbeddingFunction, Embeddings
from chromadb.utils.embedding_functions import register_embedding_function

from edge_potion import EdgeModel


@register_embedding_function
class EdgePotionFunction(EmbeddingFunction[Documents]):
    def __init__(self, model: str | None = None) -> None:
        self.model = model
        self.edge_model = EdgeModel.from_pretrained(model)

    def __call__(self, input: Documents) -> Embeddings:
        return list(self.edge_model.encode(input))

    @staticmethod
    def name() -> str:
        return "edge-potion"

    def get_config(self) -> dict[str, Any]:
        return {"model": self.model}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "EdgePotionFunction":
        return EdgePotionFunction(config["model"])


if __name__ == "__main__":
    import chromadb
    from chromadb.config import Settings

    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    notes = client.create_collection("notes", embedding_function=EdgePotionFunction())
    texts = ["Bread rises slowly in the cold.", "The stock market fell today.", "My cat sleeps all day."]
    notes.add(ids=["bread", "market", "cat"], documents=texts)
    print(notes.query(query_texts=["yeast dough"], n_results=1)["documents"][0][0])
