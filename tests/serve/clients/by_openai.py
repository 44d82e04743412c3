# /// script
# requires-python = ">=3.11"
# dependencies = ["openai==3.57.0"]
# ///
"""The official client of OpenAI: {url, key, model, texts} as JSON on stdin -> what it made of the answers, as JSON.

Errors are told by the names of the classes that they were raised as. Asked for a `flood`, it asks for all texts so many
times at once instead, by a client that does not try again, and by one that does.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import openai


def main() -> None:
    """Ask in each way that the client has."""
    asked = json.load(sys.stdin)
    if "flood" in asked:
        json.dump(
            {way: asyncio.run(flood(asked, retries)) for way, retries in (("once", 0), ("again", 50))}, sys.stdout
        )
        return
    client = openai.OpenAI(base_url=f"{asked['url']}/v1", api_key=asked["key"], max_retries=0, timeout=60)
    texts, model = asked["texts"], asked["model"]

    def embedded(input: Any, **options: Any) -> list[list[float]]:
        return vectors(client.embeddings.create(input=input, model=model, **options))

    def usage() -> dict[str, int]:
        return client.embeddings.create(input=texts, model=model).usage.model_dump()

    stranger = client.with_options(api_key="wrong")
    answer = {
        "models": [one.id for one in client.models.list()],
        "model": client.models.retrieve(model).id,
        "by default": embedded(texts),
        "one": embedded(texts[0]),
        "float": embedded(texts, encoding_format="float"),
        "base64": embedded(texts, encoding_format="base64"),
        "dimensions": embedded(texts, dimensions=asked["dimensions"]),
        "dimensions as float": embedded(texts, dimensions=asked["dimensions"], encoding_format="float"),
        "batch": embedded(asked["batch"]),
        "at the same time": asyncio.run(at_the_same_time(asked)),
        "a user is named": embedded(texts[0], user="somebody", extra_body={"unheard_of": [1, {"a": None}]}),
        "usage": usage(),
        "errors": {
            "wrong key": error_of(lambda: stranger.embeddings.create(input="a", model=model)),
            "token ids": error_of(lambda: embedded([1, 2, 3])),
            "lists of token ids": error_of(lambda: embedded([[1, 2, 3], [4]])),
            "nothing": error_of(lambda: embedded([])),
            "dimensions": error_of(lambda: embedded("a", dimensions=10**6)),
            "no dimensions": error_of(lambda: embedded("a", dimensions=0)),
            "format": error_of(lambda: embedded("a", encoding_format="int8")),
            "model": error_of(lambda: client.embeddings.create(input="a", model="nobody/has-this")),
            "too large": error_of(lambda: embedded("word " * 5_000_000)),
            "path": error_of(lambda: client.chat.completions.create(messages=[], model=model)),
        },
    }
    json.dump(answer, sys.stdout)


def vectors(response: Any) -> list[list[float]]:
    """In the order of the texts. An answer in base64 that was asked for stays as it came."""
    assert [one.index for one in response.data] == list(range(len(response.data)))
    return [one.embedding for one in response.data]


async def at_the_same_time(asked: dict[str, Any]) -> list[list[float]]:
    """Each text by a call of its own, all of them begun before the first is answered."""
    async with openai.AsyncOpenAI(base_url=f"{asked['url']}/v1", api_key=asked["key"], max_retries=0) as client:
        calls = (client.embeddings.create(input=text, model=asked["model"]) for text in asked["texts"])
        return [vector for response in await asyncio.gather(*calls) for vector in vectors(response)]


async def flood(asked: dict[str, Any], retries: int) -> dict[str, int]:
    """How many calls at once were answered, and how many raised which class."""

    async def call() -> str:
        try:
            await client.embeddings.create(input=asked["texts"], model=asked["model"])
        except openai.OpenAIError as error:
            return type(error).__name__
        return "answered"

    url = f"{asked['url']}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=asked["key"], max_retries=retries) as client:
        return dict(Counter(await asyncio.gather(*(call() for _ in range(asked["flood"])))))


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    """What a call raises: class, status, and what the client read out of the answer."""
    try:
        call()
    except openai.APIStatusError as error:
        told = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
        return {"class": type(error).__name__, "status": error.status_code, "body": error.body, **told}
    return {"class": ""}


if __name__ == "__main__":
    main()
