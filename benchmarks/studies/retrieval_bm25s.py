# /// script
# requires-python = ">=3.11"
# dependencies = ["bm25s==0.3.16", "PyStemmer==3.1.0", "numpy==2.4.6"]
# ///
"""bm25s in an environment of its own: `retrieval_bm25s.py JOB` prints, as JSON, which documents each query finds.

JOB holds documents and queries. English stop words and Porter's stemmer, as bm25s' page has it; k1 and b are ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

K1, B = 0.9, 0.4
FOUND = 100


def main() -> None:
    """Index, and search."""
    import bm25s  # type: ignore[import-not-found]
    import Stemmer  # type: ignore[import-not-found]

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    stemmer = Stemmer.Stemmer("porter")
    documents, queries = (
        bm25s.tokenize(job[kind], stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)
        for kind in ("documents", "queries")
    )
    index = bm25s.BM25(k1=K1, b=B)
    index.index(documents, show_progress=False)
    rows, scores = index.retrieve(queries, k=min(FOUND, len(documents)), show_progress=False)
    found = [
        [int(row) for row, score in zip(*each, strict=True) if score > 0] for each in zip(rows, scores, strict=True)
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
