"""Texts from a file: the one reader of .txt, .jsonl, .csv, .tsv and .parquet, compressed or not, and of stdin.

Memory is bounded whatever a file unpacks to: it is read in blocks, and a line, a row or a value of more than
`LONGEST_TEXT` bytes is an error. The one exception is a page of a .parquet file, which pyarrow unpacks as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.parquet_texts import parquet_texts
from edge_potion.records import (
    SEPARATORS,
    BadRecord,
    checked_width,
    header_of,
    json_record,
    separated_records,
    separator_of,
)
from edge_potion.text_lines import LONGEST_TEXT, PACKINGS, Skipped, leave_out, name_of, read_lines

__all__ = ["KINDS", "LONGEST_TEXT", "PACKINGS", "kind_of", "read_lines", "read_texts"]

_CONVERT = "save it as .txt, .jsonl, .csv or .parquet first"
_UNPACK = "unpack it first"
# Endings of files in which a line is not a text, and what to do with them. Any other unknown one is read by line.
FOREIGN = {
    ".json": "name it .jsonl where each line is an object, else write it so (jq -c '.[]')",
    **dict.fromkeys(
        (".npy", ".npz", ".safetensors", ".onnx", ".ort", ".gguf", ".pt", ".pth", ".pkl", ".pickle", ".h5"),
        "it holds numbers, and texts were expected",
    ),
    **dict.fromkeys((".arrow", ".feather", ".orc", ".avro", ".db", ".sqlite", ".sqlite3", ".duckdb"), _CONVERT),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods", ".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub"), _CONVERT),
    **dict.fromkeys((".ppt", ".pptx", ".odp", ".xml"), _CONVERT),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".lz4", ".br", ".lzma", ".lz", ".z", ".lzo"), _UNPACK),
}


def read_texts(file: str | Path, column: str = "text", skipped: Skipped = None) -> Iterator[str]:
    """The texts of a file, in its order: bounded memory over any number of them.

    The name's ending says how they are read: .jsonl and .ndjson (a JSON object a line, or a JSON string), .csv and .tsv
    (a header, then records; quotes as in RFC 4180; a .csv may have semicolons) and .parquet give the texts under one
    name, `column`. Anything else is a text a line: .txt, stdin ("-"), and what has another ending (notes.md), but
    for those in which a line is no text (`FOREIGN`). All but .parquet may be compressed: .gz, .bz2, .xz, .zst, in any
    number of members.

    Text is UTF-8. A line ends with LF or CRLF, or with CR in a file whose first MiB has CR and no LF. A byte-order mark
    at the beginning of a line is dropped. Empty lines are texts in a text file, and nothing elsewhere.

    Args:
        file: its path, or "-".
        column: the key, or the name of the column, of the texts. It is never guessed.
        skipped: where records that cannot be used are counted, by reason, and passed over; None makes them an error.

    Raises:
        InputError: the file cannot be read, has no such column, holds a record that cannot be used (named by line), or
            is of a kind that holds no texts.
        MissingExtraError: .parquet without pyarrow, .zst without zstandard.
    """
    kind = kind_of(file)
    if kind == ".parquet":
        return parquet_texts(Path(file), column, skipped)
    lines = read_lines(file, skipped)
    return RECORDS[kind](lines, name_of(file), column, skipped) if kind in RECORDS else lines


def kind_of(file: str | Path) -> str | None:
    """How `read_texts` reads a file, by its name: one of `KINDS`, or None for an unknown ending, which is read by line.

    Raises:
        InputError: an ending of files in which a line is no text.
    """
    if str(file) == "-":
        return ".txt"
    endings = [ending.lower() for ending in Path(file).suffixes]
    packings = len(endings)
    while packings and endings[packings - 1] in PACKINGS:
        packings -= 1
    endings, packed = endings[:packings], endings[packings:]
    if endings and (advice := FOREIGN.get(endings[-1])):
        raise InputError(f"{file}: a {endings[-1]} file has no text a line; {advice}")
    # The last that is known, as in c4.jsonl.0001.gz.
    kind = next((KINDS[ending] for ending in reversed(endings) if ending in KINDS), None)
    if len(packed) > (kind != ".parquet"):
        raise InputError(f"{file}: {''.join(packed)} is more than is unpacked here; {_UNPACK}")
    return kind


def _json_texts(lines: Iterator[str], name: str, column: str, skipped: Skipped) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            text, _ = json_record(line, column)
            if skipped is None and not is_unicode(text):  # a corpus counts such sentences itself
                raise BadRecord("not Unicode", f"{column!r} holds a lone surrogate, which is no Unicode text")
        except BadRecord as bad:
            leave_out(skipped, bad.reason, f"{name}, line {number}: {bad}")
        else:
            yield text


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _separated_texts(lines: Iterator[str], name: str, column: str, skipped: Skipped, separators: str) -> Iterator[str]:
    first = next(lines, None)
    if first is None:  # an empty file
        return
    separator = separator_of(first, separators)
    records = separated_records(chain([first], lines), name, separator)
    place, width = header_of(next(records), column, name)
    for number, row in records:
        try:
            if isinstance(row, BadRecord):
                raise row
            if row:  # an empty line is no record
                yield checked_width(row, width, separator)[place]
        except BadRecord as bad:
            leave_out(skipped, bad.reason, f"{name}, line {number}: {bad}")


RECORDS: Mapping[str | None, Callable[[Iterator[str], str, str, Skipped], Iterator[str]]] = {
    ".jsonl": _json_texts,
    **{kind: partial(_separated_texts, separators=marks) for kind, marks in SEPARATORS.items()},
}
KINDS = {
    ".txt": ".txt",
    ".jsonl": ".jsonl",
    ".ndjson": ".jsonl",
    ".csv": ".csv",
    ".tsv": ".tsv",
    ".parquet": ".parquet",
}
