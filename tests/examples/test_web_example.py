"""examples/web in real headless Chromium: finds lines by meaning, offline too, by keyboard, on small screens.

The page that classifies has tests of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge_potion import StaticModel, export
from edge_potion.head import Head

from ..js.packed import CHROMIUM
from ..models import CHECKOUT
from .web_page import SERVE, serve, visited

pytestmark = pytest.mark.browser

BUNDLE = CHECKOUT / "edge_potion" / "models" / "potion-256d-minilm"
MOST_BYTES = 180_000  # of both pages, that a first visit downloads beside the model
BREAD = "dough"  # in the line that answers "my bread did not rise"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: `make browser`")


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads((BUNDLE / "golden.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def texts(golden) -> list[str]:
    return [text for text in golden["texts"] if "\0" not in text]


@pytest.fixture(scope="module")
def copied(package, ort, demo, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "copied"
    done = serve("--package", package, "--ort", ort, "--classifier", demo, "--copy", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def seen(package, ort, demo, golden, texts, copied, pictures, tmp_path_factory) -> dict[str, Any]:
    """What each scene of web_example.mjs saw, in one Chromium."""
    folder = tmp_path_factory.mktemp("web-example")
    altered = folder / "altered"
    shutil.copytree(BUNDLE / "onnx", altered / "onnx")
    vectors = [[-value for value in golden["vectors"][-1]], *golden["vectors"][1:-1], golden["vectors"][0]]
    (altered / "golden.json").write_text(json.dumps({**golden, "vectors": vectors}), encoding="utf-8")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    names = {"python": sys.executable, "serve": SERVE, "package": package, "ort": ort, "classifier": demo}
    files = {"altered": altered, "copied": copied, "texts": folder / "texts.json", "pictures": pictures}
    return visited("web_example.mjs", {**names, **files}, folder)


@pytest.fixture
def scene(seen):
    """What a scene saw; a page that is whole asks no other host, and has nothing to tell its console."""

    def look(name: str) -> dict[str, Any]:
        assert "failed" not in seen[name], seen[name]["failed"]
        assert seen[name]["faults"] == []
        return seen[name]

    return look


@pytest.mark.parametrize("engine", ["edge-potion", "onnxruntime-web"])
def test_vectors_of_both_engines_are_those_of_python_bit_for_bit(scene, texts, engine):
    found = scene("vectors")[engine]
    session = onnxruntime.InferenceSession(BUNDLE / "onnx" / "text_quantized.onnx", providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"text": np.frombuffer("\0".join(texts).encode(), np.uint8)})
    bits = np.array(found["bits"], np.uint32).reshape(expected.shape)
    np.testing.assert_array_equal(bits, expected.view(np.uint32))
    first, second = np.array(found["nul"], np.uint32).reshape(2, -1)
    np.testing.assert_array_equal(first, second)
    assert found["none"] == []
    assert scene("vectors")["isolated"] is True


def test_the_pages_engine_classifies_and_has_no_labels_of_another_model(copied, tmp_path):
    model = StaticModel.from_pretrained()
    weights = np.random.default_rng(0).normal(size=(model.dim + 2, 3)).astype(np.float32)
    grams = np.array([[model.tokenizer.token_to_id("bread"), -1]], np.int32)
    head = Head(("a", "é", "😀"), weights[:-2], weights[-2], grams, weights[-1:])
    bundle = export(replace(model, head=head), tmp_path / "bundle", quantize="int8", graphs="text")
    files = [folder / "onnx" / "text_quantized.onnx" for folder in (bundle.folder, BUNDLE)]
    script = """
        import { readFileSync } from "node:fs";
        import { open } from "./engine.js";
        const [one, other] = await Promise.all(process.argv.slice(1).map((file) => open(readFileSync(file), file)));
        const decided = await one.classify(["my bread", "the cat"]);
        console.log(JSON.stringify([one.labels, decided.map(({ label }) => label), other.labels]));
    """
    words = ["node", "--input-type=module", "-e", script, *files]
    done = subprocess.run(words, cwd=copied, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(files[0], providers=["CPUExecutionProvider"])
    (numbers,) = session.run(["label"], {"text": np.frombuffer(b"my bread\0the cat", np.uint8)})
    assert json.loads(done.stdout) == [list(head.labels), [head.labels[number] for number in numbers], []]


def test_the_switch_shows_the_same_lines_by_the_other_engine_which_is_fetched_when_it_is_asked_for(scene):
    found = scene("engines")
    assert found["at"] == ["edge-potion", "onnxruntime-web", "onnxruntime-web"]  # at first, by hand, by address
    assert found["askedBefore"] == 0 < found["askedAfter"]
    assert found["first"] == found["second"] == found["third"]
    assert found["ideas"] == 4
    assert found["checked"].startswith("Passed: ")


def test_the_nearest_line_is_first_of_a_dropped_file_and_of_the_sample(scene):
    found = scene("search")
    assert found["first"] == {
        "texts": ["Cats purr.", "The dough stayed flat.", "Stocks fell."],
        "numbers": ["line 1", "line 4", "line 5"],
    }
    assert found["dropped"]["texts"][0] == "The dough stayed flat."
    assert found["dropped"]["name"] == "notes.txt"
    assert BREAD in found["sample"]["texts"][0].lower()
    scores = [float(score) for score in found["sample"]["scores"]]
    assert len(scores) == 20
    assert scores == sorted(scores, reverse=True)
    assert -1 <= scores[-1] < scores[0] <= 1
    assert found["unknown"] == []
    size = (BUNDLE / "onnx" / "text_quantized.onnx").stat().st_size
    for figure in (f"Model {size / 1e6:.1f} MB", "120 lines", "a second", " ms"):
        assert figure in found["facts"]


def test_an_old_answer_never_takes_the_place_of_a_newer_one(scene):
    found = scene("newest")
    assert BREAD in found["typed"][0].lower()
    assert "The first of 120 lines" in found["emptied"]
    assert found["replaced"] == ["One.", "Two."]
    assert found["stopped"].split("\n") == ["few.txt", "2 lines"]


def test_a_file_that_is_no_text_gets_one_sentence_and_the_one_before_stays(scene):
    found = scene("files")
    assert found["empty"] == "empty.txt is empty: take a file with a text on each line."
    assert found["blank"] == "blank.txt holds empty lines only: take a file with a text on each line."
    assert found["latin"] == "Line 3 of latin.txt is not UTF-8: save the file as UTF-8, and drop it again."
    assert found["utf16"] == "utf16.txt is UTF-16: save it as UTF-8, and drop it again."
    assert found["long"] == "long.txt has 1,000,001 lines, and this page takes 1,000,000: split it, and drop a part."
    assert "picture.png is no text" in found["binary"]
    assert found["cleared"] is True
    assert found["kept"].split("\n") == ["sample.txt", "120 lines"]


def test_markup_in_a_file_is_shown_as_text(scene):
    found = scene("files")
    assert found["markup"][0] == '<img src=x onerror="window.ran = true"><script>window.ran = true</script>'
    assert found["name"] == "<b>.txt"
    assert found["elements"] == 0
    assert found["ran"] is False


def test_everything_can_be_done_by_keyboard(scene):
    found = scene("keyboard")
    assert found["path"] == ["A", "file", "sample", "query", "LI", "query", "query", "query"]
    assert found["outline"] == "solid"
    assert found["third"] == 2
    assert found["last"] is True
    assert found["slash"] == "my bread did not rise"
    assert found["escaped"] == ""


def test_320_pixels_are_wide_enough(scene):
    found = scene("narrow")
    assert max(found["widths"]) <= 320
    assert found["lengths"] == [1001, 1001, 5]  # a long line is cut, and shows it


def test_the_check_passes_by_button_address_and_script(scene, texts):
    found = scene("dark")
    assert found["checked"].startswith(f"Passed: {len(texts)} texts, least cosine 0.99")
    assert found["found"]["passed"] is True
    assert found["found"]["texts"] == len(texts)
    assert 0.995 < found["found"]["leastCosine"] <= 1


def test_the_check_fails_on_other_vectors(scene):
    assert scene("altered")["checked"].startswith("Failed: ")
    assert "below 0.9995" in scene("altered")["checked"]


def test_everything_works_when_the_server_is_gone(scene, copied):
    found = scene("offline")
    files = {file.relative_to(copied).as_posix() for file in copied.rglob("*") if file.is_file()}
    other = {file for file in files if file.startswith(("vendor/", "classifier/"))}
    assert len(other) == 4
    assert set(found["addresses"]) == (files - other - {"index.html", "sw.js"}) | {""}
    assert found["at"] == "onnxruntime-web"
    assert BREAD in found["texts"][0].lower()
    assert found["checked"].startswith("Passed: ")


def test_a_copy_works_on_a_plain_host_and_offers_its_newer_version(scene):
    found = scene("plain")
    assert BREAD in found["texts"][0].lower()
    assert found["isolated"] is False
    (before,), (after,) = found["caches"]
    assert before != after
    assert after.endswith(" another")
    assert found["newer"] is False


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("model", "The model is missing (404): put model/text_quantized.onnx beside this page"),
        ("engine", "The engine cannot start: "),
        ("worker", "This page's worker cannot run"),
    ],
)
def test_what_is_missing_is_named_on_the_page(seen, lacking, words):
    assert "failed" not in seen["plain"], seen["plain"]["failed"]
    assert seen["plain"][lacking]["error"].startswith(words)
    assert seen["plain"][lacking]["state"] == "There is no model to search with."


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("vendor", "onnxruntime-web is missing: put its files into vendor/"),
        ("glue", "onnxruntime-web cannot start: put all of its files into vendor/"),
        ("compiled", "onnxruntime-web cannot start: put all of its files into vendor/"),
    ],
)
def test_without_the_other_engine_the_page_says_so_and_goes_on(seen, lacking, words):
    assert "failed" not in seen["plain"], seen["plain"]["failed"]
    found = seen["plain"][lacking]
    assert found["error"].startswith(words)
    assert found["at"] == "edge-potion"
    assert BREAD in found["texts"][0].lower()


def test_a_file_and_a_query_that_come_before_the_model_are_answered_with_it(scene):
    found = scene("loading")
    assert found["state"].startswith("Loading the model")
    assert found["waits"] == {"state": "Reading notes.txt…", "texts": []}
    assert found["texts"][0] == "The dough stayed flat."


def test_a_browser_without_webassembly_is_told_so(scene):
    assert scene("unable")["error"].startswith("This browser runs no WebAssembly")


def test_in_the_dark_letters_are_bright_on_dark(scene):
    letters, ground = scene("dark")["colors"]
    assert min(letters) > 180 and max(ground) < 60


@needs_chromium
def test_pictures_are_there_in_light_and_dark(seen, pictures):
    for name in ("empty", "light", "dark", "narrow", "loading", "reading", "missing"):
        assert (pictures / f"{name}.png").stat().st_size > 5000


@pytest.fixture(scope="module")
def server(package, ort, demo) -> Iterator[int]:
    """The port of serve.py."""
    words = ["--port", "0", "--package", package, "--ort", ort, "--classifier", demo]
    with subprocess.Popen([sys.executable, SERVE, *words], stdout=subprocess.PIPE, text=True) as it:
        yield int(it.stdout.readline().split(":")[2].split("/")[0])
        it.terminate()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js?now", "text/javascript; charset=utf-8"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/edge-potion/src/index.js", "text/javascript; charset=utf-8"),
        ("/edge-potion/dist/edge_potion.wasm", "application/wasm"),
        ("/vendor/ort.wasm.min.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/ort-wasm-simd-threaded.wasm", "application/wasm"),
        ("/model/text_quantized.onnx", "application/octet-stream"),
        ("/classify.html", "text/html; charset=utf-8"),
        ("/classifier/text_quantized.onnx", "application/octet-stream"),
    ],
)
def test_files_are_served_with_their_types_and_in_isolation(server, address, kind):
    status, headers, _ = asked(server, address)
    assert status == 200
    assert headers["Content-Type"] == kind
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert asked(server, address, {"If-None-Match": headers["ETag"]})[0] == 304


@pytest.mark.parametrize(
    "address",
    [
        "/../serve.py",
        "/serve.py",
        "/vendor/../../serve.py",
        "/edge-potion/package.json",
        "/%2e%2e/%2e%2e/README.md",
        "/model/..%2fREADME.md",
        "//etc/passwd",
    ],
)
def test_no_address_leads_out_of_the_page(server, address):
    status, _, content = asked(server, address)
    assert (status, content) == (404, b"There is no such file.\n")


def asked(port: int, address: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", address, headers=headers or {})  # unlike urllib, as it is written
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_a_copy_is_the_whole_page_under_a_version_of_its_own(copied):
    assert (copied / "model" / "text_quantized.onnx").read_bytes() == (
        BUNDLE / "onnx" / "text_quantized.onnx"
    ).read_bytes()
    assert (copied / "sample.txt").read_bytes() == (CHECKOUT / "edge_potion" / "samples" / "sentences.txt").read_bytes()
    later = ("model", "classifier", "vendor")
    first = [file for file in copied.rglob("*.*") if file.parent.name not in later and file.suffix != ".txt"]
    assert sum(file.stat().st_size for file in first) < MOST_BYTES
    assert "by hand" not in (copied / "sw.js").read_text(encoding="utf-8").split("const VERSION", 1)[1].splitlines()[0]
    assert [entry.name for entry in copied.parent.iterdir()] == ["copied"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--ort", "nowhere"], "nowhere/ort.wasm.min.mjs is missing; run npm install in examples/web"),
        (["--package", "nowhere"], "nowhere/src/index.js is missing; build it with make wasm in a checkout"),
        (
            ["--classifier", "nowhere"],
            "nowhere/onnx/text_quantized.onnx is missing; export a classifier with --quantize",
        ),
        (["--bundle", "nowhere"], "nowhere/onnx/text_quantized.onnx is missing; make it with: edge-potion export"),
        (["--copy", "."], ". exists; name a new folder"),
        (["--port", "99999"], "port must be 0-65535"),
    ],
)
def test_what_cannot_be_served_is_one_line(package, demo, words, why):
    done = serve("--package", package, "--classifier", demo, *words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert why in done.stderr
