"""Texts that are hard to embed alike in two languages, and what ONNX Runtime in Python makes of any texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER

MODEL = BUILT_IN_FOLDER / BUILT_IN / "onnx" / "text_quantized.onnx"
GOLDEN = BUILT_IN_FOLDER / BUILT_IN / "golden.json"
HARD_TEXTS = [
    "",
    " \t\r\n",
    "\0",
    "a\0b cat\0",
    "\ufeffbyte order mark",
    "\ud800 a lone surrogate \udfff",
    "\ud83d\ude00",  # a pair, written as JavaScript keeps it
    "naïve café, NAI\u0308VE CAFE\u0301",
    "İstanbul ŞIŞLI ß ﬁ ǆ",
    "日本語のテキスト 中文 한국어",
    "لا شيء हिन्दी ไทย",
    "👩‍👩‍👧 ☃ \U0001f600",
    "don't e-mail user@example.com!? (twice...)",
    "\x01control\x7f\u0085 \u200bzero\u2060width\u00ad",
    "x" * 3000,
    "é" * 500,
    "word " * 2000,
    "🙂 " * 700,
]
TEXTS_A_CALL = 8  # ONNX Runtime lays a call out as wide as its longest text


def by_onnxruntime(texts: Sequence[str], file: Path = MODEL) -> np.ndarray:
    """(N, D) f32. NUL is left out, and half a surrogate pair counts as U+FFFD, as in JavaScript's TextEncoder."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = []
    for begin in range(0, len(texts), TEXTS_A_CALL):
        joined = "\0".join(text.replace("\0", "") for text in texts[begin : begin + TEXTS_A_CALL])
        encoded = joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
        found.append(session.run(None, {"text": np.frombuffer(encoded, np.uint8)})[0])
    return np.concatenate(found)
