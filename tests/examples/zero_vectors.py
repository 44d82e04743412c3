"""What a store answers by cosine over four vectors, of which one is zero: python zero_vectors.py STORE [DATABASE]

Two lines of JSON, each a list of [row, value], the best first: for a question, and for a zero vector.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np

QUESTION = np.array([0.6, 0.8, 0, 0, 0, 0, 0, 0], np.float32)
UNRELATED = np.array([0, 0, 1, 0, 0, 0, 0, 0], np.float32)
ZERO = np.zeros(8, np.float32)
ROWS = {1: QUESTION, 2: UNRELATED, 3: -QUESTION, 4: ZERO}
IDS, VECTORS = np.array(list(ROWS)), np.stack(list(ROWS.values()))

Answers = Iterable[tuple[int, float | None]]


def main(store: str, *place: str) -> None:
    for answers in STORES[store](*place):
        print(json.dumps([[int(row), None if value is None else float(value)] for row, value in answers]))


def duckdb_similarity() -> Iterator[Answers]:
    return duckdb_by("array_cosine_similarity", "desc")


def duckdb_distance() -> Iterator[Answers]:
    return duckdb_by("array_cosine_distance", "")


def duckdb_by(function: str, order: str) -> Iterator[Answers]:
    import duckdb

    connection = duckdb.connect()
    connection.execute("create table notes (id integer, vector float[8])")
    connection.executemany("insert into notes values (?, ?)", [(id, row.tolist()) for id, row in ROWS.items()])
    for asked in (QUESTION, ZERO):
        value = f"select id, {function}(vector, ?::float[8]) as value from notes order by value {order}"
        yield connection.execute(value, [asked.tolist()]).fetchall()


def faiss() -> Iterator[Answers]:
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(8))
    index.add_with_ids(VECTORS, IDS)
    for asked in (QUESTION, ZERO):
        values, found = index.search(asked[None], 4)
        yield zip(found[0], values[0], strict=True)


def lancedb(folder: str) -> Iterator[Answers]:
    import lancedb
    import pyarrow as pa

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), 8)
    table = lancedb.connect(folder).create_table("notes", pa.table({"id": IDS, "vector": vectors}))
    for asked in (QUESTION, ZERO):
        found = table.search(asked, vector_column_name="vector").distance_type("cosine").limit(4).to_arrow()
        yield zip(found["id"].to_pylist(), found["_distance"].to_pylist(), strict=True)


def milvus(file: str) -> Iterator[Answers]:
    from pymilvus import MilvusClient

    client = MilvusClient(file)
    client.create_collection("notes", dimension=8, metric_type="COSINE")
    client.insert("notes", [{"id": id, "vector": row} for id, row in ROWS.items()])
    for asked in (QUESTION, ZERO):
        (found,) = client.search("notes", data=[asked], limit=4)
        yield [(each["id"], each["distance"]) for each in found]


def pgvector(database: str) -> Iterator[Answers]:
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("create extension if not exists vector")
        connection.execute("create table notes (id bigint, vector vector(8))")
        for id, row in ROWS.items():
            connection.execute("insert into notes values (%s, %s::vector)", (id, str(row.tolist())))
        yield from pgvector_answers(connection)


def pgvector_index(database: str) -> Iterator[Answers]:
    import psycopg

    for _ in pgvector(database):
        pass
    with psycopg.connect(database) as connection:
        connection.execute("create index on notes using hnsw (vector vector_cosine_ops)")
        connection.execute("set enable_seqscan = off")  # of four rows it would use no index
        yield from pgvector_answers(connection)


def pgvector_answers(connection) -> Iterator[Answers]:
    for asked in (QUESTION, ZERO):
        query = "select id, vector <=> %(asked)s::vector from notes order by vector <=> %(asked)s::vector limit 4"
        yield connection.execute(query, {"asked": str(asked.tolist())}).fetchall()


def qdrant() -> Iterator[Answers]:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection("notes", models.VectorParams(size=8, distance=models.Distance.COSINE))
    client.upload_collection("notes", vectors=VECTORS, ids=IDS.tolist())
    for asked in (QUESTION, ZERO):
        yield [(each.id, each.score) for each in client.query_points("notes", query=asked, limit=4).points]


def sqlite_vec() -> Iterator[Answers]:
    import apsw
    import sqlite_vec

    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute("create virtual table notes using vec0(vector float[8] distance_metric=cosine)")
    connection.executemany(
        "insert into notes (rowid, vector) values (?, ?)", [(id, row.tobytes()) for id, row in ROWS.items()]
    )
    query = "select rowid, distance from notes where vector match ? and k = 4 order by distance"
    for asked in (QUESTION, ZERO):
        yield connection.execute(query, (asked.tobytes(),))


def usearch() -> Iterator[Answers]:
    from usearch.index import Index

    index = Index(ndim=8, metric="cos")
    index.add(IDS, VECTORS)
    for asked in (QUESTION, ZERO):
        found = index.search(asked, 4)
        yield zip(found.keys, found.distances, strict=True)


def chroma() -> Iterator[Answers]:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    cosine = {"hnsw": {"space": "cosine"}}
    notes = client.create_collection("notes", configuration=cosine, embedding_function=None)
    notes.add(IDS.astype(str).tolist(), VECTORS)
    for asked in (QUESTION, ZERO):
        found = notes.query(asked[None], n_results=4)
        yield zip(map(int, found["ids"][0]), found["distances"][0], strict=True)


STORES: dict[str, Callable[..., Iterator[Answers]]] = {
    "chroma": chroma,
    "duckdb similarity": duckdb_similarity,
    "duckdb distance": duckdb_distance,
    "faiss": faiss,
    "lancedb": lancedb,
    "milvus": milvus,
    "pgvector": pgvector,
    "pgvector index": pgvector_index,
    "qdrant": qdrant,
    "sqlite_vec": sqlite_vec,
    "usearch": usearch,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
