"""The raw table as the peers want it: categories and numbers alone."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import MultiLabelBinarizer, OrdinalEncoder

# More categories than that are too many for one-hot columns of a dense network, and for the trees of scikit-learn.
MAX_CATEGORIES = 255
_MAX_INDICATORS = 50
_MISSING = "missing"

# Odd constants of a multiplicative hash.
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_SHIFT = np.uint64(31)


class Flattener(TransformerMixin, BaseEstimator):
    """Lists and times as categories and numbers, for models that know neither.

    A list becomes the string of its elements, and an indicator column for each of the 50 most frequent elements. A time
    becomes days since the first one, hour and weekday. Missing strings become a category of their own.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn the elements of lists and the first times."""
        self.elements_ = {name: _frequent(X[name]) for name in X if _holds_lists(X[name])}
        self.first_times_ = {name: X[name].min() for name in X if is_datetime64_any_dtype(X[name])}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Categorical columns of strings, numeric columns of floats."""
        columns: dict[str, Any] = {}
        for name, values in X.items():
            if name in self.elements_:
                columns[name] = values.map("|".join).astype("str")
                columns |= _indicators(name, values, self.elements_[name])
            elif name in self.first_times_:
                columns[name] = (values - self.first_times_[name]) / pd.Timedelta(days=1)
                columns[f"{name}_hour"] = values.dt.hour.astype("float64")
                columns[f"{name}_weekday"] = values.dt.day_of_week.astype("float64")
            elif is_numeric_dtype(values):
                columns[name] = values.astype("float64")
            else:
                columns[name] = values.astype("object").where(values.notna(), _MISSING).astype("str")
        return pd.DataFrame(columns)


def categorical_columns(X: pd.DataFrame) -> list[str]:
    """Names of the columns of strings of a flat table."""
    return [name for name in X if not is_numeric_dtype(X[name])]


def numeric_columns(X: pd.DataFrame) -> list[str]:
    """Names of the columns of numbers of a flat table."""
    return [name for name in X if is_numeric_dtype(X[name])]


def small_columns(X: pd.DataFrame) -> list[str]:
    """Names of the categorical columns of at most 255 categories."""
    return [name for name in categorical_columns(X) if X[name].nunique() <= MAX_CATEGORIES]


def large_columns(X: pd.DataFrame) -> list[str]:
    """Names of the categorical columns of more than 255 categories."""
    return [name for name in categorical_columns(X) if X[name].nunique() > MAX_CATEGORIES]


class Categories(TransformerMixin, BaseEstimator):
    """Strings as pandas categories, those of `fit`; unseen ones are missing."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn the categories."""
        self.names_ = np.asarray(X.columns, dtype=object)
        self.dtypes_ = {name: pd.CategoricalDtype(sorted(X[name].unique())) for name in categorical_columns(X)}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same table with category columns."""
        return X.assign(**{name: pd.Categorical(X[name], dtype=dtype) for name, dtype in self.dtypes_.items()})

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The names stay."""
        return self.names_


class HashedCrosses(TransformerMixin, BaseEstimator):
    """All pairs of categorical columns, each pair of values hashed to one of `n_buckets` indicator columns."""

    def __init__(self, n_buckets: int = 2**18) -> None:
        self.n_buckets = n_buckets

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn the codes of the values."""
        self.encoder_ = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(X)
        return self

    def transform(self, X: pd.DataFrame) -> sp.csr_matrix:
        """One indicator per row and pair of columns."""
        codes = (self.encoder_.transform(X) + 1).astype(np.uint64)
        pairs = list(combinations(range(codes.shape[1]), 2))
        buckets = np.empty((len(codes), len(pairs)), dtype=np.int64)
        for position, (left, right) in enumerate(pairs):
            buckets[:, position] = self._hash(codes[:, left], codes[:, right], np.uint64(position + 1))
        ends = np.arange(len(codes) + 1) * len(pairs)
        matrix = sp.csr_matrix((np.ones(buckets.size), buckets.ravel(), ends), shape=(len(codes), self.n_buckets))
        matrix.sum_duplicates()
        return matrix

    def _hash(self, left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64], pair: np.uint64) -> Any:
        mixed = (left * _FACTORS[0]) ^ (right * _FACTORS[1]) ^ np.multiply(pair, _FACTORS[2], dtype=np.uint64)
        mixed = (mixed ^ (mixed >> _SHIFT)) * _FACTORS[0]
        return (mixed >> _SHIFT) % np.uint64(self.n_buckets)


def _holds_lists(values: pd.Series) -> bool:
    return values.dtype == object and isinstance(values.iloc[0], list)


def _frequent(values: pd.Series) -> list[str]:
    return list(values.explode().value_counts().index[:_MAX_INDICATORS])


def _indicators(name: str, values: pd.Series, elements: list[str]) -> dict[str, Any]:
    known = set(elements)
    kept = [[element for element in row if element in known] for row in values]
    matrix = MultiLabelBinarizer(classes=elements).fit_transform(kept).astype(np.float64)
    return {f"{name}={element}": matrix[:, position] for position, element in enumerate(elements)}
