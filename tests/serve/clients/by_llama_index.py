# /// script
# requires-python = ">=3.11"
# dependencies = ["llama-index-embeddings-openai==0.7.0", "llama-index-core==0.14.25", "openai==3.57.0"]
# ///
"""LlamaIndex's OpenAIEmbedding: {url, key, model, texts} as JSON on stdin -> vectors, as JSON.

Its argument `model` takes OpenAI's own names only; `model_name` is for all others.
"""

import asyncio
import json
import sys

from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding


def main() -> None:
    """Texts, queries, and an index that is asked."""
    asked = json.load(sys.stdin)
    options = {"model_name": asked["model"], "api_base": f"{asked['url']}/v1", "api_key": asked["key"]}
    embedding = OpenAIEmbedding(**options, max_retries=0)
    shorter = OpenAIEmbedding(**options, max_retries=0, dimensions=asked["dimensions"])
    texts = asked["texts"]
    index = VectorStoreIndex.from_documents([Document(text=text) for text in asked["shelf"]], embed_model=embedding)
    (nearest,) = index.as_retriever(similarity_top_k=1).retrieve(asked["query"])
    answer = {
        "texts": embedding.get_text_embedding_batch(texts),
        "queries": [embedding.get_query_embedding(text) for text in texts],
        "async": asyncio.run(embedding.aget_text_embedding_batch(texts)),
        "dimensions": shorter.get_text_embedding_batch(texts),
        "nearest": nearest.text,
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
