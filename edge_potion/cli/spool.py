"""Records in a temporary file, found by their place: they may be more than memory holds, and stdin is read but once."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from edge_potion.errors import AccessError

if TYPE_CHECKING:
    from edge_potion.text_records import Record

__all__ = ["Spool"]


class Spool:
    """To be used in a `with` block, which ends the file."""

    def __init__(self) -> None:
        with _failures_told():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed at the end of the block
        self._ends = array(
            "q", [0]
        )  # of the text and the source of each record; a source that is the text has no bytes

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a full disk, once more
            self._file.close()

    def texts_of(self, records: Iterable[Record]) -> Iterator[str]:
        """The texts of records, which are written as they pass."""
        for text, source in records:
            with _failures_told():
                for part in (text, "" if source == text else source):
                    self._ends.append(self._ends[-1] + self._file.write(part.encode()))
            yield text
        with _failures_told():
            self._file.flush()

    def text(self, place: int) -> str:
        return self._part(2 * place)

    def source(self, place: int) -> str:
        return self._part(2 * place + 1) or self.text(place)

    def _part(self, number: int) -> str:
        begin, end = self._ends[number], self._ends[number + 1]
        self._file.seek(begin)
        return self._file.read(end - begin).decode()


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise AccessError(f"cannot hold the texts in {tempfile.gettempdir()}: {failure.strerror}") from failure
