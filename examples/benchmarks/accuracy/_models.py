"""The contestants: each takes the raw table, holds out what it needs from its training rows, and runs on its defaults.

Exceptions are the linear model, which chooses its penalty, and RealMLP and TabM, which by default choose the best epoch
by the error rate and here do it by the log-loss, as their documentation advises for probabilities.

CatBoost, LightGBM and pytabkit (RealMLP and TabM) are optional: a model whose package isn't installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
import pandas as pd
from _features import (
    Categories,
    Flattener,
    HashedCrosses,
    categorical_columns,
    large_columns,
    numeric_columns,
    small_columns,
)
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from sk_finalmlp import CTREncoder, FinalMLPClassifier

Model = Callable[[int, int], Any]

_HELD_OUT = 0.1
_PATIENCE = 50
_PENALTIES = {"C": [0.003, 0.03, 0.3]}


def finalmlp(seed: int, n_threads: int, **parameters: Any) -> Pipeline:
    """The two lines of this library; `parameters` are the pipeline's, such as `clf__num_heads`."""
    model = Pipeline([("enc", CTREncoder()), ("clf", FinalMLPClassifier(random_state=seed, device="cpu"))])
    return model.set_params(**parameters)


def catboost(seed: int, n_threads: int) -> Pipeline:
    """CatBoost on its defaults: 1,000 trees."""
    return make_pipeline(Flattener(), _CatBoost(seed, n_threads))


def catboost_es(seed: int, n_threads: int) -> Pipeline:
    """CatBoost that stops by a tenth of the training rows."""
    return make_pipeline(Flattener(), _CatBoost(seed, n_threads, early_stopping=True))


def catboost_in_time(seed: int, n_threads: int) -> Pipeline:
    """CatBoost whose target statistics follow the order of the rows, which are those of time in the later tables."""
    return make_pipeline(Flattener(), _CatBoost(seed, n_threads, has_time=True))


def lightgbm(seed: int, n_threads: int) -> Pipeline:
    """LightGBM on its defaults, with pandas categories."""
    from lightgbm import LGBMClassifier

    trees = LGBMClassifier(random_state=seed, n_jobs=n_threads, verbose=-1)
    return make_pipeline(Flattener(), Categories(), trees)


def lightgbm_encoded(seed: int, n_threads: int) -> Pipeline:
    """LightGBM on the numbers that this library writes, without codes: trees find ids in them that are new later."""
    from lightgbm import LGBMClassifier

    numbers = make_column_transformer(("passthrough", make_column_selector(dtype_include="floating")))
    return make_pipeline(CTREncoder(), numbers, LGBMClassifier(random_state=seed, n_jobs=n_threads, verbose=-1))


def hist_gradient_boosting(seed: int, n_threads: int) -> Pipeline:
    """scikit-learn's boosted trees: up to 255 categories as they are, more as target rates."""
    encoder = make_column_transformer(
        (Categories(), small_columns),
        (_target_rates(seed), large_columns),
        ("passthrough", numeric_columns),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    return make_pipeline(Flattener(), encoder, trees)


def logistic_regression(seed: int, n_threads: int) -> Pipeline:
    """A linear model of one-hot categories, all pairs of them, hashed, and numbers; a tenth of the rows choose C."""
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), categorical_columns),
        (HashedCrosses(), _columns_to_cross),
        (_numbers(), numeric_columns),
    )
    # With so many indicators the default, C=1, would be far from what such a model can do.
    held_out = StratifiedShuffleSplit(n_splits=1, test_size=_HELD_OUT, random_state=seed)
    linear = GridSearchCV(LogisticRegression(max_iter=300), _PENALTIES, scoring="neg_log_loss", cv=held_out)
    return make_pipeline(Flattener(), encoder, linear)


def mlp(seed: int, n_threads: int) -> Pipeline:
    """scikit-learn's network: up to 255 categories one-hot, more as target rates."""
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), small_columns),
        (make_pipeline(_target_rates(seed), StandardScaler()), large_columns),
        (_numbers(), numeric_columns),
    )
    return make_pipeline(Flattener(), encoder, MLPClassifier(early_stopping=True, random_state=seed))


def realmlp(seed: int, n_threads: int) -> Pipeline:
    """RealMLP with tuned defaults (Holzmüller et al., "Better by default", NeurIPS 2024)."""
    from pytabkit import RealMLP_TD_Classifier

    return _of_pytabkit(RealMLP_TD_Classifier(**_pytabkit(seed, n_threads), use_ls=False))


def tabm(seed: int, n_threads: int) -> Pipeline:
    """TabM on its defaults (Gorishniy et al., "TabM", ICLR 2025)."""
    from pytabkit import TabM_D_Classifier

    return _of_pytabkit(TabM_D_Classifier(**_pytabkit(seed, n_threads)))


MODELS: dict[str, Model] = {
    model.__name__: model
    for model in (
        finalmlp,
        catboost,
        catboost_es,
        catboost_in_time,
        lightgbm,
        lightgbm_encoded,
        hist_gradient_boosting,
        logistic_regression,
        mlp,
        realmlp,
        tabm,
    )
}

_PACKAGES = {
    "catboost": "catboost",
    "catboost_es": "catboost",
    "catboost_in_time": "catboost",
    "lightgbm": "lightgbm",
    "lightgbm_encoded": "lightgbm",
    "realmlp": "pytabkit",
    "tabm": "pytabkit",
}


def is_installed(model: str) -> bool:
    """Whether the package of a model is there."""
    return find_spec(_PACKAGES.get(model, "sklearn")) is not None


class _CatBoost(ClassifierMixin, BaseEstimator):
    """CatBoost, told which columns of a flat table are categorical."""

    def __init__(self, seed: int, n_threads: int, early_stopping: bool = False, has_time: bool = False) -> None:
        self.seed = seed
        self.n_threads = n_threads
        self.early_stopping = early_stopping
        self.has_time = has_time

    def fit(self, X: pd.DataFrame, y: pd.Series) -> Self:
        from catboost import CatBoostClassifier

        self.classes_ = np.unique(y)
        self.trees_ = CatBoostClassifier(
            random_seed=self.seed,
            thread_count=self.n_threads,
            cat_features=categorical_columns(X),
            has_time=self.has_time,
            allow_writing_files=False,
            verbose=False,
        )
        if not self.early_stopping:
            self.trees_.fit(X, y)
            return self
        X, X_val, y, y_val = train_test_split(X, y, test_size=_HELD_OUT, stratify=y, random_state=self.seed)
        self.trees_.fit(X, y, eval_set=(X_val, y_val), early_stopping_rounds=_PATIENCE)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.trees_.predict_proba(X)


def _pytabkit(seed: int, n_threads: int) -> dict[str, Any]:
    return {"device": "cpu", "random_state": seed, "n_threads": n_threads, "val_metric_name": "cross_entropy"}


def _of_pytabkit(network: BaseEstimator) -> Pipeline:
    return make_pipeline(Flattener(), Categories(), network)


def _target_rates(seed: int) -> TargetEncoder:
    return TargetEncoder(cv=StratifiedKFold(5, shuffle=True, random_state=seed))


def _numbers() -> Pipeline:
    return make_pipeline(SimpleImputer(), StandardScaler())


def _columns_to_cross(X: pd.DataFrame) -> list[str]:
    names = categorical_columns(X)
    return names if len(names) > 1 else []
