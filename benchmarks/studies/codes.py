"""What codes of vectors keep of a search: recall@10 of each dtype against the float32 vectors, and of bits as a filter.

    python -m edge_potion.benchmarks.studies.codes SENTENCES [--json FILE]

The built-in model's vectors of the first 100,000 sentences are searched for those of the next 1,000, by brute force;
both are coded. The 10,000 sentences behind these are what a rotation is fitted to, and sentence-transformers' ranges
are calibrated on: they are neither searched nor found. No time is measured. Two minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion import Codes, EdgeModel, InputError, Rotation, dequantize, quantize
from edge_potion.codes import DTYPES
from edge_potion.texts import read_texts
from edge_potion.unit_length import shortened, unit_length

from .codes_page import codes_tables

__all__ = ["Sizes", "measured"]

NEIGHBOURS = 10
CANDIDATES = (50, 100, 200, 400, 1000)
SHORTER = (128, 64)  # dimensions beside all
QUERIES_AT_ONCE = 100  # whose scores of the whole base are held


@dataclass(frozen=True)
class Sizes:
    """How many sentences are searched, searched for, and fitted to."""

    base: int = 100_000
    queries: int = 1_000
    sample: int = 10_000


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", help="file of texts: each is taken once, in its order")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = measured(arguments.sentences, Sizes())
    print("\n\n".join(codes_tables(report)))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(sentences: str | Path, sizes: Sizes) -> dict[str, Any]:
    """The report.

    Raises:
        InputError: the file holds fewer sentences.
    """
    model = EdgeModel.from_pretrained()
    wanted = sizes.base + sizes.queries + sizes.sample
    texts = list(islice(_each_once(sentences), wanted))
    if len(texts) < wanted:
        raise InputError(f"{sentences} holds {len(texts):,} sentences; {wanted:,} were expected")
    vectors = model.encode(texts)  # (base + queries + sample, D)
    base, queries, sample = np.split(vectors, [sizes.base, sizes.base + sizes.queries])
    exact = _nearest(base, queries, NEIGHBOURS)
    return {
        "model": model.says.folder.name,
        "dim": model.dim,
        "base": sizes.base,
        "queries": sizes.queries,
        "sample": sizes.sample,
        "neighbours": NEIGHBOURS,
        "versions": {name: version(name) for name in ("numpy", "sentence-transformers")},
        "codes": [*_ours(base, queries, exact), *_theirs(base, queries, sample, exact)],
        "filters": list(_filters(base, queries, sample, exact)),
    }


def _each_once(file: str | Path) -> Iterator[str]:
    seen: set[str] = set()
    for text in read_texts(file):
        if text.strip() and text not in seen:
            seen.add(text)
            yield text


def _ours(base: np.ndarray, queries: np.ndarray, exact: np.ndarray) -> Iterator[dict[str, Any]]:
    """Rows of `quantize`: each dtype, then fewer dimensions; and int8 values whose scales are left out."""
    for dim in (base.shape[1], *SHORTER):
        some, asked = (shortened(vectors, dim, normalize=True) for vectors in (base, queries))
        for dtype in DTYPES if dim == base.shape[1] else ("float32", "int8"):
            coded, query = (quantize(vectors, dtype) for vectors in (some, asked))
            found = _nearest(dequantize(coded), dequantize(query), NEIGHBOURS)
            yield _row(dtype, dim, _bytes(coded), found, exact)
    values, asked = (quantize(vectors).values.astype(np.float32) for vectors in (base, queries))
    dim = base.shape[1]
    yield _row("int8, cosine of the values alone", dim, dim, _nearest(unit_length(values), asked, NEIGHBOURS), exact)
    yield _row("int8, dot product of the values alone", dim, dim, _nearest(values, asked, NEIGHBOURS), exact)


def _theirs(base: np.ndarray, queries: np.ndarray, sample: np.ndarray, exact: np.ndarray) -> Iterator[dict[str, Any]]:
    """Rows of sentence-transformers' codes: the range of a dimension in 255 steps, compared as they are."""
    from sentence_transformers.util import quantize_embeddings

    dim = base.shape[1]
    for name, calibration in (("the base", base), ("a sample", sample)):
        ranges = np.stack([calibration.min(axis=0), calibration.max(axis=0)])  # (2, D)
        coded, query = (
            np.asarray(quantize_embeddings(vectors, "int8", ranges=ranges)).astype(np.float32)
            for vectors in (base, queries)
        )
        called = f"sentence-transformers int8, ranges of {name}"
        yield _row(f"{called}, dot product", dim, dim, _nearest(coded, query, NEIGHBOURS), exact)
        yield _row(f"{called}, cosine", dim, dim, _nearest(unit_length(coded), query, NEIGHBOURS), exact)


def _filters(base: np.ndarray, queries: np.ndarray, sample: np.ndarray, exact: np.ndarray) -> Iterator[dict[str, Any]]:
    """Rows of bits that find candidates, which float32 or int8 vectors rank again."""
    ranked_by = {"float32": base, "int8": dequantize(quantize(base))}
    for name, rotation in (("none", None), ("fitted", Rotation.fit(sample))):
        # Of vectors whose values are all +-1 / sqrt(D), the largest inner product is the least Hamming distance.
        signs, asked = (dequantize(quantize(vectors, "binary", rotation)) for vectors in (base, queries))
        candidates = {count: _nearest(signs, asked, count) for count in (NEIGHBOURS, *CANDIDATES)}
        yield {
            "rotation": name,
            "alone": _recall(candidates[NEIGHBOURS], exact),
            "within": {
                dtype: {
                    str(count): _recall(_ranked_again(candidates[count], vectors, queries), exact)
                    for count in CANDIDATES
                }
                for dtype, vectors in ranked_by.items()
            },
        }


def _row(name: str, dim: int, size_bytes: int, found: np.ndarray, exact: np.ndarray) -> dict[str, Any]:
    return {"name": name, "dim": dim, "bytes": size_bytes, "recall": _recall(found, exact)}


def _bytes(codes: Codes) -> int:
    """Of one vector."""
    scales = 0 if codes.scales is None else codes.scales.nbytes
    return (codes.values.nbytes + scales) // len(codes.values)


def _nearest(base: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
    """(Q, count): which rows of `base` have the largest inner products with each query, in no order."""
    found = np.empty((len(queries), count), np.int64)
    for begin in range(0, len(queries), QUERIES_AT_ONCE):
        scores = queries[begin : begin + QUERIES_AT_ONCE] @ base.T  # (q, N)
        found[begin : begin + len(scores)] = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return found


def _ranked_again(candidates: np.ndarray, base: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(Q, NEIGHBOURS) of the candidates (Q, C)."""
    found = np.empty((len(queries), NEIGHBOURS), np.int64)
    for number, (rows, query) in enumerate(zip(candidates, queries, strict=True)):
        found[number] = rows[np.argpartition(-(base[rows] @ query), NEIGHBOURS - 1)[:NEIGHBOURS]]
    return found


def _recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of the exact neighbours (Q, k) that are among those found (Q, k), to four digits."""
    hits = sum(len(np.intersect1d(one, other)) for one, other in zip(found, exact, strict=True))
    return round(hits / exact.size, 4)


if __name__ == "__main__":
    main()
