"""What the server tells of itself: /v1/models, /info and /health."""

from __future__ import annotations

from typing import Any

from .answer import Answer, json_answer
from .served import Served, named
from .settings import Settings

__all__ = ["health", "info", "model_card", "models"]


def models(served: Served) -> Answer:
    """All that `model` may name in requests for embeddings."""
    return json_answer({"object": "list", "data": [_card(name) for name in served.models]})


def model_card(served: Served, name: str) -> Answer:
    """One of them."""
    return json_answer(_card(named(served.models, name, "model", "model")[0]))


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "edge-potion"}


def health() -> Answer:
    """The models are open before anyone can ask: whoever hears this can be answered."""
    return json_answer({"status": "ok"})


def info(served: Served, settings: Settings) -> Answer:
    """Of the first model, in TEI's words; and what else is here."""
    from edge_potion import __version__

    name, model = named(served.models, None, "model", "model")
    return json_answer(
        {
            "model_id": name,
            "model_sha": model.fingerprint,
            "model_dtype": model.precision,
            "model_type": {"embedding": {"pooling": "mean"}},
            "dimensions": model.dim,
            "max_input_length": model.says.max_tokens,
            "max_client_batch_size": settings.max_texts,
            "max_concurrent_requests": settings.max_waiting,
            "auto_truncate": True,
            "version": __version__,
            "engine": model.engine,
            "models": list(served.models),
            "classifiers": list(served.classifiers),
            "indexes": list(served.indexes),
        }
    )
