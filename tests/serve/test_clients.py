"""Clients that people have, over loopback: each gets the vectors of `EdgeModel.encode`, bit by bit, and clear errors.

They share an environment of their own, which the headers of clients/*.py name; that of Node is clients/package.json.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_potion import EdgeModel
from edge_potion.benchmarks.speed import environments

from ..models import CHECKOUT, DATA
from ..peers import BUILT
from .running import Running, running

CLIENTS = CHECKOUT / "tests" / "serve" / "clients"
KEY = "sk-that-only-this-test-knows"
FLAG = "check_embedding_ctx_length=False"
DIMENSIONS = 64
BATCH = 2048  # texts that OpenAI's service takes in a call
CLIENT_S = 240  # the imports of some take most of it when the machine is busy
SENTENCES = DATA.read_text(encoding="utf-8").splitlines()
TEXTS = [
    *SENTENCES[:20],
    "naïve café, NAI\u0308VE CAFE\u0301",
    "日本語のテキスト 中文 한국어 لا شيء",
    "👩‍👩‍👧 ☃ \U0001f600",
    'quotes " and \\ and </script>',
    "\u2028lines\u2029 \x7f\u0085 \ufeff",
    "word " * 2000,
]
SHELF = ["Bread rises slowly in the cold.", "The stock market fell today.", "My cat sleeps all day."]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    keys = folder / "keys"
    keys.write_text(f"{KEY}\n")
    with running(folder / "log", "--api-key-file", keys) as server:
        yield server


@pytest.fixture(scope="module")
def edge_model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.fixture(scope="module")
def asked(server) -> dict[str, Any]:
    """What every client is told."""
    (model,) = server.get("/v1/models", authorization=f"Bearer {KEY}")["data"]
    return {"url": server.url, "key": KEY, "model": model["id"], "texts": TEXTS, "dimensions": DIMENSIONS}


@pytest.mark.peers
def test_the_official_client_gets_the_bits_of_encode_in_every_way_it_has(asked, edge_model):
    batch = (SENTENCES * (BATCH // len(SENTENCES) + 1))[:BATCH]
    answer = by("by_openai", {**asked, "batch": batch})
    same(answer["by default"], edge_model.encode(TEXTS))
    same(answer["one"], edge_model.encode(TEXTS[:1]))
    same(answer["float"], edge_model.encode(TEXTS))
    same([decoded(vector) for vector in answer["base64"]], edge_model.encode(TEXTS))
    same(answer["dimensions"], edge_model.encode(TEXTS, truncate_dim=DIMENSIONS))
    same(answer["dimensions as float"], edge_model.encode(TEXTS, truncate_dim=DIMENSIONS))
    same(answer["batch"], edge_model.encode(batch))
    same(answer["at the same time"], edge_model.encode(TEXTS))
    same(answer["a user is named"], edge_model.encode(TEXTS[:1]))
    assert answer["models"] == [answer["model"]] == [asked["model"]]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > len(TEXTS)


@pytest.mark.peers
def test_the_official_client_raises_the_classes_that_it_has_for_errors(asked):
    errors = by("by_openai", {**asked, "texts": TEXTS[:1], "batch": TEXTS[:1]})["errors"]
    assert {name: error["class"] for name, error in errors.items()} == {
        "wrong key": "AuthenticationError",
        "token ids": "BadRequestError",
        "lists of token ids": "BadRequestError",
        "nothing": "BadRequestError",
        "dimensions": "BadRequestError",
        "no dimensions": "BadRequestError",
        "format": "BadRequestError",
        "model": "NotFoundError",
        "too large": "APIStatusError",
        "path": "NotFoundError",
    }
    for error in errors.values():
        assert error["type"] and error["body"]["message"], error  # OpenAI's shape, or the client had read no type
    assert FLAG in errors["token ids"]["message"] and FLAG in errors["lists of token ids"]["message"]
    assert errors["dimensions"]["param"] == "dimensions"
    assert errors["too large"]["status"] == 413


@pytest.mark.peers
def test_the_official_client_comes_again_where_the_queue_is_full(tmp_path):
    with running(tmp_path / "log", "--max-waiting", "1") as server:
        (model,) = server.get("/v1/models")["data"]
        calls = {"flood": 20, "texts": SENTENCES * 3}
        answer = by("by_openai", {"url": server.url, "key": "none", "model": model["id"], **calls})
    assert set(answer["once"]) == {"answered", "RateLimitError"}
    assert answer["again"] == {"answered": 20}


@pytest.mark.browser
def test_the_official_client_in_node_gets_the_bits_of_encode_and_its_classes_of_errors(asked, edge_model, tmp_path):
    answer = by_node({**asked}, tmp_path)
    same(answer["by default"], edge_model.encode(TEXTS))
    same(answer["float"], edge_model.encode(TEXTS))
    same(answer["dimensions"], edge_model.encode(TEXTS, truncate_dim=DIMENSIONS))
    same(answer["at the same time"], edge_model.encode(TEXTS))
    assert answer["models"] == [asked["model"]]
    assert {name: error["class"] for name, error in answer["errors"].items()} == {
        "wrong key": "AuthenticationError",
        "token ids": "BadRequestError",
        "dimensions": "BadRequestError",
        "too large": "APIError",
        "path": "NotFoundError",
    }
    assert FLAG in answer["errors"]["token ids"]["message"]
    assert answer["errors"]["too large"]["status"] == 413


@pytest.mark.peers
def test_langchain_with_the_flag_gets_the_bits_of_encode(asked, edge_model):
    answer = by("by_langchain", asked)
    for way in ("documents", "query", "by twos", "async"):
        same(answer[way], edge_model.encode(TEXTS))
    same(answer["dimensions"], edge_model.encode(TEXTS, truncate_dim=DIMENSIONS))


@pytest.mark.peers
def test_langchain_that_sends_token_ids_is_told_the_flag(asked):
    for error in by("by_langchain", {**asked, "by": "token ids"}).values():
        assert error["class"] == "openai.BadRequestError"
        assert FLAG in error["message"]


@pytest.mark.peers
def test_langchain_by_its_defaults_needs_the_network_before_it_asks_us(asked):
    """tiktoken fetches a vocabulary for a model that it does not know: where it can, our answer names the flag."""
    for error in by("by_langchain", {**asked, "by": "defaults"}).values():
        if error["class"].startswith("requests."):
            assert "cl100k_base" in error["message"]  # what it wanted to fetch
        else:
            assert FLAG in error["message"]


@pytest.mark.peers
def test_llama_index_gets_the_bits_of_encode_and_finds(asked, edge_model):
    answer = by("by_llama_index", {**asked, "shelf": SHELF, "query": "yeast dough"})
    expected = edge_model.encode([text.replace("\n", " ") for text in TEXTS])  # as it sends them
    for way in ("texts", "queries", "async"):
        same(answer[way], expected)
    same(answer["dimensions"], edge_model.encode(TEXTS, truncate_dim=DIMENSIONS))
    assert answer["nearest"] == SHELF[0]


@pytest.mark.peers
def test_the_client_of_tei_gets_the_bits_of_encode(asked, edge_model):
    answer = by("by_huggingface_hub", asked)
    for way in ("texts", "options", "of the client", "of base_url", "of the server"):
        same(answer[way], edge_model.encode(TEXTS))
    same(answer["one"], edge_model.encode(TEXTS[:1]))
    same(answer["dimensions"], edge_model.encode(TEXTS, truncate_dim=DIMENSIONS))
    assert answer["wrong key"] == 401


def test_curl_gets_the_bits_of_encode(asked, edge_model, tmp_path):
    (tmp_path / "body").write_text(json.dumps({"model": asked["model"], "input": TEXTS}), encoding="utf-8")
    done = curl(tmp_path / "body", f"{asked['url']}/v1/embeddings")
    assert done.returncode == 0, done.stdout + done.stderr
    same([one["embedding"] for one in json.loads(done.stdout)["data"]], edge_model.encode(TEXTS))


def test_curl_is_told_that_a_body_is_too_large(asked, tmp_path):
    """It sends such a body after a moment or after it was told to go on, whichever is first."""
    (tmp_path / "body").write_text(json.dumps({"input": "word " * 20_000_000}), encoding="utf-8")
    done = curl(tmp_path / "body", f"{asked['url']}/v1/embeddings")
    assert "error: 413" in done.stderr and "larger than" in json.loads(done.stdout)["error"]["message"]


def curl(body: Path, url: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", str(CLIENT_S)]
    command += ["--header", f"Authorization: Bearer {KEY}", "--header", "Content-Type: application/json"]
    command += ["--data-binary", f"@{body}", url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def same(vectors: Sequence[Sequence[float]], expected: np.ndarray) -> None:
    """As float32, which is what the model computes and what JSON's decimals are rounded to."""
    found = np.array(vectors, np.float64).astype(np.float32)
    assert found.shape == expected.shape
    assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


