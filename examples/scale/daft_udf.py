"""Embed a column of a Daft DataFrame by a class of its own: python daft_udf.py IN.parquet OUT"""

import sys

import daft
import numpy as np
from daft import DataType, Series

from edge_potion import EdgeModel


@daft.cls
class Embedder:
    def __init__(self) -> None:
        self.model = EdgeModel.from_pretrained(threads=1)  # once a worker

    @daft.method.batch(return_dtype=DataType.embedding(DataType.float32(), 256))
    def __call__(self, texts: Series) -> np.ndarray:
        return self.model.encode(texts.to_pylist())  # (n, D) float32


if __name__ == "__main__":
    texts = daft.read_parquet(sys.argv[1]).where(daft.col("text").not_null())
    texts.with_column("vector", Embedder()(daft.col("text"))).write_parquet(sys.argv[2])
