"""A slice -> its shard: texts are embedded, coded and written beside, and the shard takes its name when it is whole."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.bulk.embed import embed
from edge_potion.bulk.plan import Plan
from edge_potion.bulk.rows import WINDOW_ROWS, RowReader, Rows
from edge_potion.bulk.slices import Slice
from edge_potion.codes import SCALE_RULE, Codes, quantize
from edge_potion.errors import AccessError, InputError
from edge_potion.nearest import without_tokens
from edge_potion.text_lines import name_of
from edge_potion.vectors import npy_header
from edge_potion.writing import file_written_whole

if TYPE_CHECKING:
    from edge_potion.rotation import Rotation
    from edge_potion.runtime import EdgeModel

__all__ = ["BAD_NAMED", "Outcome", "ShardMaker", "files_of_shard"]

ROWS_AT_ONCE = 2**10  # that are embedded and coded while their floats are still in the processor's cache
ROTATED = ", of vectors that were centered and rotated by _rotation.safetensors"
BAD_NAMED = 100  # rows of a shard that are named; the others are counted


@dataclass(frozen=True)
class Outcome:
    """What became of a slice.

    Attributes:
        name: of the shard, without ending.
        rows: in the shard.
        unknown: texts of them without a token that the model knows; their vectors are zeros.
        bad: rows whose text could not be used, by reason.
        named: what is wrong with the first of those, one message each.
        input_bytes: of the input, that are behind it.
        sizes: bytes of each file of the shard, by name.
        digest: of the lines of an input that can be read once only.
    """

    name: str
    rows: int
    unknown: int
    bad: Mapping[str, int]
    named: list[str]
    input_bytes: int
    sizes: Mapping[str, int]
    digest: str = ""


class ShardMaker:
    """Makes shards of a plan's slices; one a process.

    Args:
        plan: of the job.
        model: the plan's, open.
        rotation: of binary codes, where the job says so.
    """

    def __init__(self, plan: Plan, model: EdgeModel, rotation: Rotation | None) -> None:
        if model.fingerprint != plan.fingerprint:
            raise InputError(f"the model {plan.model} was changed since this job began; keep it as it is, and go on")
        self._plan, self._model, self._rotation = plan, model, rotation
        self._window = plan.job.dedupe_window
        self._reader = RowReader(plan.job.text_column, plan.kept, self._window)

    def make_all(self, parts: Iterable[Slice]) -> Generator[Outcome, None, None]:
        """Write the shards of slices, in order. While one is made, the disk is made to hold the one before.

        Raises:
            InputError: an input cannot be read, or holds a row that cannot be used and the job says "fail".
            AccessError: a shard cannot be written, as on a full disk.
        """
        with ThreadPoolExecutor(1) as disk:
            pending: Future[Outcome] | None = None
            for part in parts:
                made = self._made(part)
                if pending is not None:
                    yield pending.result()
                pending = disk.submit(made)
            if pending is not None:
                yield pending.result()

    def make(self, part: Slice) -> Outcome:
        """Write the shard of a slice; raises what `make_all` does."""
        return self._made(part)()

    def _made(self, part: Slice) -> Callable[[], Outcome]:
        """Write a shard beside; the call gives it its name."""
        job = self._plan.job
        bad: Counter[str] = Counter()
        named: list[str] = []
        rows = unknown = 0
        files = files_of_shard(self._plan, part.name)
        with ExitStack() as stack:
            # The first is there only when the others are.
            beside = [stack.enter_context(_written_whole(job.out / name)) for name in files]
            with WRITERS[job.format](beside, self._plan, name_of(part.input.path)) as write:
                for window in self._reader.rows_of(part):
                    bad.update(one.reason for one in window.bad)
                    named += [one.message for one in window.bad[: BAD_NAMED - len(named)]]
                    if job.on_bad == "fail" and window.bad:
                        raise InputError(window.bad[0].message)
                    used = window.without_bad() if job.on_bad == "skip" else window
                    for group, codes, zeros in self._coded(used):
                        write(group, codes)
                        rows += len(group.numbers)
                        unknown += zeros
            part.input.refuse_changed()
            sizes = {name: file.stat().st_size for name, file in zip(files, beside, strict=True)}
            written = stack.pop_all()
        outcome = Outcome(part.name, rows, unknown, dict(bad), named, part.size_bytes, sizes, part.digest)

        def give_names() -> Outcome:
            written.close()
            return outcome

        return give_names

    def _coded(self, window: Rows) -> Iterator[tuple[Rows, Codes, int]]:
        """Row groups of a window: rows, their codes, and how many of them have no known token."""
        vectors = None
        if self._window:  # equal ones are looked for among all
            vectors = self._embedded(window.texts, equal_once=True)
        for begin in range(0, len(window.numbers), WINDOW_ROWS):
            group = window.part(begin, WINDOW_ROWS)
            parts, zeros = [], 0
            for first in range(0, len(group.numbers), ROWS_AT_ONCE):
                texts = group.texts.slice(first, ROWS_AT_ONCE)
                some = self._embedded(texts) if vectors is None else vectors[begin + first : begin + first + len(texts)]
                zeros += int(without_tokens(some).sum()) - texts.null_count
                parts.append(quantize(some, self._plan.job.dtype, self._rotation))
            yield group, _joined(parts), zeros

    def _embedded(self, texts: Any, equal_once: bool = False) -> np.ndarray:
        job = self._plan.job
        options: dict[str, Any] = {"max_tokens": job.max_tokens, "truncate_dim": job.truncate_dim}
        return embed(self._model, texts, equal_once=equal_once, batch_size=job.batch_size, **options)


def files_of_shard(plan: Plan, name: str) -> list[str]:
    """Names of a shard's files. An .npy of int8 codes has another beside it, of their scales."""
    ending = f".{plan.job.format}"
    return [name + ending, name + ".scale.npy"] if _has_scale_file(plan) else [name + ending]


