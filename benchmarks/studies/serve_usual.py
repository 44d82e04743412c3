# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "fastapi==0.165.0",
#   "uvicorn[standard]==0.54.0",
#   "orjson==3.13.0",
#   "model2vec==0.10.0",
#   "tokenizers==0.23.3",
#   "numpy==2.4.6",
# ]
# ///
"""An app as people write it around a static model: `serve_usual.py MODEL PORT`, by FastAPI, model2vec and orjson.

As fast as its parts allow without a queue: the body is validated, the list goes through one call of `encode` on the
event loop, since another thread would cost more than a text does, and the answer is written by orjson. It counts no
tokens.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable
from typing import Any, Literal

import orjson
import uvicorn
from fastapi import FastAPI, Response
from model2vec import StaticModel
from pydantic import BaseModel

HOST = "127.0.0.1"


class Question(BaseModel):
    input: str | list[str]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"


def main() -> None:
    """Serve by one process."""
    model = StaticModel.from_pretrained(sys.argv[1])
    app = FastAPI()

    @app.post("/v1/embeddings")
    async def embeddings(question: Question) -> Response:
        texts = [question.input] if isinstance(question.input, str) else question.input
        rows: Iterable[Any] = model.encode(texts, use_multiprocessing=False)  # (N, D) f32
        if question.encoding_format == "base64":
            rows = (base64.b64encode(row.tobytes()).decode("ascii") for row in rows)
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        answer = {"object": "list", "data": data, "model": question.model}
        return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")

    @app.get("/health")
    async def health() -> str:
        return "ok"

    uvicorn.run(app, host=HOST, port=int(sys.argv[2]), access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
