# /// script
# requires-python = ">=3.11"
# dependencies = ["static-embed-runner==0.1.0", "numpy==2.4.6"]
# ///
"""Runs static-embed-runner with its own tokenizer in Python, which remembers words: faster than with `tokenizers`.

It cuts no text. A text with a lone surrogate, which the others refuse, gets zeros.
"""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed


def load(job):
    """The library, its model loaded."""
    from static_embed_runner import StaticEmbedRunner

    model, load_s = timed(lambda: StaticEmbedRunner.load(job["folder"], table="f32", tokenizer_backend="lite"))
    return Library(encode=model.encode, one=model.encode, load_s=load_s, packages=["static-embed-runner", "numpy"])


if __name__ == "__main__":
    answer(load)
