"""The examples for Android and iOS: what a desktop can run of them is run, and what it cannot says so.

The engine's way on Android is built by its CMakeLists.txt and called from Java and from Kotlin on this machine's JVM.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.head import Head

from ..models import CHECKOUT

ANDROID, IOS = CHECKOUT / "examples" / "android", CHECKOUT / "examples" / "ios"
FOLDER = BUILT_IN_FOLDER / BUILT_IN
MODEL = FOLDER / "onnx" / "text_quantized.onnx"
ORG_JSON = Path("/usr/share/java/json-android.jar")  # Debian's libandroid-json-org-java: what Android has of itself
TEXTS = ["It is raining.", "naïve café", "", "日本語 🙂", "a\0b", "word " * 300]
# Java sees of Engine.kt what the JVM does: a class and its native methods.
ENGINE_IN_JAVA = """
package edge.potion;

public class Engine {
    static { System.loadLibrary("edge_potion_jni"); }
    private static java.nio.ByteBuffer model;  // in use as long as it is open
    private native long open(java.nio.ByteBuffer model);
    private native int dim(long handle);
    private native void embed(long handle, byte[] texts, float[] vectors);
    private native int labels(long handle);
    private native byte[] label(long handle, int number);
    private native void classify(long handle, byte[] texts, float[] probabilities, long[] labels);
    private native void close(long handle);

    public static void main(String[] words) throws Exception {
        var channel = new java.io.RandomAccessFile(words[0], "r").getChannel();
        var engine = new Engine();
        model = channel.map(java.nio.channels.FileChannel.MapMode.READ_ONLY, 0, channel.size());
        long handle = engine.open(model);
        byte[] joined = java.nio.file.Files.readAllBytes(java.nio.file.Path.of(words[1]));
        float[] vectors = new float[engine.dim(handle) * Integer.parseInt(words[2])];
        engine.embed(handle, joined, vectors);
        for (float value : vectors) System.out.println(Integer.toHexString(Float.floatToRawIntBits(value)));
        for (int number = 0; number < engine.labels(handle); number++)
            System.out.println(java.util.HexFormat.of().formatHex(engine.label(handle, number)));
        if (engine.labels(handle) > 0) {
            long[] labels = new long[Integer.parseInt(words[2])];
            float[] probabilities = new float[labels.length * engine.labels(handle)];
            engine.classify(handle, joined, probabilities, labels);
            for (long label : labels) System.out.println(label);
            for (float value : probabilities) System.out.println(value);
        }
        engine.close(handle);
    }
}
"""
# Prints what checkDevice says of golden.json, then the bits of vectors; told "closed", it embeds after the end.
MAIN_IN_KOTLIN = r"""
import edge.potion.Engine
import edge.potion.checkDevice
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

