"""Writes what the fuzzers begin with: seeds.py FOLDER makes FOLDER/file, small models true to the format, and texts.

The texts are for FOLDER/classifier, the built-in model with a head and phrases of random weights.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge_potion import StaticModel, export
from edge_potion.exporters.phrase_rows import phrase_table
from edge_potion.grams import ALONE, grams_of
from edge_potion.head import Head
from edge_potion.phrases import Phrases
from edge_potion.tokens import tokenize

DIM, ROWS, SLOTS, PHRASES, UNKNOWN = 8, 6, 8, 2, 1
LABELS = ["a", "naïve", "\n😀"]
SENTENCES = Path(__file__).parents[2] / "tests" / "data" / "sentences.txt"


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
        "piece_ids": np.arange(SLOTS, dtype=np.int32) % (ROWS - 1 - PHRASES),
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


def head_tables() -> dict[str, np.ndarray]:
    """Of a head whose grams are found nowhere, but by a fuzzer."""
    made: dict[str, np.ndarray] = {
        "head_dense": np.arange(DIM * len(LABELS)).reshape(DIM, -1) * 1300.0,
        "head_rows": np.arange(ROWS * len(LABELS)).reshape(ROWS, -1).astype(np.int8),
        "head_row_weights": np.full(ROWS, 127, np.uint8),
        "head_multipliers": np.ones(2, np.int64),
        "head_keys": np.arange(SLOTS, dtype=np.int64),
        "head_places": np.arange(SLOTS, dtype=np.int32) % ROWS,
    }
    return made | {name: np.ones(len(LABELS)) for name in ("head_dense_scale", "head_row_scale", "head_bias")}


def phrase_tables() -> dict[str, np.ndarray]:
    """Of phrases whose rows are the last; the first of them stands in any text, as all of its words are unknown."""
    table = phrase_table(Phrases(np.array([[UNKNOWN, UNKNOWN], [UNKNOWN, 2]], np.int32), ROWS - 1 - PHRASES))
    return {"phrase_multipliers": table.multipliers, "phrase_keys": table.keys, "phrase_rows": table.ids}


def classifier() -> StaticModel:
    """The built-in model with a head, and phrases in the place of its own, each for half of the sentences' grams."""
    model, source = StaticModel.from_pretrained(), np.random.default_rng(0)
    keys = np.unique(grams_of(tokenize(model.tokenizer, SENTENCES.read_text("utf-8").splitlines(), None)).keys)[::2]
    grams = np.stack([keys >> 31, (keys & (2**31 - 1)) - 1], axis=1).astype(np.int32)
    pairs = grams[(grams != ALONE).all(axis=1) & ~np.isin(grams, model.dropped_ids).any(axis=1)]
    rows = source.normal(0, 0.01, (len(pairs), model.dim)).astype(np.float32)
    model = replace(
        model, table=np.concatenate([model.table[: model.pieces], rows]), phrases=Phrases(pairs, model.pieces)
    )
    weights = source.normal(size=(model.dim + len(grams), 77)).astype(np.float32)
    names = tuple(f"label {number}" for number in range(77))
    bias = np.zeros(77, np.float32)
    return replace(model, head=Head(names, weights[: model.dim], bias, grams, weights[model.dim :]))


def texts() -> list[bytes]:
    """Sentences in many scripts, and what lies around the sizes in which the engine looks at a text."""
    sentences = SENTENCES.read_bytes().splitlines()
    joined = [b"\0".join(sentences[place : place + 3]) for place in range(0, len(sentences), 40)]
    edges = [(part * 4200)[:size] for part in (b"a", b"a b. ", "日".encode(), b"\xc3") for size in (63, 65, 4095, 4200)]
    return [*joined, *edges, b"x" * 99 + "é".encode() + b"x" * 3 + b"\0" + b"y" * 100, b"\xff\xfe \xed\xa0\x80\0\0"]


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts()):
        (folder / "texts" / f"{number}").write_bytes(text)
    (folder / "file").mkdir(exist_ok=True)
    export(classifier(), folder / "classifier", quantize="int8", graphs="text")
    for precision in ("int8", "float16", "float32"):
        for normalize, has_head, has_phrases in (
            ("true", True, False),
            ("false", True, True),
            ("true", False, False),
            ("true", False, True),
        ):
            arrays = tables(precision) | (head_tables() if has_head else {}) | (phrase_tables() if has_phrases else {})
            tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
            tensors.append(numpy_helper.from_array(np.array([1], np.int64), "constant_0"))
            node = helper.make_node("Identity", ["text"], ["sentence_embedding"])
            model = helper.make_model(helper.make_graph([node], "seed", [], [], tensors))
            said = {"text_tables": "2" if has_phrases else "1", "longest_piece": "18", "longest_word": "100"}
            said["unknown_id"] = str(UNKNOWN)
            of_head = {"head_format": "1", "labels": json.dumps(LABELS), "multi_label": "false", "threshold": "0.5"}
            said |= {"max_tokens": "512", "normalize": normalize, "structure": "", **(of_head if has_head else {})}
            said |= {"tokens": str(ROWS - 1 - PHRASES), "phrases": str(PHRASES)} if has_phrases else {}
            helper.set_model_props(model, said)
            name = f"{precision}-{normalize}{'-head' * has_head}{'-phrases' * has_phrases}.onnx"
            onnx.save(model, folder / "file" / name)


if __name__ == "__main__":
    main()
