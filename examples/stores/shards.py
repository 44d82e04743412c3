"""A folder of Parquet shards, for any store: ids and codes, batch by batch; and a question, coded as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds

from edge_potion import Codes, EdgeModel, Rotation, quantize


@dataclass(frozen=True)
class Shards:
    dataset: ds.Dataset
    dtype: str  # "float32", "float16", "int8" or "binary"
    dim: int
    rotation: Rotation | None  # of binary codes that are rotated

    def batches(self) -> Iterator[tuple[np.ndarray, Codes]]:
        """Of the rows that have a vector, and not one of zeros: `id` (n,), a column that was kept, and codes."""
        columns = ["id", "vector", *(["scale"] if self.dtype == "int8" else [])]
        for batch in self.dataset.to_batches(columns=columns, filter=ds.field("vector").is_valid()):
            values = batch["vector"].flatten().to_numpy().reshape(batch.num_rows, -1)
            keep = values.any(axis=1) | (self.dtype == "binary")
            scales = batch["scale"].to_numpy()[keep] if self.dtype == "int8" else None
            yield batch["id"].to_numpy()[keep], Codes(self.dtype, values[keep], scales, self.dim)

    def code(self, question: str) -> Codes:
        """Of one vector, as the shards are coded; by the built-in model: another one is named."""
        return quantize(EdgeModel.from_pretrained().encode(question), self.dtype, self.rotation)


def open_shards(folder: str) -> Shards:
    dataset = ds.dataset(folder, format="parquet")  # it passes over names that begin with "_": the manifest
    said = dataset.schema.metadata
    rotation = Path(folder, "_rotation.safetensors")
    return Shards(
        dataset,
        said[b"edge_potion.dtype"].decode(),
        int(said[b"edge_potion.dim"]),
        Rotation.load(rotation) if rotation.exists() else None,
    )
