"""schemathesis asks all that /openapi.json tells of: no answer is a 500, and each is as the document says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_potion import Index

from ..models import CHECKOUT, DATA
from .running import Running, running
from .test_clients import CLIENTS, python_of_clients

EXAMPLES, MANY_EXAMPLES = 25, 1000  # an operation and phase
RUN_S, LONG_RUN_S = 300, 3000  # far more than it takes: the machine may be busy
KEY = "sk-of-schemathesis"
# Which dimensions and prompts are right is up to the model that is named, which no document can say.
CHECKS = ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    """With a key, and with something for each operation: two models, of which one classifies, and an index."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "keys").write_text(KEY)
    Index.build(folder / "shelf", DATA.read_text(encoding="utf-8").splitlines()[:50])
    words = ["--model", "potion-256d-minilm", "--model", f"intents={classifier(folder)}", "--index", folder / "shelf"]
    with running(folder / "log", *words, "--api-key-file", folder / "keys") as server:
        yield server


@pytest.mark.peers
def test_every_answer_is_as_the_document_says(server, tmp_path):
    told = schemathesis(server, tmp_path, RUN_S, "--max-examples", EXAMPLES, "--generation-deterministic")
    assert "Tested: 12" in told  # as many operations as there are


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("seed", [1, 2])
def test_every_answer_is_so_however_long_it_asks(server, tmp_path, seed):
    schemathesis(server, tmp_path, LONG_RUN_S, "--max-examples", MANY_EXAMPLES, "--seed", seed)


def schemathesis(server: Running, folder: Path, seconds: int, *words: object) -> str:
    """What it says of the server, with which it is to be content."""
    command = [python_of_clients(), "-P", CLIENTS / "by_schemathesis.py", "run", f"{server.url}/openapi.json"]
    command += [*CHECKS, "--no-color", "--request-timeout", "60", "--header", f"Authorization: Bearer {KEY}"]
    command += map(str, words)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.process.poll() is None and "Traceback" not in server.log.read_text(errors="replace")
    return done.stdout


def classifier(folder: Path) -> Path:
    """That of the demo: the built-in model with a head."""
    sys.path.append(str(CHECKOUT / "examples" / "web"))
    from demo_classifier import SHIPPED, put_together

    return put_together(SHIPPED, folder / "classifier")
