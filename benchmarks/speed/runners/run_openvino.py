# /// script
# requires-python = ">=3.11"
# dependencies = ["onnxruntime-openvino==1.24.1", "tokenizers==0.23.3", "safetensors==0.8.0", "numpy==2.4.6"]
# ///
"""Runs EdgeModel on OpenVINO's ONNX Runtime, whose wheel excludes the CPU's."""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import answer
from run_edge_potion import load

if __name__ == "__main__":
    answer(load)
