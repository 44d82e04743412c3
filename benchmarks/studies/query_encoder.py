"""Queries by a static model against documents by its teacher: nDCG@10, beside the teacher and the student alone.

    python -m edge_potion.benchmarks.studies.query_encoder DATA STUDENT TEACHER CACHE [--json FILE]

STUDENT is a model that the recipe query-encoder made, as `evaluate` takes it; TEACHER the folder of its teacher, with
its own pooling and limits. Each set of DATA/retrieval is searched three ways. The teacher's vectors are kept in CACHE.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import InputError
from edge_potion.trainer.teacher import load_teacher
from edge_potion.trainer.teacher_files import teacher_digest
from edge_potion.unit_length import unit_length
from edge_potion.writing import file_written_whole

from ..quality.encoders import open_encoder
from ..quality.retrieval_rows import METRICS
from ..quality.retrieval_score import cosines, scores_of
from ..quality.retrieval_set import read_set, sets_there
from ..quality.task_score import vectors_of

__all__ = ["WAYS", "Found", "as_table", "measured"]

METRIC = "ndcg_at_10"
MOST_TOKENS = 8192  # of a text; the teacher cuts before
# Who encodes queries, and who documents.
WAYS = {
    "teacher, teacher": ("teacher", "teacher"),
    "student, teacher": ("student", "teacher"),
    "student, student": ("student", "student"),
}

Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Found:
    """What the queries of one set find.

    Attributes:
        name: of the set.
        scores: of each of WAYS, in points of 100.
    """

    name: str
    scores: Mapping[str, float]


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with retrieval/")
    parser.add_argument("student", help="model folder, bundle or hub id")
    parser.add_argument("teacher", help="folder or hub id of its teacher")
    parser.add_argument("cache", type=Path, help="folder for the teacher's vectors")
    parser.add_argument("--json", type=Path, metavar="FILE", help="of the scores; by default they are printed alone")
    arguments = parser.parse_args()
    student = open_encoder(arguments.student)
    found = measured(arguments.data, student.encode, kept(arguments.teacher, arguments.cache))
    print(as_table(found))
    if arguments.json is not None:
        content = {
            "student": {"name": student.name, "what": student.what, "dims": student.dims, "digest": student.digest},
            "teacher": arguments.teacher,
            "metric": METRIC,
            "sets": [{"name": each.name, **each.scores} for each in found],
            "mean": _means(found),
        }
        with file_written_whole(arguments.json) as beside:
            beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def measured(data: Path, student: Encode, teacher: Encode) -> list[Found]:
    """What each set of `data`/retrieval scores in each of WAYS.

    Raises:
        InputError: there is no set, or the two encoders' vectors are not of one width.
    """
    sets = sets_there(data / "retrieval")
    if not sets:
        raise InputError(f"{data / 'retrieval'} holds no retrieval set")
    return [_found(path, {"student": student, "teacher": teacher}) for path in sets]


def _found(path: Path, encoders: Mapping[str, Encode]) -> Found:
    rows = read_set(path)
    queries, documents = (
        {who: unit_length(vectors_of(texts, encode)) for who, encode in encoders.items()}
        for texts in (rows.queries, rows.documents)
    )
    widths = {who: vectors.shape[1] for who, vectors in documents.items()}
    if len(set(widths.values())) > 1:
        raise InputError(f"the vectors are not of one width, and of no one space: {widths}")
    scores = {
        way: 100 * scores_of(rows, cosines(documents[of_documents], queries[of_queries]))[METRIC]
        for way, (of_queries, of_documents) in WAYS.items()
    }
    return Found(rows.name, scores)


def kept(teacher: str, cache: Path) -> Encode:
    """A teacher, whose vectors of the same texts are read again from `cache`."""
    loaded = load_teacher(teacher)
    digest = teacher_digest(loaded.folder)
    cache.mkdir(parents=True, exist_ok=True)

    def encode(texts: Sequence[str]) -> np.ndarray:
        mark = hashlib.sha256(json.dumps([digest, *texts]).encode()).hexdigest()[:16]
        file = cache / f"{mark}.npy"
        if not file.is_file():
            vectors = loaded.vectors(loaded.sequences(texts, MOST_TOKENS), pooling="model", show_progress=True)
            with file_written_whole(file) as beside, beside.open("wb") as stream:
                np.save(stream, vectors)
        return np.load(file)

    return encode


def as_table(found: Sequence[Found]) -> str:
    """Lines for a terminal: a set a line, and what share of the teacher's score the student's queries keep."""
    lines = [f"{METRICS[METRIC] + ' (queries, documents)':26} " + " ".join(f"{way:>17}" for way in WAYS) + "   kept"]
    for each in (*found, Found("mean", _means(found))):
        both, asymmetric, _ = (each.scores[way] for way in WAYS)
        told = " ".join(f"{each.scores[way]:17.1f}" for way in WAYS)
        lines.append(f"{each.name:26} {told} {100 * asymmetric / max(both, 1e-9):5.1f}%")
    return "\n".join(lines)


def _means(found: Sequence[Found]) -> dict[str, Any]:
    return {way: float(np.mean([each.scores[way] for each in found])) for way in WAYS}


if __name__ == "__main__":
    main()
