"""Shards in SQLite with sqlite-vec: float32 and float16 as float, int8 and bits as they are.

    python examples/stores/for_sqlite_vec.py FOLDER "a question"

apsw loads extensions everywhere; so does Python's own sqlite3, where it was built with them.
"""

import sys

import apsw
import numpy as np
import sqlite_vec
from shards import open_shards

KINDS = {  # the column's type, and what a blob is told to be
    "float32": ("float[{}] distance_metric=cosine", "?"),
    "float16": ("float[{}] distance_metric=cosine", "?"),
    "int8": ("int8[{}] distance_metric=cosine", "vec_int8(?)"),
    "binary": ("bit[{}]", "vec_bit(?)"),
}

folder, question = sys.argv[1:]
shards = open_shards(folder)
kind, blob = KINDS[shards.dtype]
dtype = {"int8": np.int8, "binary": np.uint8}.get(shards.dtype, np.float32)
connection = apsw.Connection(":memory:")
connection.enable_load_extension(True)
connection.load_extension(sqlite_vec.loadable_path())
connection.execute(f"create virtual table notes using vec0(id integer primary key, vector {kind.format(shards.dim)})")
for ids, codes in shards.batches():
    blobs = (values.tobytes() for values in codes.values.astype(dtype))
    connection.executemany(f"insert into notes values (?, {blob})", zip(ids.tolist(), blobs, strict=True))
asked = shards.code(question).values.astype(dtype).tobytes()
rows = connection.execute(f"select id from notes where vector match {blob} and k = 10 order by distance", (asked,))
print(*(id for (id,) in rows))
