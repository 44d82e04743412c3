"""Clients that mean no good, or do not know better, by plain sockets: nothing hangs or leaks, no vector is wrong."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from edge_potion import EdgeModel

from ..models import CHECKOUT, DATA
from .raw_http import EMBEDDINGS, Answer, Connection, ask, asked, request
from .running import Running, about, running

TEXTS = DATA.read_text(encoding="utf-8").splitlines()
DEADLINE_S = 2  # of the server that slow clients meet
PATIENCE_S = 90  # of a test with slow clients, which have half a minute for a head
SOON_S = 20  # by when something with this deadline must be over, on a busy machine
BODY_LIMIT_MIB = 1
MB = 10**6
KEYS = ("sk-that-nobody-guesses", "sk-another-one")
LOAD = CHECKOUT / "benchmarks" / "studies" / "serve_load.lua"
GROWTH_KB = 8_000  # that memory may vary by; a leak of 100 bytes a request is 100,000 kB in a million


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    """One worker with the limits that it comes with."""
    with running(tmp_path_factory.mktemp("server") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory) -> Iterator[Running]:
    """One that takes little and waits little."""
    limits = ("--deadline", DEADLINE_S, "--max-body", BODY_LIMIT_MIB)
    with running(tmp_path_factory.mktemp("strict") / "log", *limits) as server:
        yield server


@pytest.fixture(scope="module")
def edge_model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.mark.slow
def test_clients_that_take_their_time_are_closed(strict, edge_model):
    """Each sends as slowly as it likes, and most read nothing: in the end the server has closed all of them."""
    whole = request(asked("a"))
    head = whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    large = request(asked(TEXTS[:256], encoding_format="float"))
    slow: dict[str, tuple[bytes, Iterator[bytes]]] = {  # what is sent at once, and what now and then
        "nothing at all": (b"", iter(())),
        "a head byte by byte": (b"", letters(whole)),
        "a head without end": (b"GET /health HTTP/1.1\r\n", repeat(b"X: y\r\n")),
        "a body byte by byte": (head, letters(whole[len(head) :])),
        "half a body": (whole[:-5], iter(())),
        "chunks without end": (request(headers={"Transfer-Encoding": "chunked"}), repeat(b"1\r\n \r\n")),
        "a body that is too large": (request(headers={"Content-Length": str(100 * MB)}), repeat(b"x")),
        "empty lines": (b"", repeat(b"\r\n")),
        "a request, and nothing more": (whole, iter(())),
        "a request, then empty lines": (whole, repeat(b"\r\n")),
        "a request, then a head byte by byte": (whole, letters(whole)),
        "requests whose answers it does not take": (large * 20, iter(())),
        "requests again and again, likewise": (large, repeat(large)),
    }
    connections = {name: Connection(strict.port) for name in slow}
    try:
        for name, connection in connections.items():
            connection.socket.setblocking(False)
            send_if_open(connection, slow[name][0])
        ports = {name: connection.socket.getsockname()[1] for name, connection in connections.items()}
        end = time.monotonic() + PATIENCE_S
        while still := [name for name, port in ports.items() if port in strict.callers()]:
            assert time.monotonic() < end, still
            time.sleep(0.5)
            for name in still:
                send_if_open(connections[name], next(slow[name][1], b""))
            well(strict, edge_model)  # others are served meanwhile
    finally:
        for connection in connections.values():
            connection.vanish()


def test_a_client_that_takes_an_answer_slowly_but_takes_it_gets_all_of_it(server, edge_model):
    many = (TEXTS * 7)[:4096]
    with Connection(server.port) as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # little waits on the way
        slow.send(request(asked(many, encoding_format="float")))
        parts = [slow.socket.recv(65_536)]
        size = int(re.search(rb"content-length: (\d+)", parts[0], re.IGNORECASE)[1])
        assert size > 10 * MB
        while sum(map(len, parts)) < size:
            time.sleep(0.06)  # a megabyte a second
            parts.append(slow.socket.recv(65_536))
            assert parts[-1], f"hung up on after {sum(map(len, parts)):,} bytes"
    vectors = [one["embedding"] for one in json.loads(b"".join(parts).partition(b"\r\n\r\n")[2])["data"]]
    found = np.array(vectors, np.float64).astype(np.float32)
    assert np.array_equal(found.view(np.uint32), edge_model.encode(many).view(np.uint32))


def test_a_body_of_which_half_comes_is_answered_or_closed_by_the_deadline(strict, edge_model):
    whole = request(asked("a cat sleeps"))
    with Connection(strict.port, SOON_S) as half:
        half.send(whole[:-10])
        answer = half.answer()
        assert answer is None or answer.status == 408
    for cut in range(1, len(whole), 7):
        with Connection(strict.port) as gone:
            gone.send(whole[:cut])
            gone.vanish()
    well(strict, edge_model)


def test_a_client_that_goes_away_in_the_middle_of_an_answer_takes_nothing_with_it(server, edge_model):
    many = request(asked(TEXTS[:256], encoding_format="float"))
    before = server.resident_kb()
    for _ in range(100):
        with Connection(server.port) as gone:
            gone.send(many)
            assert gone.socket.recv(1)
            gone.vanish()
    for _ in range(20):
        with Connection(server.port) as gone:
            gone.send(many)
            gone.vanish()
    well(server, edge_model)
    assert server.resident_kb() - before < 50_000  # an answer is a megabyte


def test_a_thousand_idle_connections_are_in_nobodys_way(server, edge_model):
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if min(allowed, most) < 1100 and most < 1100:
        pytest.skip("the system does not allow a thousand connections to one process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, min(most, 2000)), most))
    idle: list[Connection] = []
    try:
        for number in range(1000):
            connection = Connection(server.port)
            idle.append(connection)
            if number % 2:
                connection.send(b"POST /v1/embeddings HTTP/1.1\r\nHost: loc")
        for _ in range(20):
            well(server, edge_model)
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


@pytest.mark.parametrize("chunked", [False, True], ids=["of a length", "in chunks"])
def test_a_body_of_100_mb_is_refused_before_it_is_whole(server, edge_model, chunked):
    """Whether its head tells how large it is, or not; and whoever goes on sending it fills no memory."""
    size = 100 * MB
    head = request(headers={"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)})
    part = b"x" * 65536
    framed = b"%x\r\n%s\r\n" % (len(part), part) if chunked else part
    before = server.resident_kb()
    for obeys in (True, True, False, False):
        sent = 0
        with Connection(server.port) as connection, suppress(BrokenPipeError, ConnectionResetError):
            connection.send(head)
            while sent < size and not (obeys and connection.has_answer()):
                connection.send(framed)
                sent += len(part)
            if obeys:
                answer = connection.answer()
                assert answer is not None and sent < size / 2
                is_error(answer, 413)
                assert connection.answer() is None  # closed
    well(server, edge_model)
    assert server.resident_kb() - before < 50_000


def test_a_chunked_body_is_read_whatever_its_chunks(server, edge_model):
    body = asked("a cat sleeps", encoding_format="base64")
    for size in (1, 7, len(body)):
        parts = [body[begin : begin + size] for begin in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        answer = ask(server.port, request(headers={"Transfer-Encoding": "chunked"}) + chunks)
        same(answer, edge_model.encode(["a cat sleeps"]))


@pytest.mark.parametrize(
    "lengths",
    [
        ("-1",),
        ("x",),
        ("0x10",),
        ("99999999999999999999999",),
        ("5", "6"),
    ],
    ids=str,
)
def test_a_length_that_is_no_length_is_refused(server, edge_model, lengths):
    said = "".join(f"Content-Length: {length}\r\n" for length in lengths)
    answer = ask(server.port, f"POST {EMBEDDINGS} HTTP/1.1\r\nHost: a\r\n{said}\r\n".encode() + asked("a"))
    assert answer is None or answer.status in (400, 413)
    well(server, edge_model)


def test_two_framings_of_a_body_are_not_followed(server, edge_model):
    """What a proxy in front might cut otherwise."""
    smuggled = request(b"", "/health", "GET")
    body = b"0\r\n\r\n" + smuggled
    head = request(headers={"Content-Length": str(len(body)), "Transfer-Encoding": "chunked"})
    with Connection(server.port, SOON_S) as connection:
        connection.send(head + body)
        answer = connection.answer()
        assert answer is None or answer.status == 400
    well(server, edge_model)


def test_a_length_that_is_too_short_spoils_that_connection_only(server, edge_model):
    body = asked("a")
    for short in (0, 1, len(body) - 1):
        answer = ask(server.port, request(body, headers={"Content-Length": str(short)}))
        assert answer is None or answer.status == 400
    well(server, edge_model)


DEEP = 100_000
NO_QUESTIONS = {
    "nothing": b"",
    "no JSON": b"input=a",
    "cut off": b'{"input": "a"',
    "two values": b'{"input": "a"} {}',
    "no UTF-8": b'{"input": "\xff\xfe"}',
    "an overlong NUL": b'{"input": "\xc0\x80"}',
    "half a pair in UTF-8": b'{"input": "\xed\xa0\x80"}',
    "UTF-16": '{"input": "a"}'.encode("utf-16"),
    "deep lists": b'{"input": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"input": "a", "more": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "only brackets": b"[" * DEEP,
    "a list": b'["a"]',
    "a string": b'"a"',
    "null": b"null",
    "an input of null": b'{"input": null}',
    "an input of true": b'{"input": true}',
    "an input of a number": b'{"input": 1e400}',
    "an input of an object": b'{"input": {"text": "a"}}',
    "an input of mixed kinds": b'{"input": ["a", 1]}',
    "an input of lists of strings": b'{"input": [["a"]]}',
    "no input": b"{}",
    "an empty list": b'{"input": []}',
    "a dimension of 5,000 digits": b'{"input": "a", "dimensions": ' + b"9" * 5000 + b"}",
    "a dimension of infinity": b'{"input": "a", "dimensions": 1e999}',
    "a dimension of NaN": b'{"input": "a", "dimensions": NaN}',
    "a dimension that is negative": b'{"input": "a", "dimensions": -1}',
    "a dimension in words": b'{"input": "a", "dimensions": "sixty"}',
    "a format of a list": b'{"input": "a", "encoding_format": []}',
    "a model of an object": b'{"input": "a", "model": {}}',
}


@pytest.mark.parametrize("body", NO_QUESTIONS.values(), ids=NO_QUESTIONS)
def test_what_is_no_question_is_refused_and_told_why(server, edge_model, body):
    answer = ask(server.port, request(body))
    assert answer is not None
    is_error(answer, 400)
    well(server, edge_model)


def test_numbers_that_nobody_asked_for_do_no_harm(server):
    for number in (b"1e400", b"-1e400", b"9" * 4000, b"NaN", b"1e-400"):
        answer = ask(server.port, request(b'{"input": "a", "user": ' + number + b"}"))
        assert answer is not None and answer.status in (200, 400)


def test_half_a_surrogate_pair_is_embedded_as_encode_does_or_refused(server, edge_model):
    for text in ("\ud800 alone", "last \udfff", "\udc00\ud800", ["a", "\ud83d"]):
        answer = ask(server.port, request(asked(text, encoding_format="base64")))
        assert answer is not None
        if answer.status == 200:
            same(answer, edge_model.encode([text] if isinstance(text, str) else text))
        else:
            is_error(answer, 400)


def test_odd_texts_get_the_bits_of_encode(server, edge_model):
    odd = ["\0", "a\0b", "\ufeff", "\uffff", "x" * 100_000, " ", "\n", "🙂 " * 700]
    same(ask(server.port, request(asked(odd, encoding_format="base64"))), edge_model.encode(odd))


def test_requests_that_are_sent_at_once_are_answered_in_their_order(server, edge_model):
    texts = TEXTS[:50]
    with Connection(server.port) as connection:
        connection.send(b"".join(request(asked(text, encoding_format="base64")) for text in texts))
        for text in texts:
            same(connection.answer(), edge_model.encode([text]))


def test_a_client_that_asks_before_it_sends_is_told_to_go_on_or_not_to(server, edge_model):
    body = asked("a cat sleeps", encoding_format="base64")
    with Connection(server.port) as connection:
        connection.send(request(headers={"Expect": "100-continue", "Content-Length": str(len(body))}))
        interim = connection.answer()
        assert interim is not None and interim.status == 100
        connection.send(body)
        same(connection.answer(), edge_model.encode(["a cat sleeps"]))
    answer = ask(server.port, request(headers={"Expect": "100-continue", "Content-Length": str(100 * MB)}))
    assert answer is not None
    is_error(answer, 413)


def test_clients_of_http_1_0_are_answered_and_hung_up_on(server, edge_model):
    body = asked("a cat sleeps", encoding_format="base64")
    for version, more in ((b"1.0", {}), (b"1.1", {"Connection": "close"})):
        with Connection(server.port) as connection:
            connection.send(request(body, headers=more).replace(b"HTTP/1.1", b"HTTP/" + version))
            same(connection.answer(), edge_model.encode(["a cat sleeps"]))
            assert connection.answer() is None


def test_unknown_paths_and_methods_are_told_so(server, edge_model):
    for path in ("/nothing", "/v1/", "/v1/embeddings/x", "//v1/embeddings", "/v1/models/", "/%00", "/" + "a" * 5000):
        answer = ask(server.port, request(asked("a"), path))
        assert answer is not None and answer.status in (404, 405, 414), path
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW"):
        answer = ask(server.port, request(b"", EMBEDDINGS, method))
        assert answer is None or answer.status in (400, 404, 405, 501), method
    well(server, edge_model)


@pytest.mark.parametrize(
    "line",
    [
        b"\0" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: nameless\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=range(12),
)
def test_what_is_no_http_is_refused_or_closed(strict, edge_model, line):
    with Connection(strict.port, SOON_S) as connection:
        send_if_open(connection, line)
        answer = connection.answer()
        assert answer is None or answer.status < 500
    well(strict, edge_model)


@pytest.mark.parametrize(
    "name", ["..", "../../../etc/passwd", "/etc/passwd", "..\\..\\x", "\0", "a/../../b", "%2e%2e%2f", "http://a/b", "~"]
)
def test_a_name_from_a_request_is_never_a_path(server, edge_model, name):
    escaped = quote(name, safe="")
    for path in (f"/v1/models/{escaped}", f"/v1/models/{quote(name)}", f"/{quote(name)}", f"/search/{escaped}"):
        answer = ask(server.port, request(b"", path, "GET"))
        assert answer is not None and answer.status in (400, 404, 405) and b"root:" not in answer.body, path
    questions = {
        EMBEDDINGS: {"input": "a", "model": name},
        "/v1/classify": {"input": "a", "model": name},
        "/search": {"query": "a", "index": name, "model": name},
        "/v1/rerank": {"query": "a", "documents": ["b"], "index": name, "model": name},
    }
    for path, question in questions.items():
        answer = ask(server.port, request(json.dumps(question).encode(), path))
        assert answer is not None and answer.status in (400, 404, 422) and b"root:" not in answer.body, path
    well(server, edge_model)


def test_requests_in_flight_are_answered_after_sigterm(tmp_path, edge_model):
    with running(tmp_path / "log") as server, ThreadPoolExecutor(4) as clients:
        texts = [TEXTS[begin:] * 4 for begin in range(4)]
        whole = request(asked(TEXTS[:9], encoding_format="base64"))
        with Connection(server.port) as half:
            half.send(whole[:-9])
            time.sleep(0.5)  # it has begun to read
            bodies = [request(asked(some, encoding_format="base64")) for some in texts]
            answers = [clients.submit(ask, server.port, body) for body in bodies]
            time.sleep(0.1)  # sent, if not answered
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            half.send(whole[-9:])
            same(half.answer(), edge_model.encode(TEXTS[:9]))
        for some, answer in zip(texts, answers, strict=True):
            same(answer.result(), edge_model.encode(some))
        assert server.process.wait(SOON_S) == 0


def test_clients_that_take_their_time_do_not_keep_it_from_ending(tmp_path):
    with running(tmp_path / "log", "--deadline", DEADLINE_S) as server:
        whole = request(asked("a"))
        slow = [Connection(server.port) for _ in range(4)]
        for connection, begin in zip(slow, (b"", whole[:9], whole[:-5], whole), strict=True):
            connection.send(begin)
        slow[-1].answer()
        assert server.stop() == 0
        for connection in slow:
            connection.close()


def test_no_worker_outlives_what_started_it(tmp_path):
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        with running(tmp_path / "log", "--workers", 2) as server:
            workers = until_there_are(2, server)
            server.process.send_signal(signal_)
            server.process.wait(SOON_S)
            end = time.monotonic() + SOON_S
            while any(about(pid, "cmdline") for pid in workers):
                assert time.monotonic() < end, f"a worker goes on after {signal_.name}"
                time.sleep(0.1)


def test_a_worker_that_is_killed_is_replaced_while_others_go_on(tmp_path, edge_model):
    with running(tmp_path / "log", "--workers", 2) as server:
        for _ in range(3):
            workers = until_there_are(2, server)
            os.kill(workers[0], signal.SIGKILL)
            for _ in range(20):  # the system may have given a connection to the one that is gone
                answer = ask_again(server.port, request(asked(TEXTS[:9], encoding_format="base64")))
                same(answer, edge_model.encode(TEXTS[:9]))
            assert workers[0] not in until_there_are(2, server)
        assert server.stop() == 0


def test_a_full_queue_is_told_when_to_come_again(tmp_path, edge_model):
    with running(tmp_path / "log", "--max-waiting", 2) as server, ThreadPoolExecutor(32) as clients:
        body = request(asked(TEXTS[:1000], encoding_format="base64"))
        answers = list(clients.map(lambda _: ask(server.port, body), range(96)))
        assert all(answers)
        refused = [answer for answer in answers if answer is not None and answer.status == 429]
        assert refused and len(refused) < len(answers)
        for answer in answers:
            assert answer is not None
            if answer.status == 429:
                is_error(answer, 429)
                assert int(answer.headers["retry-after"]) >= 1
            else:
                same(answer, edge_model.encode(TEXTS[:1000]))
        well(server, edge_model)


def test_whoever_has_no_key_gets_nothing(tmp_path, edge_model):
    (tmp_path / "keys").write_text("\n".join(KEYS) + "\n")
    with running(tmp_path / "log", "--api-key-file", tmp_path / "keys") as server:
        first, second = KEYS
        keys = ["", first[:-1], f"{first}x", first.upper(), f"{first} {second}", f"{first},{second}", "\xff\xfe", "#"]
        said = [f"Bearer {key}" for key in [*keys, "x" * 10_000]]
        said += ["", "Bearer", first, f"Basic {base64.b64encode(first.encode()).decode()}", f"Token {first}"]
        for header in said:
            for path in (EMBEDDINGS, "/embed", "/", "/v1/rerank", "/search", "/v1/classify"):
                answer = ask(server.port, request(asked("a"), path, headers={"Authorization": header}))
                assert answer is not None and answer.status == 401, (path, header)
                assert first.encode() not in answer.body
        for path in ("/v1/models", "/metrics", "/info"):
            answer = ask(server.port, request(b"", path, "GET"))
            assert answer is not None and answer.status == 401, path
        for key in KEYS:
            well(server, edge_model, key)
        assert not any(key in server.log.read_text() for key in KEYS)


def test_clients_at_the_same_time_each_get_their_own_vectors(tmp_path, edge_model):
    with running(tmp_path / "log", "--workers", 2) as server, ThreadPoolExecutor(16) as clients:
        wrong = list(clients.map(lambda number: wrong_vectors(server.port, edge_model, number, calls=100), range(16)))
        assert wrong == [0] * 16


def test_memory_is_flat_over_20_000_requests(tmp_path):
    with running(tmp_path / "log") as server:
        load(server.port, 4_000)  # until all is allocated that stays
        before = server.resident_kb()
        load(server.port, 20_000)
        assert server.resident_kb() - before < GROWTH_KB


@pytest.mark.slow
def test_memory_is_flat_over_a_million_requests(tmp_path, edge_model):
    if not shutil.which("wrk"):
        pytest.skip("wrk is not installed: `make load`")
    bodies = tmp_path / "bodies"
    bodies.write_bytes(b"".join(asked(text, encoding_format="base64") + b"\n" for text in TEXTS))
    with running(tmp_path / "log", "--access-log", "none") as server:
        by_wrk(server.port, bodies, 50_000)  # until all is allocated that stays
        before = server.resident_kb()
        answered = 0
        while answered < 1_000_000:
            answered += by_wrk(server.port, bodies, 100_000)
            assert server.resident_kb() - before < GROWTH_KB, f"after {answered:,} requests"
        assert wrong_vectors(server.port, edge_model, 0, calls=100) == 0


def load(port: int, requests: int, clients: int = 8) -> None:
    """Texts one by one, lists, and errors, over connections that stay open."""
    bodies = [request(asked(text)) for text in TEXTS[:30]] + [request(asked(TEXTS[:32])), request(b"{}")]

    def one(number: int) -> None:
        with Connection(port) as connection:
            for place in range(requests // clients):
                connection.send(bodies[(place + number) % len(bodies)])
                answer = connection.answer()
                assert answer is not None and answer.status in (200, 400)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(one, range(clients)))


def by_wrk(port: int, bodies: Path, requests: int) -> int:
    """About as many of one text each by 64 connections; how many were answered, all of them well."""
    answered, seconds = 0, 5
    while answered < requests:
        command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", LOAD, f"http://127.0.0.1:{port}{EMBEDDINGS}"]
        done = subprocess.run(
            [*command, "--", bodies], capture_output=True, text=True, check=True, timeout=20 * seconds
        )
        said = json.loads(done.stdout.splitlines()[-1])
        assert said["failed"] == 0, said
        answered += said["answered"]
    return answered


def wrong_vectors(port: int, edge_model: EdgeModel, number: int, calls: int) -> int:
    """How many of the vectors that one client gets for its own texts are not those of encode."""
    chance = np.random.default_rng(number)
    mine = [TEXTS[place] for place in chance.permutation(len(TEXTS))]
    expected = edge_model.encode(mine)
    wrong = 0
    with Connection(port) as connection:
        for _ in range(calls):
            begin = int(chance.integers(len(mine)))
            some = slice(begin, begin + int(chance.choice([1, 2, 9, 100])))  # of short bodies and of long ones
            connection.send(request(asked(mine[some], encoding_format="base64")))
            wrong += not np.array_equal(vectors_of(connection.answer()).view(np.uint32), expected[some].view(np.uint32))
    return wrong


def well(server: Running, edge_model: EdgeModel, key: str = "") -> None:
    """It answers somebody who does all as it should be, with the right vectors."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = ask(server.port, request(asked(TEXTS[:3], encoding_format="base64"), headers=headers))
    same(answer, edge_model.encode(TEXTS[:3]))


