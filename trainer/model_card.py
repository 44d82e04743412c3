"""The README.md of a model folder: YAML metadata that the hub reads, and a page for people."""

from __future__ import annotations

from .teacher import Teacher

__all__ = ["distilled_card"]

PAGE = """\
---
{header}---

# {name}

A static embedding model of {dims} dimensions and {tokens:,} tokens, distilled from {teacher} by edge-potion with
Model2Vec's method: every token goes through the teacher, PCA reduces the vectors, SIF weights scale them. A text is
the normalized mean of its token vectors.

It is a Model2Vec folder. These load it as it is:

```python
from edge_potion import EdgeModel        # exported to ONNX on first use
model = EdgeModel.from_pretrained("{name}")

from model2vec import StaticModel
model = StaticModel.from_pretrained("{name}")

from sentence_transformers import SentenceTransformer
model = SentenceTransformer("{name}")
```

`recipe.toml` beside this file tells how it was made.
"""


def distilled_card(name: str, teacher: Teacher, shape: tuple[int, ...]) -> str:
    """README.md of a distilled model with a table of `shape` (V, D)."""
    from yaml import safe_dump  # huggingface-hub brings it

    header: dict[str, object] = {
        "library_name": "model2vec",
        "model_name": name,
        "base_model": teacher.name,
        "tags": ["embeddings", "static-embeddings", "sentence-transformers"],
    }
    if teacher.licence:
        header["license"] = teacher.licence
    return PAGE.format(
        header=safe_dump(header, sort_keys=False), name=name, dims=shape[1], tokens=shape[0], teacher=teacher.name
    )