fun main(words: Array<String>) {
    val channel = RandomAccessFile(words[0], "r").channel
    val model = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size())
    val engine = Engine(if (words[2] == "heap") ByteBuffer.allocate(8) else model)
    engine.use {
        if (words[2] == "check") println(checkDevice(File(words[1]).readText()) { texts -> it.embed(texts) })
        check(it.embed(listOf()).isEmpty())
        if (words[2] == "bits")
            for (row in it.embed(File(words[1]).readText().split("|")))
                for (value in row) println(value.toRawBits().toUInt().toString(16))
    }
    if (words[2] == "closed") engine.embed(listOf("a"))
}
"""


def needs(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def built(*command: str | Path) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """The folder of libedge_potion_jni.so for this machine, where the NDK builds it for a phone."""
    needs("cmake", "ninja", "cc", "c++", "javac")
    headers = Path(shutil.which("javac") or "javac").resolve().parent.parent / "include"
    if not (headers / "jni.h").is_file():
        pytest.skip("this JDK has no jni.h")
    out = tmp_path_factory.mktemp("jni")
    system = next(file.parent for file in headers.glob("*/jni_md.h"))
    flags = f"-DCMAKE_C_FLAGS=-Wall -Wextra -Werror -I{headers} -I{system}"
    built("cmake", "-S", ANDROID / "cpp", "-B", out, "-G", "Ninja", flags)
    built("cmake", "--build", out)
    return out


@pytest.fixture(scope="module")
def java(library, tmp_path_factory) -> list[str]:
    """A command: model, file of texts joined by NUL, how many -> the bits of the vectors."""
    folder = tmp_path_factory.mktemp("java")
    (folder / "Engine.java").write_text(ENGINE_IN_JAVA)
    built("javac", "-d", folder, folder / "Engine.java")
    return ["java", "-Xcheck:jni", f"-Djava.library.path={library}", "-cp", str(folder), "edge.potion.Engine"]


@pytest.fixture(scope="module")
def kotlin(library, tmp_path_factory) -> list[str]:
    """A command: model, file, what to do with it."""
    needs("kotlinc")
    if not ORG_JSON.is_file():
        pytest.skip("org.json as Android has it is not installed (Debian: libandroid-json-org-java)")
    folder = tmp_path_factory.mktemp("kotlin")
    (folder / "Main.kt").write_text(MAIN_IN_KOTLIN)
    sources = [ANDROID / "Engine.kt", ANDROID / "CheckDevice.kt", folder / "Main.kt"]
    built("kotlinc", "-Werror", "-cp", ORG_JSON, *sources, "-include-runtime", "-d", folder / "main.jar")
    found = f"{folder / 'main.jar'}:{ORG_JSON}"
    return ["java", "-Xcheck:jni", f"-Djava.library.path={library}", "-cp", found, "MainKt"]


def bits(lines: Sequence[str]) -> np.ndarray:
    return np.array([int(line, 16) for line in lines], np.uint32)


def expected_bits(texts: Sequence[str]) -> np.ndarray:
    vectors = EdgeModel.from_pretrained(engine="onnxruntime").encode([text.replace("\0", "") for text in texts])
    return np.asarray(vectors, np.float32).view(np.uint32).ravel()


def test_java_gets_the_bits_of_python(java, tmp_path):
    file = tmp_path / "texts"
    texts = [text.replace("\0", "") for text in TEXTS]
    file.write_bytes("\0".join(texts).encode())
    done = run(*java, MODEL, file, str(len(texts)))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(bits(done.stdout.split()), expected_bits(texts))


def test_java_gets_the_labels_of_onnxruntime(java, tmp_path):
    model = StaticModel.from_pretrained()
    weights = np.random.default_rng(0).normal(size=(model.dim + 2, 3)).astype(np.float32)
    gram = np.array([[model.tokenizer.token_to_id("it"), -1]], np.int32)
    head = Head(("a", "é", "😀"), weights[:-2], weights[-2], gram, weights[-1:], threshold=0.6)
    bundle = export(replace(model, head=head), tmp_path / "bundle", quantize="int8", graphs="text")
    file, graph = tmp_path / "texts", bundle.folder / "onnx" / "text_quantized.onnx"
    file.write_bytes(joined := "\0".join(text.replace("\0", "") for text in TEXTS).encode())
    done = run(*java, graph, file, str(len(TEXTS)))
    assert done.returncode == 0, done.stderr
    said = done.stdout.split()[len(TEXTS) * model.dim :]
    assert [bytes.fromhex(name).decode() for name in said[:3]] == ["a", "é", "😀"]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    shares, labels = session.run(["probabilities", "label"], {"text": np.frombuffer(joined, np.uint8)})
    assert [int(label) for label in said[3:][: len(TEXTS)]] == labels.tolist() and -1 in labels
    assert np.abs(np.array(said[3 + len(TEXTS) :], np.float32) - shares.ravel()).max() < 2e-7


def test_what_the_engine_refuses_is_an_exception_with_its_words(java, tmp_path):
    foreign, file = tmp_path / "foreign.onnx", tmp_path / "texts"
    foreign.write_bytes(b"no graph of ours")
    file.write_bytes(b"one\0two")
    for words, said in (
        ([foreign, file, "2"], "the file is damaged"),
        ([MODEL, file, "1"], "there are more texts than there is room for vectors"),
    ):
        done = run(*java, *words)
        assert done.returncode == 1 and f"java.lang.IllegalStateException: {said}" in done.stderr, done.stderr


def test_kotlin_gets_the_bits_of_python(kotlin, tmp_path):
    (tmp_path / "texts").write_text("|".join(TEXTS), encoding="utf-8")
    done = run(*kotlin, MODEL, tmp_path / "texts", "bits")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(bits(done.stdout.split()), expected_bits(TEXTS))


def test_kotlin_checks_its_device(kotlin, tmp_path):
    done = run(*kotlin, MODEL, FOLDER / "golden.json", "check")
    assert (done.returncode, done.stdout) == (0, "true\n"), done.stderr
    golden = json.loads((FOLDER / "golden.json").read_text())
    golden["vectors"][7] = [-value for value in golden["vectors"][7]]
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    assert run(*kotlin, MODEL, tmp_path / "golden.json", "check").stdout == "false\n"


def test_kotlin_refuses_a_closed_engine_and_a_model_that_is_no_direct_buffer(kotlin):
    done = run(*kotlin, MODEL, MODEL, "closed")
    assert done.returncode == 1 and "IllegalStateException: the engine is closed" in done.stderr
    done = run(*kotlin, MODEL, MODEL, "heap")
    assert done.returncode == 1 and "the model must be in a direct buffer" in done.stderr


def test_clang_imports_the_module_that_swift_imports(tmp_path):
    needs("clang")
    source = tmp_path / "calls.m"  # Objective-C, which has modules as Swift has them
    source.write_text(
        "@import CEdgePotion;\n"
        "long long calls(ep_model* model, float* vectors) {\n"
        '  return ep_embed(ep_open("a"), "b", 1, vectors, 1, EP_MODEL_LIMIT, 1) + ep_dim(model) + *ep_last_error();\n'
        "}\n"
    )
    cache = f"-fmodules-cache-path={tmp_path / 'modules'}"
    built("clang", "-fsyntax-only", "-fmodules", cache, "-Wall", "-Wextra", "-Werror", "-I", IOS, source)


@pytest.mark.parametrize("file", [ANDROID / "EdgePotion.kt", *sorted(IOS.glob("*.swift"))], ids=lambda file: file.name)
def test_what_cannot_run_here_says_so(file):
    assert "Not run by us" in file.read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.parametrize("folder", [ANDROID, IOS], ids=lambda folder: folder.name)
def test_both_name_what_the_graph_and_golden_json_have(folder):
    sources = [file for file in folder.iterdir() if file.suffix in (".kt", ".swift")]
    code = {file.stem: file.read_text(encoding="utf-8") for file in sources}
    assert "sentence_embedding" in code["EdgePotion"] or "result[0]" in code["EdgePotion"]
    assert "text_quantized.onnx" in code["EdgePotion"] and "text_quantized.onnx" in code["Engine"]
    golden = json.loads((FOLDER / "golden.json").read_text())
    for name in ("texts", "known_tokens", "vectors", "short_text"):
        assert name in code["CheckDevice"] and name in golden
    for name in ("cosine", "short_cosine"):
        assert name in code["CheckDevice"] and name in golden["tolerance"]["int8"]
