"""Inputs and outputs of the tests of bulk jobs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

TEXTS = files("edge_potion").joinpath("samples/sentences.txt").read_text(encoding="utf-8").splitlines()


def texts(count: int) -> list[str]:
    """So many texts, each another one."""
    return [f"{TEXTS[number % len(TEXTS)]} {number}" for number in range(count)]


def put_parquet(file: Path, values: Sequence[Any], row_group: int = 1000, kind: Any = None) -> Path:
    """Texts with an id each."""
    table = pa.table({"id": pa.array(range(len(values))), "text": pa.array(values, kind or pa.string())})
    pq.write_table(table, file, row_group_size=row_group)
    return file


def put_lines(file: Path, values: Sequence[str]) -> Path:
    file.write_text("".join(value + "\n" for value in values), encoding="utf-8")
    return file


def put_jsonl(file: Path, values: Sequence[str]) -> Path:
    return put_lines(file, [json.dumps({"id": number, "text": text}) for number, text in enumerate(values)])


def put_csv(file: Path, values: Sequence[str]) -> Path:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([["id", "text"], *([number, text] for number, text in enumerate(values))])
    file.write_text(written.getvalue(), encoding="utf-8", newline="")
    return file


def bytes_of(folder: Path) -> dict[str, bytes]:
    """What each shard of a folder holds, by its name."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if not file.name.startswith("_")}


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "_manifest.json").read_text(encoding="utf-8"))
    return manifest


def table_of(folder: Path) -> pa.Table:
    return pyarrow.dataset.dataset(folder).to_table()


def vectors_of(table: pa.Table) -> np.ndarray:
    """(N, D) of a table without nulls."""
    lists = table["vector"].combine_chunks()
    values: np.ndarray = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    return values
