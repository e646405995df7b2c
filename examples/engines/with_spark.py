"""Score Parquet files with Spark: `python with_spark.py MODEL SOURCE TARGET`."""

import sys
from collections.abc import Iterable, Iterator

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, StructType

import sk_finalmlp


def main(path: str, source: str, target: str) -> None:
    """Read, score and write, a partition at a time in each task."""
    spark = SparkSession.builder.config(
        "spark.sql.execution.arrow.maxRecordsPerBatch", 8_192
    ).getOrCreate()
    impressions = spark.read.parquet(source)

    def score(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        # Loaded once for all batches of a partition.
        model = sk_finalmlp.load(path)
        for rows in batches:
            yield rows.assign(probability=model.predict_proba(rows)[:, 1])

    schema = StructType(
        [*impressions.schema, *StructType().add("probability", DoubleType())]
    )
    impressions.mapInPandas(score, schema).write.parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
