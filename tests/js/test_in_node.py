"""The npm package in Node: the bits of ONNX Runtime in Python, and one clear sentence for what cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.head import Head
from edge_potion.static_model import Card

from ..exporters.unigram_tokenizers import trained
from ..models import DATA, phrases_of
from .hard_texts import GOLDEN, HARD_TEXTS, MODEL, by_onnxruntime
from .packed import install_package, run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder in which the package is installed."""
    folder = tmp_path_factory.mktemp("node") / "project"
    install_package(folder)
    return folder


@pytest.fixture
def node(project, tmp_path):
    """What JavaScript in that folder prints, as JSON; it begins with `given`, and the model of `load` as `model`."""

    def evaluate(code: str, given: Any = None) -> Any:
        (tmp_path / "given.json").write_text(json.dumps(given))
        start = f"""
            import {{ readFileSync, writeFileSync }} from "node:fs";
            import {{ pathToFileURL }} from "node:url";
            import {{ cosine, load }} from "edge-potion";
            const given = JSON.parse(readFileSync({json.dumps(str(tmp_path / "given.json"))}, "utf8"));
            const file = {json.dumps(str(MODEL))};
            const model = await load(file);
            const print = (value) => console.log(JSON.stringify(value));
            const said = (call) => Promise.resolve().then(call).then(() => null, (error) => error.message);
        """
        return json.loads(run("node", "--input-type=module", "-e", start + code, cwd=project).stdout)

    return evaluate


def test_vectors_are_those_of_python_bit_for_bit(node, tmp_path):
    texts = [*DATA.read_text(encoding="utf-8").splitlines(), *HARD_TEXTS]
    out = tmp_path / "vectors.f32"
    code = """
        const vectors = await model.embed(given.texts);
        writeFileSync(given.out, Buffer.concat(vectors.map((vector) => Buffer.from(Float32Array.from(vector).buffer))));
        print([vectors.length, model.dim, model.maxTokens]);
    """
    rows, columns, max_tokens = node(code, {"texts": texts, "out": str(out)})
    assert (rows, max_tokens) == (len(texts), 512)
    expected = by_onnxruntime(texts)
    found = np.fromfile(out, np.float32).reshape(rows, columns)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_vectors_of_a_model_with_phrases_are_those_of_python_bit_for_bit(node, tmp_path):
    sentences = DATA.read_text(encoding="utf-8").splitlines()
    texts = [*sentences, *HARD_TEXTS]
    model = phrases_of(StaticModel.from_pretrained(), sentences, 2000)
    file = export(model, tmp_path / "bundle", quantize="int8", graphs="text").folder / "onnx" / "text_quantized.onnx"
    out = tmp_path / "vectors.f32"
    code = """
        const other = await load(given.file);
        const vectors = await other.embed(given.texts);
        writeFileSync(given.out, Buffer.concat(vectors.map((vector) => Buffer.from(Float32Array.from(vector).buffer))));
        print((await other.check(given.golden)).why);
    """
    golden = str(tmp_path / "bundle" / "golden.json")
    assert node(code, {"file": str(file), "golden": golden, "texts": texts, "out": str(out)}) == ""
    expected = by_onnxruntime(texts, file)
    found = np.fromfile(out, np.float32).reshape(expected.shape)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("setting", ["always, in bytes", "never, whole texts", "Nmt, NFKC and Lowercase, in bytes"])
def test_a_nul_inside_a_text_counts_as_it_does_in_python(node, setting, tmp_path):
    sentences = DATA.read_text(encoding="utf-8").splitlines()
    tokenizer = trained(sentences[::2], setting)
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32)
    model = StaticModel(table, tokenizer, Card("nul", normalize=True, max_tokens=None))
    bundle = export(model, tmp_path / "bundle", quantize="int8", graphs="text")
    texts = [*sentences[:50], "\0", "a\0b", "\0\0 a", "the\0", "☃\0☃", "the cat", ""]
    code = """
        const other = await load(given.file);
        print((await other.embed(given.texts)).map((vector) => [...new Int32Array(Float32Array.from(vector).buffer)]));
    """
    found = node(code, {"file": str(bundle.folder / "onnx" / "text_quantized.onnx"), "texts": texts})
    expected = EdgeModel.from_pretrained(bundle.folder, engine="native").encode(texts)
    np.testing.assert_array_equal(np.array(found, np.int32), expected.view(np.int32))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    """The text graph of the built-in model with a head; the last label's name is no ASCII."""
    model, source = StaticModel.from_pretrained(), np.random.default_rng(0)
    words = [model.tokenizer.token_to_id(word) for word in ("the", "cat", "text", "rain")]
    grams = np.array([*([word, -1] for word in words), words[:2]], np.int32)
    weights = source.normal(size=(model.dim + 1 + len(grams), 5)).astype(np.float32)
    rows = weights[model.dim + 1 :]
    head = Head(("a", "b", "c", "d", "naïve 😀"), weights[: model.dim], weights[model.dim], grams, rows, threshold=0.5)
    out = tmp_path_factory.mktemp("classifier") / "bundle"
    return (
        export(replace(model, head=head), out, quantize="int8", graphs="text").folder / "onnx" / "text_quantized.onnx"
    )


