"""Shards: files of (text, teacher vector) rows, as Parquet that `datasets` loads, or safetensors where pyarrow is not.

A folder of shards holds `train-00000.parquet`, ... with columns `text` (string) and `vector` (list of H float16). Where
pyarrow is not installed the files are `train-00000.safetensors` with `text` (bytes, uint8), `ends` (n,) int64 and
`vector` (n, H) float16. Each file takes its name when it is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.folders import file_written_whole, read_json

__all__ = ["MANIFEST", "Features", "Shard", "count_name", "open_features", "read_shard", "shard_files", "write_shard"]

ROWS_READ = 65_536  # of a Parquet file, at once
ENDINGS = (".parquet", ".safetensors")
MANIFEST = "features.json"


@dataclass(frozen=True)
class Shard:
    """Rows of teacher features.

    Attributes:
        texts: n sentences.
        vectors: (n, H) float16 or wider.
    """

    texts: list[str]
    vectors: np.ndarray


@dataclass(frozen=True)
class Features:
    """A folder of shards.

    Attributes:
        files: the shards, by name.
        manifest: what `featurize` wrote of how they were made; empty for shards made elsewhere.
    """

    files: list[Path]
    manifest: Mapping[str, Any]

    def shards(self) -> Iterator[Shard]:
        """Every row, some tens of thousands at a time."""
        for file in self.files:
            yield from read_shard(file)

    def digest(self) -> str:
        """Twelve hex digits that change with the name or the content of any shard."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as stream:
                digest.update(f"{file.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
        return digest.hexdigest()[:12]


def open_features(folder: Path) -> Features:
    """The features in `folder`, of ours or made elsewhere with columns `text` and `vector`.

    Raises:
        InputError: there are none.
        ModelFormatError: a manifest that is no JSON, or shards that it counts and that are not there.
    """
    files = shard_files(folder)
    if not files:
        raise InputError(
            f"{folder} holds no .parquet or .safetensors file; `edge-potion featurize` writes such a folder"
        )
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    if "shard_rows" in manifest:  # written by `featurize`, with a count for each shard
        names = {file.stem for file in files}
        for number in range(-(-manifest["sentences"] // manifest["shard_rows"])):
            counts = folder / count_name(number)
            if not counts.is_file() or (read_json(counts).get("rows") and shard_name(number) not in names):
                raise ModelFormatError(f"{folder} lacks shard {number}; copy the whole folder, or featurize again")
    return Features(files, manifest)


def shard_files(folder: Path) -> list[Path]:
    """The shards in `folder`, by name."""
    found = (file for ending in ENDINGS for file in folder.glob(f"*{ending}"))
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def shard_name(number: int) -> str:
    """Name of a shard, without its ending."""
    return f"train-{number:05d}"


def count_name(number: int) -> str:
    """Name of the file that holds a shard's counts: rows, and those skipped by reason."""
    return f"shard-{number:05d}.json"


def write_shard(folder: Path, number: int, shard: Shard) -> Path:
    """Write shard `number`, as Parquet where pyarrow is installed.

    Raises:
        InputError: the folder cannot be written to.
    """
    ending, other = ENDINGS if find_spec("pyarrow") else reversed(ENDINGS)
    file = folder / (shard_name(number) + ending)
    file.with_suffix(other).unlink(missing_ok=True)  # of a run that was killed where pyarrow is not, or is
    vectors = shard.vectors.astype(np.float16)
    with file_written_whole(file) as beside:
        if ending == ".parquet":
            _write_parquet(beside, shard.texts, vectors)
        else:
            _write_safetensors(beside, shard.texts, vectors)
    return file


def read_shard(file: Path) -> Iterator[Shard]:
    """The rows of one file.

    Raises:
        ModelFormatError: it is no such file, or its columns are others.
        MissingExtraError: .parquet without pyarrow.
    """
    return _read_parquet(file) if file.suffix == ".parquet" else _read_safetensors(file)


def _write_parquet(file: Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    pq.write_table(pa.table({"text": pa.array(texts, pa.string()), "vector": lists}), file)


def _read_parquet(file: Path) -> Iterator[Shard]:
    require("pyarrow", extra="parquet", purpose=f"reading {file.name}")
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        if missing := {"text", "vector"} - set(parquet.schema_arrow.names):
            raise ModelFormatError(
                f"{file} has no column {' or '.join(sorted(missing))}; text and vector were expected"
            )
        for batch in parquet.iter_batches(batch_size=ROWS_READ, columns=["text", "vector"]):
            texts = batch.column("text").to_pylist()
            lists = batch.column("vector")
            widths = pc.unique(pc.list_value_length(lists)).to_pylist()  # None where a row has no vector
            values = lists.flatten().to_numpy(zero_copy_only=False)
            if not texts:
                continue
            if len(widths) != 1 or not widths[0] or values.dtype.kind != "f" or None in texts:
                raise ModelFormatError(f"{file}: a row lacks its text, or the vectors are not floats of one width")
            yield Shard(texts, values.reshape(len(texts), -1))
    except (OSError, pa.ArrowException) as failure:
        raise ModelFormatError(f"{file} cannot be read as Parquet ({failure})") from failure


def _write_safetensors(file: Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    encoded = [text.encode("utf-8") for text in texts]
    tensors: dict[str, np.ndarray] = {
        "text": np.frombuffer(b"".join(encoded), np.uint8),
        "ends": np.cumsum([len(each) for each in encoded], dtype=np.int64),
        "vector": np.ascontiguousarray(vectors),
    }
    try:
        save_file(tensors, file)
    except SafetensorError as failure:  # a full disk, which is no OSError there
        raise InputError(f"cannot write {file} ({failure})") from failure


def _read_safetensors(file: Path) -> Iterator[Shard]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(file)
        joined, ends = found["text"].tobytes(), found["ends"].tolist()
        texts = [joined[begin:end].decode("utf-8") for begin, end in zip([0, *ends], ends, strict=False)]
        vectors = found["vector"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as failure:
        raise ModelFormatError(f"{file} cannot be read as a shard of text, ends and vector ({failure})") from failure
    if vectors.ndim != 2 or len(vectors) != len(texts) or vectors.dtype.kind != "f":
        raise ModelFormatError(f"{file}: {len(texts)} texts, and vectors {vectors.dtype} of shape {vectors.shape}")
    yield Shard(texts, vectors)
