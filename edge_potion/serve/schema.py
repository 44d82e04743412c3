"""Requests and answers as types: they check what comes, and are what /openapi.json tells.

Fields that are not told here are ignored, as clients send more than they need.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import RequestError

__all__ = [
    "Classifications",
    "ClassifyRequest",
    "EmbedRequest",
    "Embeddings",
    "EmbeddingsRequest",
    "Failure",
    "Health",
    "Info",
    "Model",
    "Models",
    "Ranking",
    "RerankRequest",
    "SearchRequest",
    "SearchResult",
    "TeiFailure",
    "read",
]

Texts = str | Annotated[list[str], Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


class _Told(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, use_attribute_docstrings=True)


class EmbeddingsRequest(_Told):
    """OpenAI's request for embeddings."""

    input: Texts
    """A text, or a list of texts. An empty text gets a vector of zeros. Token ids are refused."""
    model: str | None = None
    """Which of the served models; the first where it is left out."""
    encoding_format: Literal["float", "base64"] | None = None
    """"base64" is of little-endian float32."""
    dimensions: Count | None = None
    """Keep the first values of each vector, scaled to unit length again where the model does so."""


class Embedding(_Told):
    object: Literal["embedding"]
    index: int
    """Of the text in `input`."""
    embedding: list[float] | str


class Usage(_Told):
    prompt_tokens: int
    """An estimate: a token for every four characters, rounded up."""
    total_tokens: int


class Embeddings(_Told):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class Model(_Told):
    """A model that is served."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(_Told):
    object: Literal["list"]
    data: list[Model]


class EmbedRequest(_Told):
    """TEI's request for embeddings, of the first model."""

    inputs: Texts
    """A text, or a list of texts. An empty text gets a vector of zeros."""
    normalize: bool | None = True
    """false gives the vectors as the model makes them, which are of unit length where it is made so."""
    truncate: bool | None = None
    """Texts are always cut at the model's limit."""
    dimensions: Count | None = None
    """Keep the first values of each vector."""
    prompt_name: str | None = None
    """Of the model's prompts, which stands before each text; its default one where it is left out."""


class ClassifyRequest(_Told):
    input: Texts
    """A text, or a list of texts."""
    model: str | None = None
    """Which of the served classifiers; the first where it is left out."""
    top: Count = 10
    """Give the probabilities of so many labels, the likeliest first."""


class Classification(_Told):
    object: Literal["classification"]
    index: int
    """Of the text in `input`."""
    label: str | None
    """The likeliest label; null where none is likely enough."""
    probability: float
    """Of the likeliest label, likely enough or not."""
    labels: list[str]
    """All that are likely enough; one or none unless a text may have several."""
    probabilities: dict[str, float]
    """By label, the likeliest first."""


class Classifications(_Told):
    object: Literal["list"]
    data: list[Classification]
    model: str
    usage: Usage


class SearchRequest(_Told):
    query: str
    """What to look for, in plain words."""
    index: str | None = None
    """Which of the served indexes; the first where it is left out."""
    top: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many texts to find."""
    mode: Literal["hybrid", "meaning", "words"] = "hybrid"
    explain: bool = False
    """Tell which words of the query each text was found by."""


class WordShare(_Told):
    word: str
    stem: str
    share: float


class Hit(_Told):
    id: str
    text: str
    where: str
    """File and line it came from."""
    score: float
    """What hits are ordered by."""
    meaning: float
    """Cosine of the query's and the text's vector."""
    words: float
    """BM25."""
    number: int
    """Of the row in the index."""
    explanation: list[WordShare]
    """Empty unless asked for."""


class SearchResult(_Told):
    index: str
    hits: list[Hit]


class Document(_Told):
    text: str


class RerankRequest(_Told):
    """Cohere's and Jina's request to rank documents."""

    query: str
    documents: Annotated[list[str | Document], Field(min_length=1)]
    model: str | None = None
    """An index, by whose statistics of words they are ranked; or a model, which ranks by meaning alone. By default the
    first index, or the first model where there is none."""
    top_n: Count | None = None
    """Give the best ones alone."""
    return_documents: bool = False


class Ranked(_Told):
    index: int
    """Of the document in `documents`."""
    relevance_score: float
    """Higher is better: the cosine by a model, the hybrid score by an index."""
    document: Document | None = None


class Ranking(_Told):
    object: Literal["list"]
    model: str
    results: list[Ranked]
    usage: Usage


class Health(_Told):
    status: Literal["ok"]


class Info(_Told):
    """TEI's words for the first model, and what else is served."""

    model_id: str
    model_sha: str
    """Fingerprint of what makes the vectors."""
    model_dtype: str
    model_type: dict[str, Any]
    dimensions: int
    max_input_length: int | None
    """Tokens at which a text is cut; null for never."""
    max_client_batch_size: int
    """Texts a call."""
    max_concurrent_requests: int
    """Long requests that are at work or wait, in a process."""
    auto_truncate: bool
    version: str
    engine: str
    models: list[str]
    classifiers: list[str]
    indexes: list[str]


class Fault(_Told):
    message: str
    type: str
    param: str | None
    code: str | None


class Failure(_Told):
    """OpenAI's shape of an error."""

    error: Fault


class TeiFailure(_Told):
    """TEI's shape of an error."""

    error: str
    error_type: str


Asked = TypeVar("Asked", bound=BaseModel)


def read(body: bytes, kind: type[Asked]) -> Asked:
    """The request in a body.

    Raises:
        RequestError: it is no JSON, or not as `kind` says; what a text holds is never told.
    """
    try:
        value = orjson.loads(body)
    except ValueError as failure:
        raise RequestError(400, f"the body is no JSON: {str(failure)[:200]}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise RequestError(400, f"the body is a JSON {_word(value)}; an object was expected", code="invalid_json")
    try:
        return kind.model_validate(value)
    except ValidationError as failure:
        raise _fault(value, failure) from None


def _fault(value: dict[str, Any], failure: ValidationError) -> RequestError:
    first = failure.errors(include_url=False, include_context=False, include_input=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    if param is None or param not in value:
        return RequestError(400, f"{param}: {first['msg'].lower()}", param=param, code="missing_field")
    if param not in ("input", "inputs"):
        return RequestError(400, f"{param}: {first['msg'].lower()}", param=param, code="invalid_value")
    return RequestError(400, _text_fault(param, value[param]), param=param, code="invalid_input")


def _text_fault(param: str, texts: Any) -> str:
    if not isinstance(texts, list):
        return f"{param} is a JSON {_word(texts)}; a text or a list of texts was expected"
    if not texts:
        return f"{param} is an empty list; at least one text was expected"
    number, wrong = next((number, each) for number, each in enumerate(texts) if not isinstance(each, str))
    if isinstance(wrong, int | list) and not isinstance(wrong, bool):
        return (
            f"{param} holds token ids, of another model's tokenizer; send texts. LangChain's OpenAIEmbeddings "
            "does so with check_embedding_ctx_length=False"
        )
    return f"item {number} of {param} is a JSON {_word(wrong)}; a text was expected"


def _word(value: Any) -> str:
    words = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return words.get(type(value), "null")
