"""The exporters: a model folder -> a bundle of ONNX graphs. Needs the `export` extra."""

from edge_potion import cpp_locale
from edge_potion.errors import require

require("onnx", extra="export", purpose="exporting")
cpp_locale.settle()  # before onnx can make it too late
