"""Documents -> segments that do not count yet: embedded, taken apart into words, and written."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_potion.errors import InputError
from edge_potion.progress import counted
from edge_potion.search.chunks import Chunk, chunks_of
from edge_potion.search.documents import Document
from edge_potion.search.folder import Manifest
from edge_potion.search.postings import hash_of
from edge_potion.search.ready_vectors import ReadyVectors
from edge_potion.search.segment import Segment, SegmentEntry, SegmentWriter
from edge_potion.search.words import Words

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["copied", "documents_of", "refuse_no_text", "small_ones", "written"]

ROWS_AT_ONCE = 2**13  # documents that are embedded together
CHARACTERS_AT_ONCE = 2_000_000
DIGITS = 18  # of a number that is counted on from
MOST_SEGMENTS = 8  # from then on the small ones become one, as each costs every search a little


def documents_of(texts: Iterable[str], ids: Iterable[str] | None, where: Iterable[str] | None) -> Iterator[Document]:
    """Texts with their names and places; InputError where there are more of one than of another."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected")
    names = iter(ids) if ids is not None else repeat("")
    places = iter(where) if where is not None else None
    end = object()
    for number, text in enumerate(texts):
        name = next(names, end)
        place = next(places, end) if places is not None else ""
        for what, value in (("ids", name), ("where", place)):
            if value is end:
                raise InputError(f"there are fewer {what} than texts: {number}")
            refuse_no_text(f"{what}[{number}]", value)
        yield Document(name, text, place)  # type: ignore[arg-type]
    for what, values in (("ids", names if ids is not None else ()), ("where", places or ())):
        if next(iter(values), end) is not end:
            raise InputError(f"there are more {what} than texts")


def refuse_no_text(what: str, value: object) -> None:
    """Raise InputError where a name or a place is no str, or none that a file can hold."""
    if not isinstance(value, str):
        raise InputError(f"{what} is of type {type(value).__name__}; a str was expected")
    try:
        value.encode()
    except UnicodeEncodeError as failure:
        raise InputError(f"{what} holds the lone surrogate {value[failure.start]!r}, which is no text") from None


def written(
    folder: Path,
    manifest: Manifest,
    documents: Iterable[Document],
    model: EdgeModel,
    words: Words,
    show_progress: bool,
    vectors: ReadyVectors | None = None,
) -> tuple[Manifest, list[SegmentEntry], np.ndarray]:
    """Documents as new segments that do not count yet; the manifest knows their names.

    Their vectors are the model's, or `vectors`, one of each document. The last are the hashes of what the documents are
    called, ascending, also of those that are empty.

    Raises:
        InputError: two documents have one name, or a text is not usable, or there are more vectors than documents.
    """
    done: list[SegmentEntry] = []
    named = _Named(manifest.last_number)
    rows = _rows(counted(documents, show_progress, desc="index", unit=" texts"), manifest.chunk, named)
    window = next(rows, None)
    while window is not None:
        manifest, name = manifest.new_name("rows")
        writer = SegmentWriter(folder, name, manifest.approximate)
        try:
            while window is not None and not writer.is_full:
                texts = [row.text for row in window]
                strings = {"text": texts, "id": [row.id for row in window], "where": [row.where for row in window]}
                if vectors is None:
                    embedded = model.encode_document(texts)
                else:
                    embedded = vectors.of(texts, [row.number for row in window], model)
                writer.add(embedded, list(map(words.stems, texts)), strings)
                window = next(rows, None)
            done.append(writer.close())
        finally:
            writer.stop()
        named.refuse_twins([Segment(folder, entry, manifest.dim) for entry in done])
    if vectors is not None:
        vectors.end(named.count)
    return replace(manifest, last_number=named.last_number), done, named.hashes


