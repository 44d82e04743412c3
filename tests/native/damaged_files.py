"""Opens damaged text graphs in the engine: `python -m tests.native.damaged_files FOLDER SEED COUNT` prints JSON.

In a process of its own, so that a crash is seen as one: the last line of FOLDER/last tells what was open. Each lies up
to a page that cannot be read.
"""

from __future__ import annotations

import ctypes
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..runtime.fuzz_bundle import blank, cut, flip, grow
from .c_interface import MODEL_LIMIT, NO_LIMIT, Native, Refused
from .guarded import guarded

TEXTS = "the cat sat on the mat.\0a dog\0\0日本 é [PAD] running 0 1 \x01\0" + "the " * 40
EDGE = 4096  # bytes at both ends of a file, at each of which it is cut off


def main() -> None:
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    graphs = sorted(folder.glob("*.onnx"))
    outcomes: Counter[str] = Counter()
    whole = graphs[0].read_bytes()
    with guarded(2 * len(whole)) as end, (folder / "last").open("w") as last:
        for number in range(seed, seed + count):
            content = mutated(graphs[number % len(graphs)], folder / "damaged", random.Random(number))
            print(f"mutation {number}", file=last, flush=True)
            outcomes[f"mutation {opened(content, end)}"] += 1
        for size in cuts(len(whole)):
            print(f"{graphs[0].name} cut to {size}", file=last, flush=True)
            outcomes[f"cut {opened(whole[:size], end)}"] += 1
    print(json.dumps(outcomes))


def mutated(graph: Path, damaged: Path, rng: random.Random) -> bytes:
    """As the bundles of the runtime's fuzz are."""
    damaged.write_bytes(graph.read_bytes())
    rng.choice([flip, flip, flip, flip, cut, grow, blank])(damaged, rng)
    return damaged.read_bytes()


def cuts(size: int) -> Iterator[int]:
    yield from range(0, size, size // 200)
    yield from range(min(EDGE, size))
    yield from range(max(size - EDGE, 0), size)


def opened(content: bytes, end: int) -> str:
    """What became of it, put up to `end`; the end of the process where it is neither a sentence nor finite."""
    ctypes.memmove(end - len(content), content, len(content))
    try:
        native = Native((end - len(content), len(content)))
    except Refused as refused:
        return "refused" if refused.sentence else sys.exit("refused without a word")
    try:
        for limit in (MODEL_LIMIT, NO_LIMIT, 1):
            if not np.isfinite(native.embed(TEXTS.encode(), limit)).all():
                sys.exit("NaN or inf")
            if native.labels and not np.isfinite(native.classify(TEXTS.encode(), limit).logits).all():
                sys.exit("NaN or inf among logits")
        native.embed_ids(np.array([0, native.vocabulary_size - 1]), np.array([2]))
    except Refused as refused:
        return "refused in use" if refused.sentence else sys.exit("refused without a word")
    finally:
        native.close()
    return "embedded"


if __name__ == "__main__":
    main()
