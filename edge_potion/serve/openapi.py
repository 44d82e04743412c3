"""/openapi.json: made of the table of operations and of the types that check requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from .answer import Answer, json_answer
from .errors import TEI_PATHS
from .guard import OPEN
from .operations import Operation
from .schema import Failure, TeiFailure

__all__ = ["openapi"]

REF = "#/components/schemas/{model}"
OF_EVERY_PATH = {401: "No key, or an unknown one."}
OF_POST = {
    400: "The body is not what was expected.",
    404: "What it names is not served.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is packed.",
    429: "Too much waits already; try again after Retry-After seconds.",
    503: "The answer was not worked out in time.",
}


def openapi(table: Sequence[Operation], version: str, *, has_keys: bool) -> Answer:
    """The document, of a server with keys or without."""
    kinds: set[type[BaseModel]] = {*_models(table), Failure, TeiFailure}
    by_name = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = models_json_schema([(kind, "validation") for kind in by_name], ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _told(operation, has_keys)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "edge-potion", "version": version, "description": "Static text embeddings."},
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }
    if has_keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return json_answer(document)


def _models(table: Iterable[Operation]) -> Iterable[type[BaseModel]]:
    for operation in table:
        for kind in (operation.asked, operation.answered):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield kind


def _told(operation: Operation, has_keys: bool) -> dict[str, Any]:
    parts = [word.strip("{}") for word in operation.path.split("/") if word]
    told: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": "_".join([operation.method.lower(), *parts]),
        "responses": {"200": {"description": "The answer.", "content": _content(operation.answered)}},
    }
    faults = dict(OF_POST) if operation.asked else {}
    if "{" in operation.path:
        faults[404] = OF_POST[404]
        told["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    if has_keys and (operation.method, operation.path) not in OPEN:
        faults |= OF_EVERY_PATH
        told["security"] = [{"key": []}]
    shape = TeiFailure if operation.path in TEI_PATHS else Failure
    for status, words in sorted(faults.items()):
        told["responses"][str(status)] = {"description": words, "content": _content(shape)}
    if operation.asked:
        told["requestBody"] = {"required": True, "content": _content(operation.asked)}
    return told


def _content(kind: Any) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {"schema": {"type": "string"}}}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {"application/json": {"schema": {"$ref": REF.format(model=kind.__name__)}}}
    return {"application/json": {"schema": TypeAdapter(kind).json_schema(ref_template=REF)}}
