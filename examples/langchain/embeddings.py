"""edge-potion in LangChain: `EdgePotionEmbeddings()` goes wherever LangChain takes an Embeddings."""

from langchain_core.embeddings import Embeddings

from edge_potion import EdgeModel


class EdgePotionEmbeddings(Embeddings):
    def __init__(self, model: str | None = None) -> None:
        self.edge_model = EdgeModel.from_pretrained(model)
        self.model = str(model or self.edge_model.bundle.folder.name)  # a name, as in LangChain's own classes

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.edge_model.encode(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.edge_model.encode(text).tolist()