def same(answer: Answer | None, expected: np.ndarray) -> None:
    found = vectors_of(answer)
    assert found.shape == expected.shape
    assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


def vectors_of(answer: Answer | None) -> np.ndarray:
    """(N, D) f32 of an answer in base64."""
    assert answer is not None and answer.status == 200, answer
    data = answer.json["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return np.stack([np.frombuffer(base64.b64decode(one["embedding"], validate=True), "<f4") for one in data])


def is_error(answer: Answer, status: int) -> None:
    """In OpenAI's shape, with a line that says what was wrong."""
    assert answer.status == status, answer
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"] and error["type"]
    assert "Traceback" not in error["message"]


def send_if_open(connection: Connection, content: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
        connection.send(content)


def ask_again(port: int, content: bytes) -> Answer | None:
    """As clients do: once more where the connection broke."""
    for _ in range(3):
        try:
            if answer := ask(port, content):
                return answer
        except OSError:
            time.sleep(0.1)
    return None


def until_there_are(count: int, server: Running) -> list[int]:
    """The workers, once there are as many."""
    end = time.monotonic() + 2 * SOON_S
    while len(workers := server.workers()) != count:
        assert time.monotonic() < end, f"there are {len(workers)} workers, not {count}"
        time.sleep(0.1)
    return workers


def letters(content: bytes) -> Iterator[bytes]:
    """One by one."""
    return (content[place : place + 1] for place in range(len(content)))
