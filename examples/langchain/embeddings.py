"""edge-potion in LangChain: `EdgePotionEmbeddings()` goes wherever LangChain takes an Embeddings."""

from langchain_core.embeddings import Embeddings

from edge_potion import EdgeModel


class EdgePotionEmbeddings(Embeddings):
    def __init__(self, model: str | None = None) -> None:
        self.model = EdgeModel.from_pretrained(model)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.model.encode(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.model.encode(text).tolist()
