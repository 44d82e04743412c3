"""Writes small models, whole and true to the format, for the fuzzer of the file reader: seeds.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

DIM, ROWS, SLOTS = 8, 6, 8


def tables(precision: str) -> dict[str, np.ndarray]:
    """Of a vocabulary without a piece, over one page of characters: the least that the reader takes."""
    word, isolated, changed = 1 << 22, 2 << 22, 4 << 22
    items = np.full(256, changed | word, np.int32)
    items[:128] = word + np.arange(128)
    items[[0, 32]] = [isolated, 0]
    made: dict[str, np.ndarray] = {
        "byte_items": items,
        "utf8": np.tile(np.arange(256, dtype=np.int32) % 5, 4),
        "page_of": np.zeros(4352, np.int32),
        "slots": np.full((256, 3), word, np.int32),
        "piece_multipliers": np.ones(2, np.int64),
        "piece_keys": np.arange(SLOTS, dtype=np.int64),
        "piece_ids": np.arange(SLOTS, dtype=np.int32) % (ROWS - 1),
        "table_rows": (np.arange(ROWS * DIM).reshape(ROWS, DIM) % 100).astype(precision),
        "is_known": np.ones(ROWS, np.int32),
        "scale": np.ones(1, np.float32),
    }
    if precision == "int8":
        made["row_weights"] = np.full(ROWS, 127, np.uint8)
        made["row_weights_1"] = np.full(ROWS, 3, np.uint8)
        made["column_weights"] = np.ones(DIM, np.float32)
    else:
        made["row_factors"] = np.ones(ROWS, np.float32)
    return made


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for precision in ("int8", "float16", "float32"):
        for normalize in ("true", "false"):
            tensors = [numpy_helper.from_array(array, name) for name, array in tables(precision).items()]
            tensors.append(numpy_helper.from_array(np.array([1], np.int64), "constant_0"))
            node = helper.make_node("Identity", ["text"], ["sentence_embedding"])
            model = helper.make_model(helper.make_graph([node], "seed", [], [], tensors))
            said = {"text_tables": "1", "longest_piece": "18", "longest_word": "100", "unknown_id": "1"}
            helper.set_model_props(model, {**said, "max_tokens": "512", "normalize": normalize, "structure": ""})
            onnx.save(model, folder / f"{precision}-{normalize}.onnx")


if __name__ == "__main__":
    main()
