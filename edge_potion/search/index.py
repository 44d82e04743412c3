"""Index: texts in a folder, found by what they mean and by their words; added to and deleted from while others read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.checked_texts import check_texts, refuse_surrogates
from edge_potion.disk import sync
from edge_potion.errors import AccessError, EdgePotionError, InputError
from edge_potion.search.chunks import Chunk, chunks_of
from edge_potion.search.documents import Document
from edge_potion.search.folder import (
    MANIFEST,
    Manifest,
    commit,
    first_free,
    opened_for_writing,
    told_of_damage,
    usable_folder,
)
from edge_potion.search.fusion import fused, standard_of
from edge_potion.search.graph import require_usearch
from edge_potion.search.hit import MODES, Hit, Mode, explained
from edge_potion.search.postings import Collected, weights_of
from edge_potion.search.ready_vectors import Given, ReadyVectors
from edge_potion.search.rows import copied, documents_of, refuse_no_text, small_ones, written
from edge_potion.search.scores import best_rows, meaning_scores, ordering_scores, word_scores
from edge_potion.search.segment import Segment
from edge_potion.search.state import State, read_state, seen
from edge_potion.search.words import Words
from edge_potion.tokens import check_count
from edge_potion.unit_length import unit_length

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Index"]

log = logging.getLogger("edge_potion")


class Index:
    """An index of texts in a folder. Make one with `Index.build`, open one with `Index.open`.

    Searching is safe from many threads at once. What was opened stays as it was then until `refresh`, whatever other
    processes do to the folder meanwhile; of these one writes at a time, and the next one waits for it.

    Attributes:
        folder: where it lies.
        model: what embeds texts and queries.
        language: whose words it knows.
        chunk: how texts are cut: "none", "words", "sentences".
    """

    def __init__(self, folder: Path, model: EdgeModel, state: State) -> None:
        self.folder, self.model = folder, model
        self.language, self.chunk = state.manifest.language, state.manifest.chunk
        self._words = Words(self.language)
        self._state = state
        self._refreshing = threading.Lock()  # of two threads the later would put an older state over a newer one

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens it as it is then."""
        return _opened_again, (self.folder, self.model)

    def __repr__(self) -> str:
        return f"Index({str(self.folder)!r}, texts={len(self):,}, model={self.model!r})"

    def __len__(self) -> int:
        """Rows: texts, or their parts where documents were cut."""
        return self._state.live

    @property
    def size_bytes(self) -> int:
        """What its files take on the disk."""
        total = 0
        for file in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # a writer has just swept it
                total += file.stat().st_size if file.is_file() else 0
        return total

    @classmethod
    def build(
        cls,
        folder: str | Path,
        texts: Iterable[str],
        *,
        ids: Iterable[str] | None = None,
        where: Iterable[str] | None = None,
        model: EdgeModel | str | Path | None = None,
        language: str = "english",
        chunk: Chunk = "none",
        approximate: bool = False,
        vectors: Given | None = None,
        show_progress: bool = False,
    ) -> Index:
        """Make an index of texts, any number of them in bounded memory; one that lies there is replaced at the end.

        Args:
            folder: a new one, or that of an index.
            texts: any iterable of texts. Empty ones are passed over.
            ids: what each is called, no two the same; by default "1", "2", ...
            where: where each lies, as hits are to tell it.
            model: an EdgeModel, or what `EdgeModel.from_pretrained` opens; it must be found by the same name later.
            language: of the words: "english", another that Snowball has a stemmer for, or "none".
            chunk: whether long texts are cut into parts: "none", "words", "sentences".
            approximate: whether large parts of it get a graph, by which not all rows are looked at: for millions.
            vectors: one of each text, in the place of the model's: (N, D) floats, lists of them, or a .npy or
                .safetensors file. They are those of the model's teacher, in whose space it was trained (recipe
                query-encoder).
            show_progress: a line on stderr.

        Raises:
            InputError: the folder holds something else, an argument or a text is not usable, or two ids are the same;
                or the vectors are not one a text, as wide as the model's, and finite.
            AccessError: the disk takes no more.
            MissingExtraError: it is to be approximate, and usearch is not here.
        """
        return cls.of_documents(
            folder,
            documents_of(texts, ids, where),
            model=model,
            language=language,
            chunk=chunk,
            approximate=approximate,
            vectors=vectors,
            show_progress=show_progress,
        )

    @classmethod
    def of_documents(
        cls,
        folder: str | Path,
        documents: Iterable[Document],
        *,
        model: EdgeModel | str | Path | None = None,
        language: str = "english",
        chunk: Chunk = "none",
        approximate: bool = False,
        vectors: Given | None = None,
        show_progress: bool = False,
    ) -> Index:
        """`build` from what `documents.read_documents` gives."""
        path = usable_folder(Path(folder))
        if approximate:
            require_usearch()
        opened, name, revision = _opened_model(model)
        words = Words(language)
        chunks_of("", chunk)
        if vectors is not None and chunk != "none":
            raise InputError(f"chunk is {chunk!r}, and vectors are those of whole texts; cut the texts before both")
        ready = None if vectors is None else ReadyVectors(vectors, opened.dim)
        manifest = Manifest(
            name,
            revision,
            opened.fingerprint,
            opened.precision,
            opened.dim,
            language,
            chunk,
            approximate,
            given_vectors=ready is not None,
        )
        with opened_for_writing(path, is_made=True):
            manifest = replace(manifest, next=first_free(path))
            if not (path / MANIFEST).exists():
                commit(path, manifest)
            manifest, entries, _ = written(path, manifest, documents, opened, words, show_progress, ready)
            commit(path, replace(manifest, segments=tuple(entries), built=True))
        return cls(path, opened, read_state(path))

    @classmethod
    def open(cls, folder: str | Path, *, model: EdgeModel | str | Path | None = None) -> Index:
        """Open an index as it is now.

        Args:
            folder: of the index.
            model: the one that it was made with, where that is open already or has moved; by default it is opened by
                the name that it had then.

        Raises:
            InputError: there is no index, it was never finished or is damaged, or its model has changed since.
        """
        from edge_potion.runtime import EdgeModel

        path = Path(folder).expanduser().absolute()  # not where links lead: one may be set to a newer index
        state = read_state(path)
        says = state.manifest
        if not isinstance(model, EdgeModel):
            name, revision = (says.model, says.revision) if model is None else (model, None)
            try:
                model = EdgeModel.from_pretrained(name, revision=revision, precision=says.precision)
            except EdgePotionError as failure:
                raise InputError(f"the model of {path} cannot be opened: {failure}; name it") from failure
        if (model.fingerprint, model.dim) != (says.fingerprint, says.dim):
            raise InputError(
                f"{path} was made with another model than {model.bundle.folder.name} is now; make it again, or open it "
                "with the model that it was made with"
            )
        return cls(path, model, state)

    def refresh(self) -> bool:
        """Look whether the index was changed since it was opened, and open what it is now. Returns whether it was.

        Raises:
            InputError: it is gone, or was made again with another model.
        """
        with self._refreshing:
            if seen(self.folder) == self._state.seen:
                return False
            state = read_state(self.folder, self._state.segments)
            ours, now = self._state.manifest, state.manifest
            if (now.fingerprint, now.dim, now.language) != (ours.fingerprint, ours.dim, ours.language):
                raise InputError(f"{self.folder} was made again in another way; open it again")
            self._state = state
            return True

    def add(
        self,
        texts: Iterable[str],
        *,
        ids: Iterable[str] | None = None,
        where: Iterable[str] | None = None,
        vectors: Given | None = None,
        show_progress: bool = False,
    ) -> int:
        """Add texts; those whose id is there are put in its place. They are there for good when this returns.

        An empty text takes the place of what was called so, too: it is found no more.

        Args:
            texts: any iterable of texts.
            ids: what each is called; by default the next numbers.
            where: where each lies.
            vectors: one of each text, where the index was built from such.
            show_progress: a line on stderr.

        Returns:
            How many rows were added.

        Raises:
            InputError, AccessError: as of `build`; nothing was added.
        """
        return self.add_documents(documents_of(texts, ids, where), vectors=vectors, show_progress=show_progress)

    def add_documents(
        self, documents: Iterable[Document], *, vectors: Given | None = None, show_progress: bool = False
    ) -> int:
        """`add` from what `documents.read_documents` gives."""
        if self._state.manifest.given_vectors != (vectors is not None):
            raise InputError(
                "this index was built from vectors that were given; give those of what is added, too"
                if vectors is None
                else "the vectors of this index are its model's; those of another cannot be added"
            )
        ready = None if vectors is None else ReadyVectors(vectors, self.model.dim)
        with opened_for_writing(self.folder), told_of_damage(self.folder):
            self.refresh()
            manifest, entries, hashes = written(
                self.folder, self._state.manifest, documents, self.model, self._words, show_progress, ready
            )
            replaced = {name for held in self._state.segments for name in held.names_by_hash(hashes)}
            manifest, _ = self._without(manifest, replaced)
            self._commit(replace(manifest, segments=(*manifest.segments, *entries)))
        return sum(entry.rows for entry in entries)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete the texts that are called so; ids that are not there are passed over.

        Returns:
            How many of them were there.

        Raises:
            InputError: an id is no string.
            AccessError: the disk takes no more; nothing was deleted.
        """
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise InputError(f"ids is {type(ids).__name__}; an iterable of str was expected")
        with opened_for_writing(self.folder), told_of_damage(self.folder):
            self.refresh()
            manifest, gone = self._without(self._state.manifest, ids)
            if gone:
                self._commit(manifest)
        return gone

    def compact(self, *, approximate: bool | None = None) -> None:
        """Write all that is not deleted anew, into as few segments as hold it: smaller, and a little faster to search.

        Args:
            approximate: whether it is to be so from now on, as of `build`; by default as it was.

        Raises:
            MissingExtraError: it is to be approximate, and usearch is not here.
            AccessError: the disk takes no more; it is what it was.
        """
        if approximate:
            require_usearch()
        with opened_for_writing(self.folder), told_of_damage(self.folder):
            self.refresh()
            state = self._state
            manifest = state.manifest if approximate is None else replace(state.manifest, approximate=approximate)
            lack_graphs = approximate and any(segment.lacks_graph for segment in state.segments)
            if len(state.segments) > 1 or state.live < state.rows or manifest != state.manifest or lack_graphs:
                self._commit(self._merged(manifest, state.segments))

    def save(self, folder: str | Path) -> Index:
        """Write all that is not deleted into another folder, and open that.

        Raises:
            InputError: the folder holds something else than an index.
            AccessError: the disk takes no more.
        """
        goal = usable_folder(Path(folder))
        if goal == self.folder.resolve():
            raise InputError(f"{folder} is the folder of this index, in which it is saved whenever it changes")
        with opened_for_writing(goal, is_made=True), told_of_damage(self.folder):
            manifest = replace(self._state.manifest, segments=(), next=first_free(goal))
            if not (goal / MANIFEST).exists():
                commit(goal, replace(manifest, built=False))
            manifest, entries = copied(goal, manifest, self._state.segments, self._words)
            commit(goal, replace(manifest, segments=tuple(entries)))
        return Index(goal, self.model, read_state(goal))

    def search(self, query: str, top: int = 10, *, mode: Mode = "hybrid", explain: bool = False) -> list[Hit]:
        """The texts that fit a query best, best first; of a text in parts, the part that does.

        Args:
            query: in plain words.
            top: at most how many.
            mode: "meaning" by the cosine of vectors, "words" by BM25, or "hybrid" by both.
            explain: have each hit tell what each word did.

        Raises:
            InputError: an argument is not usable.
        """
        _check(query, top, mode)
        with told_of_damage(self.folder):
            return self._search(query, top, mode, explain)

    def _search(self, query: str, top: int, mode: Mode, explain: bool) -> list[Hit]:
        state = self._state
        vector = unit_length(self.model.encode_query(query)[None])[0]  # (D,)
        weights = weights_of(self._words.stems(query), [segment.postings for segment in state.segments])
        words = word_scores(weights, state) if mode != "meaning" else None
        meaning = meaning_scores(vector, state, words, top) if mode != "words" else None
        scores = ordering_scores(meaning, words, weights, state.deleted)
        hits: list[Hit] = []
        for place in best_rows(state, scores, top):
            segment, row = state.at(place)
            hits.append(
                Hit(
                    segment.id(row),
                    segment.text(row),
                    segment.where(row),
                    float(scores[place]),
                    0.0 if meaning is None else float(np.clip(meaning[place], -1, 1)),
                    0.0 if words is None else float(words[place]),
                    place,
                    explained(self._words.words(query), weights, segment.postings, row) if explain else (),
                )
            )
        return hits

    def rerank(self, query: str, texts: Iterable[str], *, mode: Mode = "hybrid") -> list[Hit]:
        """The texts given, all of them, by how well they fit a query, best first: they need not be in the index.

        What a word is worth is told by the index, and most where no text there has it; mean and deviation of meaning
        are those of the texts given.

        Raises:
            InputError: an argument is not usable.
        """
        _check(query, 1, mode)
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected")
        texts = list(texts)
        vectors = unit_length(self.model.encode_document(texts))
        meaning = (vectors @ unit_length(self.model.encode_query(query)[None])[0]).astype(np.float32)  # (n,)
        collected = Collected()
        for text in texts:
            collected.add(self._words.stems(text))
        postings = collected.postings()
        words = np.zeros(len(texts), np.float32)
        parts = [segment.postings for segment in self._state.segments] or [postings]
        weights = weights_of(self._words.stems(query), parts)
        postings.add_scores(weights, words)
        scores = {"hybrid": fused(meaning, words, weights, standard_of(meaning)), "meaning": meaning, "words": words}[
            mode
        ]
        is_nothing = ~vectors.any(axis=1) & (words <= 0)  # which a search would never find
        scores = np.where(is_nothing, scores.min(initial=0), scores)
        return [
            Hit(str(row), texts[row], "", float(scores[row]), float(meaning[row]), float(words[row]), int(row))
            for row in np.lexsort((-scores, is_nothing))
        ]

    def _without(self, manifest: Manifest, names: Iterable[str]) -> tuple[Manifest, int]:
        """The manifest without the rows of what is open now that are called so, and how many of the names were there.

        Raises:
            InputError: a name is no string.
        """
        gone: dict[int, set[int]] = {}
        found = 0
        for name in dict.fromkeys(names):
            refuse_no_text(f"the id {name!r}", name)
            is_found = False
            for number, segment in enumerate(self._state.segments):
                if rows := segment.rows_of(name):
                    gone.setdefault(number, set()).update(rows)
                    is_found = True
            found += is_found
        entries = list(manifest.segments)
        for number, deleted_rows in gone.items():
            segment = self._state.segments[number]
            deleted = np.zeros(segment.entry.rows, bool) if segment.deleted is None else segment.deleted.copy()
            deleted[list(deleted_rows)] = True
            manifest, name = manifest.new_name("deleted")
            try:
                (self.folder / name).write_bytes(deleted.tobytes())
                sync(self.folder / name)
            except OSError as failure:
                raise AccessError(f"cannot write {self.folder / name}: {failure}") from failure
            entries[number] = replace(segment.entry, deleted=name, gone=int(deleted.sum()))
        entries = [entry for entry in entries if entry.gone < entry.rows]
        return replace(manifest, segments=tuple(entries)), found

    def _commit(self, manifest: Manifest) -> None:
        """Make a change true; where it leaves many segments, the small ones become one."""
        commit(self.folder, manifest)
        self.refresh()
        small = small_ones(self._state.segments)
        if small:
            try:
                commit(self.folder, self._merged(self._state.manifest, small))
            except AccessError as failure:  # the change is true: who is told that it failed would make it twice
                log.warning("warning: small segments stay as they are, and a later change tries again (%s)", failure)
            self.refresh()

    def _merged(self, manifest: Manifest, segments: Sequence[Segment]) -> Manifest:
        """The manifest with one segment, or as few as hold them, in the place of some."""
        manifest, entries = copied(self.folder, manifest, segments, self._words)
        names = {segment.entry.name for segment in segments}
        kept = [entry for entry in manifest.segments if entry.name not in names]
        return replace(manifest, segments=(*kept, *entries))


def _opened_again(folder: Path, model: EdgeModel) -> Index:
    return Index.open(folder, model=model)


def _opened_model(model: EdgeModel | str | Path | None) -> tuple[EdgeModel, str | None, str | None]:
    """A model, and the name and revision by which it is found again."""
    from edge_potion.runtime import EdgeModel

    opened = model if isinstance(model, EdgeModel) else EdgeModel.from_pretrained(model)
    return opened, *opened.found_by


def _check(query: str, top: int, mode: str) -> None:
    if not isinstance(query, str):
        raise InputError(f"the query is of type {type(query).__name__}; a str was expected")
    check_texts([query])
    refuse_surrogates([query])
    if mode not in MODES:
        raise InputError(f"there is no mode {mode!r}; one of {', '.join(MODES)} was expected")
    check_count("top", top)
