"""Shards in Milvus: as FLOAT_VECTOR, which is what Milvus Lite holds.

python examples/stores/for_milvus.py FOLDER "a question" notes.db
"""

import sys

from pymilvus import DataType, MilvusClient
from shards import open_shards

from edge_potion import dequantize

folder, question, file = sys.argv[1:]
shards = open_shards(folder)
client = MilvusClient(file)  # of a server: MilvusClient("http://localhost:19530")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=shards.dim)
index = client.prepare_index_params()
index.add_index("vector", index_type="FLAT", metric_type="COSINE")
client.create_collection("notes", schema=schema, index_params=index)
for ids, codes in shards.batches():
    pairs = zip(ids.tolist(), dequantize(codes), strict=True)
    client.insert("notes", [{"id": id, "vector": vector} for id, vector in pairs])
(found,) = client.search("notes", data=[dequantize(shards.code(question))], limit=10)
print(*(each["id"] for each in found))
