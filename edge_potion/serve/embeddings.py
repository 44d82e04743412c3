"""/v1/embeddings and TEI's /embed: texts -> vectors -> bytes of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import orjson
from pybase64 import b64encode

from edge_potion.runtime import EdgeModel
from edge_potion.unit_length import unit_length

from .answer import Answer, json_answer
from .errors import RequestError
from .limits import check_time
from .schema import EmbeddingsRequest, EmbedRequest
from .served import Served, named

__all__ = ["embed", "embeddings", "listed", "usage_of", "vectors_of"]

TEXTS_AT_ONCE = 1024  # between two looks at the clock
CHARACTERS_A_TOKEN = 4  # OpenAI's rule of thumb: counting them would double the work


def embeddings(served: Served, most_texts: int, asked: EmbeddingsRequest, until: float) -> Answer:
    """What OpenAI's clients ask for."""
    name, model = named(served.models, asked.model, "model", "model")
    texts = listed(asked.input, most_texts, "input")
    vectors = vectors_of(model, texts, asked.dimensions, until)
    if asked.encoding_format == "base64":
        return _in_base64(vectors, name, usage_of(texts))
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(vectors)]
    return json_answer({"object": "list", "data": data, "model": name, "usage": usage_of(texts)})


def embed(served: Served, most_texts: int, asked: EmbedRequest, until: float) -> Answer:
    """What TEI's clients ask for."""
    _, model = named(served.models, None, "model", "model")
    texts = listed(asked.inputs, most_texts, "inputs")
    vectors = vectors_of(model, texts, asked.dimensions, until)
    if asked.normalize and not model.says.normalize:
        vectors = unit_length(vectors)
    return json_answer(list(vectors))


def listed(texts: str | list[str], most: int, param: str) -> list[str]:
    """A list of them, which is not too long."""
    if isinstance(texts, str):
        return [texts]
    if len(texts) > most:
        raise RequestError(
            400, f"{param} holds {len(texts):,} texts; at most {most:,} a call", param=param, code="too_many_texts"
        )
    return texts


def usage_of(texts: Sequence[str]) -> dict[str, int]:
    tokens = -(-sum(map(len, texts)) // CHARACTERS_A_TOKEN)
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def vectors_of(model: EdgeModel, texts: list[str], dimensions: int | None, until: float) -> np.ndarray:
    """(B, D) float32: the bits of `EdgeModel.encode`.

    Raises:
        RequestError: the model has fewer dimensions, or it took too long.
    """
    if dimensions is not None and dimensions > model.dim:
        raise RequestError(
            400, f"dimensions is {dimensions}; the model has {model.dim}", param="dimensions", code="invalid_value"
        )
    if len(texts) == 1 and dimensions is None:
        return model.encode(texts[0])[np.newaxis]
    parts = []
    for begin in range(0, len(texts), TEXTS_AT_ONCE):
        check_time(until)
        parts.append(model.encode(texts[begin : begin + TEXTS_AT_ONCE], truncate_dim=dimensions))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _in_base64(vectors: np.ndarray, name: str, usage: dict[str, int]) -> Answer:
    """As `json_answer` would, without a str of each row."""
    rows = np.ascontiguousarray(vectors, "<f4")
    parts = [b'{"object":"list","data":[']
    for place, row in enumerate(rows):
        parts += (_before(place), b64encode(row))
    rest = orjson.dumps({"model": name, "usage": usage})
    parts += (b'"}],', rest[1:])
    return Answer(b"".join(parts))


@cache
def _before(place: int) -> bytes:
    """What stands before the vector of a text, and closes that of the text before it."""
    close = b'"},' if place else b""
    return b'%s{"object":"embedding","index":%d,"embedding":"' % (close, place)
