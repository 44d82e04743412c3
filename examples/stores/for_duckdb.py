"""Shards in DuckDB, which reads them where they lie. int8 needs no scale, as a cosine does not depend on it.

python examples/stores/for_duckdb.py FOLDER "a question"
"""

import sys

import duckdb
from shards import open_shards, say_left_out

COSINE = """
select id from read_parquet($1) where vector::float[] <> $2
order by array_cosine_similarity(vector::float[{dim}], $3::float[{dim}]) desc limit 10
"""  # of a zero vector it is NaN, which would be first
HAMMING = """
select id from read_parquet($1) where vector::float[] <> $2
order by list_sum(list_transform(list_zip(vector, $3::utinyint[]), lambda pair: bit_count(xor(pair[1], pair[2]))))
limit 10
"""

folder, question = sys.argv[1:]
shards = open_shards(folder)
files, zero = f"{folder}/*.parquet", shards.zero.tolist()
((zeros,),) = duckdb.execute(
    "select count(*) from read_parquet($1) where vector::float[] = $2", [files, zero]
).fetchall()
say_left_out(zeros)
query = HAMMING if shards.dtype == "binary" else COSINE.format(dim=shards.dim)
print(*(id for (id,) in duckdb.execute(query, [files, zero, shards.code(question).values.tolist()]).fetchall()))
