# /// script
# requires-python = ">=3.11"
# dependencies = ["onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy==2.4.6"]
# ///
"""Runs an ONNX file in ONNX Runtime alone: our text graph, or anyone's graph of token ids with its tokenizer."""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, answer, timed


def load(job):
    """The library, its model loaded."""
    import numpy  # noqa: F401 - the imports are no part of the load
    import onnxruntime
    import tokenizers  # noqa: F401

    def open_model():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(job["file"], options, providers=["CPUExecutionProvider"])
        from_text = [graph_input.name for graph_input in session.get_inputs()] == ["text"]
        return _from_bytes(session) if from_text else _from_tokens(session, job)

    encode, load_s = timed(open_model)
    return Library(encode=encode, load_s=load_s, packages=["onnxruntime", "tokenizers", "numpy"])


def _from_bytes(session):
    """NUL stands between texts, and never in one."""
    import numpy as np

    def encode(texts):
        joined = "\0".join(text.replace("\0", "") for text in texts).encode()
        return session.run(None, {"text": np.frombuffer(joined, np.uint8)})[0]

    return encode


def _from_tokens(session, job):
    """From `input_ids` and `attention_mask`, texts padded to the longest of a call.

    Where the file gives token vectors, they are averaged and scaled to unit length, as sentence-transformers does with
    all-MiniLM-L6-v2.
    """
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(job["tokenizer"])
    tokenizer.enable_padding()
    tokenizer.enable_truncation(job["max_tokens"])
    names = [graph_input.name for graph_input in session.get_inputs()]

    def encode(texts):
        rows = tokenizer.encode_batch_fast(texts, add_special_tokens=job["special"])
        grid = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        if not grid.size:  # no text has a token
            grid = mask = np.zeros((len(texts), 1), np.int64)
        feeds = {"input_ids": grid, "attention_mask": mask, "token_type_ids": np.zeros_like(grid)}
        vectors = session.run(None, {name: feeds[name] for name in names})[0]
        if vectors.ndim == 3:
            vectors = (vectors * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    return encode


if __name__ == "__main__":
    answer(load)
