"""Bundles from strangers: damaged or dishonest ones are errors, never a crash, a hang, NaN or wrong vectors."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data

from edge_potion import EdgeModel, ModelFormatError, StaticModel, export
from edge_potion.bundle import graph_file
from edge_potion.head import Head
from edge_potion.manifest import MANIFEST, check_files, read_manifest, write_manifest
from edge_potion.onnx_file import OPERATORS, check_onnx

from ..exporters.unigram_tokenizers import NORMALIZERS, by_hand
from ..models import CHECKOUT, exported_once

SECONDS = 900  # for all mutations of a run: one that hangs is found by it


@pytest.fixture
def small(hand_model, tmp_path) -> Path:
    """A bundle of every graph at every precision, small enough to be copied thousands of times."""
    return exported_once(hand_model, tmp_path / "small", "int8", "float16", "float32")


def fuzzed(bundle: Path, seed: int, count: int, scratch: Path, *options: str) -> dict[str, int]:
    scratch.mkdir()
    command = [
        sys.executable,
        CHECKOUT / "tests" / "runtime" / "fuzz_bundle.py",
        bundle,
        str(seed),
        str(count),
        scratch,
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    last = scratch / "last"
    assert done.returncode == 0, f"{last.read_text() if last.exists() else 'at the start'}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("options", [(), ("--without-manifest",)])
def test_damaged_bundles_are_refused_or_right(options, small, tmp_path):
    outcomes = fuzzed(small, 1, 100, tmp_path / "scratch", *options)
    assert outcomes["refused"] > 50 and outcomes["right"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--without-manifest",)])
def test_two_thousand_damaged_bundles_are_refused_or_right(options, small, tmp_path):
    outcomes = fuzzed(small, 10_000, 2000, tmp_path / "scratch", *options)
    print(options, outcomes)
    assert outcomes["refused"] > 2000 and outcomes["right"] > 2000


def test_the_manifest_names_every_file(small):
    sums = read_manifest(small)
    held = {file.relative_to(small).as_posix() for file in small.rglob("*") if file.is_file()}
    assert set(sums) == held - {MANIFEST}
    check_files(small, sums, sums)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "onnx/../../x", "C:\\x", "onnx\\..\\x", "", "a\0b", "./config.json"]
)
def test_a_manifest_that_leaves_its_folder_is_refused(name, small):
    content = json.loads((small / MANIFEST).read_text())
    content["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (small / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ModelFormatError, match="leaves the bundle's folder"):
        EdgeModel.from_pretrained(small)


def test_a_web_apps_manifest_is_none_of_ours(hand_folder):
    (hand_folder / MANIFEST).write_text(json.dumps({"name": "My app", "icons": []}))
    assert StaticModel.from_pretrained(hand_folder).encode("the cat").any()
    assert EdgeModel.from_pretrained(hand_folder).encode("the cat").any()  # exported into the cache


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_refused(small):
    for name in (MANIFEST, "config.json", "tokenizer.json"):
        copy = Path(shutil.copytree(small, small.with_name("copy")))
        (copy / name).unlink()
        os.mkfifo(copy / name)
        with pytest.raises(ModelFormatError):
            StaticModel.from_pretrained(copy)
        shutil.rmtree(copy)


def test_a_flipped_bit_anywhere_in_the_table_is_found(small):
    file = small / graph_file("text", "int8")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFormatError, match="is damaged: its checksum is not that of"):
        EdgeModel.from_pretrained(small, graph="text", precision="int8")
    assert EdgeModel.from_pretrained(small, graph="bag", precision="int8").encode("the cat").any()


def test_a_shortened_file_tells_both_sizes(small):
    file = small / graph_file("bag", "int8")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelFormatError, match=r"not the file that was exported \(100 bytes;"):
        EdgeModel.from_pretrained(small, graph="bag")


def test_a_damaged_table_is_found_by_the_oracle_too(small):
    file = small / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFormatError, match="checksum"):
        StaticModel.from_pretrained(small)


# Graphs that lie, in bundles whose maker wrote a manifest for them.


def with_graph(small: Path, change) -> Path:
    """The bundle with its bag graph changed, and a manifest that says it is right."""
    file = small / graph_file("bag", "float32")
    model = onnx.load(file)
    change(model)
    onnx.save(model, file)
    write_manifest(small)
    return file


def test_external_data_is_refused_wherever_it_points(small, tmp_path):
    (small / "secret").write_bytes(bytes(100_000))

    def change(model: onnx.ModelProto) -> None:
        table = next(tensor for tensor in model.graph.initializer if tensor.name == "table_rows")
        table.ClearField("raw_data")
        table.data_location = onnx.TensorProto.EXTERNAL
        table.external_data.add(key="location", value="secret")

    with_graph(small, change)
    with pytest.raises(ModelFormatError, match="a tensor lies in another file"):
        EdgeModel.from_pretrained(small, graph="bag", precision="float32")


def test_external_data_that_onnx_itself_wrote_is_refused(small):
    file = small / graph_file("bag", "float32")
    model = onnx.load(file)
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, file)
    with pytest.raises(ModelFormatError, match="a tensor lies in another file"):
        check_onnx(file)


def test_external_data_inside_a_branch_is_refused(small):
    def change(model: onnx.ModelProto) -> None:
        tensor = onnx.TensorProto(name="deep", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="secret")
        inner = onnx.helper.make_graph([onnx.helper.make_node("Constant", [], ["deep"], value=tensor)], "inner", [], [])
        outer = onnx.helper.make_graph([onnx.helper.make_node("If", ["c"], ["d"], then_branch=inner)], "outer", [], [])
        model.graph.node.append(onnx.helper.make_node("If", ["a"], ["b"], then_branch=outer))

    with pytest.raises(ModelFormatError, match="a tensor lies in another file"):
        check_onnx(with_graph(small, change))


@pytest.mark.parametrize("dims", [[2**40, 2**20], [-1, 8], [2**62, 4], [33, 9]])
def test_a_tensor_that_claims_another_size_is_refused_before_it_is_loaded(dims, small):
    def change(model: onnx.ModelProto) -> None:
        table = next(tensor for tensor in model.graph.initializer if tensor.name == "table_rows")
        table.dims[:] = dims

    with_graph(small, change)
    with pytest.raises(ModelFormatError, match=r"a tensor (of \d+ bytes has|claims more values)"):
        EdgeModel.from_pretrained(small, graph="bag", precision="float32")


@pytest.mark.parametrize("bytes_before", [b"", b"\x01"])
def test_field_numbers_that_protobuf_would_read_as_others_are_refused(bytes_before, small):
    """Protobuf drops the bits of a key above the 32nd: 13 | 2^29 is 13 to ONNX Runtime, which is external_data."""
    file = small / graph_file("bag", "float32")
    key = (13 << 3 | 2) | 1 << 32
    coded = bytearray()
    while key:
        coded.append(key & 0x7F | (0x80 if key > 0x7F else 0))
        key >>= 7
    file.write_bytes(file.read_bytes() + bytes(coded) + b"\x00" + bytes_before)
    with pytest.raises(ModelFormatError, match="is no protobuf"):
        check_onnx(file)


def test_functions_of_a_models_own_are_refused(small):
    def change(model: onnx.ModelProto) -> None:
        model.functions.append(onnx.FunctionProto(name="Hidden", domain="x"))

    with pytest.raises(ModelFormatError, match="functions of its own"):
        check_onnx(with_graph(small, change))


@pytest.mark.parametrize(("operator", "domain"), [("While", ""), ("Add", "com.example"), ("", ""), ("Tile", "")])
def test_operators_that_no_graph_of_ours_has_are_refused(operator, domain, small):
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(onnx.NodeProto(op_type=operator, domain=domain, input=["a"], output=["b"]))

    with pytest.raises(ModelFormatError, match=r"it holds (the|an) operator"):
        check_onnx(with_graph(small, change))


def constants_alone(kind: str) -> onnx.GraphProto:
    """A graph that works on constants, for ONNX Runtime to fold while it loads it."""
    make = onnx.helper.make_node
    held = {
        "size": np.array([2**30]),
        "zero": np.array(0),
        "one": np.array(1),
        "many": np.array(2**40),
        "few": np.ones(9),
    }
    held |= {
        "pads": np.array([0, 2**33]),
        "column": np.ones((2**14, 1)),
        "row": np.ones((1, 2**14)),
        "ends": np.array([1]),
    }
    held |= {"begins": np.array([0]), "yes": np.array(True)}
    nodes = {
        "filled": [make("ConstantOfShape", ["size"], ["c"])],
        "range": [make("Range", ["zero", "many", "one"], ["c"])],
        "padded": [make("Pad", ["few", "pads"], ["c"])],
        "broadcast": [make("Mul", ["column", "row"], ["c"])],
        "doubled": [make("Concat", [f"c{at}" if at else "few"] * 2, [f"c{at + 1}"], axis=0) for at in range(40)],
        "sums": [make("CumSum", [f"c{at}" if at else "few", "zero"], [f"c{at + 1}"]) for at in range(900)],
        "cut and summed": [make("Slice", ["few", "begins", "ends"], ["c"]), make("CumSum", ["c", "zero"], ["d"])],
        "slices": [make("Slice", [f"c{at}" if at else "few", "begins", "ends"], [f"c{at + 1}"]) for at in range(2)],
        "many slices": [make("Slice", ["few", "begins", "ends"], [f"c{at}"]) for at in range(17)],
        "out of order": [make("Identity", ["later"], ["c"]), make("Identity", ["x"], ["later"])],
        "branch": [],
        "branch by a constant": [],
        "shadowed": [],
    }[kind]
    made = onnx.helper.make_tensor_value_info("made", 1, None)
    work = [make("ConstantOfShape", ["size"], ["made"])]
    inner = [onnx.numpy_helper.from_array(np.array([2**30]), "x")] if kind == "shadowed" else []
    if kind == "shadowed":
        work = [make("ConstantOfShape", ["x"], ["made"])]
    if kind == "branch by a constant":
        work = [make("Identity", ["x"], ["made"])]
    if "branch" in kind or inner:
        sides = {side: onnx.helper.make_graph(work, side, [], [made], inner) for side in ("then_branch", "else_branch")}
        nodes = [make("Cast", ["x"], ["flag"], to=9), make("If", ["yes" if "by" in kind else "flag"], ["c"], **sides)]
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in held.items()]
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in ("x", "y")]
    nodes.append(make("Identity", ["x"], ["y"]))
    return onnx.helper.make_graph(nodes, kind, ends[:1], ends[1:], tensors)


@pytest.mark.parametrize(
    "kind",
    [
        *("filled", "range", "padded", "broadcast", "doubled", "sums", "cut and summed", "slices", "many slices"),
        *("out of order", "branch", "branch by a constant", "shadowed"),
    ],
)
def test_work_on_constants_is_refused_before_it_is_loaded(kind, tmp_path):
    file = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(constants_alone(kind)), file)
    for content in (None, file.read_bytes()):
        with pytest.raises(ModelFormatError, match="no input of the model reaches a node of it"):
            check_onnx(file, content)


def test_thousands_of_nodes_are_refused(tmp_path):
    names = ["x", *(f"v{at}" for at in range(4001))]
    nodes = [onnx.helper.make_node("Identity", [one], [next_]) for one, next_ in pairwise(names)]
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in ("x", names[-1])]
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph(nodes, "long", ends[:1], ends[1:])), tmp_path / "model.onnx"
    )
    with pytest.raises(ModelFormatError, match="more than 4,000 nodes"):
        check_onnx(tmp_path / "model.onnx")


def test_nothing_is_computed_while_a_graph_is_loaded(small):
    """A shape that is known before there is any input, of half a gigabyte: not even that is made at load."""

    def change(model: onnx.ModelProto) -> None:
        make = onnx.helper.make_node
        nodes = [
            make("Reshape", ["input_ids", "size"], ["wide"]),
            make("Shape", ["wide"], ["known"]),
            make("ConstantOfShape", ["known"], ["filled"]),
            make("ReduceSum", ["filled"], ["sum"], keepdims=0),
            make("Add", ["before", "sum"], ["sentence_embedding"]),
        ]
        (last,) = (node for node in model.graph.node if "sentence_embedding" in node.output)
        last.output[0] = "before"
        model.graph.node.extend(nodes)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2**27]), "size"))

    with_graph(small, change)
    script = """
