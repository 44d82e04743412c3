"""Files of texts that are read more than once, in bounded memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from edge_potion.bulk.inputs import Input, find_inputs
from edge_potion.errors import AccessError, EdgePotionError
from edge_potion.progress import progress_bar
from edge_potion.text_lines import name_of
from edge_potion.texts import read_texts

__all__ = ["Corpus"]

TEXTS = 1024  # at once
CHARACTERS = 2**22  # at once, but for one text that is longer by itself


class Corpus:
    """Texts in files; those of stdin and pipes are kept in a temporary file. To be used in a `with` block.

    Args:
        named: files, folders and globs, as `edge-potion encode` takes them; "-" for stdin.
        out: a folder that is written, in which no file of the corpus may lie.
        column: of the texts, where files have columns.

    Raises:
        InputError: something that is named is not there, holds no texts, or is named twice.
    """

    def __init__(self, named: Sequence[str | Path], out: Path, column: str) -> None:
        self._inputs = find_inputs([str(name) for name in named], out)
        self._column = column
        self._held: dict[int, IO[str]] = {}  # the texts of streams, once they were read

    def __enter__(self) -> Corpus:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._held.values():
            with suppress(OSError):  # of a full disk, once more
                file.close()

    @property
    def names(self) -> list[str]:
        """Of its files, without the folders that they lie in."""
        return [name_of(each.path) if each.path == "-" else Path(each.path).name for each in self._inputs]

    def batches(self, show_progress: bool, desc: str) -> Iterator[list[str]]:
        """All texts, some at a time; each call reads them anew.

        Raises:
            InputError: a file cannot be read, holds what is no text, or was changed since the first call.
        """
        with progress_bar(show_progress, desc=desc, unit="texts") as bar:
            for batch in _batches(text for each in self._inputs for text in self._texts(each)):
                yield batch
                bar.update(len(batch))

    def _texts(self, file: Input) -> Iterator[str]:
        if not file.is_stream:
            yield from read_texts(file.path, self._column)
            file.refuse_changed()
        elif file.number in self._held:
            held = self._held[file.number]
            held.seek(0)
            yield from map(json.loads, held)
        else:
            yield from self._kept(file)

    def _kept(self, file: Input) -> Iterator[str]:
        try:
            held = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed at the end of the block
            self._held[file.number] = held
            for text in read_texts(file.path, self._column):
                held.write(json.dumps(text) + "\n")
                yield text
            held.flush()
        except EdgePotionError:  # of what is read
            raise
        except OSError as failure:
            place = tempfile.gettempdir()
            raise AccessError(
                f"cannot hold the texts of {name_of(file.path)} in {place}: {failure.strerror}"
            ) from failure


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == TEXTS or characters >= CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
