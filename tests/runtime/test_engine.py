"""Which engine runs a model, and that EdgeModel is the same with each."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_potion import EdgeModel, EngineError, InputError, MissingExtraError, ModelFormatError, StaticModel, export
from edge_potion.bundle import graph_file
from edge_potion.manifest import MANIFEST

TEXTS = ["the cat sat on the mat", "", "☃", "a dog\0 ran", "naïve café 日本語", "on " * 700, "x" * 5000]
OPTIONS: list[dict] = [
    {},
    {"max_tokens": 2},
    {"max_tokens": None},
    {"max_tokens": 2**40},
    {"batch_size": 2},
    {"prompt": "the cat "},
    {"truncate_dim": 3},
    {"normalize_embeddings": True},
]
# Hides onnxruntime and whatever else is not numpy, as on a machine that has the base install alone, and less.
NUMPY_ALONE = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        package = name.split(".")[0]
        if package not in {"edge_potion", "numpy", *sys.stdlib_module_names} and not package.startswith("_edge"):
            raise ImportError(f"{name} must not be imported here")
sys.meta_path.insert(0, Wall())
"""


def run(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def both() -> tuple[EdgeModel, EdgeModel]:
    return EdgeModel.from_pretrained(engine="native"), EdgeModel.from_pretrained(engine="onnxruntime")


@pytest.fixture
def older(bundle, tmp_path) -> Path:
    """A bundle of a version before the engine."""
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "older"))
    file = folder / graph_file("text", "int8")
    model = onnx.load(file)
    kept = {each.key: each.value for each in model.metadata_props if each.key != "text_tables"}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, file)
    (folder / MANIFEST).unlink()
    return folder


def test_the_engine_is_what_runs_the_text_graph_on_the_cpu(bundle):
    for asked in ({}, {"graph": "text"}, {"provider": "cpu"}, {"provider": ("CPUExecutionProvider", {})}):
        model = EdgeModel.from_pretrained(bundle.folder, **asked)
        assert (model.engine, model.graph, model.provider, model.device) == ("native", "text", "cpu", "cpu")
        assert model.ran_on == model.elsewhere == {}
    for asked in ({"graph": "bag"}, {"engine": "onnxruntime"}, {"provider": ("cpu", {"use_arena": "0"})}):
        assert EdgeModel.from_pretrained(bundle.folder, **asked).engine == "onnxruntime"


@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_both_give_the_same_vectors(precision, options, bundle):
    native, other = (
        EdgeModel.from_pretrained(bundle.folder, graph="text", precision=precision, engine=engine)
        for engine in ("native", "onnxruntime")
    )
    found, expected = native.encode(TEXTS, **options), other.encode(TEXTS, **options)
    assert found.dtype == np.float32 and found.shape == expected.shape
    if precision == "int8":
        assert found.tobytes() == expected.tobytes()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for text, vector in zip(TEXTS, found, strict=True):
        assert native.encode(text, **options).tobytes() == vector.tobytes()


def test_ids_and_streams_are_the_same_too(both, sentences):
    native, other = both
    ids = [encoding.ids for encoding in native.tokenizer.encode_batch(sentences[:50], add_special_tokens=False)]
    assert native.encode_ids(ids).tobytes() == other.encode_ids(ids).tobytes()
    assert native.encode_ids([[], [5], [29527]]).tobytes() == other.encode_ids([[], [5], [29527]]).tobytes()
    for wrong in ([[29528]], [[-1]], [[0.5]]):
        with pytest.raises(InputError, match=r"ids (hold|are)"):
            native.encode_ids(wrong)
    streams = [np.concatenate([batch.vectors for batch in model.stream(iter(sentences))]) for model in both]
    assert streams[0].tobytes() == streams[1].tobytes()


def test_prompts_of_the_model_stand_before_a_single_text_as_well(hand_model, tmp_path):
    model = replace(hand_model, card=replace(hand_model.card, prompts={"cat": "the cat "}, default_prompt="cat"))
    folder = export(model, tmp_path / "out", quantize="float32", graphs="text").folder
    prompted = EdgeModel.from_pretrained(folder, engine="native")
    assert prompted.encode("sat").tobytes() == prompted.encode("the cat sat", prompt="").tobytes()
    np.testing.assert_allclose(prompted.encode("sat"), hand_model.encode("the cat sat"), atol=1e-6)