def _has_scale_file(plan: Plan) -> bool:
    return plan.job.format == "npy" and plan.job.dtype == "int8"


@contextmanager
def _written_whole(file: Path) -> Iterator[Path]:
    """`file_written_whole`, where what libraries say of a disk is said as ours."""
    import pyarrow as pa

    with file_written_whole(file, is_swept=True) as beside:
        try:
            yield beside
        except pa.ArrowException as failure:
            raise AccessError(f"cannot write {file}: {failure}") from failure


def _joined(parts: list[Codes]) -> Codes:
    if len(parts) == 1:
        return parts[0]
    scales = (
        None if parts[0].scales is None else np.concatenate([part.scales for part in parts if part.scales is not None])
    )
    return Codes(parts[0].dtype, np.concatenate([part.values for part in parts]), scales, parts[0].dim)


Write = Callable[[Rows, Codes], None]


@contextmanager
def _parquet_writer(files: list[Path], plan: Plan, source: str) -> Iterator[Write]:
    import pyarrow as pa

    from edge_potion.bulk.vector_file import VectorFile

    codes = quantize(np.empty((0, plan.dim), np.float32), plan.job.dtype)
    fields = [pa.field("row", pa.int64()), *plan.kept]
    if codes.scales is not None:
        fields.append(pa.field("scale", pa.float32()))
    schema = pa.schema(fields)
    with (
        files[0].open("wb") as stream,
        VectorFile(stream, schema, "vector", codes.values.shape[1], codes.values.dtype, metadata_of(plan)) as file,
    ):

        def write(rows: Rows, codes: Codes) -> None:
            missing = rows.texts.is_null().to_numpy(zero_copy_only=False) if rows.texts.null_count else None
            columns = [pa.array(rows.numbers), *_as_fields(rows.kept, plan.kept)]
            if codes.scales is not None:
                columns.append(pa.array(codes.scales, mask=missing))
            batch = pa.RecordBatch.from_arrays(columns, schema=schema)
            file.write(batch, codes.values, None if missing is None else ~missing)

        yield write


