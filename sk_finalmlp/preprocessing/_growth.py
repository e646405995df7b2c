"""How a fitted encoder takes in more rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import joblib
import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._fit_task import fit_task
from .._sklearn import check_feature_names_in, is_fitted
from .._sources import refuse_source
from .._validation import fit_context
from ..schema import Field, Origin, carries_origin, column_names, packed_codes, write_origin
from ._column import Column, rows_with_weight
from ._column_encoder import ColumnEncoder, errors_naming, n_codes_of
from ._lists import HistoryEncoder, bind_histories
from ._table import read_columns, validate_table
from ._vectors import GivenVectors, PretrainedEncoder, vectors_to_come
from .statistics._changes import Changes
from .statistics._target import MoreLabels, read_more_labels


class GrowingEncoder:
    """Mixin that lets an encoder go on learning after `fit`."""

    _origin: list[Origin]

    def partial_fit(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Take in more rows, such as those of a new day; the first call is a `fit`.

        Known values keep their codes, and new ones get the next codes: those of one call by descending count, ties
        broken by value. A value gets one on a day on which it occurs, once it has occurred `min_frequency` times in all
        rows so far. Beyond `max_categories`, the values with the lowest counts leave, and new ones take their codes.
        Rates and counts take the labels in; those of earlier rows lose weight by `decay`. Kinds of columns, choice of
        statistics, knots of numbers, bins and the number of columns of a multi-valued column stay as `fit` found them.
        Where lists have become too many to count, new elements count as unknown in the statistics of whole lists.
        Ids that have come to `vectors` since, by `set_params(vectors=...)`, have their vectors from now on.

        The classifier must learn from the same rows: use :func:`sk_finalmlp.update`, or :meth:`partial_fit_transform`
        and the classifier's `partial_fit`.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features)
            The rows, with the columns of `fit`.
        y : array-like of shape (n_samples,), default=None
            Their labels, all of which `fit` saw; needed where there are statistics.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, as in :meth:`fit`.

        Returns
        -------
        self : CTREncoder
            The encoder of all rows so far. After an error it is as it was before.
        """
        if not is_fitted(self):
            return self.fit(X, y, sample_weight)
        self._take_in_and_tell(X, y, sample_weight)
        return self

    def partial_fit_transform(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Take in more rows, and encode them as the classifier should learn from them.

        New values have their new codes. Statistics are those of the rows before, so that they don't give away the
        labels of these: this differs from `partial_fit(X, y).transform(X)`. The first call is a `fit_transform`.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features)
            The rows, with the columns of `fit`.
        y : array-like of shape (n_samples,), default=None
            Their labels, as in :meth:`partial_fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, as in :meth:`fit`.

        Returns
        -------
        X_out : {dataframe, ndarray} of shape (n_samples, n_features_out)
            The encoded rows.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_finalmlp.preprocessing import CTREncoder
        >>> encoder = CTREncoder().fit(pd.DataFrame({"user": ["ann", "bob", "ann"]}))
        >>> encoder.partial_fit_transform(pd.DataFrame({"user": ["eve", "ann"]}))["user"].tolist()
        [3, 1]
        >>> encoder.categories_["user"].tolist()
        ['ann', 'bob', 'eve']
        """
        if not is_fitted(self):
            return self.fit_transform(X, y, sample_weight)
        return self._take_in_and_tell(X, y, sample_weight)

    def _take_in_and_tell(self: Any, X: Any, y: Any, sample_weight: Any) -> Any:
        """Take in rows where the table alone can tell the classifier what has become of the codes."""
        before, vectors = dict(vars(self)), self._vector_tables()
        encoded, origin = self._take_in(X, y, sample_weight)
        if origin.fresh and not carries_origin(encoded):
            self.__dict__ = before
            raise ValueError(
                f"max_categories={self.max_categories} makes codes of {sorted(origin.fresh)} stand for other values "
                "than before, and only a pandas DataFrame can tell the classifier so. Call "
                "set_output(transform='pandas') before fit, or update the pipeline by sk_finalmlp.update."
            )
        if origin.vectors != (vectors or None) and not carries_origin(encoded):
            self.__dict__ = before
            raise ValueError(
                "`vectors` has more ids than before, whose vectors only a pandas DataFrame can carry to the "
                "classifier. Call set_output(transform='pandas'), or update the pipeline by sk_finalmlp.update."
            )
        return encoded

    @fit_context
    def _take_in(self: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Origin]:
        """Take in rows; they as the classifier should learn from them, and what it must know of their encoder."""
        check_is_fitted(self)
        refuse_source(X)
        if self._has_tasks:
            raise ValueError(
                f"This encoder was fitted to several labels, {self._classes.tolist()}, and keeps no sums of them that "
                "could go on. Fit it again to all rows, or take an encoder and a classifier for each label."
            )
        with fit_task(self, X=X, y=y):
            X = validate_table(self, X, reset=False)
            weights = self._check_weights(sample_weight, X)
            labels = read_more_labels(y, X, weights, self._classes) if self._derived.needs_labels else None
            before = self._origin_of_new_rows()
            outputs, fresh = self._grow_columns(X, weights)
            names = check_feature_names_in(self)
            changes = _changes([f for fields in self._fields_of(names) for f in fields], fresh, self.decay)
            self._derived, more, of_crosses = self._derived.grow(outputs, weights, labels, changes)
            outputs |= more
            self._fields = self._output_fields(names)
            self.feature_kinds_ = self._grown_kinds(names)
            origin = _origin_after(before, outputs, {**fresh, **of_crosses}, labels)
            self._origin = [replace(origin, previous=None, fresh=None)]
            origin = self._with_vectors(origin)
            return write_origin(self._write(X, iter(outputs.items())), origin), origin

    def _grow_columns(
        self: Any, X: Any, weights: np.ndarray | None
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Let each column take in the rows; the output columns, and codes that stand for other values now."""
        names = check_feature_names_in(self)
        more_vectors = self._vectors_to_come()
        encoders: list[Any] = [None] * len(names)
        grown: list[Column | None] = [None] * len(names)
        outputs: list[dict[str, np.ndarray]] = [{} for _ in names]
        fresh: dict[str, np.ndarray] = {}
        dropped = {position for position, encoder in enumerate(self._encoders) if encoder is None}
        columns = zip(self._readings, self._encoders, read_columns(X, names, dropped), strict=True)
        for position, (reading, encoder, raw) in enumerate(columns):
            if encoder is None:
                continue
            with errors_naming(raw.name):
                column = reading.read(raw)
                if position in more_vectors:
                    encoder = encoder.learn_more_vectors(more_vectors[position], reading)
                counted, _ = rows_with_weight(column, weights)
                encoders[position], codes = encoder.grow(counted, self.decay)
                fields = encoders[position].output_fields(raw.name)
                coded = [field.name for field in fields if field.has_codes]
                fresh |= {name: of_field for name, of_field in zip(coded, codes, strict=False) if len(of_field)}
            if isinstance(encoder, HistoryEncoder):
                # Until the column whose values it holds has grown.
                grown[position] = column
            else:
                outputs[position] = _encoded(column, encoders[position])
        encoders = [*bind_histories(names, encoders)]
        for position, column in enumerate(grown):
            if column is not None:
                outputs[position] = _encoded(column, encoders[position])
        self._encoders = encoders
        return {name: output for of_column in outputs for name, output in of_column.items()}, fresh

    def _vectors_to_come(self: Any) -> dict[int, GivenVectors]:
        """What `vectors` has for ids that have come to it, by the position of their column."""
        names = check_feature_names_in(self)
        found = {}
        for position, given in self._given_vectors_at(names).items():
            encoder = self._encoders[position]
            if not isinstance(encoder, PretrainedEncoder):
                raise ValueError(
                    f"vectors: {names[position]!r} had none in fit, so the network has no place for them. Fit again."
                )
            more = vectors_to_come(str(names[position]), given, self._readings[position], encoder.vocabulary)
            if more is not None:
                found[position] = more
        return found

    def _grown_kinds(self: Any, names: Any) -> Any:
        n_codes = [n_codes_of(fields) for fields in self._fields_of(names)]
        return self.feature_kinds_.assign(n_codes=n_codes)


def _changes(fields: Sequence[Field], fresh: Mapping[str, np.ndarray], decay: float) -> Changes:
    """What has become of the codes of the columns of fields, of which some are fresh."""
    field_of = {name: field for field in fields for name in column_names([field])}
    n_codes = {name: field.n_codes for name, field in field_of.items()}
    fresh_of = {name: fresh[field.name] for name, field in field_of.items() if field.name in fresh}
    return Changes(n_codes, fresh_of, decay)


def _encoded(column: Column, encoder: ColumnEncoder) -> dict[str, np.ndarray]:
    with errors_naming(column.name):
        return dict(zip(column_names(encoder.output_fields(column.name)), encoder.transform(column), strict=True))


def _origin_after(
    before: Origin, outputs: Mapping[str, np.ndarray], fresh: Mapping[str, np.ndarray], labels: MoreLabels | None
) -> Origin:
    """What the rows of an update say of their encoder: two of the same rows after the same fit say the same."""
    learned_from = None if labels is None else (labels.weights, labels.weights_of)
    encoder = joblib.hash((before.encoder, list(outputs.values()), learned_from))
    codes = {name: packed_codes(codes) for name, codes in fresh.items() if len(codes)}
    return replace(before, encoder=encoder, previous=before.encoder, fresh=codes)
