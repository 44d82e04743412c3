"""Shards: files of (text, teacher vector) rows, as Parquet that `datasets` loads, or safetensors where pyarrow is not.

A folder of shards holds `train-00000.parquet`, ... with columns `text` (string) and `vector` (list of H float16). Where
pyarrow is not installed the files are `train-00000.safetensors` with `text` (bytes, uint8), `ends` (n,) int64 and
`vector` (n, H) float16. Each file takes its name when it is whole, and what it was then stands in its shard-00000.json.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.find import read_json
from edge_potion.manifest import FileSum, damaged, file_sum, sum_in
from edge_potion.writing import file_written_whole

__all__ = [
    "MANIFEST",
    "Counts",
    "Features",
    "Shard",
    "count_files",
    "open_features",
    "read_counts",
    "read_shard",
    "shard_files",
    "write_counts",
    "write_shard",
]

ROWS_READ = 65_536  # of a Parquet file, at once
ENDINGS = (".parquet", ".safetensors")
MANIFEST = "features.json"
COUNT_NAME = re.compile(r"shard-(\d{5,})\.json")


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
        sums: what each shard was when it was written, by its name; empty where nothing tells.
        skipped: how many sentences the teacher gave no vector of, as the counts beside the shards tell.
    """

    files: list[Path]
    manifest: Mapping[str, Any]
    sums: Mapping[str, FileSum] = field(default_factory=dict)
    skipped: int = 0

    def shards(self) -> Iterator[Shard]:
        """Every row, some tens of thousands at a time."""
        for file in self.files:
            yield from read_shard(file)

    def texts(self) -> Iterator[str]:
        """The text of every row."""
        return (text for shard in self.shards() for text in shard.texts)

    def digest(self) -> str:
        """Twelve hex digits that change with the name or the content of any shard.

        Raises:
            ModelFormatError: a shard cannot be read, or is not what it was when it was written.
        """
        digest = hashlib.sha256()
        for file in self.files:
            try:
                checksum = file_sum(file)
            except OSError as failure:
                raise ModelFormatError(f"{file} cannot be read ({failure})") from failure
            if self.sums.get(file.name, checksum) != checksum:
                raise ModelFormatError(
                    f"{file} is damaged: its checksum is not the one that was kept when it was written; copy the "
                    "folder again, or run the same `edge-potion featurize` again, which makes that shard anew"
                )
            digest.update(f"{file.name} {checksum.sha256}\n".encode())
        return digest.hexdigest()[:12]


def open_features(folder: Path) -> Features:
    """The features in `folder`, of ours or made elsewhere with columns `text` and `vector`.

    Raises:
        InputError: there are none.
        ModelFormatError: a manifest that is damaged, or shards that it counts and that are not there.
    """
    files = shard_files(folder)
    if not files:
        raise InputError(
            f"{folder} holds no .parquet or .safetensors file; `edge-potion featurize` writes such a folder"
        )
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    sums: dict[str, FileSum] = {}
    skipped = 0
    if "shard_rows" in manifest:  # written by `featurize`, with a count for each shard
        names = {file.name for file in files}
        total, rows = manifest.get("sentences"), manifest["shard_rows"]
        if type(total) is not int or type(rows) is not int or rows < 1:
            raise ModelFormatError(f"{folder / MANIFEST} is damaged: it counts {total!r} sentences, {rows!r} a shard")
        for number in range(-(-total // rows)):
            counts = read_counts(folder, number)
            if counts is None or (counts.rows and not (counts.names & names)):
                raise ModelFormatError(f"{folder} lacks shard {number}; copy the whole folder, or featurize again")
            sums.update(counts.sums)
            skipped += sum(counts.skipped.values())
    return Features(files, manifest, sums, skipped)


def shard_files(folder: Path) -> list[Path]:
    """The shards in `folder`, by name."""
    found = (file for ending in ENDINGS for file in folder.glob(f"*{ending}"))
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def shard_name(number: int) -> str:
    """Name of a shard, without its ending."""
    return f"train-{number:05d}"


def count_name(number: int) -> str:
    """Name of the file that holds a shard's counts: rows, those skipped by reason, and what the shard's file was."""
    return f"shard-{number:05d}.json"


def count_files(folder: Path) -> dict[int, Path]:
    """The count files in `folder`, by the shard's number."""
    matches = ((COUNT_NAME.fullmatch(file.name), file) for file in sorted(folder.iterdir()))
    return {int(match[1]): file for match, file in matches if match}


@dataclass(frozen=True)
class Counts:
    """What the count file of a shard tells.

    Attributes:
        number: of the shard.
        rows: in the shard's file; where there are none, there is no file.
        skipped: sentences that were left out, by reason.
        sums: what the shard's file was when it was written, by its name; empty where an earlier version wrote it.
    """

    number: int
    rows: int
    skipped: Mapping[str, int]
    sums: Mapping[str, FileSum]

    @property
    def names(self) -> set[str]:
        """Of the shard's file: one of these."""
        return set(self.sums) or {shard_name(self.number) + ending for ending in ENDINGS}

    def is_whole(self, folder: Path) -> bool:
        """Whether the shard is as it was written; of an earlier version's, whether it is there."""
        if not self.sums:
            return not self.rows or any((folder / name).is_file() for name in self.names)
        return not any(damaged(folder, self.sums))


def read_counts(folder: Path, number: int) -> Counts | None:
    """What stands in the count file of shard `number`; None where it is missing or damaged."""
    try:
        content = read_json(folder / count_name(number))
    except ModelFormatError:
        return None
    rows, file = content.pop("rows", None), content.pop("file", None)
    if type(rows) is not int or not all(type(count) is int for count in content.values()):
        return None
    checksum = sum_in(file)
    if file is not None and (checksum is None or file.get("name") not in Counts(number, 0, {}, {}).names):
        return None
    return Counts(number, rows, content, {file["name"]: checksum} if file and checksum else {})


def write_counts(folder: Path, number: int, rows: int, skipped: Mapping[str, int], file: Path | None) -> Counts:
    """Write the count file of shard `number`, whose own file is `file`; None for a shard without rows.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        sums = {file.name: file_sum(file)} if file else {}
    except OSError as failure:
        raise InputError(f"cannot read {file}, which was just written ({failure})") from failure
    content: dict[str, Any] = {"rows": rows, **skipped}
    for name, checksum in sums.items():
        content["file"] = {"name": name, **checksum.as_json()}
    with file_written_whole(folder / count_name(number)) as beside:
        beside.write_text(json.dumps(content), encoding="utf-8")
    return Counts(number, rows, skipped, sums)


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
        arrays = load_file(file)
        joined, ends = arrays["text"].tobytes(), arrays["ends"].tolist()
        texts = [joined[begin:end].decode("utf-8") for begin, end in zip([0, *ends], ends, strict=False)]
        vectors = arrays["vector"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as failure:
        raise ModelFormatError(f"{file} cannot be read as a shard of text, ends and vector ({failure})") from failure
    if vectors.ndim != 2 or len(vectors) != len(texts) or vectors.dtype.kind != "f":
        raise ModelFormatError(f"{file}: {len(texts)} texts, and vectors {vectors.dtype} of shape {vectors.shape}")
    yield Shard(texts, vectors)
