"""What goes wrong with a request, and how it is told: as OpenAI tells it, or as TEI on TEI's paths."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from .answer import Answer, Headers, json_answer

__all__ = ["TEI_PATHS", "RequestError", "error_answer"]

TEI_PATHS = frozenset({"/", "/embed", "/info"})
# OpenAI's `type` and TEI's `error_type` by status; of others the first rows.
OPENAI_TYPES: Mapping[int, str] = {401: "authentication_error", 429: "rate_limit_error"}
TEI_TYPES: Mapping[int, str] = {413: "Validation", 422: "Validation", 429: "Overloaded", 503: "Unhealthy"}
SERVER_FAULT = 500


class RequestError(Exception):
    """A request cannot be answered as it was asked.

    Attributes:
        status: of HTTP.
        param: which field of the request is at fault; None for none.
        code: OpenAI's word for the fault.
        headers: that the answer has.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, headers: Headers = ()
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, headers


def error_answer(path: str, error: RequestError) -> Answer:
    """The answer that tells of an error, in the shape that callers of the path read."""
    at_fault = error.status >= SERVER_FAULT
    code = error.code or HTTPStatus(error.status).phrase.lower().replace(" ", "_")
    if path in TEI_PATHS:
        told = TEI_TYPES.get(error.status, "Backend" if at_fault else "Validation")
        return json_answer({"error": str(error), "error_type": told}, error.status, error.headers)
    kind = OPENAI_TYPES.get(error.status, "server_error" if at_fault else "invalid_request_error")
    body = {"error": {"message": str(error), "type": kind, "param": error.param, "code": code}}
    return json_answer(body, error.status, error.headers)
