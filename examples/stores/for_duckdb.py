"""Shards in DuckDB, which reads them where they lie. int8 needs no scale, as a cosine does not depend on it.

python examples/stores/for_duckdb.py FOLDER "a question"
"""

import sys

import duckdb
from shards import open_shards

COSINE = """
select id from (
    select id, array_cosine_similarity(vector::float[{dim}], ?::float[{dim}]) as cosine
    from read_parquet(?) where vector is not null
) where not isnan(cosine) order by cosine desc limit 10
"""  # of a zero vector it is NaN, which would be first
HAMMING = """
select id from read_parquet($2) where vector is not null
order by list_sum(list_transform(list_zip(vector, $1::utinyint[]), lambda pair: bit_count(xor(pair[1], pair[2]))))
limit 10
"""

folder, question = sys.argv[1:]
shards = open_shards(folder)
asked = shards.code(question).values.tolist()
query = HAMMING if shards.dtype == "binary" else COSINE.format(dim=shards.dim)
print(*(id for (id,) in duckdb.execute(query, [asked, f"{folder}/*.parquet"]).fetchall()))
