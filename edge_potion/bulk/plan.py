"""The plan of a bulk job: its inputs, its columns and its model, all looked at before any work; the same for all who
share the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from edge_potion.bulk.inputs import Input, find_inputs
from edge_potion.bulk.job import Job, check_job
from edge_potion.bulk.parquet_rows import schema_of
from edge_potion.bulk.slices import header_in
from edge_potion.errors import InputError
from edge_potion.records import BadRecord, json_record, place_of
from edge_potion.text_lines import LONGEST_TEXT, name_of, read_blocks

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Plan", "make_plan", "open_model_of"]

ROWS_LOOKED_AT = 1000  # of a .jsonl file, for the types of what is kept; fewer where they are long


@dataclass(frozen=True)
class Plan:
    """What everybody who works on a job knows.

    Attributes:
        job: what was asked.
        inputs: its files.
        kept: Arrow schema of the columns that pass through.
        model: name of the model, for people.
        fingerprint: of the model: all that makes its vectors.
        precision: of its table.
        dim: values of a vector that is written.
        runs_in: engine and provider, where they decide the last bits, as at float32 and float16; "" at int8.
    """

    job: Job
    inputs: tuple[Input, ...]
    kept: Any
    model: str
    fingerprint: str
    precision: str
    dim: int
    runs_in: str

    def __getstate__(self) -> dict[str, Any]:
        """The schema goes to other processes as Arrow writes it: pickled, a fixed_size_list loses its field's name."""
        return self.__dict__ | {"kept": self.kept.serialize().to_pybytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import pyarrow as pa

        self.__dict__.update(state | {"kept": pa.ipc.read_schema(pa.py_buffer(state["kept"]))})

    @property
    def made_with(self) -> dict[str, Any]:
        """What decides the output beside the inputs, as JSON holds it: what a second run is held to."""
        columns = {field.name: str(field.type) for field in self.kept}
        model = {"fingerprint": self.fingerprint, "precision": self.precision, "dim": self.dim}
        return {
            "model": model | ({"runs_in": self.runs_in} if self.runs_in else {}),
            "arguments": self.job.deciding(),
            "columns": columns,
        }


def make_plan(job: Job) -> tuple[Plan, EdgeModel]:
    """The plan, and the model, which is open.

    Raises:
        InputError: an argument or an input cannot be used.
        ModelFormatError, ProviderError, MissingExtraError: the model cannot be opened.
    """
    check_job(job)
    inputs = find_inputs(job.inputs, job.out)
    kept = _kept_columns(job, inputs)
    model = open_model_of(job)
    dim = job.truncate_dim or model.dim
    if dim > model.dim:
        raise InputError(f"truncate_dim is {dim}, and the model has {model.dim} dimensions")
    name = model.bundle.folder.name
    runs_in = "" if model.precision == "int8" else f"{model.engine}, {model.provider}"
    return Plan(job, tuple(inputs), kept, name, model.fingerprint, model.precision, dim, runs_in), model


def open_model_of(job: Job) -> EdgeModel:
    """The model that a job names."""
    from edge_potion.runtime import EdgeModel

    options: dict[str, Any] = {"provider": job.provider, "precision": job.precision, "graph": job.graph}
    options |= {"threads": job.threads, "revision": job.revision, "engine": job.model_engine}
    return EdgeModel.from_pretrained(job.model, **options)


def _kept_columns(job: Job, inputs: Sequence[Input]) -> Any:
    """The Arrow schema of what passes through, which is the same for every input; each is looked at for its columns."""
    import pyarrow as pa

    first: tuple[str, Any] | None = None
    for file in inputs:
        kept = _columns_of(job, file)
        if kept is None:
            continue
        if first is None:
            first = file.path, kept
        for mine, yours in zip(first[1], kept, strict=True):
            if mine.type != yours.type:
                raise InputError(
                    f"{name_of(file.path)}: {mine.name!r} is {yours.type}, and it is {mine.type} in "
                    f"{name_of(first[0])}; make them alike, or embed these inputs by themselves"
                )
    schema = first[1] if first else pa.schema([(name, pa.string()) for name in job.keep])
    if job.format == "jsonl":
        for field in schema:
            _refuse_what_json_lacks(field.name, field.type)
    # Without what a file's own writer noted for itself, such as ids of fields.
    return pa.schema([pa.field(field.name, field.type) for field in schema])


def _columns_of(job: Job, file: Input) -> Any:
    """Of one input; None where it is empty, or cannot be looked at twice and says nothing of types."""
    import pyarrow as pa

    strings = pa.schema([(name, pa.string()) for name in job.keep])
    if file.kind == ".parquet":
        return schema_of(file.path, job.keep, job.text_column)
    if file.kind == ".txt":
        if others := [name for name in job.keep if name != job.text_column]:
            raise InputError(
                f"{name_of(file.path)}: a line of text has no column {others[0]!r}; keep {job.text_column!r} alone, or "
                "take .jsonl, .csv or .parquet"
            )
        return strings
    if file.is_stream:
        if not job.keep or file.kind != ".jsonl":
            return strings
        raise InputError(
            f"{file.path} can be read once only, and the types of what is kept are looked up first; save it as a file"
        )
    if file.kind == ".jsonl":
        return _json_columns(job, file) if job.keep else strings
    header = header_in(file)
    if header is None:
        return None
    for name in (job.text_column, *job.keep):
        place_of(name, list(header.names), f"{file.path}, its header")
    return strings


def _json_columns(job: Job, file: Input) -> Any:
    """By the first records: an Arrow type that holds them all, else the error says which column has none."""
    import pyarrow as pa

    records: list[dict[str, Any]] = []  # what is kept of them
    keys: list[str] = []  # of the first
    size = 0
    lines = (line for block in read_blocks(file.path) for line in block.lines("surrogateescape"))
    for line in islice(lines, ROWS_LOOKED_AT):
        try:
            record = json_record(line, job.text_column)[1] if line.strip() else None
        except BadRecord:
            continue
        if isinstance(record, dict):
            keys = keys or list(record)
            records.append({name: record[name] for name in job.keep if name in record})
        if (size := size + len(line)) > LONGEST_TEXT:
            break
    if not records:
        return None
    fields = []
    for name in job.keep:
        if not any(name in record for record in records):
            place_of(name, keys, f"{file.path}, its first {len(records):,} records")
        values = [record.get(name) for record in records]
        try:
            kind = pa.string() if name == job.text_column else pa.array(values).type
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as failure:
            raise InputError(f"{file.path}: the values of {name!r} are of no one type ({failure})") from failure
        if job.format == "parquet" and "struct<>" in str(kind):
            raise InputError(
                f"{file.path}: {name!r} holds objects without keys, which Parquet cannot; leave --keep {name} out, or "
                "choose --format jsonl"
            )
        fields.append((name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields)


def _refuse_what_json_lacks(name: str, kind: Any) -> None:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_struct(kind):
        for inner in kind:
            _refuse_what_json_lacks(name, inner.type)
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        _refuse_what_json_lacks(name, kind.value_type)
    elif not (
        any(known(kind) for known in (types.is_boolean, types.is_integer, types.is_floating, types.is_string))
        or any(known(kind) for known in (types.is_large_string, types.is_string_view, types.is_null))
        or any(known(kind) for known in (types.is_temporal, types.is_decimal))
    ):
        raise InputError(f"the column {name!r} is {kind}, which JSON does not have; choose --format parquet")
