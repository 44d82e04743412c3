"""The README.md of a model folder: YAML metadata that the hub reads, and a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_potion.escaping import markdown

from .credits import Credit, as_header
from .summary import AGREEMENT, NO_AGREEMENT

__all__ = ["PhrasesTold", "distilled_card", "trained_card"]

PAGE = """\
---
{header}---

# {name}

A static embedding model of {dims} dimensions and {tokens:,} tokens{and_phrases}, {how}
{use}
`recipe.toml` beside this file tells how it was made.
"""
OF_TOKENS = """\
A text is the normalized mean of its token vectors.

It is a Model2Vec folder. These load it as it is:

```python
from edge_potion import EdgeModel        # exported to ONNX on first use
model = EdgeModel.from_pretrained("{name}")

from model2vec import StaticModel
model = StaticModel.from_pretrained("{name}")

from sentence_transformers import SentenceTransformer
model = SentenceTransformer("{name}")
```
"""
OF_PHRASES = """\
A phrase is two tokens that stand side by side and have a vector of their own: those {chosen} were taken. A text is
the normalized mean of the vectors of its tokens and its phrases.

```python
from edge_potion import EdgeModel        # exported to ONNX on first use
model = EdgeModel.from_pretrained("{name}")
```

model2vec and sentence-transformers know no phrases, and do not load this folder. Where `without_phrases` is in it, that
is a Model2Vec folder of the tokens trained alone, which they do load: another model, with other vectors.
"""
CHOSEN = {
    "pmi": "with the highest normalized pointwise mutual information times the logarithm of their count",
    "count": "that stand most often in the corpus",
}
DISTILLED = """\
distilled from {teacher} by edge-potion with
Model2Vec's method: every token goes through the teacher, PCA reduces the vectors, SIF weights scale them."""
TRAINED = """\
trained from {teacher} by edge-potion with
the stages of potion-256d-v3's card (distill, featurize, contrast, born-again, power normalization, PCA){more}, as
`recipe.toml` sets them."""
MAKING = """
## How it was made

{teachers}
* Corpus: {corpus}
* Recipe: {recipe}
* Made with {versions}

| stage | what came of it | agreement |
|---|---|---:|
{rows}

Agreement is Pearson's correlation between the model's cosines and the teacher's, over all pairs of up to 1,000
sentences that it, and the trainings before it, held out. It is no benchmark.
{unscored}"""
JOINED = "* Targets: the vectors of each teacher at length 1, centred, at length 1 again, side by side by their weights"
IN_ITS_SPACE = """
Its vectors lie in the space of {teacher}: texts that the teacher encoded are ranked by their cosine with a query that
this model encodes.
"""


@dataclass(frozen=True)
class PhrasesTold:
    """What the page tells of a model's phrases: how many they are, and how they were chosen, a key of CHOSEN."""

    count: int
    choice: str


NO_PHRASES = PhrasesTold(0, "pmi")


def distilled_card(name: str, teacher: str, licence: str, shape: tuple[int, ...]) -> str:
    """README.md of a distilled model with a table of `shape` (V, D)."""
    return _page(name, [Credit(teacher, licence)], shape, DISTILLED)


def trained_card(
    name: str,
    origin: Mapping[str, Any],
    teachers: Sequence[Credit],
    shape: tuple[int, ...],
    corpus: str,
    summary: Sequence[Mapping[str, Any]],
    versions: Mapping[str, str],
    phrases: PhrasesTold,
    prompts: Sequence[str],
) -> str:
    """README.md of a trained model.

    Args:
        name: of the model.
        origin: recipe_fingerprint, and space where it is the teacher's, as config.json holds them.
        teachers: the one, or all whose vectors were joined.
        shape: (V, D) of the table.
        corpus: what the sentences are of, in words.
        summary: of the run, a row a stage; nothing of it that differs from run to run is told.
        versions: package -> version.
        phrases: of the model.
        prompts: what the recipe put before each text for each teacher, "" for nothing.
    """
    making = MAKING.format(
        teachers=_listed(teachers, prompts),
        corpus=markdown(corpus),
        recipe=f"fingerprint {origin['recipe_fingerprint']}",
        versions=", ".join(f"{package} {version}" for package, version in versions.items()),
        rows="\n".join(_stage_row(stage) for stage in summary),
        unscored="".join(_no_figure(stage) for stage in summary if NO_AGREEMENT in stage),
    )
    where = IN_ITS_SPACE.format(teacher=markdown(teachers[0].teacher)) if origin.get("space") == "teacher" else ""
    return _page(name, teachers, shape, TRAINED, phrases) + where + making


def _listed(teachers: Sequence[Credit], prompts: Sequence[str]) -> str:
    """The teachers as items of a list, with their prompts; of several, each with its weight and licence."""
    told = [
        markdown(each.teacher)
        + (f", revision {markdown(each.revision)}" if each.revision else "")
        + (f", with {markdown(json.dumps(prompt, ensure_ascii=False))} before each text" if prompt else "")
        for each, prompt in zip(teachers, prompts, strict=True)
    ]
    if len(teachers) == 1:
        return f"* Teacher: {told[0]}"
    lines = [
        f"* Teacher: {words}, weight {each.weight:g}, licence {markdown(each.licence) or 'not known'}"
        for words, each in zip(told, teachers, strict=True)
    ]
    return "\n".join([*lines, JOINED])


def _stage_row(stage: Mapping[str, Any]) -> str:
    told = ("sentences", "rows", "tokens", "phrases", "dims", "validation_loss", "validation_accuracy", "best_step")
    facts = ", ".join(f"{key.replace('_', ' ')} {stage[key]:,}" for key in told if key in stage)
    return f"| {stage['stage']} | {facts} | {stage.get(AGREEMENT, '')} |"


def _no_figure(stage: Mapping[str, Any]) -> str:
    return f"\n{stage['stage']} has no figure: {stage[NO_AGREEMENT]}.\n"


def _page(
    name: str, teachers: Sequence[Credit], shape: tuple[int, ...], how: str, phrases: PhrasesTold = NO_PHRASES
) -> str:
    from yaml import safe_dump  # huggingface-hub brings it

    of_teachers = as_header(teachers)
    loaded_by = ["model2vec", "sentence-transformers"] if phrases.count == 0 else ["edge-potion"]
    header: dict[str, object] = {
        "library_name": loaded_by[0],
        "model_name": name,
        **{key: value for key, value in of_teachers.items() if key == "base_model"},
        "tags": ["embeddings", "static-embeddings", *loaded_by[1:]],
        **{key: value for key, value in of_teachers.items() if key != "base_model"},
    }
    use = OF_PHRASES if phrases.count else OF_TOKENS
    of_whom = " and ".join(markdown(each.teacher) for each in teachers)
    return PAGE.format(
        header=safe_dump(header, sort_keys=False),
        name=name,  # made of letters, digits, dots and hyphens
        dims=shape[1],
        tokens=shape[0],
        and_phrases=f" and {phrases.count:,} phrases" if phrases.count else "",
        how=how.format(teacher=of_whom, more=" and phrases" if phrases.count else ""),
        use=use.format(name=name, chosen=CHOSEN[phrases.choice]),
    )