@pytest.mark.parametrize("text", ["a\ud800", ["a", "b\udfff"], ["a", 3], ["a", b"b"], b"a", 3, None])
def test_what_is_no_text_is_refused_in_the_same_words(text, both):
    said = []
    for model in both:
        with pytest.raises(InputError) as caught:
            model.encode(text)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_text_of_many_megabytes_is_read_as_far_as_it_is_kept(both):
    long = "the naïve cat " * 800_000
    assert both[0].encode(long).tobytes() == both[1].encode(long).tobytes()
    whole = both[0].encode(long, max_tokens=None)  # exact sums of 3,200,000 tokens
    np.testing.assert_allclose(whole, both[0].encode("the naïve cat", max_tokens=None), atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"graph": "bag"}, "runs the text graph, and graph='bag' was asked for"),
        ({"provider": "cuda"}, "runs on the cpu, and provider='cuda' was asked for"),
    ],
)
def test_the_engine_named_for_what_it_does_not_run_is_an_error(asked, reason, bundle):
    with pytest.raises(EngineError, match=reason):
        EdgeModel.from_pretrained(bundle.folder, engine="native", **asked)


def test_an_engine_that_does_not_exist_is_named(bundle):
    with pytest.raises(InputError, match="no engine 'tensorrt'; the engines are native, onnxruntime"):
        EdgeModel.from_pretrained(bundle.folder, engine="tensorrt")


def test_a_bundle_of_before_runs_in_onnxruntime_and_info_says_why(older, bundle):
    model = EdgeModel.from_pretrained(older)
    assert model.engine == "onnxruntime"
    with pytest.raises(EngineError, match=r"of a version before the native engine; export the model again"):
        EdgeModel.from_pretrained(older, engine="native")
    said = subprocess.run(
        [sys.executable, "-m", "edge_potion", "info", older], capture_output=True, text=True, check=True
    )
    assert "runs in ONNX Runtime, and not in the native engine" in said.stdout
    said = subprocess.run(
        [sys.executable, "-m", "edge_potion", "info", bundle.folder], capture_output=True, text=True, check=True
    )
    assert "the text graph runs in the native engine (" in said.stdout


def test_a_graph_that_another_program_changed_is_not_misread(bundle, tmp_path):
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "changed"))
    file = folder / graph_file("text", "int8")
    model = onnx.load(file)
    (last,) = (node for node in model.graph.node if "sentence_embedding" in node.output)
    last.output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Add", ["before", "before"], ["sentence_embedding"]))
    onnx.save(model, file)
    (folder / MANIFEST).unlink()
    with pytest.raises(EngineError, match="another program changed it"):
        EdgeModel.from_pretrained(folder, engine="native")
    assert EdgeModel.from_pretrained(folder).engine == "onnxruntime"


