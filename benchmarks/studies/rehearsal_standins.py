"""What the published recipe asks the hub for, stood in for: a teacher of the same shape, and shards of C4's.

The teacher's folder holds what mixedbread-ai/mxbai-embed-large-v1's does on the hub: a BERT of 24 layers, 1024 wide, in
float16, pooled at its first token, with a prompt for queries; its weights are drawn, and its vocabulary is that of
BERT, uncased. The data set's holds what allenai/c4's does: a card whose configurations name the files, and gzipped
JSON lines with text, timestamp and url.

For recipes of several languages, a teacher of XLM-R's shape: a Unigram tokenizer, special tokens first and a mask last,
behind a charsmap, white space and Metaspace, trained on the sentences; and C4 with a subset for each language.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import (
    AddedToken,
    BertWordPieceTokenizer,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

__all__ = [
    "C4",
    "C4_NAMES",
    "SHAPES",
    "SHARD_NAMES",
    "TEACHER",
    "XLMR_SPECIALS",
    "XLMR_TEACHER",
    "Shape",
    "write_c4",
    "write_c4_by_language",
    "write_teacher",
    "write_xlmr_teacher",
]

TEACHER, C4 = "mixedbread-ai/mxbai-embed-large-v1", "allenai/c4"
XLMR_TEACHER = "intfloat/multilingual-e5-small"
SHARD_NAMES = [f"en/c4-train.{number:05d}-of-01024.json.gz" for number in range(1024)]
VALIDATION_NAMES = [f"en/c4-validation.{number:05d}-of-00008.json.gz" for number in range(8)]
C4_NAMES = [*SHARD_NAMES, *VALIDATION_NAMES]
QUERY_PROMPT = "Represent this sentence for searching relevant passages: "
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
XLMR_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # the first pieces, and the last
POSITIONS = 512
# Files of the teacher's repository that nobody trains with, and that are as large as all others together.
NOT_ASKED_FOR = ("onnx/model.onnx", "gguf/mxbai-embed-large-v1-f16.gguf")

# C4's card counts 2,271 bytes of text a document of "en"; its texts are lines of a few sentences.
LINES_A_DOCUMENT, SENTENCES_A_LINE = 5, 4  # on average

C4_CARD = """---
pretty_name: C4
license: odc-by
configs:
- config_name: en
  data_files:
  - split: train
    path: en/c4-train.*.json.gz
  - split: validation
    path: en/c4-validation.*.json.gz
- config_name: en.noblocklist
  data_files:
  - split: train
    path: en.noblocklist/c4-train.*.json.gz
- config_name: realnewslike
  data_files:
  - split: train
    path: realnewslike/c4-train.*.json.gz
