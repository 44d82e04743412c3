"""A classifier's bundle: logits from token ids, answers held to the oracle, and a folder that others still load."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_potion import EdgeModel, ModelFormatError, ParityError, StaticModel, export
from edge_potion.bundle import open_bundle
from edge_potion.calls import FEEDS, joined
from edge_potion.exporters.make_golden import golden_of
from edge_potion.golden import read_golden
from edge_potion.golden_binary import GOLDEN_BINARY, golden_bytes, read_golden_binary
from edge_potion.golden_head import STRAYS, GoldenHead, check_decisions
from edge_potion.grams import ALONE
from edge_potion.head import NONE_OF_THESE
from edge_potion.labels import Labels
from edge_potion.manifest import MANIFEST
from edge_potion.ort_files import ort_files
from edge_potion.replay import verify
from edge_potion.tokens import TokenIds

from ..models import CHECKOUT
from ..peers import run_in_peer
from ..runtime.test_head import CAT, head_of
from .test_head import random_head

THE = 5  # of the hand vocabulary
SUFFIXES = {"int8": "_quantized", "float16": "_fp16", "float32": ""}
GRAPHS = {"text": "text", "bag": "bag", "tokens": "model"}


@pytest.fixture(scope="module")
def classifier(distilled, sentences) -> StaticModel:
    return replace(distilled, head=random_head(distilled, sentences[:300], threshold=0.4))


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory) -> Path:
    """Every graph at every precision."""
    return export(classifier, tmp_path_factory.mktemp("classifier") / "bundle", quantize=list(SUFFIXES)).folder


@pytest.fixture
def small(hand_model, tmp_path) -> Path:
    """Of the hand-made model, and without its manifest: its files are changed."""
    bundle = export(replace(hand_model, head=head_of(threshold=0.4)), tmp_path / "small", quantize="int8").folder
    (bundle / MANIFEST).unlink()
    return bundle


def outputs_of(file: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def fed(ids: list[list[int]]) -> dict[str, np.ndarray]:
    return FEEDS["tokens"](TokenIds.of(ids), np.arange(len(ids)))


def change_json(file: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


# The graphs.


@pytest.mark.parametrize("precision", SUFFIXES)
def test_the_tokens_graph_gives_logits_first_of_which_come_the_text_graphs_probabilities(precision, folder):
    golden, suffix = read_golden(folder), SUFFIXES[precision]
    by_ids = outputs_of(folder / "onnx" / f"model{suffix}.onnx", fed(golden.ids))
    by_text = outputs_of(folder / "onnx" / f"text{suffix}.onnx", {"text": joined(golden.texts)})
    assert list(by_ids) == ["logits", "sentence_embedding"]
    labels = golden.head.labels
    np.testing.assert_allclose(labels.probabilities(by_ids["logits"]), by_text["probabilities"], atol=1e-6)
    assert labels.decided(by_ids["logits"]).tolist() == by_text["label"].tolist()
    assert {NONE_OF_THESE} < set(by_text["label"].tolist())


def test_the_native_engine_gives_the_logits_of_the_tokens_graph_bit_for_bit(folder):
    golden = read_golden(folder)
    engine = EdgeModel.from_pretrained(folder, precision="int8", engine="native").native
    logits, _ = engine.classify(golden.texts, engine.max_tokens)
    expected = outputs_of(folder / "onnx" / "model_quantized.onnx", fed(golden.ids))["logits"]
    assert logits.tobytes() == expected.tobytes()
    told = {verdict.what: verdict.message for verdict in verify(folder)}
    assert all(f"text {precision} native" in told for precision in SUFFIXES)
    assert all("labels agree" in message for what, message in told.items() if "text" in what or "tokens" in what)


def test_where_a_text_is_padded_in_its_grid_changes_no_bit_of_its_logits(folder):
    ids = [row for row in read_golden(folder).ids if row][:20]
    file = folder / "onnx" / "model_quantized.onnx"
    together = outputs_of(file, fed(ids))["logits"]
    for row, expected in zip(ids, together, strict=True):
        assert outputs_of(file, fed([row]))["logits"][0].tobytes() == expected.tobytes()
        before = {"input_ids": np.array([[7, 7, *row]]), "attention_mask": np.array([[0, 0, *[1] * len(row)]])}
        assert outputs_of(file, before)["logits"][0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("precision", SUFFIXES)
def test_vectors_have_the_bits_that_they_have_without_a_head_in_every_graph_and_engine(
    precision, normalize, hand_model, sentences, tmp_path
):
    model = replace(hand_model, card=replace(hand_model.card, normalize=normalize))
    texts = [*sentences[:50], "the cat sat on the mat", "cats", "", "é 日本"]
    folders = [
        export(replace(model, head=head), tmp_path / name, quantize=precision).folder
        for name, head in (("plain", None), ("classifier", head_of()))
    ]
    for graph, engine in [(graph, "onnxruntime") for graph in GRAPHS] + [("text", "native")]:
        plain, other = (EdgeModel.from_pretrained(each, graph=graph, engine=engine, provider="cpu") for each in folders)
        assert other.encode(texts).tobytes() == plain.encode(texts).tobytes(), (graph, engine)
        assert other.encode(texts, max_tokens=2).tobytes() == plain.encode(texts, max_tokens=2).tobytes()
        assert other.encode_ids([[6, 7], [5]]).tobytes() == plain.encode_ids([[6, 7], [5]]).tobytes()


def test_graphs_with_a_head_tell_its_labels_in_their_metadata_and_the_others_none(hand_model, tmp_path):
    head = head_of(labels=("ja", "néin", "日本"), multi_label=True, threshold=0.25)
    bundle = export(replace(hand_model, head=head), tmp_path / "bundle", quantize="int8", mobile=True).folder
    told = {"labels": '["ja", "néin", "日本"]', "multi_label": "true", "threshold": "0.25", "head_format": "1"}
    for file in bundle.rglob("*.onnx"):
        stated = {each.key: each.value for each in onnx.load(file).metadata_props}
        wanted = {} if file.name.startswith("bag") else told
        assert {key: stated[key] for key in told if key in stated} == wanted, file


def test_the_files_for_phones_have_the_head_too_and_a_reduced_build_its_operators(hand_model, tmp_path):
    model = replace(hand_model, head=head_of(threshold=0.4))
    bundle = export(model, tmp_path / "bundle", quantize=["int8", "float32"], mobile=True, max_tokens=8).folder
    golden = read_golden(bundle)
    for held in ort_files(bundle):
        onnx_file = bundle / "mobile" / f"{held.file.stem}.onnx"
        twin = onnx_file if held.graph == "fixed" else bundle / "onnx" / onnx_file.name
        ids = golden.ids[5][:8]
        feeds = {"text": {"text": joined(golden.texts)}, "tokens": fed(golden.ids)}.get(held.graph)
        if held.graph == "fixed":
            grid, mask = np.zeros((2, 1, 8), np.int32)
            grid[0, : len(ids)], mask[0, : len(ids)] = ids, 1
            feeds = {"input_ids": grid, "attention_mask": mask}
            logits = outputs_of(bundle / "onnx" / onnx_file.name.replace("fixed", "model"), fed([ids]))["logits"]
            assert outputs_of(held.file, feeds)["logits"].tobytes() == logits.tobytes()
        if feeds is not None:
            found, expected = outputs_of(held.file, feeds), outputs_of(twin, feeds)
            assert [each.tobytes() for each in found.values()] == [each.tobytes() for each in expected.values()]
            assert list(found) == list(expected) and len(found) == {"text": 3}.get(held.graph, 2)
    operators = (bundle / "mobile" / "required_operators.config").read_text()
    assert all(name in operators for name in ("MatMul{", "Round", "Softmax", "ArgMax"))
    lines = {verdict.what: verdict for verdict in verify(bundle)}
    assert all(verdict.passed for verdict in lines.values())
    for what in ("text int8", "tokens float32", "text int8 .ort", "tokens float32 .ort", "fixed int8 .ort"):
        assert "labels agree, probabilities within" in lines[what].message
    assert "labels" not in lines["bag int8"].message


# What it should answer.


def test_golden_json_holds_the_oracles_probabilities_and_labels(folder, classifier):
    golden, head = read_golden(folder), classifier.head
    expected = golden_of(classifier).head
    assert golden.head.labels == head.answers == Labels(head.labels, False, 0.4)
    np.testing.assert_allclose(golden.head.probabilities, expected.probabilities, atol=1e-7)
    assert golden.head.decided.tolist() == expected.decided.tolist()
    assert golden.head.strays == STRAYS
    names = [classifier.head.labels[number] if number >= 0 else None for number in golden.head.decided]
    assert {None} < set(names)
    content = json.loads((folder / "golden.json").read_text())
    assert list(content)[-1] == "classifier" and "probability" not in content["tolerance"]["int8"]


@pytest.mark.parametrize("changes", [{}, {"threshold": 0.4}, {"multi_label": True, "threshold": 0.5, "grams": 0}])
def test_golden_bin_holds_them_too_behind_what_it_holds_of_every_model(changes, hand_model):
    texts = ["the cat sat", "on the mat", "é"]
    model = replace(hand_model, head=random_head(hand_model, texts, labels=3, **changes))
    golden = golden_of(model)
    content = golden_bytes(golden, golden.tolerance, 16)
    plain = golden_bytes(replace(golden, head=None), golden.tolerance, 16)
    assert struct.unpack_from("<2I", plain, 72) == (len(plain), 0)
    assert struct.unpack_from("<2I", content, 72) == (len(content), len(plain))
    assert content[:72] + content[80 : len(plain)] == plain[:72] + plain[80:]
    assert struct.unpack_from("<2If", content, len(plain)) == (3, golden.head.labels.multi_label, pytest.approx(
        -1 if golden.head.labels.threshold is None else golden.head.labels.threshold))  # fmt: skip


def test_golden_bin_is_read_again_as_golden_json_is(folder):
    found, expected = read_golden_binary(folder / GOLDEN_BINARY).head, read_golden(folder).head
    assert (found.labels.names, found.labels.multi_label) == (expected.labels.names, expected.labels.multi_label)
    assert found.labels.threshold == pytest.approx(expected.labels.threshold)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-7)
    assert found.decided.tolist() == expected.decided.tolist()
    assert dict(found.strays) == pytest.approx(expected.strays)


def test_programs_that_know_no_classifier_read_its_golden_bin(folder, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    program, vectors = tmp_path / "read_golden", tmp_path / "vectors.f32"
    source = CHECKOUT / "tests" / "runtime" / "read_golden.c"
    subprocess.run([compiler, "-std=c99", "-O1", source, "-o", program, "-lm"], check=True)
    EdgeModel.from_pretrained(folder, precision="int8").encode(read_golden(folder).texts).tofile(vectors)
    done = subprocess.run(
        [program, folder / GOLDEN_BINARY, "int8", vectors], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.endswith("; 0 stray\n")


@pytest.mark.parametrize(
    "damage",
    [
        lambda head: head["labels"].pop(),
        lambda head: head["label"].pop(),
        lambda head: head["label"].__setitem__(0, 3),
        lambda head: head["probabilities"][0].__setitem__(0, float("nan")),
        lambda head: head["probabilities"].pop(),
        lambda head: head["tolerance"].update(int8=2.0),
        lambda head: head.pop("threshold"),
        lambda head: head.update(labels=["a", "a", "b"]),
        lambda head: head.update(threshold=7),
    ],
)
def test_damaged_answers_are_an_error_of_ours(damage, small):
    change_json(small / "golden.json", lambda content: damage(content["classifier"]))
    with pytest.raises(ModelFormatError, match=r"golden\.json"):
        read_golden(small)


def test_a_label_may_be_another_only_where_the_oracle_is_undecided_within_the_bound():
    shares = np.array([[0.5, 0.45, 0.05], [0.8, 0.1, 0.1], [0.55, 0.25, 0.2]], np.float32)
    golden = GoldenHead(Labels(("a", "b", "c"), threshold=0.6), shares, np.array([-1, 0, -1]), {"int8": 0.06})
    texts = ["close", "clear", "about the threshold"]

    def given(probabilities: np.ndarray, *labels: int) -> dict[str, np.ndarray]:
        return {"probabilities": probabilities, "label": np.array(labels)}

    assert check_decisions(golden, texts, given(shares, 1, 0, 0), "int8", "itself") == 0
    for wrong in (given(shares, -1, 1, -1), given(shares, -1, -1, -1)):
        with pytest.raises(ParityError, match="1 labels are others; worst 'clear'"):
            check_decisions(golden, texts, wrong, "int8", "x")
    moved = shares.copy()
    moved[0, 0] += 0.1
    with pytest.raises(ParityError, match=r"off by 0\.1, where 0\.06 is allowed.*worst 'close'"):
        check_decisions(golden, texts, given(moved, -1, 0, -1), "int8", "x")
    moved[0, 0] = np.nan
    with pytest.raises(ParityError):
        check_decisions(golden, texts, given(moved, -1, 0, -1), "int8", "x")
    with pytest.raises(ParityError, match="shape"):
        check_decisions(golden, texts, given(shares[:, :2], -1, 0, -1), "int8", "x")


def test_a_head_that_cannot_be_held_in_whole_numbers_is_not_exported(hand_model, tmp_path):
    grams = np.array([[CAT, ALONE], [THE, ALONE]], np.int32)
    rows = np.array([[0, 1e5, 0], [0, 2, 0]], np.float32)  # beside the first, the second is nothing
    head = head_of(grams=grams, rows=rows)
    with pytest.raises(ParityError, match="a probability is off by"):
        export(replace(hand_model, head=head), tmp_path / "out", quantize="float32", graphs="tokens")
    assert not (tmp_path / "out").exists()


def test_verify_finds_answers_that_are_not_the_graphs(small):
    def turn(content: dict) -> None:
        head = content["classifier"]
        head["probabilities"] = [row[::-1] for row in head["probabilities"]]

    change_json(small / "golden.json", turn)
    verdicts = {verdict.what: verdict for verdict in verify(small)}
    assert not verdicts["text int8"].passed and "a probability is off by" in verdicts["text int8"].message
    assert not verdicts["tokens int8"].passed and verdicts["bag int8"].passed


# Files that do not belong together.


@pytest.mark.parametrize("graph", ["text", "tokens"])
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_graph_of_another_head_or_of_none_is_refused_by_name(graph, engine, small, hand_model, tmp_path):
    if (graph, engine) == ("tokens", "native"):
        pytest.skip("the native engine runs the text graph alone")

    def opened(folder: Path) -> EdgeModel:
        return EdgeModel.from_pretrained(folder, graph=graph, engine=engine, provider="cpu")

    opened(small)
    file = f"onnx/{GRAPHS[graph]}_quantized.onnx"
    two = head_of(labels=("x", "y"), dense=np.zeros((8, 2), np.float32), bias=np.zeros(2, np.float32),
                  rows=np.ones((2, 2), np.float32), threshold=0.4)  # fmt: skip
    others = {
        r"holds no head, and config\.json has 3 labels": None,
        r"labels = 2 \(x, y\), and config\.json 3 \(axis, cat, cat sat\)": two,
        r"labels = 3 \(axis, cat, dog\)": head_of(labels=("axis", "cat", "dog"), threshold=0.4),
        r"threshold = 0\.5, and config\.json 0\.4": head_of(threshold=0.5),
        r"multi_label = true, and config\.json false": head_of(threshold=0.4, multi_label=True),
    }
    for number, (told, head) in enumerate(others.items()):
        other = export(replace(hand_model, head=head), tmp_path / str(number), quantize="int8", graphs=graph).folder
        shutil.copy(other / file, small / file)
        with pytest.raises(ModelFormatError, match=told):
            opened(small)
    plain = tmp_path / "0"
    (plain / MANIFEST).unlink()
    shutil.copy(tmp_path / "1" / file, plain / file)
    with pytest.raises(ModelFormatError, match=r"holds a classifier's head, of which config\.json says nothing"):
        opened(plain)


@pytest.mark.parametrize(("graph", "output"), [("text", "probabilities"), ("text", "label"), ("tokens", "logits")])
def test_a_graph_that_tells_of_a_head_and_gives_no_answers_is_refused(graph, output, small):
    file = small / "onnx" / f"{GRAPHS[graph]}_quantized.onnx"
    model = onnx.load(file)
    kept = [each for each in model.graph.output if each.name != output]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx.save(model, file)
    with pytest.raises(ModelFormatError, match=f"gives .*, where {output} tensor"):
        EdgeModel.from_pretrained(small, graph=graph, engine="onnxruntime", provider="cpu")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda config: config["classifier"].update(format=2), "format 2"),
        (lambda config: config["id2label"].pop("1"), "damaged"),
        (lambda config: config["label2id"].update(axis=1), "inverse"),
        (lambda config: config["classifier"].update(threshold="high"), "damaged"),
        (lambda config: config["classifier"].update(threshold=2), "threshold is 2.0"),
        (lambda config: config.update(id2label={"0": "a", "1": "a"}, label2id={"a": 1}), "of which 1 differ"),
        (lambda config: config.update(id2label={"0": "a", "1": 2}, label2id={"a": 0, "2": 1}), "inverse"),
        (
            lambda config: config.update(id2label={"0": "a", "1": "\ud800"}, label2id={"a": 0, "\ud800": 1}),
            "not all names",
        ),
    ],
)
def test_labels_of_a_bundle_that_do_not_fit_are_refused(change, told, small):
    change_json(small / "config.json", change)
    with pytest.raises(ModelFormatError, match=told):
        open_bundle(small)


# For others.


def test_a_bundle_saved_or_exported_again_is_a_classifier_still(small, hand_model, tmp_path):
    model = StaticModel.from_pretrained(small)
    assert model.head.answers == Labels(("axis", "cat", "cat sat"), False, 0.4)
    config = json.loads((model.save_pretrained(tmp_path / "model") / "config.json").read_text())
    assert config["model_type"] == "model2vec" and "hidden_act" not in config
    again = export(tmp_path / "model", tmp_path / "again", quantize="int8")
    assert again.labels == model.head.answers
    export(tmp_path / "model", again.folder, quantize="int8")  # it may be replaced
    told = json.loads((again.folder / "config.json").read_text())
    assert told["id2label"] == {"0": "axis", "1": "cat", "2": "cat sat"} and told["model_type"] == "bert"
    plain = export(replace(hand_model, head=None), again.folder, quantize="int8")
    assert plain.labels is None and not (plain.folder / "head.safetensors").exists()
    assert (
        not {"id2label", "classifier", "hidden_act"} & set(plain.config) and plain.config["model_type"] == "model2vec"
    )


def test_the_transformers_of_python_refuses_the_folder_instead_of_answering_at_random(small):
    from transformers import AutoModel, pipeline

    for load in (AutoModel.from_pretrained, lambda folder: pipeline("text-classification", folder)):
        with pytest.raises(KeyError, match="edge-potion"):
            load(str(small))


def test_a_classifier_without_a_graph_that_holds_its_head_says_so(hand_model, tmp_path):
    bundle = export(replace(hand_model, head=head_of()), tmp_path / "bag", quantize="int8", graphs="bag")
    assert any("without the classifier's head" in remark for remark in bundle.remarks)
    assert all(verdict.passed for verdict in verify(bundle.folder))


def test_info_and_the_card_tell_of_the_labels(small, hand_model, tmp_path):
    command = [sys.executable, "-m", "edge_potion", "info"]
    model = replace(hand_model, head=head_of(threshold=0.4)).save_pretrained(tmp_path / "model")
    for folder in (small, model):
        said = subprocess.run([*command, folder], capture_output=True, text=True, check=True).stdout
        line = "a classifier: one of 3 labels a text (axis, cat, cat sat); none of these below a probability of 0.4"
        assert line in said.splitlines()
    card = (small / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "one of 3 labels, or none of these where no probability reaches 0.4" in card and "axis; cat; cat sat" in card
    assert '{ dtype: "q8" }' in card and "TextClassifier.from_pretrained" in card
    plain = (export(hand_model, tmp_path / "plain", quantize="int8").folder / "README.md").read_text()
    assert "classifier" not in plain and "text-classification" not in plain
    many = head_of(labels=("a `b`\n# c", "<d>", "[e](f)"), multi_label=True)
    told = export(replace(hand_model, head=many), tmp_path / "hostile", quantize="float32", graphs="tokens").folder
    card = (told / "README.md").read_text()
    assert "any number of 3 labels.\n\na \\`b\\` # c; &lt;d&gt;; \\[e\\](f)\n" in card
    assert '{ dtype: "fp32" }' in card


@pytest.mark.peers
@pytest.mark.parametrize(
    ("peer", "code"),
    [
        ("model2vec", "from model2vec import StaticModel; model = StaticModel.from_pretrained(sys.argv[1])"),
        (
            "sentence-transformers",
            "from sentence_transformers import SentenceTransformer; model = SentenceTransformer(sys.argv[1])",
        ),
    ],
)
def test_other_libraries_load_the_vectors_of_a_classifiers_bundle(peer, code, folder):
    texts = ["It is raining.", "The weather is wet."]
    command = f"import sys, json; {code}; print(json.dumps(model.encode({texts!r}).tolist()))"
    found = np.array(json.loads(run_in_peer(peer, command, str(folder)).splitlines()[-1]), np.float32)
    np.testing.assert_allclose(found, EdgeModel.from_pretrained(folder, precision="int8").encode(texts), atol=1e-2)
