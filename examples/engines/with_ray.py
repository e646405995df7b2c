"""Score Parquet files with Ray Data: `python with_ray.py MODEL SOURCE TARGET`."""

import sys

import pandas as pd
import ray

import sk_finalmlp


class Score:
    """An actor that loads the model once, and adds click probabilities to each batch."""

    def __init__(self, path: str) -> None:
        self.model = sk_finalmlp.load(path)

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(probability=self.model.predict_proba(rows)[:, 1])


def main(path: str, source: str, target: str) -> None:
    """Read, score and write, batches in several actors of one core each."""
    impressions = ray.data.read_parquet(source)
    actors = ray.data.ActorPoolStrategy(min_size=1, max_size=2)
    scored = impressions.map_batches(
        Score,
        fn_constructor_args=[path],
        batch_format="pandas",
        batch_size=8_192,
        compute=actors,
        num_cpus=1,
    )
    scored.write_parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