---
# C4, stood in for
"""


@dataclass(frozen=True)
class Shape:
    """Sizes of a BERT.

    Attributes:
        layers: how many.
        width: of a token's vector.
        heads: of attention.
        inner: width of a layer's feed-forward half.
    """

    layers: int
    width: int
    heads: int
    inner: int


SHAPES = {
    "whole": Shape(layers=24, width=1024, heads=16, inner=4096),
    "wide": Shape(layers=1, width=1024, heads=16, inner=64),
    "thin": Shape(layers=2, width=256, heads=4, inner=512),
}


def write_teacher(folder: Path, shape: Shape, pieces: Sequence[str], seed: int = 0) -> Path:
    """A sentence-transformer of random weights, laid out as the hub's.

    Args:
        folder: new.
        shape: of its encoder.
        pieces: its WordPiece vocabulary, special tokens included; of BERT, 30,522.
        seed: of the weights.
    """
    import torch
    from transformers import AutoModel, BertConfig

    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=POSITIONS,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoModel.from_config(config, dtype=torch.float16).save_pretrained(folder)  # type: ignore[no-untyped-call]
    _write_tokenizer(folder, pieces)
    pooling = {"word_embedding_dimension": shape.width, "pooling_mode_cls_token": True}
    pooling |= {f"pooling_mode_{mode}": False for mode in ("mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
    pooling |= {"pooling_mode_weightedmean_tokens": False, "pooling_mode_lasttoken": False, "include_prompt": True}
    kinds = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kinds}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kinds}.Pooling"},
    ]
    prompts = {"prompts": {"query": QUERY_PROMPT, "passage": ""}, "default_prompt_name": None}
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": POSITIONS, "do_lower_case": False})
    _write_json(folder / "config_sentence_transformers.json", {**prompts, "similarity_fn_name": "cosine"})
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A stand-in: its weights are random\n")
    for name in NOT_ASKED_FOR:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not asked for")
    return folder


def _write_tokenizer(folder: Path, pieces: Sequence[str]) -> None:
    tokenizer = BertWordPieceTokenizer(vocab={piece: place for place, piece in enumerate(pieces)}, lowercase=True)
    # As the hub's file has it: without it, nothing cuts and nothing pads.
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIALS, strict=True))
    _write_json(folder / "special_tokens_map.json", named)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS, **named}
    _write_json(folder / "tokenizer_config.json", settings)


def write_c4(folder: Path, sentences: Sequence[str], shards: int, seed: int = 0) -> Path:
    """A card and the first shards of a data set in C4's layout, whose documents are made of `sentences`, in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(C4_CARD, encoding="utf-8")
    rng = np.random.default_rng(seed)
    size = -(-len(sentences) // shards)
    for number in range(shards):
        _write_shard(folder / SHARD_NAMES[number], sentences[number * size : (number + 1) * size], rng)
    return folder


def write_xlmr_teacher(folder: Path, shape: Shape, sentences: Sequence[str], pieces: int, charsmap: bytes) -> Path:
    """A sentence-transformer of XLM-R's shape and random weights, laid out as multilingual-e5-small on the hub.

    Args:
        folder: new.
        shape: of its encoder.
        sentences: that its tokenizer is trained on.
        pieces: at most how many there are, special ones included.
        charsmap: of SentencePiece, as its normalizer's.
    """
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = _xlmr_tokenizer(sentences, pieces, charsmap)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=POSITIONS + 2,  # it counts from its padding id on
        pad_token_id=XLMR_SPECIALS.index("<pad>"),
        type_vocab_size=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        XLMRobertaModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), XLMR_SPECIALS, strict=True))
    named |= {"cls_token": "<s>", "sep_token": "</s>"}
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": POSITIONS, **named}
    kinds = "sentence_transformers.models"
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{kinds}.{kind}"}
        for number, (path, kind) in enumerate(
            [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        )
    ]
    pooling = {"word_embedding_dimension": shape.width, "pooling_mode_mean_tokens": True}
    _write_json(folder / "tokenizer_config.json", settings)
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": POSITIONS, "do_lower_case": False})
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A stand-in: its weights are random\n")
    return folder


def _xlmr_tokenizer(sentences: Sequence[str], pieces: int, charsmap: bytes) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Precompiled(charsmap)
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    trainer = trainers.UnigramTrainer(
        vocab_size=pieces - 1, special_tokens=list(XLMR_SPECIALS[:-1]), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(sentences, trainer)
    content = json.loads(tokenizer.to_str())
    content["model"]["vocab"].append([XLMR_SPECIALS[-1], 0.0])
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_special_tokens([AddedToken(XLMR_SPECIALS[-1], lstrip=True)])
    around = [(name, XLMR_SPECIALS.index(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=around)
    return tokenizer


def write_c4_by_language(folder: Path, sentences: Mapping[str, Sequence[str]]) -> Path:
    """A card and a shard of each language, as allenai/c4 has them, whose documents are made of these sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    card = ["---", "pretty_name: C4", "license: odc-by", "configs:"]
    for language, texts in sentences.items():
        files = f"multilingual/c4-{language}.*.json.gz"
        card += [f"- config_name: {language}", "  data_files:", "  - split: train", f"    path: {files}"]
        _write_shard(folder / files.replace("*", "tfrecord-00000-of-00001"), texts, np.random.default_rng(0))
    (folder / "README.md").write_text("\n".join([*card, "---", "# C4, stood in for", ""]), encoding="utf-8")
    return folder


def _write_shard(file: Path, sentences: Sequence[str], rng: np.random.Generator) -> None:
    file.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(file, "wb", mtime=0) as stream:  # the same bytes each time
        for place, text in enumerate(_documents(sentences, rng)):
            url = f"https://example.org/{file.name}/{place}"
            row = {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": url}
            stream.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _documents(sentences: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Texts of a few lines, each of a few sentences."""
    left = list(reversed(sentences))
    while left:
        lines = []
        for _ in range(1 + rng.poisson(LINES_A_DOCUMENT - 1)):
            taken = [left.pop() for _ in range(min(1 + rng.poisson(SENTENCES_A_LINE - 1), len(left)))]
            lines += [" ".join(taken)] if taken else []
        yield "\n".join(lines)


def _write_json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
