"""The benchmark's JavaScript runners, in real Node and real Chromium: right vectors, whole results, honest refusals."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge_potion import StaticModel, export
from edge_potion.bundle import Bundle
from edge_potion.golden import cosines

from ..models import DATA
from ..peers import built_javascript

pytestmark = pytest.mark.browser

GOLDEN_TEXTS_A_CALL = 64  # as measure.mjs calls
CHROMIUM = os.environ.get("EDGE_POTION_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: `make browser`")
FILES = {"text": "text_quantized.onnx", "bag": "bag_quantized.onnx"}


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    built_javascript()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    """The built-in model with the graphs that a runner may be asked for."""
    folder = tmp_path_factory.mktemp("runners") / "bundle"
    return export(StaticModel.from_pretrained(), folder, quantize=["int8", "float32"], graphs=["text", "bag", "tokens"])


@pytest.fixture(scope="module")
def golden(bundle) -> dict[str, Any]:
    return json.loads((bundle.folder / "golden.json").read_text(encoding="utf-8"))


@pytest.fixture
def job(bundle, golden, tmp_path):
    """Writes a job file: of the bundle's `file`, changed as asked."""
    texts = DATA.read_text(encoding="utf-8").splitlines()[:64]
    ids = [encoding.ids for encoding in StaticModel.from_pretrained().tokenizer.encode_batch(texts)]
    inputs = {"texts": texts, "ids": ids, "golden": golden["texts"], "golden_ids": golden["ids"]}
    for name, content in inputs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")

    def write(graph: str, provider: str, file: str | None = None, **changes) -> Path:
        content = {name: str(tmp_path / f"{name}.json") for name in inputs} | {
            "file": str(bundle.folder / "onnx" / (file or FILES[graph])),
            "graph": graph,
            "precision": "int8",
            "provider": provider,
            "threads": 1,
            "vectors": str(tmp_path / "vectors.f32"),
            "latency_calls": 5,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "batches": [4, 16, 10**9],
            "batch_seconds": 0.01,
            "most_seconds": 5,
            "started_ns": time.monotonic_ns(),
            **changes,
        }
        path = tmp_path / "job.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def node(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *command], cwd=built_javascript(), capture_output=True, text=True, check=False, timeout=150,
        env={**os.environ, **environment},
    )  # fmt: skip


