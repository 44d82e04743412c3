"""Retrieval sets of a suite's folder: documents, queries, and which documents answer which query.

A set is a folder with corpus.jsonl and queries.jsonl, and with judgements in qrels.jsonl or, as BEIR has them, in
qrels/test.tsv; each may be packed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_potion.errors import InputError

from .suite import TEXT, Field, is_label, name_of, read_file, read_rows, sha256_of, shown

__all__ = ["SAME_IDS_DROPPED", "RetrievalSet", "read_set", "sets_digest", "sets_there"]

CORPUS, QUERIES = "corpus.jsonl", "queries.jsonl"
QRELS, BEIR_QRELS = "qrels.jsonl", "qrels/test.tsv"
LARGEST_GRADE = 2**31  # of whole numbers: mteb holds them in 32 bits
# Sets of which mteb leaves out the document that has the id of the query, by the names of BEIR and of mteb: there a
# query is a document. In others, both are numbered from 1.
SAME_IDS_DROPPED = {"arguana", "fever", "fiqa", "fiqa2018", "msmarco", "quora", "quoraretrieval"}
ID = Field(is_label, "a string or a whole number")
TITLE = Field(lambda value: value is None or TEXT.fits(value), TEXT.expected, needed=False)
GRADE = Field(lambda value: type(value) is int and abs(value) < LARGEST_GRADE, "a whole number")


@dataclass(frozen=True)
class RetrievalSet:
    """Documents, and queries that have judgements.

    Attributes:
        name: of its folder.
        ids, documents: N. A title stands before its text.
        query_ids, queries: Q.
        judged: Q: grades of documents by their id; those above 0 answer the query.
    """

    name: str
    ids: Sequence[str]
    documents: Sequence[str]
    query_ids: Sequence[str]
    queries: Sequence[str]
    judged: Sequence[Mapping[str, int]]

    @property
    def drops_same_ids(self) -> bool:
        """Whether a document with the id of the query is left out of what is found."""
        return self.name.casefold() in SAME_IDS_DROPPED

    @property
    def digest(self) -> str:
        """Twelve hex digits that change with all that a score comes of."""
        rows = [self.ids, self.documents, self.query_ids, self.queries, self.judged, self.drops_same_ids]
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:12]


def sets_there(folder: Path, file: str = CORPUS) -> list[Path]:
    """The sets of a suite's folder, by name; or the folder itself, where it is one. A set has the `file`."""
    try:
        inside = sorted(each for each in folder.iterdir() if each.is_dir())
        return [each for each in (folder, *inside) if (each / name_of(each, file)).exists()]
    except (OSError, ValueError):  # which is told of the suite
        return []


def read_set(path: Path) -> RetrievalSet:
    """The set in a folder, each of its rows checked. Queries without a judgement are left out.

    Raises:
        InputError: a file is missing, damaged or too large, or a row is not what it should be, which is told with file
            and line; or no query has a judgement.
    """
    name = path.absolute().name
    try:
        documents = _texts(path, CORPUS)
        queries = _texts(path, QUERIES)
        judgements: dict[str, dict[str, int]] = {}
        for query, document, grade in _judgements(path):
            judgements.setdefault(query, {})[document] = grade
    except InputError as fault:
        raise InputError(f"{name}/{fault}") from fault
    asked = [query for query in queries if query in judgements]
    if not documents or not asked:
        what = f"none of the {len(queries):,} queries has a judgement" if documents else f"{CORPUS} holds no row"
        raise InputError(f"{name}: {what}")
    if not any(document in documents for query in asked for document in judgements[query]):
        raise InputError(f"{name}: no judgement is of a document that is there")
    return RetrievalSet(
        name,
        list(documents),
        list(documents.values()),
        asked,
        [queries[query] for query in asked],
        [judgements[query] for query in asked],
    )


def sets_digest(sets: Sequence[Path]) -> str:
    """Twelve hex digits that change with the content of any file of the sets; what cannot be read counts by name."""
    digest = hashlib.sha256()
    for path in sets:
        names = [name_of(path, each) for each in (CORPUS, QUERIES, QRELS, BEIR_QRELS)]
        for name in names:
            told = f"{path.absolute().name}/{name} {sha256_of(path / name)}\n"
            digest.update(told.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]


def _texts(path: Path, file: str) -> dict[str, str]:
    """The texts of a file by their ids; a title before its text, as mteb joins them."""
    texts: dict[str, str] = {}
    for at, row in read_rows(path, name_of(path, file), {"_id": ID, "text": TEXT, "title": TITLE}):
        key, title = str(row["_id"]), row.get("title")
        if key in texts:
            raise InputError(f"{at}: another row has the _id {shown(key)} too")
        if file == CORPUS:
            texts[key] = f"{title} {row['text']}".strip() if title else row["text"].strip()
        else:
            texts[key] = row["text"]
    return texts


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """Query, document and grade of each."""
    name, beir = name_of(path, QRELS), name_of(path, BEIR_QRELS)
    if not (path / name).exists() and (path / beir).exists():
        yield from _separated(path, beir)
        return
    for _, row in read_rows(path, name, {"query": ID, "doc": ID, "score": GRADE}):
        yield str(row["query"]), str(row["doc"]), row["score"]


def _separated(path: Path, name: str) -> Iterator[tuple[str, str, int]]:
    """Those of BEIR's file: a head, then query-id, corpus-id and score, between tabs."""
    lines = read_file(path, name)
    next(lines, None)
    for at, line in lines:
        try:
            query, document, grade = line.rstrip("\r\n").split("\t")
            yield query, document, int(grade)
        except ValueError as failure:
            raise InputError(f"{at}: query-id, corpus-id and score between tabs were expected") from failure
