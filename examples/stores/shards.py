"""A folder of Parquet shards, for any store: ids and codes, batch by batch; and a question, coded as they are."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from edge_potion import Codes, EdgeModel, Rotation, quantize


@dataclass(frozen=True)
class Shards:
    dataset: ds.Dataset
    dtype: str  # "float32", "float16", "int8" or "binary"
    dim: int
    rotation: Rotation | None  # of binary codes that are rotated

    def batches(self) -> Iterator[tuple[np.ndarray, Codes]]:
        """Of the rows that can be found: `id` (n,), a column that was kept, and codes."""
        for batch in self.rows(["id", "vector", *(["scale"] if self.dtype == "int8" else [])]):
            scales = batch["scale"].to_numpy() if self.dtype == "int8" else None
            yield batch["id"].to_numpy(), Codes(self.dtype, values_of(batch), scales, self.dim)

    def rows(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All that have a vector, but zero vectors: these are of texts without a known token, and have no direction."""
        zeros = 0
        for batch in self.dataset.to_batches(columns=columns, filter=ds.field("vector").is_valid()):
            known = (values_of(batch) != self.zero).any(axis=1)  # (n,) bool
            zeros += int((~known).sum())
            yield batch.filter(pa.array(known))
        say_left_out(zeros)

    @cached_property
    def zero(self) -> np.ndarray:
        """What a zero vector is coded as: (D,) zeros, but for bits that are rotated."""
        return quantize(np.zeros(self.dim, np.float32), self.dtype, self.rotation).values

    def code(self, question: str) -> Codes:
        """Of one vector, as the shards are coded; by the built-in model: another one is named."""
        vector = EdgeModel.from_pretrained().encode(question)
        if not vector.any():
            sys.exit("error: the model knows no token of the question: there is nothing to look for")
        return quantize(vector, self.dtype, self.rotation)


def values_of(batch: pa.RecordBatch) -> np.ndarray:
    """(n, D), or of bits (n, D / 8)."""
    return batch["vector"].flatten().to_numpy().reshape(batch.num_rows, -1)


def say_left_out(zeros: int) -> None:
    if zeros:
        print(f"left out, as the model knows no token of their texts: {zeros} rows", file=sys.stderr)


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
