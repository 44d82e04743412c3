"""The exporters: a model folder -> a bundle of ONNX graphs. Needs the `export` extra."""

from edge_potion.errors import require

require("onnx", extra="export", purpose="exporting")
