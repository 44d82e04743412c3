"""Vectors to a .npy, .parquet or .jsonl file: streamed, and never left half-written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from edge_potion.errors import InputError, require
from edge_potion.writing import file_written_whole

__all__ = ["FORMATS", "npy_header", "print_jsonl", "write_vectors"]

# A batch is (texts, vectors (b, D) float32).
Batches = Iterable[tuple[Sequence[str], np.ndarray]]


def print_jsonl(batches: Batches, stream: IO[str]) -> int:
    """Write {"text": ..., "vector": [...]} a line; returns how many."""
    count = 0
    for texts, vectors in batches:
        for text, vector in zip(texts, vectors, strict=True):
            json.dump({"text": text, "vector": [float(f"{value:.8g}") for value in vector]}, stream, ensure_ascii=False)
            stream.write("\n")
        count += len(texts)
    return count


def write_vectors(file: Path, batches: Batches, dim: int) -> int:
    """Write vectors of width `dim` in the format that the name's ending says; returns how many.

    .npy holds the (N, D) float32 array; .parquet and .jsonl hold columns `text` and `vector`. The file appears
    under its name when it is whole.

    Raises:
        InputError: an ending that is not known, or a place that cannot be written to.
        MissingExtraError: .parquet without pyarrow.
    """
    check_format(file)
    with file_written_whole(file) as beside:
        return FORMATS[file.suffix](beside, batches, dim)


def check_format(file: Path) -> None:
    """Raise InputError or MissingExtraError where `write_vectors` could not write `file`; asked before any work."""
    if file.suffix not in FORMATS:
        raise InputError(f"{file}: the name must end in {', '.join(FORMATS)}")
    try:
        there = file.expanduser().resolve()
        if there.is_dir() or not there.parent.is_dir():
            raise InputError(f"cannot write {file}: it is a folder, or its folder is missing")
    except (OSError, RuntimeError) as failure:  # a name that is too long, a loop of links, a home of nobody
        raise InputError(f"cannot write {file}: {getattr(failure, 'strerror', None) or failure}") from failure
    if file.suffix == ".parquet":
        require("pyarrow", extra="parquet", purpose="writing .parquet")


def _write_npy(file: Path, batches: Batches, dim: int) -> int:
    count = 0
    with file.open("w+b") as stream:
        npy_header(stream, np.dtype("<f4"), (count, dim))
        for _, vectors in batches:
            stream.write(np.ascontiguousarray(vectors, "<f4").data)
            count += len(vectors)
        stream.seek(0)
        npy_header(stream, np.dtype("<f4"), (count, dim))
    return count


def npy_header(stream: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Write the header of an .npy file; numpy pads it so that one with a larger count fits in its place."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _write_jsonl(file: Path, batches: Batches, dim: int) -> int:
    with file.open("w", encoding="utf-8") as stream:
        return print_jsonl(batches, stream)


def _write_parquet(file: Path, batches: Batches, dim: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.string()), ("vector", pa.list_(pa.float32(), dim))])
    count = 0
    # An open file, as pyarrow takes no name that is not UTF-8.
    with file.open("wb") as stream, pq.ParquetWriter(stream, schema) as writer:
        for texts, vectors in batches:
            flat = pa.array(vectors.reshape(-1), pa.float32())
            columns = [pa.array(texts, pa.string()), pa.FixedSizeListArray.from_arrays(flat, dim)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            count += len(texts)
    return count


FORMATS: dict[str, Callable[[Path, Batches, int], int]] = {
    ".npy": _write_npy,
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
}
