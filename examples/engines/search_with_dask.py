"""Search parameters on a cluster of Dask: `python search_with_dask.py SOURCE`."""

import sys

import joblib
import pandas as pd
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier


def main(source: str) -> None:
    """Send the table to each worker once; each fit takes one thread."""
    X = pd.read_parquet(source)
    y = X.pop("click")
    model = Pipeline(
        [
            ("enc", CTREncoder()),
            ("clf", FinalMLPClassifier(max_epochs=1, random_state=0)),
        ]
    )
    search = GridSearchCV(
        model, {"clf__num_heads": [1, 2]}, scoring="neg_log_loss", cv=2
    )
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster),
        joblib.parallel_config("dask", scatter=[X, y]),
    ):
        search.fit(X, y)
    print(*search.cv_results_["mean_test_score"])


if __name__ == "__main__":
    main(*sys.argv[1:])
