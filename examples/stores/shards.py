"""A folder of Parquet shards, for any store: ids and codes, batch by batch; and a question, coded as they are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.dataset as ds

from edge_potion import Codes, EdgeModel, quantize


@dataclass(frozen=True)
class Shards:
    dataset: ds.Dataset
    dtype: str  # "float32", "float16", "int8" or "binary"
    dim: int

    def batches(self) -> Iterator[tuple[np.ndarray, Codes]]:
        """Of the rows that have a vector, and not one of zeros: `id` (n,), a column that was kept, and codes."""
        columns = ["id", "vector", *(["scale"] if self.dtype == "int8" else [])]
        for batch in self.dataset.to_batches(columns=columns, filter=ds.field("vector").is_valid()):
            values = batch["vector"].flatten().to_numpy().reshape(batch.num_rows, -1)
            keep = values.any(axis=1) | (self.dtype == "binary")
            scales = batch["scale"].to_numpy()[keep] if self.dtype == "int8" else None
            yield batch["id"].to_numpy()[keep], Codes(self.dtype, values[keep], scales, self.dim)

    def code(self, question: str) -> Codes:
        """Of one vector, by the model and the rule that the shards were made by."""
        return quantize(EdgeModel.from_pretrained().encode(question), self.dtype)


def open_shards(folder: str) -> Shards:
    dataset = ds.dataset(folder, format="parquet")  # it passes over names that begin with "_": the manifest
    dtype = dataset.schema.metadata[b"edge_potion.dtype"].decode()
    width = dataset.schema.field("vector").type.list_size
    return Shards(dataset, dtype, 8 * width if dtype == "binary" else width)
