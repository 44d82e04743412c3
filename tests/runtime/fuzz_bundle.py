"""Loads damaged bundles: `python fuzz_bundle.py BUNDLE SEED COUNT SCRATCH [--without-manifest]` prints a line of JSON.

In a process of its own, so that a crash is seen as one. SCRATCH/last tells which mutation was under way.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion import EdgeModel, EdgePotionError, StaticModel
from edge_potion.manifest import MANIFEST

TEXTS = ["the cat sat on the mat.", "a dog", "", "日本 é [PAD] running 0 1", "the " * 40]
NASTY: list[Any] = [
    *(None, -1, 0, 2**31, 2**63, 2**64, 10**400, 1e308, -0.5, True, "", "x" * 10_000, "../../etc/passwd"),
    *([], {}, [[[[[]]]]], {"a": {"b": {}}}, "\ud800", "NaN", "int8", ["int8"] * 50),
]


def main() -> None:
    bundle, seed, count, scratch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    warnings.simplefilter("ignore")
    right = answers(bundle)
    outcomes: Counter[str] = Counter()
    for number in range(seed, seed + count):
        rng = random.Random(number)
        damaged = scratch / "damaged"
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(bundle, damaged)
        if "--without-manifest" in sys.argv:
            (damaged / MANIFEST).unlink()
        told = mutate(damaged, rng)
        (scratch / "last").write_text(f"{number}: {told}")
        for (kind, *key), vectors in answers(damaged, right).items():
            if isinstance(vectors, str):
                outcomes["refused"] += 1
            elif not np.isfinite(vectors).all():
                sys.exit(f"{number}: {told}: NaN from {kind} {key}")
            elif np.array_equal(vectors, right[kind, *key]):
                outcomes["right"] += 1
            elif "--without-manifest" in sys.argv:
                outcomes["wrong"] += 1  # nothing tells that it is
            else:
                sys.exit(f"{number}: {told}: other vectors from {kind} {key}, and no error")
    print(json.dumps(outcomes))


def answers(folder: Path, asked: dict[Any, Any] | None = None) -> dict[Any, Any]:
    """Vectors, or the error, of every graph and precision, of "auto", and of the numpy oracle."""
    keys = asked or [("model", "auto", None), ("oracle",)] + [
        ("model", graph, precision)
        for graph in ("text", "bag", "tokens")
        for precision in ("int8", "float16", "float32")
    ]
    found = {}
    for key in keys:
        load: Callable[[], Any] = (
            (lambda: StaticModel.from_pretrained(folder))
            if key[0] == "oracle"
            else lambda key=key: EdgeModel.from_pretrained(
                folder, graph=key[1], precision=key[2], provider="cpu", threads=1
            )
        )
        try:
            found[key] = load().encode(TEXTS)
        except EdgePotionError as reason:
            if asked is None:
                raise
            found[key] = str(reason)
    return found


def mutate(folder: Path, rng: random.Random) -> str:
    """Damage one file; what was done."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = rng.choice(files)
    ways = [flip, flip, flip, cut, grow, blank, remove, swap]
    how = rng.choice([*ways, change, change, change] if file.suffix == ".json" else ways)
    return f"{how.__name__} {file.relative_to(folder)}: {how(file, rng)}"


def flip(file: Path, rng: random.Random) -> str:
    """Bits; half the time near the beginning, where headers are."""
    content = bytearray(file.read_bytes())
    if not content:
        return "empty"
    reach = len(content) if rng.random() < 0.5 else min(len(content), 2000)
    places = [rng.randrange(reach) for _ in range(rng.choice([1, 1, 1, 8]))]
    for place in places:
        content[place] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return f"bytes {places}"


def cut(file: Path, rng: random.Random) -> str:
    content = file.read_bytes()
    size = rng.randrange(len(content) + 1)
    file.write_bytes(content[:size])
    return f"to {size}"


def grow(file: Path, rng: random.Random) -> str:
    file.write_bytes(file.read_bytes() + rng.randbytes(rng.choice([1, 100, 5000])))
    return "longer"


def blank(file: Path, rng: random.Random) -> str:
    """A stretch becomes one byte over and over."""
    content = bytearray(file.read_bytes())
    begin = rng.randrange(len(content) + 1)
    end = min(len(content), begin + rng.choice([1, 4, 64, 4096]))
    content[begin:end] = bytes([rng.choice([0, 255, 127, 32])]) * (end - begin)
    file.write_bytes(content)
    return f"{begin} to {end}"


def remove(file: Path, rng: random.Random) -> str:
    file.unlink()
    return ""


def swap(file: Path, rng: random.Random) -> str:
    """The content of another file of the kind."""
    other = rng.choice(sorted(each for each in file.parent.iterdir() if each.suffix == file.suffix))
    content = other.read_bytes()
    other.write_bytes(file.read_bytes())
    file.write_bytes(content)
    return f"with {other.name}"


def change(file: Path, rng: random.Random) -> str:
    """A value somewhere in the JSON becomes one that nobody expects, or a key goes."""
    value = json.loads(file.read_text(encoding="utf-8"))
    at, path = value, []
    while isinstance(at, dict | list) and at:
        key = rng.choice(sorted(at)) if isinstance(at, dict) else rng.randrange(len(at))
        path.append(key)
        if rng.random() < 0.4 or not isinstance(at[key], dict | list) or not at[key]:
            if rng.random() < 0.2:
                del at[key]
            else:
                at[key] = rng.choice(NASTY)
            break
        at = at[key]
    file.write_text(json.dumps(value), encoding="utf-8")
    return f"at {path[:4]}"


if __name__ == "__main__":
    main()
