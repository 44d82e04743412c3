"""The README.md of a bundle: its metadata for the hub, what files it holds, and the lines that load them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_potion.bundle import PRECISIONS, graph_file
from edge_potion.escaping import markdown, terminal
from edge_potion.golden_binary import GOLDEN_BINARY
from edge_potion.labels import Labels
from edge_potion.origin import teachers_of
from edge_potion.static_model import Card, StaticModel

__all__ = ["bundle_card", "model_name", "without_folders"]

CLASSIFIER = """
## Text in, label out

It is also a classifier: {kind} of {count} labels{below}.

{labels}

```python
from edge_potion import TextClassifier

classifier = TextClassifier.from_pretrained("path/of/this/folder")
classifier.predict(["It is raining."])  # a label a text
classifier.predict_proba(["It is raining."])  # (1, {count}) float32
```

In JavaScript, by transformers.js (`dtype` is `q8`, `fp16` or `fp32`; it knows no threshold):

```js
import {{ pipeline }} from "@huggingface/transformers";
const classify = await pipeline("text-classification", "./path/of/this/folder", {{ dtype: "{dtype}" }});
await classify("It is raining.", {{ top_k: 3 }}); // [{{ label, score }}, ...]
```

By ONNX Runtime alone, in any language: `onnx/text*.onnx` takes `text`, uint8, the bytes of UTF-8 texts joined by NUL.
It gives `probabilities` float32 (texts, {count}) in the order of the labels, and `label` int64 (texts), the number of
the likeliest label, or -1 where none is likely enough. `onnx/model*.onnx` takes `input_ids` and `attention_mask`, and
gives `logits`. Both give `sentence_embedding`, too. The names of the labels are in `config.json` (`id2label`) and in
each of these files, as metadata: `labels`, `multi_label`, `threshold`.
"""
MOST_LABELS = 100  # that the card names
DTYPES = {"int8": "q8", "float16": "fp16", "float32": "fp32"}  # transformers.js's words

NO_NAMES = {"", "model", "bundle"}  # of folders, which got into cards as names
UNNAMED = "static-embedding-model"
LONGEST_NAME = 100
# The first line of a card's page, behind the metadata that its head holds.
HEADING = re.compile(r"\s*(?:---[ \t]*\n.*?\n---[ \t]*\n)?\s*# +([^\n]+)", re.DOTALL)

BY_PATH = '"path/of/this/folder")  # or its id on the hub'
PAGE = """\
---
{header}---

# {name}

A static text embedding model of {dim} dimensions and {tokens:,} tokens{origin}, exported to ONNX by edge-potion.
A text is the {mean} of its token vectors, cut at {max_tokens} tokens.{phrases}
{remarks}
| file | bytes |
|---|---|
{files}

