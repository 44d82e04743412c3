"""Shards in Qdrant: it takes floats, and makes float16, int8 or bits of them itself. Here in its local mode.

    python examples/stores/for_qdrant.py FOLDER "a question"

Its own uint8 has no sign, so our int8 is handed over as the floats that it stands for.
"""

import sys

from qdrant_client import QdrantClient, models
from shards import open_shards

from edge_potion import dequantize

folder, question = sys.argv[1:]
shards = open_shards(folder)
client = QdrantClient(":memory:")  # of a server: QdrantClient("http://localhost:6333")
size = models.VectorParams(size=shards.dim, distance=models.Distance.COSINE)
client.create_collection("notes", vectors_config=size)
for ids, codes in shards.batches():
    client.upload_collection("notes", vectors=dequantize(codes), ids=ids.tolist())
found = client.query_points("notes", query=dequantize(shards.code(question)), limit=10)
print(*(point.id for point in found.points))
