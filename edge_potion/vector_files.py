"""Texts from a file or stdin, vectors to a .npy, .parquet or .jsonl file: streamed, and never left half-written."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from edge_potion.errors import InputError, require
from edge_potion.writing import file_written_whole

__all__ = ["FORMATS", "print_jsonl", "read_texts", "write_vectors"]

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}

# A batch is (texts, vectors (b, D) float32).
Batches = Iterable[tuple[Sequence[str], np.ndarray]]


def read_texts(file: str | Path) -> Iterator[str]:
    """One text a line, from a UTF-8 file (.gz, .xz and .bz2 too) or from stdin ("-"); without the line's end.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8; names the line.
    """
    if str(file) == "-":
        if sys.stdin is None:
            raise InputError("stdin is closed; name a file, or pipe texts in")
        yield from _lines(sys.stdin.buffer, "stdin")
        return
    try:
        path = Path(file).expanduser()
        stream = COMPRESSED.get(path.suffix, open)(path, "rb")
    except OSError as failure:
        raise InputError(f"cannot read {file}: {failure.strerror or failure}") from failure
    with stream:
        yield from _lines(stream, str(file))


def _lines(stream: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(_whole(stream, name), start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")  # a BOM is no text
        except UnicodeDecodeError as failure:
            raise InputError(
                f"{name}, line {number}: byte {failure.start} is not UTF-8; convert the file first (iconv -t utf-8)"
            ) from failure


def _whole(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Lines of a stream that may be compressed, and damaged."""
    try:
        yield from stream
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as failure:
        raise InputError(f"cannot read {name}: {failure}; it is damaged, or not compressed as it says") from failure


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
    if file.expanduser().is_dir() or not file.expanduser().parent.is_dir():
        raise InputError(f"cannot write {file}: it is a folder, or its folder is missing")
    if file.suffix == ".parquet":
        require("pyarrow", extra="parquet", purpose="writing .parquet")


def _write_npy(file: Path, batches: Batches, dim: int) -> int:
    count = 0
    with file.open("w+b") as stream:
        _npy_header(stream, count, dim)
        for _, vectors in batches:
            stream.write(np.ascontiguousarray(vectors, "<f4").data)
            count += len(vectors)
        stream.seek(0)
        _npy_header(stream, count, dim)  # numpy pads the header so that a longer count fits
    return count


def _npy_header(stream: IO[bytes], count: int, dim: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, dim)}
    np.lib.format.write_array_header_1_0(stream, header)


def _write_jsonl(file: Path, batches: Batches, dim: int) -> int:
    with file.open("w", encoding="utf-8") as stream:
        return print_jsonl(batches, stream)


def _write_parquet(file: Path, batches: Batches, dim: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.string()), ("vector", pa.list_(pa.float32(), dim))])
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
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
