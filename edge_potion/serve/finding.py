"""/search and /v1/rerank: over the indexes that were named at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import EdgePotionError

from .answer import Answer, json_answer
from .embeddings import listed, usage_of, vectors_of
from .errors import RequestError
from .schema import RerankRequest, SearchRequest
from .served import Served, named

if TYPE_CHECKING:
    from edge_potion.search.hit import Hit

__all__ = ["rerank", "search"]


def search(served: Served, asked: SearchRequest, until: float) -> Answer:
    """The best texts of an index, as it is now."""
    name, index = named(served.indexes, asked.index, "index", "index")
    try:
        index.refresh()
    except EdgePotionError:  # it was deleted, or made again with another model
        gone = "was made again in another way, or is gone, since the server was started; start that again"
        raise RequestError(503, f"the index {name!r} {gone}", code="index_gone") from None
    hits = index.search(asked.query, asked.top, mode=asked.mode, explain=asked.explain)
    return json_answer({"index": name, "hits": [_told(hit) for hit in hits]})


def _told(hit: Hit) -> dict[str, Any]:
    return {**vars(hit), "explanation": [share._asdict() for share in hit.explanation]}


def rerank(served: Served, most_texts: int, asked: RerankRequest, until: float) -> Answer:
    """The documents of a request, the best first."""
    given = [each if isinstance(each, str) else each.text for each in asked.documents]
    texts = listed(given, most_texts, "documents")
    if served.indexes and (asked.model is None or asked.model in served.indexes):
        name, index = named(served.indexes, asked.model, "model", "index")
        ranked = [(hit.number, hit.score) for hit in index.rerank(asked.query, texts)]
    else:
        name, model = named(served.models, asked.model, "model", "model")
        query = vectors_of(model, [asked.query], None, until, "query")[0]
        scores = model.similarity(vectors_of(model, texts, None, until, "document"), query)  # (N,) f32
        ranked = [(int(place), float(scores[place])) for place in np.argsort(-scores, kind="stable")]
    results: list[dict[str, Any]] = [
        {"index": place, "relevance_score": score} for place, score in ranked[: asked.top_n]
    ]
    if asked.return_documents:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    usage = usage_of([asked.query, *texts])
    return json_answer({"object": "list", "model": name, "results": results, "usage": usage})
