"""The package as it was installed embeds by its engine, without ONNX Runtime: each wheel's test, on each system."""

from __future__ import annotations

from importlib.util import find_spec

from edge_potion import EdgeModel
from edge_potion.engine import kernels

assert find_spec("onnxruntime") is None, "ONNX Runtime came along"
model = EdgeModel.from_pretrained()
assert model.engine == "native", model
vectors = model.encode(["It is raining.", "The weather is wet.", "naïve façade 日本語", ""])
rain, weather, _, empty = vectors
assert vectors.shape == (4, 256) and abs(rain @ rain - 1) < 1e-5 and not empty.any()
print(f"{model}, {kernels()} kernels: {rain @ weather:.3f}")
