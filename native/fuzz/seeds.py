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
from edge_potion.exporters.double_array import double_array
from edge_potion.exporters.phrase_rows import phrase_table
from edge_potion.exporters.text_hash import hash_table
from edge_potion.grams import ALONE, grams_of
from edge_potion.head import Head
from edge_potion.phrases import Phrases
from edge_potion.phrases_in_graph import BASE
from edge_potion.tokens import tokenize

DIM, ROWS, SLOTS, PHRASES, UNKNOWN = 8, 6, 8, 2, 1
POOLING = ("table_rows", "row_weights", "row_weights_1", "column_weights", "is_known", "scale")
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


def unigram_tables(passes: str) -> dict[str, np.ndarray]:
    """Of four pieces over two pages of characters, with ids below those of phrases; and of its passes."""
    symbols, page_of = np.zeros((2, 256), np.int32), np.zeros(4352, np.int32)
    symbols[0, [*b"ab."]], symbols[1, 0x2581 % 256], page_of[0x25] = (2, 3, 4), 1, 1
    trie = double_array([[1], [1, 2], [2, 3], [4]], 4)
    ids, scores = np.full(len(trie.units), -1, np.int32), np.full(len(trie.units), -np.inf)
    ids[trie.ends], scores[trie.ends] = [0, 2, 0, UNKNOWN], [-1, -2.5, -3, -1]
    made = {
        "symbol_page_of": page_of,
        "symbols": symbols.reshape(-1),
        "byte_ids": np.arange(256, dtype=np.int32) % 3,
        "trie_units": trie.units,
        "trie_ids": ids,
        "trie_words": ids,
        "trie_scores": scores,
        "unknown_score": np.array([-13.0]),
    }
    for number, kind in enumerate(passes.split()):
        pages = {"page_of": np.zeros(4352, np.int32), "entries": np.full(256, -1, np.int32)}
        pages["entries"][[0xC3, *b"AB"]] = 0, 1, 33  # nothing; "a"; "b"
        classes = {"class_page_of": np.zeros(4352, np.int32), "classes": np.zeros(256, np.int32)}
        classes["classes"][0x30:0x40] = 1 << np.arange(16) if kind == "graphemes" else np.arange(16)
        factors = np.array([BASE, BASE]) ** np.array([1, 2], np.uint64)
        table = hash_table((np.array([[97, 0x31]], np.uint64) * factors).sum(axis=1), np.array([98], np.int32))
        hashed = {"multipliers": table.multipliers, "keys": table.keys, "values": table.ids}
        parts = pages | {"codes": np.array([97, 98], np.int32)} if kind in ("map", "graphemes") else {}
        parts |= {} if kind == "map" else classes
        name = {"graphemes": "sequence", "compose": "pair"}.get(kind)
        parts |= {f"{name}_{key}": array for key, array in hashed.items()} if name else {}
        made |= {f"pass{number}_{key}": array for key, array in parts.items()}
    return made


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
            said = {"text_tables": "2" if has_phrases else "1", "longest_piece": "18", "longest_word": "100"}
            said |= {"normalize": normalize}
            name = f"{precision}-{normalize}{'-head' * has_head}{'-phrases' * has_phrases}.onnx"
            save(folder / "file" / name, arrays, said, has_head=has_head, has_phrases=has_phrases)
    for number, passes in enumerate(("", "map compose", "graphemes", "order map")):
        arrays = {name: table for name, table in tables("int8").items() if name in POOLING} | unigram_tables(passes)
        flags = {
            "collapse_spaces": number == 1,
            "split_whitespace": number == 2,
            "split": number != 3,
            "byte_fallback": True,
        }
        said = {"text_tables": "3", "tokenizer": "unigram", "longest_piece": "2", "normalize": "true", "passes": passes}
        said |= {key: json.dumps(flag) for key, flag in flags.items()}
        said |= {"strip": ("", "left", "right", "both")[number], "prepend": "never" if number == 1 else "always"}
        has_phrases = number == 1
        said |= {"nul": ("drop", "", "1", "8364")[number]} | ({} if has_phrases else {"tokens": str(ROWS - 1)})
        save(
            folder / "file" / f"unigram-{number}.onnx",
            arrays | (phrase_tables() if has_phrases else {}),
            said,
            has_phrases=has_phrases,
        )


def save(
    file: Path,
    arrays: dict[str, np.ndarray],
    said: dict[str, str],
    *,
    has_head: bool = False,
    has_phrases: bool = False,
) -> None:
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    tensors.append(numpy_helper.from_array(np.array([1], np.int64), "constant_0"))
    node = helper.make_node("Identity", ["text"], ["sentence_embedding"])
    model = helper.make_model(helper.make_graph([node], "seed", [], [], tensors))
    of_head = {"head_format": "1", "labels": json.dumps(LABELS), "multi_label": "false", "threshold": "0.5"}
    said = {**said, "max_tokens": "512", "unknown_id": str(UNKNOWN), "structure": "", **(of_head if has_head else {})}
    said |= {"tokens": str(ROWS - 1 - PHRASES), "phrases": str(PHRASES)} if has_phrases else {}
    helper.set_model_props(model, said)
    onnx.save(model, file)


if __name__ == "__main__":
    main()