class _Named:
    """The names of the documents of one call, by their hashes.

    Attributes:
        last_number: the highest that a document was ever called by.
    """

    def __init__(self, last_number: int) -> None:
        self.last_number = last_number
        self._hashes = array("Q")

    def name_of(self, document: Document) -> str:
        """What a document is called: the next number, where it has no name."""
        name = document.id or str(self.last_number + 1)
        if name.isascii() and name.isdecimal() and len(name) < DIGITS:
            self.last_number = max(self.last_number, int(name))
        self._hashes.append(hash_of(name))
        return name

    @property
    def count(self) -> int:
        """How many documents there were."""
        return len(self._hashes)

    @property
    def hashes(self) -> np.ndarray:
        """(n,) uint64 of all of them, ascending."""
        return np.sort(np.frombuffer(self._hashes, np.uint64)) if self._hashes else np.empty(0, np.uint64)

    def refuse_twins(self, segments: Sequence[Segment]) -> None:
        """Raise InputError where two documents have one name."""
        hashes = self.hashes
        twins = hashes[1:][hashes[1:] == hashes[:-1]]
        for segment in segments:
            for name in segment.names_by_hash(twins):
                raise InputError(f"two texts have the id {name!r}; ids must differ")


def _rows(documents: Iterable[Document], chunk: Chunk, named: _Named) -> Iterator[list[Document]]:
    """What is embedded, some thousands at a time, all parts of a document together; empty ones are passed over."""
    window: list[Document] = []
    characters = 0
    for place, document in enumerate(documents):
        name = named.name_of(document)
        if not isinstance(document.text, str):
            raise InputError(f"the text {name!r} is of type {type(document.text).__name__}; a str was expected")
        parts = [part for part in chunks_of(document.text, chunk) if part.strip()]
        for number, part in enumerate(parts, start=1):
            where = document.where if len(parts) == 1 else f"{document.where} part {number}".strip()
            window.append(Document(name, part, where, place))
            characters += len(part)
        if len(window) >= ROWS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield window
            window, characters = [], 0
    if window:
        yield window


def copied(
    folder: Path, manifest: Manifest, segments: Sequence[Segment], words: Words
) -> tuple[Manifest, list[SegmentEntry]]:
    """What is not deleted of segments as new ones, which do not count yet; the manifest knows their names."""
    done: list[SegmentEntry] = []
    writer: SegmentWriter | None = None
    try:
        for segment in segments:
            live = np.arange(segment.entry.rows) if segment.deleted is None else np.flatnonzero(~segment.deleted)
            for begin in range(0, len(live), ROWS_AT_ONCE):
                if writer is None:
                    manifest, name = manifest.new_name("rows")
                    writer = SegmentWriter(folder, name, manifest.approximate)
                rows = live[begin : begin + ROWS_AT_ONCE]
                texts = [segment.text(row) for row in rows]
                strings = {
                    "text": texts,
                    "id": [segment.id(row) for row in rows],
                    "where": [segment.where(row) for row in rows],
                }
                writer.add_codes(segment.values[rows], segment.scales[rows], list(map(words.stems, texts)), strings)
                if writer.is_full:
                    done.append(writer.close())
                    writer = None
        if writer is not None:
            done.append(writer.close())
    finally:
        if writer is not None:
            writer.stop()
    return manifest, done


def small_ones(segments: Sequence[Segment]) -> list[Segment]:
    """Segments that should become one: all where most is deleted; of many, those that are smaller than their sum.

    Large ones stay as they are: to merge them again for each text that is added would write the index anew each time.
    """
    rows, live = (sum(segment.entry.rows for segment in segments), sum(segment.live for segment in segments))
    if 2 * live < rows:
        return list(segments)
    if len(segments) <= MOST_SEGMENTS:
        return []
    ascending = sorted((each for each in segments if not each.is_large), key=lambda segment: segment.live)
    if len(ascending) <= MOST_SEGMENTS:
        return []
    total = 0
    small: set[str] = set()
    for segment in ascending:
        if len(small) >= 2 and segment.live > total:
            break
        small.add(segment.entry.name)
        total += segment.live
    return [segment for segment in segments if segment.entry.name in small]
