"""examples/stores/fastapi_app.py, run by uvicorn and asked over loopback: it finds what numpy finds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from edge_potion import EdgeModel

from ..models import CHECKOUT

httpx = pytest.importorskip("httpx")
UNKNOWN = "☃☃"


@pytest.fixture(scope="module")
def client(sentences, tmp_path_factory) -> Iterator[httpx.Client]:
    """The app on a free port, over sentences, a text without a known token, and an empty line."""
    for module in ("fastapi", "uvicorn"):
        pytest.importorskip(module)
    file = tmp_path_factory.mktemp("fastapi") / "notes.txt"
    file.write_text("\n".join([*sentences[:300], UNKNOWN, "", ""]), encoding="utf-8")
    command = [sys.executable, CHECKOUT / "examples" / "stores" / "fastapi_app.py", file, "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        try:
            said = [server.stderr.readline()]
            assert said == ["300 texts; left out, as the model knows no token of them: 1\n"]
            while "running on" not in said[-1]:
                said.append(server.stderr.readline())
                assert said[-1], said
            address = re.search(r"http://127\.0\.0\.1:\d+", said[-1])[0]
            with httpx.Client(base_url=address, trust_env=False) as client:
                yield client
        finally:
            server.terminate()


def test_it_finds_the_texts_that_numpy_finds(client, sentences):
    model = EdgeModel.from_pretrained()
    cosines = model.encode(sentences[:300]) @ model.encode("my bread did not rise")
    answer = client.post("/search", json={"query": "my bread did not rise", "top": 7})
    assert answer.status_code == 200
    hits = answer.json()
    assert [hit["text"] for hit in hits] == [sentences[row] for row in np.argsort(-cosines)[:7]]
    np.testing.assert_allclose([hit["score"] for hit in hits], np.sort(cosines)[:-8:-1], atol=1e-6)
    assert UNKNOWN not in {hit["text"] for hit in client.post("/search", json={"query": "rain", "top": 100}).json()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"query": "☃☃"}', "the model knows no token of the query"),
        ('{"query": ""}', "the model knows no token of the query"),
        ('{"query": "\\ud800"}', "unicode string"),
        ('{"query": "rain", "top": 0}', "greater than or equal to 1"),
        ('{"query": 3}', "valid string"),
        ("{}", "Field required"),
        ("no JSON", "JSON decode error"),
    ],
)
def test_what_cannot_be_looked_for_is_told(client, content, said):
    answer = client.post("/search", content=content.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and said in answer.text


def test_it_describes_itself(client):
    (path,) = client.get("/openapi.json").json()["paths"]
    assert path == "/search"
