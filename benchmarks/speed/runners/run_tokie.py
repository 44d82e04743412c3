# /// script
# requires-python = ">=3.11"
# dependencies = ["tokie==0.1.4", "safetensors==0.8.0", "numpy==2.4.6"]
# ///
"""Runs tokie, a tokenizer, with a float32 table in numpy behind it.

Of numpy's ways to sum rows (reductions, reduceat, a matrix of counts times the rows that occur), a product of ones with
the rows of a text is the fastest, as BLAS does it; it is as fast as scipy's sparse product.
"""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed


def load(job):
    """The tokenizer and the table, loaded."""
    import numpy as np  # the imports are no part of the load
    import tokie
    from safetensors.numpy import load_file

    def open_both():
        tokenizer = tokie.Tokenizer.from_json(job["tokenizer"])
        tokenizer.enable_truncation(job["max_tokens"])
        return tokenizer, load_file(job["file"])["embeddings"]

    (tokenizer, table), load_s = timed(open_both)
    ones = np.ones(job["max_tokens"], np.float32)

    def encode(texts):
        sums = np.zeros((len(texts), table.shape[1]), np.float32)
        rows = tokenizer.encode_batch(texts, add_special_tokens=False)
        for row, total in zip(rows, sums, strict=True):
            if ids := row.ids:
                np.dot(ones[: len(ids)], table.take(ids, 0), total)
        sums /= np.maximum(np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None], 1e-12)
        return sums

    def one(text):
        """Of one text the norm is a product of two vectors."""
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        total = table.take(ids, 0).sum(0) if ids else np.zeros(table.shape[1], np.float32)
        return total / max(total.dot(total) ** 0.5, 1e-12)

    return Library(encode=encode, one=one, load_s=load_s, packages=["tokie", "numpy"])


if __name__ == "__main__":
    answer(load)
