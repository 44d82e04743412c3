"""What a pruned model says of itself: its README.md, and the facts in its config.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_potion.escaping import markdown
from edge_potion.model_folder import Card
from edge_potion.static_model import StaticModel

__all__ = ["name_of", "pruned_card"]

HEADER = re.compile(r"\A---\n.*?^---\n", re.DOTALL | re.MULTILINE)  # YAML, which the hub reads
MODEL_NAME = re.compile(r"""^model_name: *["']?(.*?)["']? *$""", re.MULTILINE)
PAGE = """\
{header}
# {name}

{model} with {pieces:,} of its {of_pieces:,} pieces: {which} ({corpora}).
{cut} Words that these texts lack, and those of other languages, are cut into smaller pieces, or
are unknown and count for nothing.
{phrases}
```python
from edge_potion import EdgeModel        # exported to ONNX on first use
model = EdgeModel.from_pretrained("path/of/this/folder")
```

Made by `edge-potion prune`, version {version}.
"""
# Which pieces, by what was asked for.
ALL = "those that {texts:,} texts use"
SHARE = "the most frequent in {texts:,} texts"
ROWS = "the most frequent in {texts:,} texts, and where these have fewer, the likeliest of the same letters"
SAME = "It cuts each of these texts as the whole model does."
OTHER = "It cuts {changed:,} of these texts otherwise than the whole model does; {coverage:.3%} of their pieces stay."
GONE = "\nOf its {before:,} phrases {after:,} stay; the others hold a piece that is gone.\n"
HEADLESS = "---\nlibrary_name: {}\ntags:\n- embeddings\n- static-embeddings\n---\n"
BEFORE = "\n## What was said of the model that it was pruned from\n\n{body}\n"
TITLE = re.compile(r"^(#{1,4} )", re.MULTILINE)
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)  # of code, in which a # begins no title


def name_of(card: Card) -> str:
    """What a model is called: by its hub id, or the name in its README.md, or its folder's."""
    header = HEADER.match(card.readme)
    found = MODEL_NAME.search(header[0]) if header and "/" not in card.name else None
    return found[1] if found and found[1] else card.name


def pruned_card(before: StaticModel, after: StaticModel, name: str, facts: Mapping[str, Any]) -> Card:
    """The card of a pruned model.

    Args:
        before: the model that it was pruned from.
        after: itself, with the card of that one.
        name: of the pruned model, for people.
        facts: from, pieces, of_pieces, corpora, coverage, texts, changed_texts, rows, keep_share, version.
    """
    card, readme = before.card, before.card.readme.replace("\r\n", "\n")
    header = HEADER.match(readme)
    body = readme[header.end() if header else 0 :].strip()
    library = "edge-potion" if after.phrases else "model2vec"
    top = MODEL_NAME.sub(lambda _: f'model_name: "{_plain(name)}"', header[0]) if header else HEADLESS.format(library)
    which = ROWS if facts["rows"] is not None else ALL if facts["keep_share"] in (None, 1) else SHARE
    page = PAGE.format(
        header=top,
        name=markdown(name),
        model=markdown(facts["from"]),
        which=which.format(**facts),
        corpora=", ".join(markdown(corpus) for corpus in facts["corpora"]),
        cut=OTHER.format(changed=facts["changed_texts"], **facts) if facts["changed_texts"] else SAME,
        phrases=GONE.format(before=len(before.phrases), after=len(after.phrases or ())) if before.phrases else "",
        **{key: facts[key] for key in ("pieces", "of_pieces", "version")},
    )
    if body:
        page += BEFORE.format(body=_deeper(body))
    origin = card.config.get("edge_potion")
    # Its scores are those of the whole model.
    kept = {key: value for key, value in origin.items() if key != "scores"} if isinstance(origin, dict) else {}
    told = {"tokenizer_name": card.name, **card.config, "edge_potion": {**kept, "pruned": dict(facts)}}
    return replace(card, name=name, readme=page, config=told)


def _plain(name: str) -> str:
    """A name within quotes of YAML."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _deeper(body: str) -> str:
    """A page as part of another: each title two steps lower."""
    parts = FENCE.split(body)
    return "".join(part if FENCE.fullmatch(part) else TITLE.sub(r"##\1", part) for part in parts)
