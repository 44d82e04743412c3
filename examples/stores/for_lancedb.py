"""Shards in LanceDB: float32, float16 and bits as they are, with all columns; int8, which it cannot search, as float16.

python examples/stores/for_lancedb.py FOLDER "a question" notes.lance
"""

import sys

import lancedb
import numpy as np
import pyarrow as pa
from shards import open_shards

from edge_potion import dequantize

folder, question, database = sys.argv[1:]
shards = open_shards(folder)
connection = lancedb.connect(database)
asked = shards.code(question)
if shards.dtype == "int8":
    query, half = dequantize(asked).astype(np.float16), pa.list_(pa.float16(), shards.dim)
    table = connection.create_table("notes", schema=pa.schema({"id": pa.int64(), "vector": half}))
    for ids, codes in shards.batches():
        values = pa.array(dequantize(codes).astype(np.float16).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(values, shards.dim)
        table.add(pa.table({"id": ids, "vector": vectors}))
else:
    query = asked.values
    rows = pa.RecordBatchReader.from_batches(shards.dataset.schema, shards.rows())
    table = connection.create_table("notes", rows)
search = table.search(query, vector_column_name="vector")
found = search.distance_type("hamming" if shards.dtype == "binary" else "cosine").limit(10).to_arrow()
print(*found["id"].to_pylist())
