"""`edge-potion serve` as a process: how it starts, how it ends, and what its workers share."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import pytest

SECONDS = 60  # far more than anything here takes
TABLE = "text_quantized.onnx"
TABLE_KB = 6000  # less than the built-in model's table
COMMAND = [sys.executable, "-m", "edge_potion", "serve", "--port", "0"]
Process = subprocess.Popen[str]


@contextmanager
def served(*words: str) -> Iterator[tuple[Process, str]]:
    """A server on a free port, and its URL."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("serving on http://127.0.0.1:"), line + process.stderr.read()
        url = line.split()[-1]
        assert json.load(urlopen(url + "/health", timeout=SECONDS)) == {"status": "ok"}
        yield process, url
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=SECONDS)


def ask(url: str, **asked: object) -> dict:
    request = Request(url + "/v1/embeddings", json.dumps(asked).encode())
    return json.load(urlopen(request, timeout=SECONDS))


def refused(*words: str) -> str:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1 and done.stdout == "", done.stderr
    return done.stderr.splitlines()[-1]


def workers_of(process: Process) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_it_serves_until_sigterm_and_ends_with_0(edge_model):
    with served() as (process, url):
        (each,) = ask(url, input="bread", encoding_format="base64")["data"]
        assert np.array_equal(np.frombuffer(base64.b64decode(each["embedding"]), "<f4"), edge_model.encode("bread"))
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        lines = [json.loads(line) for line in stderr.splitlines()]
        assert [line["path"] for line in lines] == ["/health", "/v1/embeddings"]


def test_ctrl_c_ends_it_with_130_and_nothing_is_logged_unless_asked_for():
    with served("--access-log", "none") as (process, url):
        ask(url, input="bread")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=SECONDS)
        assert (process.returncode, stderr) == (130, "")


def test_what_is_no_http_is_refused_in_the_shape_of_other_errors():
    with served("--access-log", "none") as (_, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), SECONDS) as line:
            line.sendall(b"HELLO\r\n\r\n")
            head, _, body = b"".join(iter(lambda: line.recv(65536), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and json.loads(body)["error"]["code"] == "invalid_http"
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), SECONDS) as line:
            with suppress(OSError):
                line.sendall(b"GET / HTTP/1.1\r\n")
                for _ in range(10_000):
                    line.sendall(b"x: %s\r\n" % (b"y" * 1000))
            with suppress(ConnectionResetError):
                assert line.recv(1) == b""


def test_who_has_no_key_reads_so_after_a_long_body(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("sk-one", encoding="utf-8")
    with served("--access-log", "none", "--api-key-file", str(keys)) as (_, url):
        request = Request(url + "/v1/embeddings", b"x" * 5_000_000)
        with pytest.raises(HTTPError, match="401"):
            urlopen(request, timeout=SECONDS)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_serves_on_where_nobody_reads_its_log(workers):
    with served("--workers", workers) as (process, url):
        process.stderr.close()
        for _ in range(300):
            assert ask(url, input="bread")["data"]
        process.terminate()
        assert process.wait(SECONDS) == 0
        process.stderr = None


def test_quiet_workers_write_nothing():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [*COMMAND[:-1], port, "--workers", "2", "-q"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                assert ask(f"http://127.0.0.1:{port}", input="bread")["data"]
                break
            except URLError:
                time.sleep(0.1)
        process.terminate()
        assert process.communicate(timeout=SECONDS)[1] == "" and process.returncode == 0


def test_what_is_at_work_is_answered_after_sigterm_and_nobody_else():
    with served("--access-log", "none") as (process, url):
        port = int(url.rpartition(":")[2])
        body = json.dumps({"input": ["bread"] * 10}).encode()
        with socket.create_connection(("127.0.0.1", port), SECONDS) as half:
            half.sendall(
                b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:9]
            )
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:  # until it listens no more
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                except OSError:
                    break
                time.sleep(0.05)
            half.sendall(body[9:])
            head, _, rest = b"".join(iter(lambda: half.recv(65536), b"")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ") and b"connection: close" in head
            assert len(json.loads(rest)["data"]) == 10
        assert process.wait(SECONDS) == 0


def test_workers_share_the_table_count_together_and_are_replaced():
    with served("--workers", "3", "--access-log", "none") as (process, url):
        end = time.monotonic() + SECONDS
        workers = workers_of(process)
        while [_mapped_kb(pid, TABLE) for pid in workers] != [(0, True)] * 3:  # until each has opened the model
            assert time.monotonic() < end
            time.sleep(0.1)
            workers = workers_of(process)
        threads = [threading.Thread(target=ask, args=(url,), kwargs={"input": "bread"}) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = re.search(r'requests_total\{path="/v1/embeddings",status="200"\} (\d+)', _metrics(url))
        assert found and int(found[1]) == 30
        assert [_mapped_kb(pid, TABLE)[0] for pid in workers] == [0] * 3  # after they have read it, too

        os.kill(workers[0], signal.SIGKILL)
        while workers[0] in workers_of(process) or len(workers_of(process)) < 3:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert ask(url, input="bread")["data"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_workers_end_with_their_supervisor_however_that_ends():
    with served("--workers", "2", "--access-log", "none") as (process, _):
        workers = workers_of(process)
        assert len(workers) == 2
        process.kill()
        process.wait(SECONDS)
        end = time.monotonic() + SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < end
            time.sleep(0.1)


def _metrics(url: str) -> str:
    return urlopen(url + "/metrics", timeout=SECONDS).read().decode()


def _mapped_kb(pid: int, name: str) -> tuple[int, bool]:
    """Of a file that a process maps: how much it holds for itself alone, and whether it maps the whole table."""
    own, size, counted = 0, 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            counted = line.endswith(name)
        elif counted and first == "Size:":
            size += int(rest[0])
        elif counted and first == "Private_Dirty:":
            own += int(rest[0])
    return own, size > TABLE_KB


def test_what_cannot_be_served_is_told_in_a_line(tmp_path):
    assert refused("--model", "nothing/here/") == "error: no such folder: nothing/here/"
    assert refused("--model", "nothing/here/", "--workers", "2") == "error: no such folder: nothing/here/"
    assert str(tmp_path) in refused("--index", str(tmp_path))
    assert "the keys cannot be read" in refused("--api-key-file", str(tmp_path / "keys"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = (
            f"error: cannot listen on 127.0.0.1 port {port}: Address already in use; choose others by --host and --port"
        )
        assert refused("--port", port) == told
    for host in ("203.0.113.1", "no such host"):
        assert f"cannot listen on {host} port 0" in refused("--host", host)


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_it_listens_where_it_is_told(host):
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with suppress(OSError), socket.socket(family) as probe:
        probe.bind((host, 0))
        process = subprocess.Popen([*COMMAND, "--host", host], stderr=subprocess.PIPE, text=True)
        try:
            url = process.stderr.readline().split()[-1]
            assert url.startswith("http://[::1]:" if host == "::1" else "http://localhost:")
            assert json.load(urlopen(url + "/health", timeout=SECONDS)) == {"status": "ok"}
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)
        return
    pytest.skip(f"this machine has no {host}")


def test_without_the_extra_the_pip_line_is_told():
    script = """
import importlib.machinery, sys
real = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: None if name == "starlette" else real(name, *rest)
from edge_potion.cli import main
sys.argv = ["edge-potion", "serve"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 1
    assert done.stderr == "error: serving needs starlette: pip install 'edge-potion[serve]'\n"