def test_a_damaged_file_is_refused_and_not_handed_on(bundle, tmp_path):
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "damaged"))
    file = folder / graph_file("text", "int8")
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelFormatError, match=r"is not the file that was exported"):
        EdgeModel.from_pretrained(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(ModelFormatError, match=r"text_quantized.onnx is no graph of ours: the file is damaged"):
        EdgeModel.from_pretrained(folder)


def test_the_switch_leaves_the_engine_out(tmp_path):
    script = """
from edge_potion import EdgeModel, EngineError
print(EdgeModel.from_pretrained().engine)
try:
    EdgeModel.from_pretrained(engine="native")
except EngineError as error:
    print(error)
"""
    said = run(script, EDGE_POTION_NATIVE="0").stdout.splitlines()
    assert said == ["onnxruntime", "there is no native engine here: it is switched off by EDGE_POTION_NATIVE=0"]


def test_numpy_alone_is_enough_to_embed_with_the_built_in_model(both):
    script = f"""{NUMPY_ALONE}
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained()
print(model.engine, model.encode(["a cat", "日本語"], max_tokens=None).shape, model.encode("rain").tobytes().hex())
print(sum(len(batch.texts) for batch in model.stream(["a"] * 10000)), float(model.similarity("rain", "rain")) > 0.99)
"""
    done = run(script)
    vector = both[1].encode("rain").tobytes().hex()
    assert done.stdout.splitlines() == [f"native (2, 256) {vector}", "10000 True"], done.stderr


def test_where_neither_engine_is_there_the_error_says_why_of_both():
    script = f"""{NUMPY_ALONE}
import importlib.machinery
real = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: None if name == "onnxruntime" else real(name, *rest)
import edge_potion
try:
    edge_potion.EdgeModel.from_pretrained()
except edge_potion.MissingExtraError as error:
    print(error)
"""
    said = run(script.replace(NUMPY_ALONE, ""), EDGE_POTION_NATIVE="0").stdout
    assert "pip install 'edge-potion[cpu]'" in said and "switched off by EDGE_POTION_NATIVE=0" in said
    assert issubclass(MissingExtraError, ImportError)


def test_a_pickle_of_an_engine_opens_without_one(both, tmp_path):
    file = tmp_path / "model.pickle"
    file.write_bytes(pickle.dumps(EdgeModel.from_pretrained()))
    opened = "import pickle, sys; model = pickle.load(open(sys.argv[1], 'rb'));"
    script = f"{opened} print(model.engine, model.encode('rain').tobytes().hex())"
    for switch, engine in (("1", "native"), ("0", "onnxruntime")):
        said = run(script, file, EDGE_POTION_NATIVE=switch)
        assert said.stdout.split() == [engine, both[0].encode("rain").tobytes().hex()], said.stderr


def test_the_built_in_file_is_mapped_and_a_file_of_yours_is_not(bundle):
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("this system does not tell what is mapped")
    models = [EdgeModel.from_pretrained(), EdgeModel.from_pretrained(bundle.folder)]
    assert [model.engine for model in models] == ["native", "native"]
    mapped = maps.read_text()
    assert "potion-256d-minilm/onnx/text_quantized.onnx" in mapped
    assert str(bundle.folder / "onnx") not in mapped


def test_what_is_written_into_an_open_models_file_changes_nothing(bundle, tmp_path):
    folder = shutil.copytree(bundle.folder, tmp_path / "bundle")
    model = EdgeModel.from_pretrained(folder, engine="native")
    before = model.encode(TEXTS)
    file = folder / bundle.graphs["text", "int8"].relative_to(bundle.folder)
    file.write_bytes(bytes(file.stat().st_size))
    np.testing.assert_array_equal(model.encode(TEXTS), before)
    file.write_bytes(b"")
    with pytest.raises(ModelFormatError, match="not the file that was exported"):
        EdgeModel.from_pretrained(folder, engine="native")


def test_a_model_that_is_exported_into_the_cache_runs_in_the_engine(hand_folder, hand_model):
    model = EdgeModel.from_pretrained(hand_folder)
    assert model.engine == "native"
    np.testing.assert_allclose(model.encode("the cat sat"), hand_model.encode("the cat sat"), atol=1e-2)


def test_means_are_the_oracles(hand_model, tmp_path):
    model = replace(hand_model, card=replace(hand_model.card, normalize=False))
    folder = export(model, tmp_path / "out", quantize=["int8", "float32"], graphs="text").folder
    for precision, close in (("int8", 1e-2), ("float32", 1e-6)):
        found = EdgeModel.from_pretrained(folder, engine="native", precision=precision).encode(TEXTS)
        np.testing.assert_allclose(found, StaticModel.encode(model, TEXTS), rtol=close, atol=close)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in another way there")
def test_ctrl_c_ends_a_long_call():
    script = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained(threads=2)
long = ["the cat sat on the mat " * 20_000_000]
print("begun", flush=True)
try:
    model.encode(long, max_tokens=None)
    print("done")
except KeyboardInterrupt:
    print("stopped", model.encode("and on it goes").shape)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        # It is heard while the text is joined, tokenized or summed: whenever that is, the call ends by it.
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "stopped (256,)\n"


def test_the_engine_is_named_in_what_a_model_says(both):
    assert "engine='native'" in repr(both[0]) and "engine='onnxruntime'" in repr(both[1])
    assert json.loads(json.dumps(both[0].engine)) == "native"
