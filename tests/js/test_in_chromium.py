"""The npm package in headless Chromium, by a real Vite build: its bits, its worker, what it keeps, what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from ..models import CHECKOUT, DATA
from ..peers import built_javascript
from .hard_texts import GOLDEN, HARD_TEXTS, MODEL, by_onnxruntime
from .packed import CHROMIUM, built_tools, install_package, run

pytestmark = pytest.mark.browser

MOST_BYTES = 150_000  # of a built site, beside the model
PAGE = (
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>'
)
TEXTS = [*DATA.read_text(encoding="utf-8").splitlines()[:200], *HARD_TEXTS]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """What Vite makes of a page that uses the package."""
    tools = built_tools()
    project = tmp_path_factory.mktemp("vite") / "project"
    install_package(project)
    (project / "index.html").write_text(PAGE)
    (project / "main.js").write_text('import { load } from "edge-potion";\nwindow.load = load;\n')
    run(tools / "vite", "build", cwd=project)
    return project / "dist"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def seen(site, tmp_path_factory) -> dict[str, Any]:
    """What each scene of in_chromium.mjs saw, in one Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `make browser`")
    folder = tmp_path_factory.mktemp("chromium")
    served = Path(shutil.copytree(site, folder / "served"))
    shutil.copy(MODEL, served / "model.onnx")
    shutil.copy(GOLDEN, served / "golden.json")
    (served / "broken.onnx").write_bytes(b"no model")
    for script in served.glob("assets/worker-*.js"):
        shutil.copytree(served, folder / "workerless")
        (folder / "workerless" / script.relative_to(served)).unlink()
    (folder / "texts.json").write_text(json.dumps(TEXTS))
    script = shutil.copy(CHECKOUT / "tests" / "js" / "in_chromium.mjs", built_javascript())  # beside what it imports
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder / name))
        for name in ("served", "workerless")
    ]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    urls = [f"http://127.0.0.1:{server.server_port}/" for server in servers]
    done = subprocess.run(
        ["node", script, *urls, folder / "texts.json"], capture_output=True, text=True, check=False, timeout=240
    )
    for server in servers:
        server.shutdown()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_built_site_is_small_beside_the_model(site):
    sizes = {file.name: file.stat().st_size for file in site.rglob("*") if file.is_file()}
    assert any(name.endswith(".wasm") for name in sizes)
    assert sum(sizes.values()) < MOST_BYTES, sizes


@pytest.mark.parametrize("place", ["page", "worker"])
def test_vectors_are_those_of_python_bit_for_bit(seen, place):
    expected = by_onnxruntime(TEXTS)
    found = np.array(seen[place]["bits"], np.uint32).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected.view(np.uint32))
    assert seen[place]["facts"] == [256, 512]
    assert seen[place]["checked"]["passed"] is True
    assert seen[place]["closed"] == "the model is closed"
    assert seen[place]["workers"] == (1 if place == "worker" else 0)


def test_calls_that_a_worker_gets_at_once_are_each_answered(seen):
    assert seen["worker"]["together"] == seen["worker"]["apart"]


def test_a_model_is_fetched_once_and_then_taken_from_the_cache(seen):
    found = seen["cache"]
    assert found["first"] == {"fetched": 1, "loaded": MODEL.stat().st_size, "total": MODEL.stat().st_size}
    assert found["second"] == {"fetched": 0, "loaded": MODEL.stat().st_size, "total": MODEL.stat().st_size}
    assert found["same"] is True
    assert found["without"]["fetched"] == 1
    assert found["kept"] == ["/model.onnx"]  # what is no model is not


def test_what_goes_wrong_is_said_in_one_sentence(seen):
    found = seen["wrong"]
    assert found["missing"].startswith("/nowhere.onnx cannot be fetched (404 ")
    assert found["broken"].startswith("/broken.onnx cannot be opened: the file is damaged")
    assert found["brokenInWorker"] == found["broken"]
    assert found["page"].startswith("the engine is not at /index.html: name the place of edge_potion.wasm")
    assert found["workerless"].startswith("/model.onnx cannot be opened: the worker failed (")
