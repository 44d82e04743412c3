# /// script
# requires-python = ">=3.11"
# dependencies = ["laghu==0.4.0", "laghu-rs==0.2.0", "tokenizers==0.23.3", "numpy==2.4.6"]
# ///
"""Runs laghu with its Rust core, laghu-rs, which tokenizes and pools.

That core takes no tokenizer.json that truncates: laghu cuts texts itself: by characters, and then
at `max_length` tokens. A text without a token makes the vectors of its whole call float64.
"""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, Unable, answer, timed


def load(job):
    """The library, its model loaded."""
    import laghu

    model, load_s = timed(lambda: laghu.load(job["folder"], fallback=False))
    if model.tokenizer.rs is None:
        raise Unable("failed", "laghu does without its Rust core: not its best settings")
    most = job["max_tokens"]
    return Library(
        encode=lambda texts: model.encode(texts, max_length=most, batch_size=len(texts)),
        one=lambda text: model.encode(text, max_length=most),
        load_s=load_s,
        packages=["laghu", "laghu-rs", "tokenizers", "numpy"],
    )


if __name__ == "__main__":
    answer(load)
