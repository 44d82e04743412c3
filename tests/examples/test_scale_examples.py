"""The examples of examples/scale, run for real where their libraries are installed: the vectors of encode."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from edge_potion import EdgeModel

SCALE = Path(__file__).parents[2] / "examples" / "scale"
LIBRARIES = {"spark_map_in_arrow": "pyspark", "daft_udf": "daft"}


def test_every_example_is_run():
    assert {file.stem for file in SCALE.glob("*.py")} == set(LIBRARIES)


@pytest.mark.parametrize(("name", "library"), LIBRARIES.items())
def test_an_example_writes_the_vectors_of_encode_beside_what_was_there(sentences, tmp_path, name, library):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if library == "pyspark" and not shutil.which("java"):
        pytest.skip("Spark needs java, which is not here")
    texts = [None, *sentences]
    pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), tmp_path / "in.parquet")
    command = [sys.executable, SCALE / f"{name}.py", tmp_path / "in.parquet", tmp_path / "out"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = pyarrow.dataset.dataset(tmp_path / "out", format="parquet").to_table().sort_by("id")
    assert found["text"].to_pylist() == sentences
    vectors = np.array(found["vector"].to_pylist(), np.float32)
    np.testing.assert_array_equal(vectors, EdgeModel.from_pretrained(threads=1).encode(sentences))
