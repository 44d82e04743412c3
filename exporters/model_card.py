"""The README.md of a bundle: its metadata for the hub, what files it holds, and the lines that load them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_potion.folders import origin_of
from edge_potion.static_model import StaticModel

__all__ = ["bundle_card"]

PAGE = """\
---
{header}---

# {name}

A static text embedding model of {dim} dimensions and {tokens:,} tokens{origin}, exported to ONNX by edge-potion.
A text is the {mean} of its token vectors, cut at {max_tokens} tokens.

| file | bytes |
|---|---|
{files}

```python
from edge_potion import EdgeModel

model = EdgeModel.from_pretrained("{name}")
vectors = model.encode(["It is raining.", "The weather is wet."])  # (2, {dim}) float32
```

The folder is also a Model2Vec model and a sentence-transformers StaticEmbedding:
`model2vec.StaticModel.from_pretrained` and `SentenceTransformer(...)` load it. `golden.json` holds texts, their token
ids and their vectors, with the tolerance of each precision, so that any port can test itself.
"""


def bundle_card(model: StaticModel, sizes: Mapping[str, int]) -> str:
    """README.md of a bundle whose files have `sizes` in bytes; keeps the metadata of the model's own card."""
    from yaml import safe_dump  # huggingface-hub brings it

    card = model.card
    found = _header(card.readme)
    header = {
        **found,
        "library_name": "model2vec",
        "tags": sorted(
            {*_strings(found.get("tags")), "embeddings", "onnx", "sentence-transformers", "static-embeddings"}
        ),
    }
    teacher = origin_of(card.config).get("teacher")
    return PAGE.format(
        header=safe_dump(header, sort_keys=False, allow_unicode=True),
        name=Path(card.name).name,
        dim=model.dim,
        tokens=len(model.table),
        origin=f", distilled from {teacher}" if teacher else "",
        mean="normalized mean" if card.normalize else "mean",
        max_tokens="no number of" if card.max_tokens is None else card.max_tokens,
        files="\n".join(f"| `{file}` | {size:,} |" for file, size in sizes.items()),
    )


def _header(readme: str) -> dict[str, Any]:
    """The YAML metadata at the head of a README.md; {} where there is none that can be read."""
    from yaml import YAMLError, safe_load

    found = re.match(r"---\s*\n(.*?)\n---\s*\n", readme, re.DOTALL)
    try:
        header = safe_load(found[1]) if found else {}
    except YAMLError:  # a foreign card; nothing of ours depends on it
        return {}
    return header if isinstance(header, dict) else {}


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
