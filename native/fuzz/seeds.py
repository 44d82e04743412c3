"""Writes what the fuzzers begin with: seeds.py FOLDER makes FOLDER/file, small models true to the format, and texts."""

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


def texts() -> list[bytes]:
    """Sentences in many scripts, and what lies around the sizes in which the engine looks at a text."""
    sentences = (Path(__file__).parents[2] / "tests" / "data" / "sentences.txt").read_bytes().splitlines()
    joined = [b"\0".join(sentences[place : place + 3]) for place in range(0, len(sentences), 40)]
    edges = [(part * 4200)[:size] for part in (b"a", b"a b. ", "日".encode(), b"\xc3") for size in (63, 65, 4095, 4200)]
    return [*joined, *edges, b"x" * 99 + "é".encode() + b"x" * 3 + b"\0" + b"y" * 100, b"\xff\xfe \xed\xa0\x80\0\0"]


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts()):
        (folder / "texts" / f"{number}").write_bytes(text)
    (folder / "file").mkdir(exist_ok=True)
    for precision in ("int8", "float16", "float32"):
        for normalize in ("true", "false"):
            tensors = [numpy_helper.from_array(array, name) for name, array in tables(precision).items()]
            tensors.append(numpy_helper.from_array(np.array([1], np.int64), "constant_0"))
            node = helper.make_node("Identity", ["text"], ["sentence_embedding"])
            model = helper.make_model(helper.make_graph([node], "seed", [], [], tensors))
            said = {"text_tables": "1", "longest_piece": "18", "longest_word": "100", "unknown_id": "1"}
            helper.set_model_props(model, {**said, "max_tokens": "512", "normalize": normalize, "structure": ""})
            onnx.save(model, folder / "file" / f"{precision}-{normalize}.onnx")


if __name__ == "__main__":
    main()
