"""Search as an endpoint of an application of yours, in FastAPI: the lines of a file, whose vectors stay in memory.

pip install edge-potion fastapi uvicorn
python examples/stores/fastapi_app.py notes.txt
curl http://127.0.0.1:8000/search --json '{"query": "how do I bake bread?", "top": 3}'
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from edge_potion import EdgeModel


class Question(BaseModel):
    query: str = Field(max_length=10_000)
    top: int = Field(10, ge=1, le=100)


class Hit(BaseModel):
    text: str
    score: float  # cosine, -1..1


def search_app(texts: list[str]) -> FastAPI:
    model = EdgeModel.from_pretrained()  # once a process: it is safe in the threads in which FastAPI answers
    vectors = model.encode(texts)  # (N, D) float32, of length 1
    known = vectors.any(axis=1)  # a text without a known token has a vector of zeros, and is like none
    vectors, texts = vectors[known], [text for text, is_known in zip(texts, known, strict=True) if is_known]
    print(f"{len(texts)} texts; left out, as the model knows no token of them: {(~known).sum()}", file=sys.stderr)
    app = FastAPI()

    @app.post("/search")
    def search(question: Question) -> list[Hit]:
        asked = model.encode(question.query)
        if not asked.any():
            raise HTTPException(422, "the model knows no token of the query")
        scores = vectors @ asked  # (N,)
        return [Hit(text=texts[row], score=float(scores[row])) for row in (-scores).argsort()[: question.top]]

    @app.exception_handler(RequestValidationError)
    def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        """FastAPI's own answer repeats what was sent, and is an error 500 where that holds half of a surrogate pair."""
        faults = [{"loc": fault["loc"], "msg": fault["msg"]} for fault in error.errors()]
        return JSONResponse({"detail": faults}, 422)

    return app


if __name__ == "__main__":
    file, port = [*sys.argv[1:], "8000"][:2]
    with Path(file).open(encoding="utf-8") as lines:
        texts = [line.strip() for line in lines if line.strip()]
    uvicorn.run(search_app(texts), port=int(port))
