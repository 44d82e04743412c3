"""A bundle's format is pinned: what other programs read of it changes by intent alone.

`bundle_format.json` beside this file tells it of the hand-made model, `classifier_format.json` of one with a head, and
`phrases_format.json` of one with phrases:
files, keys, and of each graph its signature and what it computes. After a change that is meant, EDGE_POTION_PIN=1 has
the test write them anew; the diff is what changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from edge_potion import StaticModel, export
from edge_potion.bundle import GRAPHS, PRECISIONS

from ..runtime.test_head import head_of

HERE = Path(__file__).parent
VERSIONED = "edge_potion_version"
ANSWERS = {"texts", "ids", "known_tokens", "vectors", "classifier"}  # which float32 may round otherwise elsewhere


def every_graph(model: StaticModel, out: Path) -> Path:
    asked_for = {"graphs": list(GRAPHS), "token_embeddings": True, "mobile": True, "max_tokens": 8}
    return export(model, out, quantize=list(PRECISIONS), **asked_for).folder


@pytest.mark.parametrize(
    ("file", "head"), [("bundle_format.json", None), ("classifier_format.json", head_of(threshold=0.4))]
)
def test_a_bundle_is_what_it_was(file, head, hand_model, tmp_path):
    check_format(file, replace(hand_model, head=head), tmp_path / "bundle")


def test_a_bundle_with_phrases_is_what_it_was(phrase_model, tmp_path):
    check_format("phrases_format.json", phrase_model, tmp_path / "bundle")


def check_format(file: str, model: StaticModel, out: Path) -> None:
    format_now = format_of(every_graph(model, out))
    if os.environ.get("EDGE_POTION_PIN"):
        (HERE / file).write_text(json.dumps(format_now, indent=1) + "\n", encoding="utf-8")
    pinned = json.loads((HERE / file).read_text(encoding="utf-8"))
    assert list(format_now) == list(pinned)
    for name in pinned:
        assert format_now[name] == pinned[name], name


def format_of(bundle: Path) -> dict[str, Any]:
    """What is pinned of a bundle. Not the bytes of .onnx files, which depend on the version of onnx: what they say."""
    golden, config = (
        json.loads((bundle / name).read_text(encoding="utf-8")) for name in ("golden.json", "config.json")
    )
    graphs = [file for file in _files(bundle) if file.endswith(".onnx")]
    return {
        "files": _files(bundle),
        "config.json": config,
        "golden.json": {
            **{key: value for key, value in golden.items() if key not in ANSWERS},
            **({"classifier": list(golden["classifier"])} if "classifier" in golden else {}),
            "keys": list(golden),
            "texts": _digest(json.dumps([golden["texts"], golden["ids"], golden["known_tokens"]]).encode()),
        },
        **{
            name: json.loads((bundle / name).read_text())
            for name in ("tokenizer_config.json", "special_tokens_map.json")
        },
        "manifest.json": list(json.loads((bundle / "manifest.json").read_text())),
        **{name: _graph(onnx.load(bundle / name)) for name in graphs},
    }


def _files(bundle: Path) -> list[str]:
    return sorted(file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file())


def _graph(model: onnx.ModelProto) -> dict[str, Any]:
    metadata = {each.key: each.value for each in model.metadata_props}
    return {
        "ir_version": model.ir_version,
        "opsets": {each.domain: each.version for each in model.opset_import},
        "producer": model.producer_name,
        "inputs": [_signature(each) for each in model.graph.input],
        "outputs": [_signature(each) for each in model.graph.output],
        "metadata": {key: value if key != VERSIONED else "any" for key, value in metadata.items()},
        "computes": _digest(*_parts(model.graph)),
    }


def _signature(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    sides = [side.dim_param or side.dim_value for side in kind.shape.dim]
    return f"{value.name}: {onnx.TensorProto.DataType.Name(kind.elem_type)} {sides}"


def _parts(graph: onnx.GraphProto) -> Iterator[bytes]:
    """All that decides what a graph computes, in its order: tables, nodes, and the graphs inside of nodes."""
    for tensor in graph.initializer:
        yield f"{tensor.name} {tensor.data_type} {list(tensor.dims)}".encode()
        yield onnx.numpy_helper.to_array(tensor).tobytes()
    for node in graph.node:
        yield f"{node.domain} {node.op_type} {list(node.input)} {list(node.output)} {node.name}".encode()
        for attribute in sorted(node.attribute, key=lambda each: each.name):
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, onnx.GraphProto):
                yield attribute.name.encode()
                yield from _parts(value)
            else:
                if isinstance(value, onnx.TensorProto):
                    value = onnx.numpy_helper.to_array(value).tolist()
                yield f"{attribute.name} {value!r}".encode()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
