# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "chromadb==1.5.9",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
#   "pyarrow==26.0.1",
# ]
# ///
"""Shards in Chroma, which takes floats. Here in memory.

    python examples/stores/for_chroma.py FOLDER "a question"

Texts, without shards: examples/adapters/for_chroma.py makes their vectors inside Chroma.
"""

import sys

import chromadb
from chromadb.config import Settings
from shards import open_shards

from edge_potion import dequantize

folder, question = sys.argv[1:]
shards = open_shards(folder)
client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))  # on a disk: PersistentClient
most = client.get_max_batch_size()
cosine = {"hnsw": {"space": "cosine"}}  # its default is the squared distance
notes = client.create_collection("notes", configuration=cosine, embedding_function=None)
for ids, codes in shards.batches():
    names, vectors = ids.astype(str).tolist(), dequantize(codes)
    for first in range(0, len(names), most):
        notes.add(names[first : first + most], vectors[first : first + most])
found = notes.query(dequantize(shards.code(question))[None], n_results=10)
print(*found["ids"][0])