def test_a_classifier_says_what_onnxruntime_says(node, classifier):
    texts = [*DATA.read_text(encoding="utf-8").splitlines(), "", "a\0b", "☃"]
    code = """
        const other = await load(given.file);
        const decided = await other.classify(given.texts);
        const many = await other.classify(Array.from({ length: 9000 }, (_, at) => given.texts[at % 100]));
        print([
          other.labels,
          decided.map(({ label, probability, probabilities }) => [label, probability, ...probabilities]),
          many.every(({ label }, at) => label === decided[at % 100].label),
          await other.classify("the cat"),
          [await other.classify([]), model.labels, await said(() => model.classify("a"))],
          await said(() => other.classify([5])),
        ]);
    """
    labels, decided, is_same, one, others, wrong = node(code, {"file": str(classifier), "texts": texts})
    assert labels == ["a", "b", "c", "d", "naïve 😀"] and is_same
    session = onnxruntime.InferenceSession(classifier, providers=["CPUExecutionProvider"])
    joined = "\0".join(text.replace("\0", "") for text in texts).encode()
    wanted, numbers = session.run(["probabilities", "label"], {"text": np.frombuffer(joined, np.uint8)})
    found = np.array([row[2:] for row in decided])
    assert np.abs(found - wanted).max() < 2e-7
    assert [row[0] for row in decided] == [None if number < 0 else labels[number] for number in numbers]
    assert {None, *labels} >= {row[0] for row in decided} > {None}
    assert [row[1] for row in decided] == found.max(axis=1).tolist()
    assert one["probability"] == max(one["probabilities"].values())
    assert others == [[], [], "the model is no classifier: its file holds no head"]
    assert wrong == "classify takes strings, and item 0 is a number"


def test_many_and_long_texts_give_what_each_gives_alone(node):
    """More than one call to the engine: by the number of texts, and by their length."""
    code = """
        const texts = Array.from({ length: 9000 }, (_, at) => (at % 100 ? `text ${at}` : ""));
        texts[5000] = "a long one ".repeat(400_000);
        const vectors = await model.embed(texts);
        const differ = [];
        for (const at of [0, 1, 4095, 4096, 4999, 5000, 5001, 8191, 8192, 8999]) {
          const alone = await model.embed(texts[at]);
          if (!alone.every((value, column) => Object.is(value, vectors[at][column]))) differ.push(at);
        }
        print([vectors.length, differ]);
    """
    assert node(code) == [9000, []]


def test_similarity_is_the_cosine_of_texts_and_of_vectors(node):
    code = """
        const [cat, kitten, stocks] = await model.embed(["a cat", "a kitten", "stocks fell"]);
        print([
          await model.similarity("a cat", "a kitten"),
          await model.similarity(cat, kitten),
          await model.similarity("a cat", ["a kitten", "stocks fell"]),
          await model.similarity(cat, [kitten, stocks]),
          await model.similarity("a cat", "☃"),
          await model.similarity("a cat", []),
          cosine([3, 4], [4, 3]),
        ]);
    """
    one, same, texts, vectors, unknown, none, by_hand = node(code)
    assert one == same == texts[0] == vectors[0] > 0.5 > texts[1] == vectors[1]
    assert (unknown, none) == (0, [])
    assert by_hand == pytest.approx(24 / 25)


