"""The table of a model folder: what its tensors hold, with weights, mapping and linear modules folded into the rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.st_pipeline import Step

__all__ = [
    "PIECES",
    "PIECES_AND_PHRASES",
    "ST_PIECES",
    "TABLE",
    "DenseLayer",
    "dense_layer",
    "projected",
    "read_table",
    "tensors_of",
]

log = logging.getLogger("edge_potion")

TABLE = "model.safetensors"
# What the table is called in it: by Model2Vec, by sentence-transformers, and with rows of phrases behind the pieces',
# which readers of the first two would take for rows of tokens, and give a mean without them.
PIECES, ST_PIECES, PIECES_AND_PHRASES = "embeddings", "embedding.weight", "pieces_and_phrases"
IDENTITY = "torch.nn.modules.linear.Identity"
ROWS_AT_ONCE = 16_384  # of a table that is projected in float64


def read_table(file: Path, tokens: int) -> tuple[np.ndarray, str]:
    """The (V, D) float32 table with weights and mapping folded in, and what it is called: PIECES, ST_PIECES or, with
    P rows more, PIECES_AND_PHRASES.

    A mapping of another length than the tokenizer's `tokens` is refused before it makes a small file a large table.
    """
    found = tensors_of(file)
    name = next((each for each in (PIECES_AND_PHRASES, ST_PIECES, PIECES) if each in found), None)
    if name is None:
        raise ModelFormatError(
            f"{file} holds {', '.join(sorted(found)) or 'no tensor'}; 'embeddings' (Model2Vec) or 'embedding.weight' "
            "(sentence-transformers) was expected"
        )
    rows, others = found[name], {PIECES, ST_PIECES, "mapping"} & set(found)
    if name == PIECES_AND_PHRASES and others:
        raise ModelFormatError(
            f"{file} holds {', '.join(sorted(others))} beside {name!r}, and one table was expected; download or train "
            "the model again"
        )
    for other in sorted(set(found) - {PIECES, ST_PIECES, PIECES_AND_PHRASES, "weights", "mapping"}):
        log.warning("%s: the tensor %r means nothing to us, and is left out", file, other)
    if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32, np.float64, np.int8):
        raise ModelFormatError(
            f"{file}: the table is {rows.dtype} of shape {rows.shape}; float16, bfloat16, float32, float64 or int8 of "
            "shape (tokens, dimensions) was expected"
        )
    if (mapping := found.get("mapping")) is not None:
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or not ((mapping >= 0) & (mapping < len(rows))).all():
            raise ModelFormatError(f"{file}: 'mapping' does not give a row in 0..{len(rows) - 1} for each token")
        if len(mapping) != tokens:
            raise ModelFormatError(f"{file}: 'mapping' has {len(mapping)} entries, and the tokenizer {tokens} tokens")
        rows = rows[mapping]
    table = rows.astype(np.float32)
    if (weights := found.get("weights")) is not None:
        if weights.shape != (len(table),) or weights.dtype.kind != "f":
            raise ModelFormatError(
                f"{file}: 'weights' is {weights.dtype} of shape {weights.shape}; floats, {len(table)} of them, expected"
            )
        table *= weights.astype(np.float32)[:, None]
    return table, name


def tensors_of(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file; bfloat16, which numpy does not know, as float32."""
    from safetensors import SafetensorError, deserialize, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            names = list(tensors.keys())
            wide = [name for name in names if tensors.get_slice(name).get_dtype() == "BF16"]
            found = {name: tensors.get_tensor(name) for name in names if name not in wide}
        if wide:
            for name, told in deserialize(file.read_bytes()):  # type: ignore[no-untyped-call]
                if name in wide:
                    halves = np.frombuffer(told["data"], "<u2").reshape(told["shape"])
                    found[name] = (halves.astype(np.uint32) << 16).view(np.float32)
    except (OSError, SafetensorError, TypeError, AttributeError, ValueError) as failure:  # a dtype that numpy lacks
        raise ModelFormatError(f"{file} is no safetensors file that can be read ({failure})") from failure
    return found


