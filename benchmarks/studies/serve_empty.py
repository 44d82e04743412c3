"""What our stack answers when nothing is to be done: `serve_empty.py BYTES PORT` reads each body and says as much."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HOST = "127.0.0.1"


def main() -> None:
    """Serve by one process, as ours does."""
    size, port = map(int, sys.argv[1:])
    content = b" " * size

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(content, media_type="application/json")

    app = Starlette(routes=[Route("/v1/embeddings", answer, methods=["POST"])])
    uvicorn.run(app, host=HOST, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