def _as_fields(kept: list[Any], schema: Any) -> list[Any]:
    """Columns of the types that the schema says: texts may have come as wider strings."""
    return [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(kept, schema, strict=True)
    ]


def metadata_of(plan: Plan) -> dict[str, str]:
    """What a file says of its vectors."""
    from edge_potion import __version__

    said = {
        "model": plan.model,
        "fingerprint": plan.fingerprint,
        "precision": plan.precision,
        "dtype": plan.job.dtype,
        "dim": str(plan.dim),
        "scale_rule": SCALE_RULE[plan.job.dtype] + (ROTATED if plan.job.rotate else ""),
        "version": __version__,
    }
    return {f"edge_potion.{key}": value for key, value in said.items()}


@contextmanager
def _npy_writer(files: list[Path], plan: Plan, source: str) -> Iterator[Write]:
    """The rows of the codes, and their scales in a file beside; a row whose text cannot be used is zeros.

    Streamed, with a count that is written again at the end: the pages of a mapped file would stay in memory.
    """
    counts = 0
    empty = quantize(np.empty((0, plan.dim), np.float32), plan.job.dtype)
    arrays = [empty.values] if empty.scales is None else [empty.values, empty.scales]
    with ExitStack() as stack:
        streams = [stack.enter_context(file.open("w+b")) for file in files]
        for stream, array in zip(streams, arrays, strict=True):
            npy_header(stream, array.dtype.newbyteorder("<"), (0, *array.shape[1:]))

        def write(rows: Rows, codes: Codes) -> None:
            nonlocal counts
            counts += len(codes.values)
            for stream, array in zip(streams, (codes.values, codes.scales), strict=False):
                assert array is not None
                stream.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)

        yield write
        for stream, array in zip(streams, arrays, strict=True):
            stream.seek(0)
            npy_header(stream, array.dtype.newbyteorder("<"), (counts, *array.shape[1:]))


@contextmanager
def _jsonl_writer(files: list[Path], plan: Plan, source: str) -> Iterator[Write]:
    names = plan.kept.names
    with files[0].open("w", encoding="utf-8", newline="\n") as stream:

        def write(rows: Rows, codes: Codes) -> None:
            kept = [
                _python_values(column, name, rows.numbers, source)
                for name, column in zip(names, rows.kept, strict=True)
            ]
            valid = rows.texts.is_valid().to_pylist()
            for place, number in enumerate(rows.numbers.tolist()):
                record: dict[str, Any] = {"row": number}
                record.update((name, _as_json(column[place])) for name, column in zip(names, kept, strict=True))
                if codes.scales is not None:
                    record["scale"] = float(f"{codes.scales[place]:.9g}") if valid[place] else None
                record["vector"] = _numbers(codes.values[place]) if valid[place] else None
                stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

        yield write


def _python_values(column: Any, name: str, numbers: np.ndarray, source: str) -> list[Any]:
    """Of a kept column; InputError for what Python has not: the year 10,000, or a string that is not UTF-8."""
    failures = (ValueError, OverflowError)
    try:
        values: list[Any] = column.to_pylist()
        return values
    except failures:
        for number, value in zip(numbers, column, strict=True):
            try:
                value.as_py()
            except failures as failure:
                raise InputError(
                    f"{source}, row {number}: {name!r} cannot be written as JSON ({failure}); choose --format parquet, "
                    f"or leave --keep {name} out"
                ) from None
        raise


def _numbers(values: np.ndarray) -> list[Any]:
    if values.dtype.kind != "f":
        return values.tolist()
    return [float(f"{value:.9g}") for value in values.tolist()]  # nine digits tell a float32


def _as_json(value: Any) -> Any:
    """A kept value as JSON has it: times and decimal numbers as strings, NaN and inf as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta | Decimal):
        return str(value)
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, list) else value


WRITERS: Mapping[str, Callable[[list[Path], Plan, str], Any]] = {
    "parquet": _parquet_writer,
    "npy": _npy_writer,
    "jsonl": _jsonl_writer,
}
