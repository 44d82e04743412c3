# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain-openai==1.7.4", "openai==3.57.0", "tiktoken==0.14.0"]
# ///
"""LangChain's OpenAIEmbeddings: {url, key, model, texts} as JSON on stdin -> vectors and errors, as JSON.

By its defaults it sends token ids, which it makes with tiktoken, which fetches a vocabulary from the network. Asked for
`token ids`, this script puts one in its place that says a token for each byte: whatever the ids, they are ids.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import tiktoken
import tiktoken.registry
from langchain_openai import OpenAIEmbeddings


def main() -> None:
    """With the flag that sends texts, or by the defaults."""
    asked = json.load(sys.stdin)
    options = {"base_url": f"{asked['url']}/v1", "api_key": asked["key"], "model": asked["model"], "max_retries": 0}
    texts = asked["texts"]
    if asked.get("by") == "token ids":
        tiktoken.registry.ENCODINGS["cl100k_base"] = a_token_for_each_byte()
    if asked.get("by") in ("token ids", "defaults"):
        embeddings = OpenAIEmbeddings(**options)
        answer: dict[str, Any] = {
            "documents": error_of(lambda: embeddings.embed_documents(texts)),
            "query": error_of(lambda: embeddings.embed_query(texts[0])),
        }
    else:
        embeddings = OpenAIEmbeddings(**options, check_embedding_ctx_length=False)
        shorter = OpenAIEmbeddings(**options, check_embedding_ctx_length=False, dimensions=asked["dimensions"])
        answer = {
            "documents": embeddings.embed_documents(texts),
            "query": [embeddings.embed_query(text) for text in texts],
            "by twos": embeddings.embed_documents(texts, chunk_size=2),
            "async": asyncio.run(embeddings.aembed_documents(texts)),
            "dimensions": shorter.embed_documents(texts),
        }
    json.dump(answer, sys.stdout)


def a_token_for_each_byte() -> tiktoken.Encoding:
    """A vocabulary that needs no network."""
    return tiktoken.Encoding(
        "cl100k_base",
        pat_str=r"\S+|\s+",
        mergeable_ranks={bytes([value]): value for value in range(256)},
        special_tokens={},
    )


def error_of(call: Callable[[], Any]) -> dict[str, str]:
    """The class and the words of what a call raises."""
    try:
        call()
    except Exception as error:
        return {"class": f"{type(error).__module__}.{type(error).__name__}", "message": str(error)}
    return {"class": "", "message": ""}


if __name__ == "__main__":
    main()
