"""A grid search in two processes against one."""

from __future__ import annotations

from functools import partial

from _results import Result, ratio
from _sizes import Size
from _timing import take_turns, timed
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

_GRID = {"clf__num_heads": [1, 8], "enc__min_frequency": [1, 5]}


def measure(size: Size) -> list[Result]:
    """Searches over the same candidates; the turn that warms up starts the processes, which later ones reuse."""
    X, y, _ = make_click_data(size.n_rows_search, random_state=0)
    # As many epochs for each candidate, so that both processes have the same work.
    classifier = FinalMLPClassifier(max_epochs=5, early_stopping=False, random_state=0, device="cpu")
    model = Pipeline([("enc", CTREncoder()), ("clf", classifier)])

    def search(n_jobs: int) -> None:
        GridSearchCV(model, _GRID, scoring="neg_log_loss", cv=2, refit=False, n_jobs=n_jobs).fit(X, y)

    contestants = {f"search, n_jobs={n_jobs}": timed(partial(search, n_jobs)) for n_jobs in (1, 2)}
    return [ratio("search", take_turns(contestants, max(1, size.n_turns // 2)), *contestants, at_least=1.7)]
