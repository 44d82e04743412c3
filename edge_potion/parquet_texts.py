"""Texts from a column of a .parquet file, in bounded memory; pyarrow unpacks a page of it as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edge_potion.errors import EdgePotionError, InputError, require
from edge_potion.records import place_of
from edge_potion.text_lines import BLOCK, LONGEST_TEXT, Skipped, leave_out

__all__ = ["is_text", "open_parquet", "parquet_errors", "parquet_texts", "rows_at_once"]

ROWS = 8192  # that are held at once; fewer where they are long


def parquet_texts(file: Path, column: str, skipped: Skipped) -> Iterator[str]:
    """The texts of `texts.read_texts`."""
    with open_parquet(file) as stream:
        yield from _values(stream, str(file), column, skipped)


@contextmanager
def open_parquet(file: Path) -> Iterator[IO[bytes]]:
    """An open file for pyarrow, which takes no name that is not UTF-8; what fails within is an InputError.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with parquet_errors(file), file.expanduser().open("rb") as stream:
        yield stream


@contextmanager
def parquet_errors(file: str | Path) -> Iterator[None]:
    """What fails within, as a file is read, is an InputError that names it; MissingExtraError without pyarrow."""
    require("pyarrow", extra="parquet", purpose="reading .parquet")
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, RuntimeError, OSError, ValueError) as failure:
        if isinstance(failure, EdgePotionError):
            raise
        raise InputError(f"cannot read {file}: {getattr(failure, 'strerror', None) or failure}") from failure


def _values(stream: IO[bytes], name: str, column: str, skipped: Skipped) -> Iterator[str]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    plain = pq.ParquetFile(stream)
    schema = plain.schema_arrow
    kind = schema.field(place_of(column, schema.names, name)).type
    if not is_text(kind):
        raise InputError(f"{name}: the column {column!r} is {kind}; text was expected")
    # As dictionaries: a value that stands in each of a million rows is held once.
    table = pq.ParquetFile(
        stream, metadata=plain.metadata, read_dictionary=[column], pre_buffer=False, buffer_size=BLOCK
    )
    number = 0  # rows before
    for values in table.iter_batches(columns=[column], batch_size=rows_at_once(table, column, name)):
        rows = values.column(0)
        if (pc.max(pc.binary_length(rows.dictionary)).as_py() or 0) > LONGEST_TEXT:
            raise InputError(
                f"{name}: a text of more than {LONGEST_TEXT:,} bytes in rows {number + 1} and on; cut it up"
            )
        texts = list(map(_text_of, rows.dictionary))
        for place, index in enumerate(rows.indices.to_pylist(), start=number + 1):
            text = None if index is None else texts[index]
            if isinstance(text, str):
                yield text
            elif index is None:
                leave_out(skipped, "no text", f"{name}, row {place}: no {column!r} there; a text was expected")
            else:
                leave_out(skipped, "not UTF-8", f"{name}, row {place}: {column!r} is not UTF-8")
        number += len(rows)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of text."""
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _text_of(value: Any) -> str | None:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return None


def rows_at_once(table: Any, column: str, name: str) -> int:
    """Rows whose texts are no more than the longest text, about; InputError where one text must be longer."""
    rows = ROWS
    meta = table.metadata
    for group in (meta.row_group(number) for number in range(meta.num_row_groups)):
        for chunk in (group.column(number) for number in range(group.num_columns)):
            if chunk.path_in_schema == column and chunk.num_values:
                mean = chunk.total_uncompressed_size // chunk.num_values
                if mean > LONGEST_TEXT:
                    raise InputError(f"{name}: a text of more than {LONGEST_TEXT:,} bytes; cut it up first")
                rows = min(rows, max(1, LONGEST_TEXT // max(1, mean)))
    return rows
