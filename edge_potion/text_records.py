"""The texts of a file, each with the record that it stands in: what is kept of a file is kept as it stood."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge_potion.records import SEPARATORS, separator_of
from edge_potion.text_lines import name_of, read_lines
from edge_potion.texts import RECORDS, kind_of, read_texts

__all__ = ["Record", "Records"]

BREAK = re.compile(r"[\n\r]")


class Record(NamedTuple):
    """A text of a file.

    Attributes:
        text: itself.
        source: the line or lines that it is read from; of a .parquet file, which has none, the text as one line.
    """

    text: str
    source: str


class Records:
    """What `read_texts` reads of a file, in its order, with the same errors.

    Attributes:
        header: the first record of a .csv or .tsv file, as soon as all is read; else None.
    """

    def __init__(self, file: str | Path, column: str = "text") -> None:
        self.header: str | None = None
        self._file, self._column, self._kind = file, column, kind_of(file)

    def __iter__(self) -> Iterator[Record]:
        if self._kind not in RECORDS:
            for text in read_texts(self._file, self._column):
                yield Record(text, BREAK.sub(" ", text) if self._kind == ".parquet" else text)
            return
        taken: list[str] = []  # lines since the last record: no more are read than the next one needs

        def lines() -> Iterator[str]:
            for line in read_lines(self._file):
                taken.append(line)
                yield line

        for text in RECORDS[self._kind](lines(), name_of(self._file), self._column, None):
            self._take_header(taken)
            yield Record(text, "\n".join(taken).lstrip("\n"))  # empty lines before a record are none of it
            taken.clear()
        self._take_header(taken)

    def _take_header(self, taken: list[str]) -> None:
        """Out of the first lines of a file."""
        if self._kind not in SEPARATORS or self.header is not None or not taken:
            return
        rows = csv.reader((f"{line}\n" for line in taken), delimiter=separator_of(taken[0], SEPARATORS[self._kind]))
        next(rows)
        self.header = "\n".join(taken[: rows.line_num])
        del taken[: rows.line_num]
