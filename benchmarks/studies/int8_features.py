"""Featurize with a teacher whose matrices ONNX Runtime multiplies in int8: half as much time again on an older CPU.

python -m edge_potion.benchmarks.studies.int8_features TEACHER_FOLDER sentences.txt build/features --pooling model

The transformer becomes an ONNX graph beside the features, with weights in int8 by channel and activations quantized as
they come; tokenizer, pooling, shards and resuming are the trainer's own. `--check N` compares N texts' vectors with
float32's first, by cosine and by time.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from edge_potion.find import read_json
from edge_potion.trainer.featurize import featurize
from edge_potion.trainer.recipe import FeaturizeRecipe
from edge_potion.trainer.shards import MANIFEST
from edge_potion.trainer.teacher import Teacher, load_teacher
from edge_potion.unit_length import unit_length
from edge_potion.writing import file_written_whole

GRAPH = "teacher-int8.onnx"
NAMES, STATES = ("input_ids", "attention_mask"), "states"
SHARD_ROWS = 2_500  # a minute or less, so that a kill costs no more


def in_int8(teacher: Teacher, graph: Path) -> None:
    """Have the teacher's encoder run by ONNX Runtime, from this file, which is written where it is missing."""
    import onnxruntime
    import torch

    if not graph.is_file():
        with file_written_whole(graph) as beside:
            _write_graph(teacher, beside)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def forward(input_ids: Any, attention_mask: Any) -> SimpleNamespace:
        feed = dict(zip(NAMES, (input_ids.numpy(), attention_mask.numpy()), strict=True))
        return SimpleNamespace(last_hidden_state=torch.from_numpy(session.run([STATES], feed)[0]))

    teacher.model.forward = forward


def _write_graph(teacher: Teacher, file: Path) -> None:
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class States(torch.nn.Module):
        """The encoder's last layer alone."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = teacher.model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    states = States().eval()  # or the exporter would leave the teacher as if it were trained, with dropout
    ids = torch.randint(5, teacher.tokenizer.get_vocab_size() - 1, (2, 8))
    axes = {name: {0: "texts", 1: "tokens"} for name in (*NAMES, STATES)}
    names: dict[str, Any] = {"input_names": list(NAMES), "output_names": [STATES], "dynamic_axes": axes}
    wide = file.with_suffix(".float32.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, which is older than the exporter by torch.export
        torch.onnx.export(states, (ids, torch.ones_like(ids)), wide, **names, dynamo=False, opset_version=17)
    # Seven bits: without VNNI, two products of eight bits are added in sixteen, and saturate there.
    narrow: dict[str, Any] = {"per_channel": True, "reduce_range": True, "weight_type": QuantType.QInt8}
    quantize_dynamic(wide, file, **narrow, op_types_to_quantize=["MatMul"])
    wide.unlink()


def _vectors(teacher: Teacher, sequences: Sequence[Sequence[int]], pooling: str) -> tuple[np.ndarray, float]:
    """(N, W) float32 of unit length, and how many a second."""
    begun = time.perf_counter()
    rows = teacher.vectors(sequences, pooling=pooling)
    return unit_length(rows), len(sequences) / (time.perf_counter() - begun)


def main() -> None:
    """Featurize, and note the arithmetic in the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="folder or hub id")
    parser.add_argument("sentences", type=Path, help="a text a line")
    parser.add_argument("out", type=Path, help="folder for the shards")
    parser.add_argument("--pooling", default="model", help="as the recipe's, of [featurize]")
    parser.add_argument("--check", type=int, metavar="N", help="compare N texts with float32 first")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    recipe = FeaturizeRecipe(pooling=arguments.pooling, shard_rows=SHARD_ROWS)
    teacher = load_teacher(arguments.teacher)
    with arguments.sentences.open(encoding="utf-8", newline="\n") as lines:
        texts = [line.rstrip("\n") for line in islice(lines, arguments.check or 0)]
    sequences = [ids for ids in teacher.sequences(texts, recipe.max_tokens) if ids]
    wide, slow = _vectors(teacher, sequences, recipe.pooling) if sequences else (None, 0.0)
    in_int8(teacher, arguments.out / GRAPH)
    if wide is not None:
        narrow, fast = _vectors(teacher, sequences, recipe.pooling)
        cosines = (wide * narrow).sum(axis=1)
        print(f"cosine of int8 to float32: mean {cosines.mean():.4f}, smallest {cosines.min():.4f} of {len(cosines):,}")
        print(f"{fast:.0f} texts/s in int8, {slow:.0f} in float32", flush=True)
    print(featurize(teacher, arguments.sentences, arguments.out, recipe, show_progress=True))
    manifest = read_json(arguments.out / MANIFEST) | {"arithmetic": "int8"}
    with file_written_whole(arguments.out / MANIFEST) as beside:
        beside.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