def decoded(vector: str) -> np.ndarray:
    """Of an answer in base64 that nobody has read: little-endian float32."""
    return np.frombuffer(base64.b64decode(vector, validate=True), "<f4")


def by(client: str, asked: dict[str, Any]) -> Any:
    """What a script of clients/ answers."""
    return _answer([python_of_clients(), "-P", CLIENTS / f"{client}.py"], asked)


def python_of_clients() -> Path:
    """The interpreter of the environment that they share; skips the test where it is not built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POTION_CACHE", str(BUILT))
        try:
            return environments.python_of(str(CLIENTS))
        except environments.Missing as reason:
            pytest.skip(str(reason))


def by_node(asked: dict[str, Any], folder: Path) -> Any:
    """What clients/by_openai.mjs answers, beside the packages that were installed for it."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    name = str(CLIENTS / "package.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POTION_CACHE", str(BUILT))
        installed = environments.environment_folder(name)
    if not (installed / environments.DONE).is_file():
        pytest.skip(f"openai for Node is not installed: python -m edge_potion.benchmarks.speed.environments {name}")
    (folder / "node_modules").symlink_to(installed / "node_modules")
    script = shutil.copy(CLIENTS / "by_openai.mjs", folder)
    return _answer(["node", script], asked)


def _answer(command: Sequence[str | Path], asked: dict[str, Any]) -> Any:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "HF_"))}
    done = subprocess.run(
        command,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=CLIENT_S,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
