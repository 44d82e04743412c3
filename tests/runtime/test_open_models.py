"""An open model: it needs its folder no more, and can be copied and sent; a graph that is not ours is refused."""

from __future__ import annotations

import copy
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_potion import EdgeModel, InputError, ModelFormatError, ProviderError, StaticModel, export
from edge_potion.bundle import graph_file
from edge_potion.find import BUILT_IN
from edge_potion.graph_parts import cut_graph
from edge_potion.manifest import MANIFEST
from edge_potion.second_half import second_half
from edge_potion.static_model import Card

from ..models import exported_once

GRAPHS = ["text", "bag", "tokens"]
# What runs them: the text graph runs in the native engine too.
WAYS = {**{graph: {"graph": graph, "engine": "onnxruntime"} for graph in GRAPHS}, "native": {"engine": "native"}}
PRECISIONS = ["int8", "float16", "float32"]
ASKS: list[tuple[str, dict]] = [
    ("the cat sat", {}),
    ("the cat sat on the mat. " * 4000, {}),
    ("the cat sat on the mat", {"max_tokens": 3}),
    ("a dog ran " * 20, {"max_tokens": None}),
    ("the cat sat on a mat " * 23_000, {"max_tokens": None}),  # more tokens than a graph sums
]


def emptied(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def edited(folder: Path) -> None:
    """In place, so that whoever holds a file open would read the new words."""
    for file in folder.rglob("*"):
        if file.is_file():
            content = bytearray(file.read_bytes())
            content[len(content) // 2 :] = content[: len(content) - len(content) // 2]
            file.write_bytes(content)


def renamed(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


EVENTS: dict[str, Callable[[Path], None]] = {
    "removed": shutil.rmtree,
    "emptied": emptied,
    "edited": edited,
    "renamed": renamed,
}


@pytest.fixture
def new(hand_model, hand_table) -> StaticModel:
    """Another of the same tokenizer."""
    return replace(hand_model, table=hand_table[::-1].copy(), card=replace(hand_model.card, name="new"))


@pytest.fixture
def folder(hand_model, tmp_path) -> Path:
    """A bundle of `hand_model`, to disturb."""
    return exported_once(hand_model, tmp_path / "bundle", "float32", "int8")


@pytest.fixture
def unsealed(folder) -> Path:
    """Without its manifest, which would tell that a graph was changed."""
    (folder / MANIFEST).unlink()
    return folder


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("way", WAYS)
def test_an_open_model_answers_whatever_becomes_of_its_folder(event, way, folder, hand_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = EdgeModel.from_pretrained("bundle", **WAYS[way], precision="float32")
    EVENTS[event](folder)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    for text, options in ASKS:
        np.testing.assert_allclose(model.encode(text, **options), hand_model.encode(text, **options), atol=2e-5)


def test_an_open_model_is_not_the_one_that_took_its_folder(folder, hand_model, new):
    models = [EdgeModel.from_pretrained(folder, **way, precision="float32") for way in WAYS.values()]
    export(new, folder, quantize=["float32"])
    for model in models:
        for text, options in ASKS:
            np.testing.assert_allclose(model.encode(text, **options), hand_model.encode(text, **options), atol=2e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_through_a_model_has_its_own_precision(precision, normalize, way, hand_model, tmp_path):
    """Beside a first precision that is coarser: nothing is taken from model.safetensors."""
    oracle = replace(hand_model, card=Card("hand", normalize=normalize, max_tokens=16))
    exported_once(oracle, tmp_path / "bundle", "int8", "float16", "float32")
    (tmp_path / "bundle" / "model.safetensors").unlink()
    model = EdgeModel.from_pretrained(tmp_path / "bundle", precision=precision, **WAYS[way])
    close = {"int8": 1e-2, "float16": 1e-3, "float32": 5e-6}[precision]
    for text, options in ASKS:
        expected = oracle.encode(text, **options)
        np.testing.assert_allclose(model.encode(text, **options), expected, rtol=close, atol=close)
    many = ["the cat", "", "☃", "on the mat . !"]
    found = model.encode(many, max_tokens=2)
    np.testing.assert_allclose(found, oracle.encode(many, max_tokens=2), rtol=close, atol=close)
    assert not found[1:3].any()


def test_the_half_that_starts_from_ids_has_the_bits_of_the_whole(bundle, sentences):
    texts = sentences[:200]
    for precision in PRECISIONS:
        text = EdgeModel.from_pretrained(bundle.folder, **WAYS["text"], precision=precision)
        padded = EdgeModel.from_pretrained(bundle.folder, graph="tokens", precision=precision)
        assert np.array_equal(text.encode(texts, max_tokens=9), padded.encode(texts, max_tokens=9))


def test_a_table_is_in_memory_once(bundle):
    content = (bundle.folder / graph_file("text", "int8")).read_bytes()
    parts = cut_graph(content, "text")
    assert parts.table is not None and parts.table.base is not None
    assert len(parts.rest) < len(content) - parts.table.nbytes + 100
    onnx.load_from_string(parts.rest)  # ONNX's own reader takes what was cut
    half = onnx.load_from_string(second_half(parts, "it"))
    assert [each.name for each in half.graph.input] == ["grid"]
    assert len(half.graph.node) < 40


def test_a_graph_without_our_table_runs_and_says_what_it_cannot(unsealed):
    file = unsealed / graph_file("text", "int8")
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if tensor.name == "table_rows":
            tensor.name = "another"
    for node in model.graph.node:
        node.input[:] = ["another" if name == "table_rows" else name for name in node.input]
    onnx.save(model, file)
    found = EdgeModel.from_pretrained(unsealed)
    assert found.encode("the cat").any()
    with pytest.raises(ModelFormatError, match=r"no half that starts from token ids"):
        found.encode("the cat", max_tokens=1)


def test_what_is_checked_is_what_is_read(folder, hand_model, monkeypatch):
    """The file changes between the look at it and ONNX Runtime's: the model is still the one that was looked at."""
    from edge_potion import open_on_provider

    look = open_on_provider.check_onnx

    def look_and_change(file: Path, content: bytes) -> None:
        look(file, content)
        file.write_bytes(b"")

    monkeypatch.setattr(open_on_provider, "check_onnx", look_and_change)
    model = EdgeModel.from_pretrained(folder, precision="float32", engine="onnxruntime")
    np.testing.assert_allclose(model.encode("the cat"), hand_model.encode("the cat"), atol=1e-6)
    with pytest.raises(ModelFormatError, match=r"is not the file that was exported \(0 bytes"):
        EdgeModel.from_pretrained(folder, precision="float32")


# Copies.


def test_a_copy_is_the_model_itself(folder):
    model = EdgeModel.from_pretrained(folder)
    shutil.rmtree(folder)
    assert copy.copy(model) is model and copy.deepcopy({"model": [model]})["model"][0] is model


@pytest.mark.parametrize("way", WAYS)
def test_a_pickled_model_is_opened_as_it_was(way, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = EdgeModel.from_pretrained("bundle", **WAYS[way], precision="float32", provider="cpu", threads=1)
    sent = pickle.dumps(model)
    assert len(sent) < 1000  # a name, not a table
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    found = pickle.loads(sent)
    assert (found.graph, found.engine, found.precision) == (model.graph, model.engine, "float32")
    assert (found.provider, found._opened.asked.threads) == ("cpu", 1)
    assert np.array_equal(found.encode("the cat"), model.encode("the cat"))
    assert pickle.loads(pickle.dumps(found)) is found  # in a pool, each task brings the same


def test_the_built_in_model_and_one_from_the_cache_travel_by_name(hand_folder):
    built_in = EdgeModel.from_pretrained()
    assert str(built_in.bundle.folder).encode() not in pickle.dumps(built_in)
    assert np.array_equal(pickle.loads(pickle.dumps(built_in)).encode("rain"), built_in.encode("rain"))
    cached = EdgeModel.from_pretrained(hand_folder)
    sent = pickle.dumps(cached)
    shutil.rmtree(cached.bundle.folder)
    assert np.array_equal(pickle.loads(sent).encode("the cat"), cached.encode("the cat"))


def test_a_folder_that_is_gone_or_another_is_said_when_a_model_arrives(folder, new):
    sent = pickle.dumps(EdgeModel.from_pretrained(folder))
    export(new, folder, quantize=["int8"])
    with pytest.raises(
        ModelFormatError, match=r"bundle was replaced or changed since the model was loaded \(an EdgeModel"
    ):
        pickle.loads(sent)
    shutil.rmtree(folder)
    with pytest.raises(ModelFormatError, match=r"bundle cannot be opened again: no such folder") as caught:
        pickle.loads(sent)
    assert "\n" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args  # errors travel back


ELSEWHERE = """
import sys
import numpy as np
from edge_potion import EdgeModel, StaticModel

def encode(model, text):
    return model.encode(text)

if __name__ == "__main__":
    folder = sys.argv[1]
    for model in (EdgeModel.from_pretrained(folder), StaticModel.from_pretrained(folder)):
        expected = model.encode("the cat")
        if sys.argv[2] == "spawn":
            import multiprocessing
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(encode, (model, "the cat")), *pool.map(model.encode, ["the cat"])
        elif sys.argv[2] == "joblib":
            from joblib import Parallel, delayed
            found = Parallel(n_jobs=2)(delayed(model.encode)("the cat") for _ in range(3))
        else:
            import cloudpickle
            sent = cloudpickle.dumps(lambda text: model.encode(text))
            found = [cloudpickle.loads(sent)("the cat")]
        assert all(np.array_equal(each, expected) for each in found)
    print("OK")
"""


@pytest.mark.parametrize("how", ["spawn", "joblib", "cloudpickle"])
def test_models_travel_to_other_processes(how, folder, tmp_path):
    if how != "spawn":
        pytest.importorskip(how)
    script = tmp_path / "elsewhere.py"
    script.write_text(ELSEWHERE)
    command = [sys.executable, script, folder, how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.stdout.strip() == "OK", done.stderr


def test_a_model_tells_what_it_is(folder):
    assert repr(EdgeModel.from_pretrained()) == (
        f"EdgeModel({BUILT_IN!r}, graph='text', precision='int8', engine='native', provider='cpu', dim=256)"
    )
    model = EdgeModel.from_pretrained(folder, graph="bag", precision="float32")
    said = r"EdgeModel\('.*bundle', graph='bag', precision='float32', engine='onnxruntime', provider='cpu', dim=8\)"
    assert re.fullmatch(said, repr(model))


@pytest.mark.parametrize("arguments", [("some/model",), (), (Path("x"), "int8")])
def test_what_is_made_by_hand_says_how_a_model_is_opened(arguments):
    with pytest.raises(InputError, match=r"EdgeModel\.from_pretrained\(") as caught:
        EdgeModel(*arguments)
    assert arguments[:1] != ("some/model",) or "'some/model'" in str(caught.value)


# What a graph takes and gives.


def changed(folder: Path, graph: str, change: Callable[[onnx.ModelProto], None]) -> Path:
    file = folder / graph_file(graph, "int8")
    model = onnx.load(file)
    change(model)
    onnx.save(model, file)
    return folder


def one_more_input(model: onnx.ModelProto) -> None:
    more = model.graph.input.add()
    more.CopyFrom(model.graph.input[0])
    more.name = "more"


def another_type(model: onnx.ModelProto) -> None:
    kind = model.graph.input[0].type.tensor_type
    node = onnx.helper.make_node("Cast", ["float"], [model.graph.input[0].name], to=kind.elem_type)
    model.graph.input[0].name, kind.elem_type = "float", onnx.TensorProto.FLOAT
    model.graph.node.insert(0, node)


def fixed_size(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 7


def another_name(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "vectors"
    model.graph.node.append(onnx.helper.make_node("Identity", ["sentence_embedding"], ["vectors"]))


def another_first(model: onnx.ModelProto) -> None:
    model.graph.output.insert(0, onnx.helper.make_tensor_value_info("count", onnx.TensorProto.INT64, [1]))
    model.graph.node.append(onnx.helper.make_node("Shape", ["sentence_embedding"], ["both"]))
    starts = [onnx.numpy_helper.from_array(np.array([at]), name) for at, name in ((0, "zero"), (1, "one"))]
    model.graph.initializer.extend(starts)
    model.graph.node.append(onnx.helper.make_node("Slice", ["both", "zero", "one"], ["count"]))


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("change", [one_more_input, another_type, fixed_size, another_name, another_first])
def test_a_graph_that_takes_or_gives_something_else_is_refused_at_load(graph, change, unsealed):
    with pytest.raises(ModelFormatError, match=r"the graph '\w+' (takes|gives) .*export the bundle again"):
        EdgeModel.from_pretrained(changed(unsealed, graph, change), graph=graph, precision="int8")


def with_last(*nodes: onnx.NodeProto, **constants: np.ndarray) -> Callable[[onnx.ModelProto], None]:
    """Put nodes between what were the vectors ("before") and the output."""

    def change(model: onnx.ModelProto) -> None:
        (last,) = (node for node in model.graph.node if "sentence_embedding" in node.output)
        last.output[0] = "before"
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
        del model.graph.value_info[:]

    return change


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            with_last(
                onnx.helper.make_node("ReduceSum", ["before", "first"], ["sentence_embedding"], keepdims=1),
                first=np.array([0]),
            ),
            r"gives \(1, 8\), where \(3, 8\) was expected",
        ),
        (
            with_last(onnx.helper.make_node("Concat", ["before", "before"], ["sentence_embedding"], axis=0)),
            r"gives \(6, 8\), where \(3, 8\) was expected",
        ),
        (
            with_last(
                onnx.helper.make_node("Gather", ["before", "beyond"], ["sentence_embedding"]), beyond=np.array([10**6])
            ),
            r"fails on 'cpu' \(.*out of data bounds",
        ),
    ],
)
def test_a_graph_that_gives_other_vectors_or_fails_is_one_line(graph, change, complaint, unsealed):
    model = EdgeModel.from_pretrained(changed(unsealed, graph, change), graph=graph)
    with pytest.raises(ModelFormatError, match=complaint) as caught:
        model.encode(["the cat", "a", "dog"])
    assert "\n" not in str(caught.value) and str(unsealed) in str(caught.value)


# What errors advise.


def test_no_error_advises_what_is_used_already(hand_model, tmp_path):
    export(hand_model, tmp_path / "small", quantize=["int8"], graphs=["bag"])
    with pytest.raises(ProviderError) as caught:
        EdgeModel.from_pretrained(tmp_path / "small", precision="float32")
    assert "--quantize float32, or use precision='int8'" in str(caught.value)
    assert "provider='cpu'" not in str(caught.value)
