"""Search parameters on a cluster of Ray: `python search_with_ray.py SOURCE`."""

import sys

import joblib
import pandas as pd
import ray
from ray.util.joblib import register_ray
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier


def main(source: str) -> None:
    """Let the workers fit; each fit takes one thread."""
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
    ray.init(num_cpus=2, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}})
    register_ray()
    with joblib.parallel_config("ray", n_jobs=2):
        search.fit(X, y)
    print(*search.cv_results_["mean_test_score"])


if __name__ == "__main__":
    main(*sys.argv[1:])
