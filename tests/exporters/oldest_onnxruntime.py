# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "onnxruntime==1.15.0; python_version < '3.12'",
#   "onnxruntime==1.17.0; python_version == '3.12'",
#   "onnxruntime==1.20.0; python_version > '3.12'",
#   "numpy<2; python_version < '3.13'",
# ]
# ///
"""Runs graphs in the oldest onnxruntime with a wheel for each Python, where the exported ones must load.

    python oldest_onnxruntime.py INPUTS OUT GRAPH...

INPUTS is an .npz with what all of them are fed; the vectors of each are written to OUT, an .npz too, under the stem of
its file. Prints the version that ran.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main() -> None:
    """Run each graph once."""
    inputs, out, *graphs = sys.argv[1:]
    feeds = dict(np.load(inputs))
    vectors = {}
    for graph in graphs:
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        vectors[Path(graph).stem] = session.run(None, feeds)[0]
    np.savez(out, **vectors)
    print(onnxruntime.__version__)


if __name__ == "__main__":
    main()
