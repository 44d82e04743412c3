"""Files -> documents: texts with a name of their own, and where they lie."""

from __future__ import annotations

import json
import tempfile
import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from edge_potion.columns import read_columns
from edge_potion.errors import InputError
from edge_potion.named_files import files_named, real_path
from edge_potion.texts import kind_of, read_texts

__all__ = ["Document", "read_documents"]


class Document(NamedTuple):
    """What is indexed.

    Attributes:
        id: its name: what the user calls it, or where it lies.
        text: itself.
        where: the file and its line, or its record in .csv, .jsonl and .parquet.
        number: its place among those that are given together, from 0.
    """

    id: str
    text: str
    where: str
    number: int = 0


def read_documents(
    files: Sequence[str | Path], text_column: str = "text", id_column: str | None = None, out: Path | None = None
) -> Iterator[Document]:
    """The documents of some files, in their order: bounded memory over any number of them.

    Args:
        files: of any kind that `edge_potion.texts.read_texts` reads; folders and globs of these; "-" for stdin.
        text_column: key or column of the texts.
        id_column: key or column of their names; None names each FILE:NUMBER.
        out: a folder that is written meanwhile, which is passed over where it lies in one of these.

    Raises:
        InputError: a file cannot be read or is named twice, or a name is missing or no string or whole number.
        MissingExtraError: .parquet without pyarrow, .zst without zstandard.
    """
    named: dict[str, str] = {}
    goal = "" if out is None else real_path(str(out))
    for file in (file for name in files for file in files_named(str(name), goal)):
        real = real_path(file)
        if real in named:
            raise InputError(f"{file} is named twice, also as {named[real]}; name every file once")
        named[real] = file
        kind_of(file)
    for file in named.values():
        yield from _with_ids(file, text_column, id_column) if id_column else _by_place(file, text_column)


def _by_place(file: str, text_column: str) -> Iterator[Document]:
    name = "stdin" if file == "-" else str(Path(file))
    for number, text in enumerate(read_texts(file, text_column), start=1):
        where = f"{name}:{number}"
        yield Document(where, text, where)


def _with_ids(file: str, text_column: str, id_column: str) -> Iterator[Document]:
    for row in read_columns(file, [id_column, text_column]):
        name, text = row.values
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name:
            raise InputError(f"{row.where}: {id_column!r} is {name!r}; a string or a whole number was expected")
        if not isinstance(text, str):
            raise InputError(f"{row.where}: {text_column!r} is of type {type(text).__name__}; a string was expected")
        yield Document(name, text, f"{file}:{row.number}")


class Readable:
    """Texts of a file that are read more than once: of stdin or a pipe, what was read is kept on the disk.

    Args:
        file: as of `edge_potion.texts.read_texts`.
        text_column: likewise.
    """

    def __init__(self, file: str, text_column: str) -> None:
        self._file, self._column = file, text_column
        self._is_stream = file == "-" or (Path(file).exists() and not Path(file).is_file())
        self._kept: IO[str] | None = None
        self._sums = array("I")  # of each text of a file, which may be another when it is read again

    def __iter__(self) -> Iterator[str]:
        texts = read_texts(self._file, self._column)
        return self._keeping(texts) if self._is_stream else self._summing(texts)

    def some(self, numbers: Collection[int]) -> dict[int, str]:
        """The texts at these places, from 1, once all were read; InputError where the file was changed meanwhile."""
        found: dict[int, str] = {}
        for number, text in enumerate(self._again(), start=1):
            if number in numbers:
                if self._kept is None and self._sums[number - 1] != _sum_of(text):
                    break
                found[number] = text
                if len(found) == len(numbers):
                    break
        if len(found) < len(numbers):
            raise InputError(f"{self._file} was changed while it was read; search again")
        return found

    def _summing(self, texts: Iterator[str]) -> Iterator[str]:
        self._sums = array("I")
        for text in texts:
            self._sums.append(_sum_of(text))
            yield text

    def _keeping(self, texts: Iterator[str]) -> Iterator[str]:
        self._kept = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # for as long as this is held
        for text in texts:
            json.dump(text, self._kept)
            self._kept.write("\n")
            yield text

    def _again(self) -> Iterator[str]:
        if self._kept is None:
            return read_texts(self._file, self._column)
        self._kept.seek(0)
        return map(json.loads, self._kept)


def _sum_of(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
