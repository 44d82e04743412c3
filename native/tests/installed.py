"""The package as it was installed embeds by its engine, without ONNX Runtime: each wheel's test, on each system."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import edge_potion
from edge_potion.engine import Engine, version

assert find_spec("onnxruntime") is None, "ONNX Runtime came along"
model = Path(edge_potion.__file__).parent / "models" / "potion-256d-minilm" / "onnx" / "text_quantized.onnx"
vectors = Engine(model).encode(["It is raining.", "The weather is wet.", "naïve façade 日本語", ""])
assert vectors.shape == (4, 256)
rain, weather, _, empty = vectors
assert abs(rain @ rain - 1) < 1e-5 and not empty.any()
print(f"engine {version()}: cosine {rain @ weather:.3f}")
