"""Score Parquet files with Dask: `python with_dask.py MODEL SOURCE TARGET`."""

import sys

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from pyarrow.dataset import dataset

import sk_finalmlp


def score(rows: pd.DataFrame, path: str) -> pd.DataFrame:
    """The rows of a partition with their click probabilities."""
    if rows.empty:
        return rows.assign(probability=pd.Series(dtype="float64"))
    return rows.assign(probability=sk_finalmlp.load(path).predict_proba(rows)[:, 1])


def main(path: str, source: str, target: str) -> None:
    """Read, score and write, a partition at a time in each process."""
    # Otherwise lists become text, and the model looks up "['tag_1']" in vain.
    with dask.config.set({"dataframe.convert-string": False}):
        impressions = dd.read_parquet(source)
        scored = impressions.map_partitions(
            score, path, meta=score(impressions.head(0), path)
        )
        # An empty partition doesn't show what its lists hold.
        schema = dataset(source).schema.append(pa.field("probability", pa.float64()))
        processes = {"scheduler": "processes"}
        scored.to_parquet(
            target, write_index=False, schema=schema, compute_kwargs=processes
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