```python
from edge_potion import EdgeModel

model = EdgeModel.from_pretrained({opened}
vectors = model.encode(["It is raining.", "The weather is wet."])  # (2, {dim}) float32
```
{classifier}
{peers} `golden.json` holds texts, their token
ids and their vectors, with the tolerance of each precision, so that any port can test itself{binary}. No text
of them holds NUL: joined by it, they are what the text graph takes. `edge-potion verify` does the whole check.
"""
BINARY = "; `golden.bin` holds the\nsame as one flat binary file, for devices without JSON"

PHRASES = """
{phrases:,} phrases, pairs of tokens that stand side by side, have a vector of their own, which joins the mean. The
graphs find them."""
PEER_TAGS = {"model2vec", "sentence-transformers"}  # by which the hub tells how to load a model
PEERS = """\
The folder is also a Model2Vec model and a sentence-transformers StaticEmbedding:
`model2vec.StaticModel.from_pretrained` and `SentenceTransformer(...)` load it."""
NO_PEERS = """\
Model2Vec and sentence-transformers know no phrases, and refuse the folder. Of a folder MODEL that holds
`without_phrases`, `edge-potion export MODEL --without-phrases` makes one that they load."""


def model_name(card: Card, *, has_own_name: bool) -> str:
    """What a model is called, wherever it lies: by the heading or the metadata of its card, or what it was made from.

    Args:
        card: of the model.
        has_own_name: whether `card.name` was given as a name, and is not that of a folder.
    """
    heading = HEADING.match(card.readme)
    stated = [_header(card.readme).get("model_name"), card.config.get("tokenizer_name")]
    stated += [card.name] * has_own_name
    words = [without_folders(heading[1])] if heading else []
    words += [re.split(r"[/\\]", name.rstrip("/\\"))[-1] for name in stated if isinstance(name, str)]  # not whose it is
    names = (terminal(word).strip()[:LONGEST_NAME] for word in words)
    return next((name for name in names if name not in NO_NAMES), UNNAMED)


def without_folders(name: object) -> str:
    """The last part of a path of some machine; a name or a hub id as it is."""
    text = str(name).strip()
    is_path = re.match(r"[/\\~.]|[A-Za-z]:[/\\]", text) or text.count("/") > 1 or "\\" in text
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1] if is_path else text


def bundle_card(
    model: StaticModel, sizes: Mapping[str, int], remarks: Sequence[str] = (), *, opened: str = BY_PATH
) -> str:
    """README.md of a bundle; keeps the metadata of the model's own card.

    Args:
        model: what was exported, under the name that it is to have.
        sizes: bytes of each file.
        remarks: what the bundle lacks, a line each.
        opened: how the page's line that loads it ends, from the name on.
    """
    from yaml import safe_dump  # huggingface-hub brings it

    card = model.card
    metadata = _header(card.readme)
    teachers = [name for name in map(without_folders, teachers_of(card.config)) if name not in NO_NAMES]
    base = metadata.get("base_model", "")
    bases = base if isinstance(base, list) else [base]
    if any(isinstance(name, str) and (name in NO_NAMES or name != without_folders(name)) for name in bases):
        metadata = {key: value for key, value in metadata.items() if key != "base_model"}  # a folder of its maker
        metadata |= {"base_model": teachers if teachers[1:] else teachers[0]} if teachers else {}
    tags = {*_strings(metadata.get("tags")), "embeddings", "onnx", "static-embeddings"}
    header = {
        **metadata,
        "library_name": "edge-potion" if model.phrases else "model2vec",
        "tags": sorted(tags - PEER_TAGS if model.phrases else tags | {"sentence-transformers"}),
        **({"pipeline_tag": "text-classification"} if model.head else {}),
    }
    return PAGE.format(
        header=safe_dump(_plain(header), sort_keys=False, allow_unicode=True),
        name=markdown(card.name),
        dim=model.dim,
        tokens=model.pieces,
        phrases=PHRASES.format(phrases=len(model.phrases)) if model.phrases else "",
        peers=NO_PEERS if model.phrases else PEERS,
        opened=opened,
        binary=BINARY if GOLDEN_BINARY in sizes else "",
        origin=f", distilled from {' and '.join(map(markdown, teachers))}" if teachers else "",
        mean="normalized mean" if card.normalize else "mean",
        max_tokens="no number of" if card.max_tokens is None else card.max_tokens,
        remarks="".join(f"\n* {_sentence(remark)}" for remark in remarks) + "\n" * bool(remarks),
        classifier=_classifier(model.head.answers, sizes) if model.head else "",
        files="\n".join(f"| `{file}` | {size:,} |" for file, size in sizes.items()),
    )


def _classifier(labels: Labels, files: Iterable[str]) -> str:
    """How to have labels of it."""
    names = [markdown(name) for name in labels.names[:MOST_LABELS]]
    below = "" if labels.threshold is None else f", or none of these where no probability reaches {labels.threshold:g}"
    return CLASSIFIER.format(
        kind="any number" if labels.multi_label else "one",
        count=len(labels.names),
        below=below,
        labels="; ".join(names) + "; ..." * (len(labels.names) > MOST_LABELS),
        dtype=next((DTYPES[precision] for precision in PRECISIONS if graph_file("tokens", precision) in files), "q8"),
    )


def _sentence(remark: str) -> str:
    return f"{remark[:1].upper()}{markdown(remark[1:])}."


def _plain(value: Any) -> Any:
    """Metadata of a stranger's card without characters that command a terminal, which YAML would keep."""
    if isinstance(value, str):
        return "".join(character for character in value if character in "\n\t" or terminal(character) == character)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _header(readme: str) -> dict[str, Any]:
    """The YAML metadata at the head of a README.md; {} where there is none that can be read."""
    from yaml import YAMLError, safe_load

    head = re.match(r"---\s*\n(.*?)\n---\s*\n", readme, re.DOTALL)
    try:
        header = safe_load(head[1]) if head else {}
    except YAMLError:  # a foreign card; nothing of ours depends on it
        return {}
    return header if isinstance(header, dict) else {}


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
