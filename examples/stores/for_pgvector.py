"""Shards in PostgreSQL with pgvector: vector, halfvec, and bit with <~>, by binary COPY.

    python examples/stores/for_pgvector.py FOLDER "a question" "host=... dbname=..."

int8 goes into halfvec, which holds -127..127 exactly: <=> is a cosine, and needs no scale.
"""

import sys

import numpy as np
import psycopg
from pgvector import Bit, HalfVector
from pgvector.psycopg import register_vector
from shards import open_shards

KINDS = {
    "float32": ("vector", "<=>", lambda values: values),
    "float16": ("halfvec", "<=>", HalfVector),
    "int8": ("halfvec", "<=>", lambda values: HalfVector(values.astype(np.float16))),
    "binary": ("bit", "<~>", lambda values: Bit(values.tobytes())),
}

folder, question, database = sys.argv[1:]
shards = open_shards(folder)
kind, distance, as_value = KINDS[shards.dtype]
with psycopg.connect(database) as connection:
    connection.execute("create extension if not exists vector")
    register_vector(connection)
    connection.execute(f"create table notes (id bigint primary key, vector {kind}({shards.dim}))")
    with connection.cursor().copy("copy notes from stdin with (format binary)") as copy:
        copy.set_types(["int8", kind])
        for ids, codes in shards.batches():
            for id, values in zip(ids.tolist(), codes.values, strict=True):
                copy.write_row((id, as_value(values)))
    asked = as_value(shards.code(question).values)
    rows = connection.execute(f"select id from notes order by vector {distance} %s limit 10", (asked,))
    print(*(id for (id,) in rows))
