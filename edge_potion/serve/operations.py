"""All that the server can be asked: a table of paths, from which the routes and /openapi.json are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from . import about, embeddings, finding, labels, schema
from .answer import Answer
from .metrics import Metrics
from .served import Served
from .settings import Settings

__all__ = ["Operation", "operations"]

PAGE = Path(__file__).with_name("page.html")
PAGE_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True)
class Operation:
    """One of them.

    Attributes:
        method: GET or POST.
        path: with {names} for what differs.
        summary: a line for people.
        work: of GET from what stands for the names, of POST from what is asked and until when, to the answer.
        answered: the type of the answer; or its media type, where it is no JSON.
        asked: the type of the body, of POST.
        always_in_thread: because a small body may ask for long work.
    """

    method: str
    path: str
    summary: str
    work: Callable[..., Answer]
    answered: type[BaseModel] | Any
    asked: type[BaseModel] | None = None
    always_in_thread: bool = False


def operations(served: Served, settings: Settings, metrics: Metrics) -> tuple[Operation, ...]:
    """The table; those that are asked most come first."""
    most = settings.max_texts
    page = Answer(PAGE.read_bytes(), kind=b"text/html; charset=utf-8", headers=PAGE_HEADERS)
    tei = partial(embeddings.embed, served, most)
    vectors = list[list[float]]
    return (
        Operation(
            "POST",
            "/v1/embeddings",
            "Vectors of texts, as OpenAI's clients ask for them.",
            partial(embeddings.embeddings, served, most),
            schema.Embeddings,
            schema.EmbeddingsRequest,
        ),
        Operation("POST", "/embed", "Vectors of texts, as TEI's clients do.", tei, vectors, schema.EmbedRequest),
        Operation("POST", "/", "The same, where Hugging Face's client asks.", tei, vectors, schema.EmbedRequest),
        Operation(
            "POST",
            "/v1/classify",
            "Labels and probabilities of texts.",
            partial(labels.classify, served, most),
            schema.Classifications,
            schema.ClassifyRequest,
        ),
        Operation(
            "POST",
            "/search",
            "The best texts of an index.",
            partial(finding.search, served),
            schema.SearchResult,
            schema.SearchRequest,
            always_in_thread=True,
        ),
        Operation(
            "POST",
            "/v1/rerank",
            "Documents, the best first, as Cohere's and Jina's clients ask for them.",
            partial(finding.rerank, served, most),
            schema.Ranking,
            schema.RerankRequest,
        ),
        Operation("GET", "/v1/models", "What `model` may name.", partial(about.models, served), schema.Models),
        Operation("GET", "/v1/models/{name}", "One of these.", partial(about.model_card, served), schema.Model),
        Operation("GET", "/health", "Whether it can be asked.", about.health, schema.Health),
        Operation(
            "GET", "/info", "The first model, in TEI's words.", partial(about.info, served, settings), schema.Info
        ),
        Operation("GET", "/metrics", "Counts for Prometheus.", metrics.answer, "text/plain"),
        Operation("GET", "/", "A page to try it.", lambda: page, "text/html"),
    )
