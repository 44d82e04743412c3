"""The app: settings -> models that are open, routes, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route

from .access_log import AccessLog
from .answer import Answer
from .endpoint import Endpoint, Page
from .errors import RequestError, error_answer
from .guard import Guard
from .limits import Limits
from .metrics import Metrics
from .openapi import openapi
from .operations import Operation, operations
from .served import opened
from .settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings) -> Starlette:
    """An ASGI app that serves what the settings name.

    Raises:
        EdgePotionError: a model or index cannot be opened.
    """
    from edge_potion import __version__

    metrics = Metrics(__version__)
    limits = Limits(settings, metrics.wait)
    log = AccessLog() if settings.access_log else None
    table = operations(opened(settings), settings, metrics)
    document = openapi(table, __version__, has_keys=bool(settings.keys))
    routes = [_route(each, limits, settings.deadline_s) for each in table]
    routes.append(Route("/openapi.json", Page(lambda: document), methods=["GET"]))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        limits.close()
        if log is not None:
            log.write()

    # Of type Any, as an Answer is no Response of starlette's, but what it does with one: an ASGI app.
    handlers: dict[Any, Any] = {RequestError: _tell, HTTPException: _tell_of_path, Exception: _tell_of_bug}
    guard = Middleware(Guard, settings.keys, {route.path for route in routes}, metrics, log)
    app = Starlette(
        routes=routes,
        middleware=[*_cors(settings), guard],
        exception_handlers=handlers,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # to a URL that is made of what the caller says of the host
    return app


def _route(operation: Operation, limits: Limits, deadline_s: float) -> Route:
    if operation.asked is None:
        return Route(operation.path.replace("}", ":path}"), Page(operation.work), methods=[operation.method])
    endpoint = Endpoint(operation.asked, operation.work, limits, deadline_s, operation.always_in_thread)
    return Route(operation.path, endpoint, methods=[operation.method])


def _cors(settings: Settings) -> list[Middleware]:
    """Around the guard, as browsers ask without a key whether they may ask."""
    if not settings.origins:
        return []
    return [
        Middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    ]


async def _tell(request: Request, error: Exception) -> Answer:
    assert isinstance(error, RequestError)
    return error_answer(request.url.path, error)


async def _tell_of_path(request: Request, error: Exception) -> Answer:
    """There is no such path, or it takes another method."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow")
    path, method = request.url.path[:200], request.method
    if allowed is None:
        told = RequestError(error.status_code, f"there is no {path} here; /openapi.json tells what is")
    else:
        headers = ((b"allow", allowed.encode()),)
        told = RequestError(error.status_code, f"{path} takes {allowed}, and no {method}", headers=headers)
    return error_answer(path, told)


async def _tell_of_bug(request: Request, _: Exception) -> Answer:
    """What it was stands on the server's stderr alone."""
    return error_answer(request.url.path, RequestError(500, "the server failed on this; its log tells why"))