import resource, sys
from edge_potion import EdgeModel
EdgeModel.from_pretrained(sys.argv[1], graph="bag", precision="int8")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
EdgeModel.from_pretrained(sys.argv[1], graph="bag", precision="float32")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (2**20 if sys.platform == "darwin" else 1024))
"""
    done = subprocess.run([sys.executable, "-c", script, small], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes, of less than 128."""
    return bytes([number << 3 | 2, len(content)]) + content


TENSOR = b"\x08\x01\x10\x01"  # one float32
FIXED32 = b"\x0d\0\0\0\0"  # field 1, which holds numbers


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (field(11, field(1, b"x")) + field(1, field(1, b"x") + field(4, b"Cast")), None),
        (field(1, field(4, b"Tile")), "it holds the operator 'Tile'"),
        (field(1, field(4, b"Tile") + b"\x25Cast"), "no protobuf"),  # skipped by protobuf, as it is no string
        (field(1, field(4, b"Tile") + b"\x20\x04"), "no protobuf"),
        (field(5, FIXED32 + TENSOR), "no protobuf"),
        (field(5, b"\x15\x01\0\0\0" + TENSOR), "no protobuf"),
        (field(1, field(4, b"Cast") + field(5, field(5, TENSOR) + field(5, TENSOR))), "two tensors"),
    ],
)
def test_what_protobuf_would_read_otherwise_is_refused(graph, complaint, tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(field(7, graph))
    if complaint is None:
        check_onnx(file)
    else:
        with pytest.raises(ModelFormatError, match=complaint):
            check_onnx(file)


def test_a_name_that_no_file_system_takes_is_refused(small):
    content = json.loads((small / MANIFEST).read_text())
    content["files"]["a" * 300] = {"bytes": 1, "sha256": "0" * 64}
    (small / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ModelFormatError, match="no plain name"):
        read_manifest(small)


def test_no_operator_is_allowed_that_no_graph_of_ours_has(small, hand_model, tmp_path):
    folders = [small, export(hand_model, tmp_path / "more", quantize=["int8"], token_embeddings=True).folder]
    as_means = replace(hand_model, card=replace(hand_model.card, normalize=False))
    folders.append(export(as_means, tmp_path / "means", quantize=["int8", "float32"]).folder)
    weights = np.ones((9, 2), np.float32)
    for flag in (False, True):
        head = Head(("a", "b"), weights[:8], weights[8], np.array([[6, 7]], np.int32), weights[:1], flag, 1.0, 0.5)
        folders.append(export(replace(hand_model, head=head), tmp_path / f"head-{flag}", quantize="int8").folder)
    unigram = replace(hand_model, tokenizer=by_hand({f"{number}": -1.0 for number in range(31)}))
    folders.append(export(unigram, tmp_path / "unigram", quantize="int8").folder)
    for name, normalizer in NORMALIZERS.items():
        tokenizer = by_hand({f"{number}": -1.0 for number in range(31)}, normalizer=normalizer)
        bundle = export(replace(hand_model, tokenizer=tokenizer), tmp_path / name, quantize="int8", graphs="text")
        folders.append(bundle.folder)
    found = set()

    def collect(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            found.add(node.op_type.encode())
            for attribute in node.attribute:
                collect(attribute.g)

    for file in (file for folder in folders for file in folder.glob("onnx/*.onnx")):
        collect(onnx.load(file).graph)
    assert found == OPERATORS


def test_a_tensor_of_thousands_of_dimensions_takes_no_time(small):
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = [2**62] * 100_000

    file = with_graph(small, change)
    with pytest.raises(ModelFormatError, match="claims more values"):
        check_onnx(file)


def test_millions_of_fields_are_not_read(small):
    file = small / graph_file("bag", "float32")
    file.write_bytes(file.read_bytes() + b"\x10\x01" * 1_000_000)
    with pytest.raises(ModelFormatError, match="more than 200,000 fields"):
        check_onnx(file)


def test_a_tensor_of_a_foreign_type_is_refused(small):
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].data_type = onnx.TensorProto.STRING

    with_graph(small, change)
    with pytest.raises(ModelFormatError, match="a tensor is of type 8"):
        EdgeModel.from_pretrained(small, graph="bag", precision="float32")


def test_a_model_whose_name_holds_the_word_location_is_fine(small):
    def change(model: onnx.ModelProto) -> None:
        model.metadata_props.add(key="note", value="location location location")

    check_onnx(with_graph(small, change))


def test_every_graph_of_ours_passes(small, bundle):
    for folder in (small, bundle.folder):
        for file in folder.glob("onnx/*.onnx"):
            check_onnx(file)


def test_nothing_is_unpickled(small, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    for name in ("config.json", "tokenizer.json", "model.safetensors", graph_file("bag", "int8"), "golden.json"):
        copy = tmp_path / "copy"
        shutil.copytree(small, copy)
        (copy / name).write_bytes(pickle.dumps(Trap()))
        write_manifest(copy)
        for load in (StaticModel.from_pretrained, lambda folder: EdgeModel.from_pretrained(folder, graph="bag")):
            try:
                assert np.isfinite(load(copy).encode("the cat")).all()  # a file that this one does not read
            except ModelFormatError:
                continue
        shutil.rmtree(copy)
    assert not (tmp_path / "sprung").exists()
