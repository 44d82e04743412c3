"""Shards in usearch: all four dtypes just as they are. int8 needs no scale, as a cosine does not depend on it.

python examples/stores/for_usearch.py FOLDER "a question"
"""

import sys

from shards import open_shards
from usearch.index import Index

KINDS = {"float32": "f32", "float16": "f16", "int8": "i8", "binary": "b1"}

folder, question = sys.argv[1:]
shards = open_shards(folder)
metric = "hamming" if shards.dtype == "binary" else "cos"
index = Index(ndim=shards.dim, metric=metric, dtype=KINDS[shards.dtype])
for ids, codes in shards.batches():
    index.add(ids, codes.values)
found = index.search(shards.code(question).values, 10, exact=True)  # its graph, without `exact`, finds most
print(*found.keys)
