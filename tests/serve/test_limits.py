"""Who may ask, how much, and for how long; and what is written of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time

import pytest
from starlette.testclient import TestClient

from edge_potion.errors import InputError
from edge_potion.serve.answer import Answer
from edge_potion.serve.app import create_app
from edge_potion.serve.errors import RequestError
from edge_potion.serve.limits import Limits, Unread, check_time
from edge_potion.serve.settings import Settings, digest_of, read_keys


def client_of(**settings) -> TestClient:
    return TestClient(create_app(Settings(**{"access_log": False, **settings})), raise_server_exceptions=False)


def messages(*parts: bytes, seconds: float = 0):
    """What an ASGI server hands over of a body in parts."""
    left = list(parts)

    async def receive():
        await asyncio.sleep(seconds)
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


def test_a_call_of_too_many_texts_is_refused():
    client = client_of(max_texts=3)
    assert client.post("/v1/embeddings", json={"input": ["a"] * 3}).status_code == 200
    error = client.post("/v1/embeddings", json={"input": ["a"] * 4}).json()["error"]
    assert error["code"] == "too_many_texts" and "4 texts; at most 3" in error["message"]
    assert client.post("/embed", json={"inputs": ["a"] * 4}).status_code == 400
    assert client.post("/v1/rerank", json={"query": "a", "documents": ["a"] * 4}).status_code == 400


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(chunked):
    client = client_of(max_body_bytes=1000)
    body = json.dumps({"input": "a" * 1000}).encode()
    answer = client.post("/v1/embeddings", content=iter([body[:600], body[600:]]) if chunked else body)
    assert answer.status_code == 413 and "larger than 1,000 bytes" in answer.json()["error"]["message"]
    assert answer.headers["connection"] == "close"
    answer = client.post("/embed", content=body)
    assert answer.status_code == 413 and answer.json()["error_type"] == "Validation"


def test_a_packed_body_is_refused():
    headers = {"content-encoding": "gzip"}
    answer = client_of().post("/v1/embeddings", content=gzip.compress(b'{"input": "a"}'), headers=headers)
    assert answer.status_code == 415 and "Content-Encoding" in answer.json()["error"]["message"]


def test_a_body_is_refused_before_all_of_it_is_read():
    limits = Limits(Settings(max_body_bytes=10), lambda _: None)
    receive = messages(b"12345", b"67890", b"1", *[b"never read"] * 5)
    with pytest.raises(Unread) as caught:
        asyncio.run(limits.body({}, receive, time.monotonic() + 60))
    assert caught.value.status == 413
    assert asyncio.run(receive())["body"] == b"never read"
    told = {b"content-length": b"11"}
    with pytest.raises(Unread):
        asyncio.run(limits.body(told, messages(), time.monotonic() + 60))


def test_a_body_that_does_not_come_in_time_is_refused():
    limits = Limits(Settings(deadline_s=0.2), lambda _: None)
    for parts in ([b"all"], [b"1"] * 100):
        with pytest.raises(Unread) as caught:
            asyncio.run(
                limits.body({}, messages(*parts, seconds=0.1 if len(parts) > 1 else 60), time.monotonic() + 0.2)
            )
        assert caught.value.status == 408


def test_bodies_that_come_at_once_are_held_only_up_to_a_limit():
    limits = Limits(Settings(max_held_bytes=1400), lambda _: None)

    async def two():
        bodies = (limits.body({}, messages(b"x" * 500, b"x" * 500, seconds=0.05), time.monotonic() + 60) for _ in "ab")
        return await asyncio.gather(*bodies, return_exceptions=True)

    first, second = sorted(asyncio.run(two()), key=lambda each: isinstance(each, Exception))
    assert first == b"x" * 1000 and isinstance(second, Unread) and second.status == 429
    body = limits.body({}, messages(b"x" * 500, b"x" * 500), time.monotonic() + 60)
    assert len(asyncio.run(body)) == 1000


def test_a_full_queue_is_told_with_when_to_come_again():
    told: list[int] = []
    limits = Limits(Settings(max_waiting=2, threads=1), told.append)
    free = threading.Event()

    def work() -> Answer:
        free.wait(60)
        return Answer(b"done")

    async def three():
        until = time.monotonic() + 60
        running = [asyncio.create_task(limits.in_thread(work, 10, until)) for _ in "ab"]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError) as caught:
            await limits.in_thread(work, 10, until)
        assert caught.value.status == 429 and (b"retry-after", b"1") in caught.value.headers
        free.set()
        return await asyncio.gather(*running)

    assert [each.body for each in asyncio.run(three())] == [b"done"] * 2
    assert told == [1, 1, -1, -1]


def test_long_work_is_answered_in_time_and_keeps_its_place_until_it_ends():
    limits = Limits(Settings(max_waiting=1, threads=1), lambda _: None)
    free = threading.Event()

    async def late() -> None:
        for status in (503, 429):  # the thread is still at work
            with pytest.raises(RequestError) as caught:
                await limits.in_thread(lambda: Answer(b"%d" % free.wait(60)), 10, time.monotonic() + 0.1)
            assert caught.value.status == status
        free.set()
        while True:
            try:
                assert (await limits.in_thread(lambda: Answer(b"done"), 10, time.monotonic() + 60)).body == b"done"
                return
            except RequestError:
                await asyncio.sleep(0.01)

    asyncio.run(late())


def test_long_work_looks_at_the_clock():
    check_time(time.monotonic() + 60)
    with pytest.raises(RequestError):
        check_time(time.monotonic() - 1)
    client = client_of(deadline_s=1e-9)
    assert client.post("/v1/embeddings", json={"input": ["a" * 50] * 200}).status_code in (408, 503)


def test_a_key_is_asked_for_but_for_the_page_the_document_and_health(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# ours\nsk-one\n\n  sk-two  \r\n", encoding="utf-8")
    client = client_of(keys=read_keys(file))
    for key in ("sk-one", "sk-two"):
        assert client.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/v1/models", headers={"authorization": f"bearer  {key}"}).status_code == 200
    for wrong in (
        "Bearer sk-three",
        "Bearer sk-on",
        "Bearer # ours",
        "Bearer ",
        "Basic sk-one",
        "sk-one",
        "Bearer s\xe9",
    ):
        answer = client.post("/v1/embeddings", json={"input": "a"}, headers={"authorization": wrong.encode("latin-1")})
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "invalid_api_key"
    for path in ("/v1/models", "/metrics", "/info", "/nothing"):
        assert client.get(path).status_code == 401
    for path in ("/", "/health", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert client.post("/", json={"inputs": "a"}).json()["error_type"] == "Validation"


def test_keys_are_kept_as_digests(tmp_path):
    file = tmp_path / "keys"
    file.write_text("sk-one\n", encoding="utf-8")
    assert read_keys(file) == (digest_of(b"sk-one"),)
    for content, words in (("# none\n", "holds no key"), ("two words\n", "blank"), ("schlüssel\n", "ASCII")):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=words):
            read_keys(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_keys(tmp_path / "nothing")


def test_pages_of_other_origins_may_not_ask_unless_told():
    preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in client_of().options("/v1/embeddings", headers=preflight).headers
    client = client_of(origins=("https://a.example",), keys=(digest_of(b"k"),))
    headers = preflight | {"access-control-request-headers": "authorization,x-stainless-os"}
    answer = client.options("/v1/embeddings", headers=headers)
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://a.example"
    answer = client.post("/v1/embeddings", json={"input": "a"}, headers={"origin": "https://b.example"})
    assert answer.headers.get("access-control-allow-origin") != "https://b.example"


def test_what_is_served_has_names_of_its_own(tmp_path):
    with pytest.raises(InputError, match="two are served as 'a'; give one another name"):
        create_app(Settings(models=("a=potion-256d-minilm", "a=potion-256d-minilm")))
    with pytest.raises(InputError, match="no such folder"):
        create_app(Settings(models=(str(tmp_path / "nothing"),)))


def test_the_access_log_is_json_and_holds_no_text(capsys):
    with client_of(access_log=True) as client:
        client.post("/v1/embeddings?secret=1", json={"input": "secret", "model": "secret"})
        client.get("/" + "é" * 1000)
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert "secret" not in json.dumps(first)
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/embeddings", 404)
    assert first["ms"] > 0 and first["sent_bytes"] > 0 and first["time"].endswith("Z")
    assert second["status"] == 404 and len(second["path"]) == 200