def result(runner: str, job: Path, **environment: str) -> dict[str, Any]:
    done = node(runner, job, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def vectors(job: Path, found: dict[str, Any]) -> np.ndarray:
    return np.fromfile(json.loads(job.read_text())["vectors"], "<f4").reshape(found["dims"])


def by_python(job: Path) -> np.ndarray:
    """The golden texts' vectors by Python's ONNX Runtime, in the same calls."""
    asked = json.loads(job.read_text())
    session = onnxruntime.InferenceSession(asked["file"], providers=["CPUExecutionProvider"])
    found = []
    for items in _calls(json.loads(Path(asked["golden" if asked["graph"] == "text" else "golden_ids"]).read_text())):
        if asked["graph"] == "text":
            joined = "\0".join(text.replace("\0", "") for text in items).encode()
            feeds = {"text": np.frombuffer(joined, np.uint8)}
        else:
            offsets = np.cumsum([0, *map(len, items)])[:-1]
            feeds = {"input_ids": np.concatenate(items).astype(np.int64), "offsets": offsets.astype(np.int64)}
        found.append(session.run(None, feeds)[0])
    return np.concatenate(found)


def _calls(items: list) -> list[list]:
    return [items[at : at + GOLDEN_TEXTS_A_CALL] for at in range(0, len(items), GOLDEN_TEXTS_A_CALL)]


def check_whole(found: dict[str, Any], graph: str, packages: set[str]) -> None:
    """Everything the protocol asks for is there and can be."""
    assert set(found["versions"]) == packages
    assert 0 < found["load_s"] < found["first_vector_s"] < 60
    assert len(found["latency_ms"]) == 5
    assert min(found["latency_ms"]) > 0
    rates, others = ("throughput", "from_ids") if graph == "text" else ("from_ids", "throughput")
    assert found[others] == {}
    assert found[rates].keys() == {"4", "16", "1000000000"}
    assert min(found[rates]["4"], found[rates]["16"]) > 0
    assert found[rates]["1000000000"] is None  # would have taken longer than most_seconds
    assert 0 < found["rss_start_bytes"] < found["rss_first_bytes"] <= found["rss_peak_bytes"]


@pytest.mark.parametrize("graph", ["text", "bag"])
def test_the_node_runner_gives_a_whole_result_and_the_bits_of_python(graph, job):
    asked = job(graph, "cpu")
    found = result("node.mjs", asked)
    check_whole(found, graph, {"onnxruntime-node", "node"})
    np.testing.assert_array_equal(vectors(asked, found).view(np.uint32), by_python(asked).view(np.uint32))


@needs_chromium
@pytest.mark.parametrize("graph", ["text", "bag"])
def test_the_web_runner_gives_a_whole_result_and_the_bits_of_python(graph, job):
    asked = job(graph, "wasm", threads=2)
    found = result("web.mjs", asked)
    check_whole(found, graph, {"onnxruntime-web", "chromium"})
    np.testing.assert_array_equal(vectors(asked, found).view(np.uint32), by_python(asked).view(np.uint32))


@pytest.mark.slow
@needs_chromium
def test_on_webgpu_a_float32_graph_is_measured_under_its_device_or_refused_with_the_reason(job, golden):
    asked = job("tokens", "webgpu", "model.onnx", precision="float32", batches=[4, 16, 10**9])
    found = result("web.mjs", asked)
    if "absent" in found:
        assert "WebGPU adapter" in found["absent"]
    elif "fell_back" in found:
        assert not {"table", "pool"} <= set(found["nodes"]["webgpu"])
    else:
        check_whole(found, "tokens", {"onnxruntime-web", "chromium"})
        assert found["device"]
        assert {"table", "pool"} <= set(found["nodes"]["webgpu"])
        oracle = np.array(golden["vectors"], np.float32)
        some = np.linalg.norm(oracle, axis=1) > 0
        assert cosines(vectors(asked, found)[some], oracle[some]).min() > 0.9999


@pytest.mark.slow
@needs_chromium
def test_on_webgpu_an_int8_graph_is_never_measured_as_if_the_gpu_had_run_it(job):
    found = result("web.mjs", job("text", "webgpu"))
    if "latency_ms" in found:
        assert {"table", "pool"} <= set(found["nodes"]["webgpu"])
    else:
        assert len((found.get("absent") or found.get("fell_back") or found["failed"]).splitlines()) == 1


def test_a_missing_chromium_is_absent(job):
    assert result("web.mjs", job("text", "wasm"), EDGE_POTION_CHROMIUM="/nowhere/chromium") == {
        "absent": "Chromium is not installed: make browser, or set EDGE_POTION_CHROMIUM"
    }


@pytest.mark.parametrize(
    ("runner", "provider"), [("node.mjs", "cpu"), pytest.param("web.mjs", "wasm", marks=needs_chromium)]
)
def test_a_broken_model_file_has_failed_in_one_line(runner, provider, job, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    found = result(runner, job("text", provider, file=str(broken)))
    assert found.keys() == {"failed"}
    assert len(found["failed"].splitlines()) == 1


def test_a_provider_of_another_runner_is_absent(job):
    assert "not webgpu" in result("node.mjs", job("text", "webgpu"))["absent"]


@needs_chromium
def test_a_runner_that_is_ended_takes_chromium_and_its_folder_with_it(job):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is too long a path for Chromium's socket
        asked = job("text", "wasm", latency_calls=10**9)
        runner = subprocess.Popen(
            ["node", "web.mjs", asked], cwd=built_javascript(), env={**os.environ, "TMPDIR": folder}
        )
        while not _running(folder):
            assert runner.poll() is None
            time.sleep(0.05)
        time.sleep(1)  # into the measurement
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(timeout=20) == 128 + signal.SIGTERM
        assert list(Path(folder).iterdir()) == []
        deadline = time.monotonic() + 5
        while _running(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _running(folder)


def _running(folder: str) -> list[bytes]:
    """Command lines of processes with a profile in `folder`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes())
        except OSError:
            continue  # it has just ended
    return [command for command in found if f"user-data-dir={folder}".encode() in command]


@needs_chromium
def test_a_screenshot_of_a_whole_page_tells_what_is_on_it(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>Whole</title><p style='width: 600px'>All of it.</p>", encoding="utf-8")
    done = node(
        "screenshot.mjs", page, tmp_path / "out.png", "--width", "390", "--height", "844", "--dark", "--offline"
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["title"], seen["width"], seen["text"].strip()) == ("Whole", 390, "All of it.")
    assert seen["scroll_width"] > 600
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@needs_chromium
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<img src='http://127.0.0.1:1/picture.png'>", "1 requests beyond the page: http://127.0.0.1:1/picture.png"),
        ("<script>new WebSocket('ws://127.0.0.1:1/socket')</script>", "ws://127.0.0.1:1/socket"),
        ("<link rel='stylesheet' href='beside.css'>", "beside.css"),
        ("<script>missing()</script>", "script error: missing is not defined"),
        ("<script>console.error('no good')</script>", "console error: no good"),
    ],
    ids=["another origin", "socket", "file beside", "script error", "console error"],
)
def test_a_page_that_needs_more_than_itself_or_goes_wrong_is_refused(body, fault, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>Bad</title><p>Text.</p>{body}", encoding="utf-8")
    done = node("screenshot.mjs", page, tmp_path / "out.png")
    assert done.returncode == 1
    assert fault in done.stderr


@needs_chromium
def test_a_served_page_may_come_in_parts_of_its_own_origin(tmp_path):
    (tmp_path / "index.html").write_text(
        "<!doctype html><title>Parts</title><link rel='icon' href='data:,'><p>Text.</p><script src='part.js'></script>",
        encoding="utf-8",
    )
    (tmp_path / "part.js").write_text("document.querySelector('p').textContent = 'Both.'", encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = node("screenshot.mjs", f"http://127.0.0.1:{server.server_port}/", tmp_path / "out.png")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"].strip() == "Both."
