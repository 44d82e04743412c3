"""What is asked of a bulk job: everything that its user says, and what of it decides the bytes of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from edge_potion.codes import DTYPES, DType
from edge_potion.errors import InputError, require
from edge_potion.tokens import check_count

__all__ = ["FORMATS", "ON_BAD", "SHARD_ROWS", "Format", "Job", "OnBad", "check_job"]

Format = Literal["parquet", "npy", "jsonl"]
OnBad = Literal["null", "skip", "fail"]
FORMATS, ON_BAD = get_args(Format), get_args(OnBad)

SHARD_ROWS = 2**17  # 34 MB at int8, 134 MB at float32
LARGEST_SHARD = 2**24  # rows; the lines of one lie in memory
LARGEST_WINDOW = 2**20  # rows; the float32 vectors of one lie in memory
TAKEN = ("row", "vector", "scale")  # columns of ours


@dataclass(frozen=True)
class Job:
    """A bulk job.

    Attributes:
        inputs: files, folders, globs, and "-" for lines on stdin.
        out: the folder of shards.
        model: as of EdgeModel.from_pretrained, and so are revision, provider, precision, graph and threads.
        model_engine: its engine.
        batch_size: most texts that share an ONNX Runtime call; None for the usual.
        text_column: key or column of the texts.
        keep: columns that pass through; the text's own is one like others.
        dtype: of the vectors that are written: "float32", "float16", "int8" or "binary".
        format: of a shard: "parquet", "npy" or "jsonl".
        truncate_dim: first values of each vector that are kept; None for all.
        max_tokens: where to cut a text; None for the model's own limit.
        shard_rows: of an input, a shard: rows of a .parquet file, lines of another.
        on_bad: what a row whose text cannot be used becomes: "null", a null vector; "skip", no row; "fail", an error.
        dedupe_window: rows within which equal texts are embedded once; 0 for none.
        rotate: whether binary codes are of centred and rotated vectors.
    """

    inputs: tuple[str, ...]
    out: Path
    model: str | Path | None = None
    revision: str | None = None
    text_column: str = "text"
    keep: tuple[str, ...] = ()
    dtype: DType = "float32"
    format: Format = "parquet"
    truncate_dim: int | None = None
    max_tokens: int | None = None
    shard_rows: int = SHARD_ROWS
    on_bad: OnBad = "null"
    dedupe_window: int = 0
    rotate: bool = False
    provider: Any = "auto"
    precision: str | None = None
    graph: str = "auto"
    threads: int | None = 1
    batch_size: int | None = None
    model_engine: str = "auto"

    def deciding(self) -> dict[str, Any]:
        """The arguments that decide the bytes of the output, by name, as JSON holds them."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in NOT_DECIDING}
        return {**named, "keep": list(self.keep)}


# What is compared in another way (inputs, model), or changes no byte.
NOT_DECIDING = frozenset(
    {"inputs", "out", "model", "revision", "provider", "precision", "graph", "threads", "model_engine", "batch_size"}
)


def check_job(job: Job) -> None:
    """Raise InputError for an argument that cannot be followed, MissingExtraError where a library is missing."""
    require("pyarrow", extra="parquet", purpose="embedding in bulk")
    choices: Mapping[str, tuple[str, ...]] = {"dtype": DTYPES, "format": FORMATS, "on_bad": ON_BAD}
    for name, known in choices.items():
        if getattr(job, name) not in known:
            raise InputError(f"{name} is {getattr(job, name)!r}; one of {', '.join(known)} was expected")
    for name in ("truncate_dim", "max_tokens", "batch_size"):
        check_count(name, getattr(job, name))
    for name, least, most in (("shard_rows", 1, LARGEST_SHARD), ("dedupe_window", 0, LARGEST_WINDOW)):
        value = getattr(job, name)
        if type(value) is not int or not least <= value <= most:
            raise InputError(f"{name} is {value!r}; a whole number in {least}..{most:,} was expected")
    if not job.inputs:
        raise InputError("no input is named; name files or folders of texts, or - for stdin")
    if isinstance(job.inputs, str) or isinstance(job.keep, str):
        raise InputError("inputs and keep are lists of names, and a single str was given")
    if doubles := [name for number, name in enumerate(job.keep) if name in job.keep[:number]]:
        raise InputError(f"the column {doubles[0]!r} is to be kept twice; name it once")
    if clash := [name for name in job.keep if name in TAKEN]:
        raise InputError(f"a column {clash[0]!r} cannot be kept, as the output has one of that name; rename it first")
    if job.keep and job.format == "npy":
        raise InputError("an .npy file holds vectors alone, so no column can be kept; choose parquet or jsonl")
    if job.rotate and job.dtype != "binary":
        raise InputError(f"a rotation is for binary codes, and dtype is {job.dtype}; leave it out")
