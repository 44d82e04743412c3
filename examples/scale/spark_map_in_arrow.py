"""Embed a column of a Spark DataFrame by mapInArrow: python spark_map_in_arrow.py IN.parquet OUT

Spark starts workers by the python3 of the path; PYSPARK_PYTHON names another, which has edge-potion.
"""

import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType, StructField, StructType


def with_vectors(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    from edge_potion import EdgeModel

    model = EdgeModel.from_pretrained(threads=1)  # once a partition; a Spark task has one core
    for batch in batches:
        vectors = model.encode(batch["text"].to_pylist())  # (n, D) float32
        offsets = pa.array(range(0, vectors.size + 1, model.dim), pa.int32())
        yield batch.append_column("vector", pa.ListArray.from_arrays(offsets, vectors.ravel()))


if __name__ == "__main__":
    spark = SparkSession.builder.appName("edge-potion").getOrCreate()
    texts = spark.read.parquet(sys.argv[1]).where("text is not null")
    schema = StructType([*texts.schema, StructField("vector", ArrayType(FloatType()))])
    texts.mapInArrow(with_vectors, schema).write.parquet(sys.argv[2])
