# /// script
# requires-python = ">=3.11"
# dependencies = ["fasttext==0.9.3", "numpy==2.4.6"]
# ///
"""fastText's supervised mode, in an environment of its own: `classify_fasttext.py JOB` prints a line of JSON.

JOB holds the texts that are trained on, with a number for the label of each, the texts to be labelled, and learning
rate, epochs, threads and seed. The answer: the numbers, and the seconds that training took. Texts are lower-cased and
their punctuation is parted from words, as fastText's tutorial has it; a pair of words counts as a feature. It takes
texts in the order of their lines, epoch after epoch, so that lines in the order of their labels would spoil it: they
are shuffled.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PUNCTUATION = re.compile(r"([.!?,'/()])")
LABEL = "__label__"


def main() -> None:
    """Train, and label."""
    import fasttext  # type: ignore[import-not-found]

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "train.txt"
        rows = zip(job["texts"], job["labels"], strict=True)
        lines = [f"{LABEL}{label} {_words(text)}\n" for text, label in rows]
        random.Random(job["seed"]).shuffle(lines)
        file.write_text("".join(lines), encoding="utf-8")
        begin = time.perf_counter()
        model = fasttext.train_supervised(
            str(file),
            wordNgrams=2,
            lr=job["learning_rate"],
            epoch=job["epochs"],
            thread=job["threads"],
            seed=job["seed"],
            verbose=0,
        )
        seconds = time.perf_counter() - begin
    print(json.dumps({"labels": _labels(model, job["asked"]), "seconds": seconds}))


def _words(text: str) -> str:
    return " ".join(PUNCTUATION.sub(r" \1 ", text.lower()).split())


def _labels(model: Any, texts: list[str]) -> list[int]:
    """-1 where no word is known, for which fastText has no answer."""
    given, _ = model.predict([_words(text) for text in texts])  # of one text alone it fails beside numpy 2
    return [int(label[0].removeprefix(LABEL)) if label else -1 for label in given]


if __name__ == "__main__":
    main()