def test_the_check_passes_here_and_fails_on_other_vectors_and_on_nan(node):
    code = """
        const golden = JSON.parse(readFileSync(given, "utf8"));
        const changed = (vector) => ({ ...golden, vectors: golden.vectors.with(7, vector) });
        const dim = model.dim;
        print([
          await model.check(given),
          await model.check(pathToFileURL(given)),
          await model.check(changed(golden.vectors[7].map((value) => -value))),
          await model.check(changed(golden.vectors[7].map((value) => 3 * value))),
          await model.check(changed(golden.vectors[7].map(() => NaN))),
          await said(() => model.check({ ...golden, format: 2 })),
          await said(() => model.check({ ...golden, tolerance: {} })),
          await said(() => model.check({ ...golden, vectors: [[1]] })),
        ]);
    """
    path, url, turned, longer, nan, other_format, precision, width = node(code, str(GOLDEN))
    assert path == url
    assert path["passed"] and path["why"] == "" and path["texts"] > 200 and path["leastCosine"] > 0.995
    assert not turned["passed"] and "cosine is -0.99" in turned["why"]
    assert not longer["passed"] and "a length is off by 2.0, above 0.001" in longer["why"]
    assert not nan["passed"]
    assert other_format == "golden.json is damaged or of another format than 1"
    assert precision == "golden.json belongs to another model: it says nothing of int8"
    assert width == "golden.json belongs to another model: its vectors have 1 numbers, not 256"


def test_a_model_is_opened_by_path_url_and_bytes_and_the_engine_too(node):
    code = """
        const wasm = readFileSync("node_modules/edge-potion/dist/edge_potion.wasm");
        const bytes = readFileSync(file);
        const all = [
          await load(pathToFileURL(file)),
          await load(pathToFileURL(file).href),
          await load(bytes),
          await load(new Uint8Array(bytes).buffer),
          await load(`data:application/octet-stream;base64,${bytes.toString("base64")}`),
          await load(file, { wasm }),
          await load(file, { wasm: new WebAssembly.Module(wasm) }),
          await load(file, { wasm: "node_modules/edge-potion/dist/edge_potion.wasm" }),
        ];
        print(await Promise.all(all.map((each) => each.similarity("a cat", "a kitten"))));
    """
    assert len(set(node(code))) == 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("load('nowhere.onnx')", "nowhere.onnx cannot be read (ENOENT)"),
        ("load('http://127.0.0.1:9/x')", "http://127.0.0.1:9/x cannot be fetched ("),
        ("load(null)", "a URL, a path or bytes were expected, not null"),
        ("load(given)", f"{GOLDEN} cannot be opened: the file is damaged"),
        ("load(readFileSync(file).subarray(0, 1000))", "the model cannot be opened: the file is damaged"),
        ("model.check(file)", f"{MODEL} is no golden.json: it is not JSON"),
        ("load(file, { wasm: new Uint8Array(9) })", "the bytes given are not the engine: name the place of"),
        ("load(file, { wasm: given })", f"the engine is not at {GOLDEN}: name the place of edge_potion.wasm"),
        ("load(file, { wasm: Uint8Array.of(0, 97, 115, 109, 9) })", "the engine cannot be compiled ("),
        ("load(file, { worker: true })", f"{MODEL} cannot be opened: there are no Web Workers here: load without"),
        ("model.embed(5)", "embed takes a string or an array of strings, and was given a number"),
        ("model.embed(['a', null])", "embed takes strings, and item 1 is null"),
        ("model.similarity(['a'], 'b')", "similarity takes one text or vector first"),
        ("model.similarity('a', [[1, 2]])", "embed takes strings, and item 0 is an array"),
        ("model.similarity('a', new Float32Array(2))", "vectors of 256 and 2 numbers cannot be compared"),
        ("(model.close(), model.embed('a'))", "the model is closed"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(node, call, sentence):
    said = node(f"print(await said(() => {call}));", str(GOLDEN))
    assert said.startswith(sentence)
    assert "\n" not in said


def test_a_model_of_any_precision_is_held_to_its_own_bounds(node, tmp_path):
    bundle = export(
        StaticModel.from_pretrained(), tmp_path / "bundle", quantize=["float32", "float16"], graphs=["text"]
    )
    code = """
        const golden = JSON.parse(readFileSync(`${given}/golden.json`, "utf8"));
        const checked = [];
        for (const file of ["text.onnx", "text_fp16.onnx"]) {
          const other = await load(`${given}/onnx/${file}`);
          checked.push((await other.check(golden)).why);
          const vectors = golden.vectors.map((vector, at) => (at % 2 ? vector : vector.map((value) => value * 1.002)));
          checked.push((await other.check({ ...golden, vectors })).why);
        }
        print(checked);
    """
    full, full_strays, half, half_strays = node(code, str(bundle.folder))
    assert full == half == ""
    assert "a number is off by 0.00" in full_strays and full_strays.endswith("above 0.000001")
    assert "a length is off by 0.002" in half_strays
