"""A stand-in for teachers of many languages (XLM-R, bge-m3, multilingual-e5): random weights, a Unigram tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, processors

from ..exporters.unigram_tokenizers import trained

__all__ = ["PREFIX", "SPECIALS", "write_xlmr"]

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PREFIX = "query: "  # that of multilingual-e5


def write_xlmr(folder: Path, texts: Sequence[str]) -> Path:
    """A sentence-transformer laid out as theirs, 8 dimensions wide, whose pieces are of `texts`."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = _tokenizer(texts)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=130,
        pad_token_id=1,
    )
    XLMRobertaModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    settings = {**dict(zip(names, SPECIALS, strict=True)), "cls_token": "<s>", "sep_token": "</s>"}
    settings |= {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 128}
    kinds = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kinds}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kinds}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{kinds}.Normalize"},
    ]
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    prompts = {"prompts": {"query": PREFIX}, "default_prompt_name": "query"}
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    for name, content in (
        ("tokenizer_config.json", settings),
        ("modules.json", modules),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", {"max_seq_length": 128, "do_lower_case": False}),
        ("config_sentence_transformers.json", prompts),
    ):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A stand-in: its weights are random\n")
    return folder


def _tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Precompiled, then white space and Metaspace; <mask> is the last piece, as in XLM-R."""
    content = json.loads(trained(texts, "Precompiled, blanks once").to_str())
    content["normalizer"] = content["normalizer"]["normalizers"][0]
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        ],
    }
    content["model"]["vocab"].append(["<mask>", 0.0])
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer
