"""The public encoder: validation, which column gets which part, and scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, _check_sample_weight, check_is_fitted

from ..fields import Field, element_names, group_columns
from ._categorical import CategoricalEncoder, HashBuckets, VocabularyRule
from ._column import Column, integral_to_int64
from ._datetime import DatetimeEncoder
from ._kinds import Finding, Kind, find_kind
from ._multi_valued import MultiValuedEncoder
from ._numeric import LogBucketer, QuantileBinner, Standardizer
from ._selection import Selection, select_columns
from ._table import read_columns, read_outputs, validate_table, write_table, write_values
from ._vocabulary import Vocabulary

_AUTO_SEPARATOR = "|"


class ColumnEncoder(Protocol):
    """What turns one column of the raw table into output columns."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self: ...
    def transform(self, column: Column) -> list[np.ndarray]: ...
    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array: ...
    def output_fields(self, name: str) -> list[Field]: ...
    def vocabularies(self, name: str) -> dict[str, Vocabulary | HashBuckets]: ...


class CTREncoder(TransformerMixin, BaseEstimator):
    """Encode a raw table of impressions as the codes and floats that a CTR network reads."""

    _parameter_constraints = {
        **dict.fromkeys(
            ("categorical", "numeric", "multi_valued", "datetime", "drop"),
            [str, Integral, slice, "array-like", callable, None],
        ),
        "min_frequency": [Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="neither")],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "n_hash_buckets": [Interval(Integral, 1, None, closed="left"), None],
        "numeric_encoding": [StrOptions({"standard", "bins", "log"})],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "separator": [str],
        "max_values": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        categorical: Selection = None,
        numeric: Selection = None,
        multi_valued: Selection = None,
        datetime: Selection = None,
        drop: Selection = None,
        min_frequency: float = 1,
        max_categories: int | None = None,
        n_hash_buckets: int | None = None,
        numeric_encoding: str = "standard",
        n_bins: int = 32,
        separator: str = "auto",
        max_values: int | None = None,
    ) -> None:
        self.categorical = categorical
        self.numeric = numeric
        self.multi_valued = multi_valued
        self.datetime = datetime
        self.drop = drop
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.n_hash_buckets = n_hash_buckets
        self.numeric_encoding = numeric_encoding
        self.n_bins = n_bins
        self.separator = separator
        self.max_values = max_values

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        X = validate_table(self, X, reset=True)
        names = _check_feature_names_in(self)
        chosen = self._chosen_kinds(X, names)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        self._encoders: list[ColumnEncoder | None] = []
        findings = []
        for position, column in enumerate(read_columns(X, names)):
            encoder, finding = self._fit_column(column, chosen.get(position), weights)
            self._encoders.append(encoder)
            findings.append(finding)
        _check_output(self.fields_)
        self.feature_kinds_ = pd.DataFrame(findings, index=pd.Index(names, name="column"))
        return self

    def _chosen_kinds(self, X: Any, names: Sequence[str]) -> dict[int, Kind]:
        choices: dict[Kind, Selection] = {
            "categorical": self.categorical,
            "numeric": self.numeric,
            "multi-valued": self.multi_valued,
            "datetime": self.datetime,
            "dropped": self.drop,
        }
        chosen: dict[int, Kind] = {}
        for kind, selection in choices.items():
            for position in select_columns(selection, X, names):
                other = chosen.setdefault(position, kind)
                if other != kind:
                    raise ValueError(f"Column {names[position]!r} is chosen as {other} and as {kind}: choose one.")
        return chosen

    def _fit_column(
        self, column: Column, chosen: Kind | None, weights: np.ndarray | None
    ) -> tuple[ColumnEncoder | None, dict[str, Any]]:
        column, weights = _weighted_rows(column, weights)
        with _naming(column.name):
            finding = self._find_kind(column) if chosen is None else Finding(chosen, "chosen by the user")
            encoder = self._make_encoder(finding.kind)
            if encoder is not None:
                encoder.fit(column, weights)
        fields = [] if encoder is None else encoder.output_fields(column.name)
        return encoder, {
            **finding._asdict(),
            "n_missing": column.n_missing,
            "n_codes": sum(field.n_codes for field in fields),
            "n_columns": sum(field.n_columns for field in fields),
        }

    def _find_kind(self, column: Column) -> Finding:
        return find_kind(column, _AUTO_SEPARATOR if self.separator == "auto" else self.separator)

    def _make_encoder(self, kind: Kind) -> ColumnEncoder | None:
        rule = VocabularyRule(self.min_frequency, self.max_categories, self.n_hash_buckets)
        plain_rule = VocabularyRule(self.min_frequency, self.max_categories)
        if kind == "dropped":
            return None
        if kind == "categorical":
            return CategoricalEncoder(rule)
        if kind == "datetime":
            return DatetimeEncoder(plain_rule)
        if kind == "multi-valued":
            return MultiValuedEncoder(rule, None if self.separator == "auto" else self.separator, self.max_values)
        if self.numeric_encoding == "log":
            return LogBucketer(plain_rule)
        return Standardizer() if self.numeric_encoding == "standard" else QuantileBinner(self.n_bins)

    def transform(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_table(self, X, reset=False)
        fields = self.fields_
        return write_table(
            self._outputs(X),
            numeric=[field.kind == "numeric" for field in fields for _ in range(field.n_columns)],
            named=any(field.kind == "multi-valued" for field in fields),
            X=X,
            library=_get_output_config("transform", self)["dense"],
        )

    def _outputs(self, X: Any) -> Iterator[tuple[str, np.ndarray]]:
        names = _check_feature_names_in(self)
        for encoder, column in zip(self._encoders, read_columns(X, names), strict=True):
            if encoder is not None:
                with _naming(column.name):
                    outputs = encoder.transform(column)
                yield from zip(_column_names(encoder.output_fields(column.name)), outputs, strict=True)

    def inverse_transform(self, X: Any) -> Any:
        check_is_fitted(self)
        outputs = iter(read_outputs(X, self.get_feature_names_out()))
        values = {}
        for name, encoder in zip(_check_feature_names_in(self), self._encoders, strict=True):
            if encoder is None:
                values[name] = pa.nulls(len(X))
                continue
            fields = encoder.output_fields(name)
            with _naming(name):
                values[name] = encoder.inverse_transform(
                    [_decodable(field, next(outputs)) for field in fields for _ in range(field.n_columns)]
                )
        return write_values(values, X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.asarray(_column_names(self._fields(names)), dtype=object)

    @property
    def fields_(self) -> list[Field]:
        """The fields of the output, in order."""
        return self._fields(_check_feature_names_in(self))

    def _fields(self, names: Sequence[str]) -> list[Field]:
        return [
            field
            for name, encoder in zip(names, self._encoders, strict=True)
            if encoder is not None
            for field in encoder.output_fields(name)
        ]

    @property
    def cardinalities_(self) -> dict[str, int]:
        """Number of codes of each field that has codes, code 0 included."""
        return {field.name: field.n_codes for field in self.fields_ if field.kind != "numeric"}

    @property
    def categories_(self) -> dict[str, np.ndarray]:
        """Known values of each field that has a vocabulary."""
        return {
            field: vocabulary.values.to_numpy(zero_copy_only=False)
            for name, encoder in zip(_check_feature_names_in(self), self._encoders, strict=True)
            if encoder is not None
            for field, vocabulary in encoder.vocabularies(name).items()
            if isinstance(vocabulary, Vocabulary)
        }

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_kinds_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _weighted_rows(column: Column, weights: np.ndarray | None) -> tuple[Column, np.ndarray | None]:
    """The column in fit: integral doubles are integers, and rows without weight are as good as absent."""
    values = column.values
    if weights is not None and not weights.all():
        values, weights = values.filter(pa.array(weights > 0)), weights[weights > 0]
    return Column(column.name, integral_to_int64(values)), weights


def _column_names(fields: Sequence[Field]) -> list[str]:
    return [
        name
        for field in fields
        for name in (element_names(field.name, field.n_columns) if field.kind == "multi-valued" else [field.name])
    ]


def _decodable(field: Field, output: np.ndarray) -> np.ndarray:
    if field.kind == "numeric":
        return output.astype(np.float64)
    codes = output.astype(np.int64)
    if not np.array_equal(codes, output):
        raise ValueError("it holds values that are no codes")
    return codes


def _check_output(fields: Sequence[Field]) -> None:
    """The classifier must read the fields that were written."""
    if not fields:
        raise ValueError("No column is left to encode: all of them are dropped.")
    names = _column_names(fields)
    clashes = sorted({name for name in names if names.count(name) > 1})
    if clashes:
        raise ValueError(f"Several output columns would be called {clashes[0]!r}: rename the input columns.")
    integer = [field.kind != "numeric" for field in fields for _ in range(field.n_columns)]
    written = {field.name for field in fields}
    misread = next((name for name, _ in group_columns(names, integer) if name not in written), None)
    if misread is not None:
        raise ValueError(
            f"Columns {misread}[0], ... would be read as one multi-valued field {misread!r}: rename the input columns."
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say in an error which column it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Column {name!r}: {error}") from error