def projected(table: np.ndarray, steps: Sequence[Step]) -> tuple[np.ndarray, bool]:
    """The table after the modules behind the embedding, and whether the last of them gives unit length."""
    unit_length = False
    for step in steps:
        if step.kind == "Normalize":
            unit_length = True
        elif step.kind == "Dense" and not unit_length:
            table = _after_dense(table, step)
        elif step.kind != "Dropout":  # which does nothing but in training
            behind = " behind a Normalize" if unit_length else ""
            raise ModelFormatError(
                f"{step.folder}: the module {step.kind}{behind} cannot be folded into a table of token vectors; Dense "
                "without activation, Normalize at the end and Dropout can"
            )
    return table, unit_length


def _after_dense(table: np.ndarray, step: Step) -> np.ndarray:
    """(V, D') float32: each row through a linear layer, so that a mean of rows has gone through it."""
    activation = step.config.get("activation_function", "torch.nn.modules.activation.Tanh")  # the library's default
    if activation != IDENTITY:
        raise ModelFormatError(
            f"{step.folder}: the module Dense has the activation {activation!r}, which cannot be folded into a table "
            f"of token vectors; {IDENTITY} can"
        )
    layer = dense_layer(step)
    width = layer.weight.shape[1]
    if table.shape[1] != width:
        raise ModelFormatError(f"{step.folder}: the module Dense takes {width} values, and gets {table.shape[1]}")
    weight = layer.weight.astype(np.float64)
    if layer.residual is not None:
        weight = weight + layer.residual
    projected = np.empty((len(table), len(weight)), np.float32)
    for begin in range(0, len(table), ROWS_AT_ONCE):
        rows = table[begin : begin + ROWS_AT_ONCE].astype(np.float64)
        projected[begin : begin + ROWS_AT_ONCE] = rows @ weight.T + layer.bias
    return projected


@dataclass(frozen=True)
class DenseLayer:
    """A linear layer: x -> weight x + bias, and where there is a residual, + residual x.

    Attributes:
        weight: (D', D) float32.
        bias: (D',) float32, zeros where the layer has none.
        residual: (D', D) float32, or None.
    """

    weight: np.ndarray
    bias: np.ndarray
    residual: np.ndarray | None


def dense_layer(step: Step) -> DenseLayer:
    """The weights of a Dense module, without its activation.

    Raises:
        ModelFormatError: they are missing, pickled, or not of the shapes that its config.json tells.
    """
    file = step.folder / TABLE
    if not file.is_file():
        raise ModelFormatError(
            f"{file} is missing; nothing pickled is loaded, so the module must be saved as safetensors"
        )
    found = {name: tensor.astype(np.float32) for name, tensor in tensors_of(file).items() if tensor.dtype.kind == "f"}
    shape = (step.config.get("out_features"), step.config.get("in_features"))
    has_bias, has_residual = step.config.get("bias", True), step.config.get("use_residual", False)
    wanted: dict[str, tuple[Any, ...]] = {"linear.weight": shape}
    wanted |= {"linear.bias": shape[:1]} if has_bias else {}
    wanted |= {"residual.weight": shape} if has_residual and shape[0] != shape[1] else {}
    if {name: tensor.shape for name, tensor in found.items()} != wanted:
        shapes = {name: tensor.shape for name, tensor in found.items()}
        raise ModelFormatError(f"{file} holds {shapes}; by config.json beside it, {wanted} was expected")
    if not all(np.isfinite(tensor).all() for tensor in found.values()):
        raise ModelFormatError(f"{file} holds NaN or inf")
    weight = found["linear.weight"]
    residual = found.get("residual.weight", np.eye(len(weight), dtype=np.float32)) if has_residual else None
    return DenseLayer(weight, found.get("linear.bias", np.zeros(len(weight), np.float32)), residual)
