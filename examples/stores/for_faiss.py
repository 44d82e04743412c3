"""Shards in faiss: float32 flat, float16 and int8 as its float16, bits by Hamming distance.

python examples/stores/for_faiss.py FOLDER "a question"
"""

import sys

import faiss
from shards import open_shards

from edge_potion import dequantize

folder, question = sys.argv[1:]
shards = open_shards(folder)
asked = shards.code(question)
if shards.dtype == "binary":
    index = faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(shards.dim))
    for ids, codes in shards.batches():
        index.add_with_ids(codes.values, ids)
    _, found = index.search(asked.values[None], 10)
else:
    # The vectors have length 1, so their inner product is their cosine; others: faiss.normalize_L2.
    inner = faiss.METRIC_INNER_PRODUCT
    flat = faiss.IndexFlatIP(shards.dim)
    half = faiss.IndexScalarQuantizer(shards.dim, faiss.ScalarQuantizer.QT_fp16, inner)
    index = faiss.IndexIDMap2(flat if shards.dtype == "float32" else half)
    for ids, codes in shards.batches():
        index.add_with_ids(dequantize(codes), ids)
    _, found = index.search(dequantize(asked)[None], 10)
print(*found[0])
