"""Which training rows are held out, and whether anything gives their labels away to the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._hold_out import place_from_last, places, places_of_choice, share_held_out, unpacked
from .._warnings import warn
from ..schema import Schema, checksum_of
from ..training import Impressions
from ._field_readers import FieldReader

if TYPE_CHECKING:
    from ._rows import Rows

#: Gives numbers of rows places in [0, 1): the rows with the lowest are held out.
Place = Callable[[NDArray[np.int64]], NDArray[np.float64]]

#: Fewer held-out rows of the rarer classes say nothing.
_MIN_ROWS = 20
#: Share of them that may have copies in training.
_MAX_SHARE = 0.2
#: Where rows just look alike, fewer have the same label as the rare rows that they are like.
_MIN_SAME_LABEL = 0.95
#: Where rows just look alike, because columns have few values, fewer of all rows are distinct.
_MIN_DISTINCT = 0.3


def fraction_held_out(estimator: Any, n_rows: int, schema: Schema | None) -> float:
    """Share of the rows that is held out: "auto" asks the encoder, which may have been given other rows."""
    fraction = estimator.validation_fraction
    if fraction == "auto" and schema is not None and schema.validation_fraction is not None:
        return schema.validation_fraction
    return share_held_out(fraction, n_rows, at_random=estimator.hold_out != "last")


def place_of_rows(hold_out: str, fraction: float, n_rows: int, schema: Schema | None) -> Place:
    """How rows get the places by which they are held out."""
    if hold_out == "auto":
        hold_out = (schema and schema.hold_out) or "random"
    if hold_out == "random":
        return places
    if hold_out == "last":
        return partial(place_from_last, n_rows=n_rows)
    assert schema is not None
    assert schema.held_out is not None
    if schema.n_rows != n_rows:
        raise ValueError(
            f"CTREncoder(hold_out={hold_out!r}) chose among {schema.n_rows} rows, but X has {n_rows}. Fit the encoder "
            "to these rows alone, in a pipeline that is searched or validated as a whole, or set hold_out='last' in "
            "both."
        )
    if fraction != schema.validation_fraction:
        raise ValueError(
            f"validation_fraction={fraction:g}, but CTREncoder(hold_out={hold_out!r}) held out "
            f"{schema.validation_fraction:g} of the rows. Set it to the same in both."
        )
    return places_of_choice(unpacked(schema.held_out, n_rows), fraction).__getitem__


def check_hold_out(estimator: Any, rows: Rows, readers: Sequence[FieldReader], max_epochs: int) -> Rows:
    """Return the rows, with none held out where a label would be on one side alone."""
    assert rows.hold_out is not None
    if lacking := rows.labels.on_one_side(rows.count()):
        label, n_rows = lacking
        why = "a single row" if n_rows == 1 else f"{n_rows} rows with a weight, all of them held out or none"
        warn(
            f"The class {label!r} has {why}, so none is held out for early stopping and the training takes "
            f"all of max_epochs={max_epochs}. Give X_val and y_val, or set early_stopping=False.",
        )
        return replace(rows, hold_out=None)
    if rows.lost_statistics and estimator.hold_out == "auto":
        warn(
            f"The columns {rows.lost_statistics} are named like statistics of CTREncoder, but X doesn't say that they "
            "are, nor which rows were held out: a step in between made another table, as ColumnTransformer, "
            "FeatureUnion and samplers such as SMOTE do. If the statistics know labels of held-out rows, early "
            "stopping takes that for progress. Give the classifier what CTREncoder returns, or X_val and y_val; or set "
            "hold_out='random' here if the encoder holds out rows at random and none was added, dropped or moved.",
        )
    if any(reader.field.kind == "statistic" for reader in readers):
        _check_statistics(rows.schema, rows.n_given, rows.hold_out.fraction, estimator.hold_out)
        _check_order(rows)
    return rows


def _check_order(rows: Rows) -> None:
    """Notice where rows that were encoded together have been moved or changed since."""
    if rows.schema is None or rows.schema.n_rows != rows.n_given or not rows.schema.checksum:
        return
    schema, _ = rows.schema.of_columns([name for name, _ in rows.columns])
    ((statistic, checksum),) = schema.checksum.items()
    column = next((column for name, column in rows.columns if name == statistic), None)
    if column is not None and checksum_of(column.read(0, rows.n_given)) != checksum:
        warn(
            f"Column {statistic!r} isn't as CTREncoder.fit_transform wrote it: rows were moved or changed since, so "
            "the classifier holds out others than the encoder left out of the statistics, which know their "
            "labels. Sort or shuffle the rows before they are encoded, or give X_val and y_val.",
        )


def _check_statistics(schema: Schema | None, n_given: int, fraction: float, hold_out: str) -> None:
    """Notice where statistics of training rows know labels of held-out rows."""
    if schema is None:
        if hold_out == "last":
            warn(
                "hold_out='last', and X holds statistics, but doesn't say which rows CTREncoder held out; by "
                "default, these are random. Set CTREncoder(hold_out='last').set_output(transform='pandas'), which "
                "passes it on.",
            )
        if fraction > share_held_out("auto", n_given, at_random=hold_out != "last"):
            warn(
                "X holds statistics, from which a tenth of the labels, or 10,000 at random, is left out by default: "
                f"{_set_both(fraction)}",
            )
    elif schema.hold_out is not None and hold_out not in ("auto", schema.hold_out):
        raise ValueError(
            f"hold_out={hold_out!r}, but the encoder left the labels of other rows out of the statistics, by its "
            f"hold_out={schema.hold_out!r}. Set the intended one in CTREncoder, and hold_out='auto' here."
        )
    elif schema.validation_fraction is not None and fraction > schema.validation_fraction:
        raise ValueError(
            f"validation_fraction={fraction:g}, but the encoder left the labels of only {schema.validation_fraction:g} "
            f"of the rows out of the statistics of the others: {_set_both(fraction)}"
        )
    elif schema.n_rows is not None and schema.n_rows != n_given:
        warn(
            f"CTREncoder.fit_transform wrote statistics of {schema.n_rows} rows, and X has {n_given}: the "
            "statistics contain labels of held-out rows, so the scores of early stopping and of a cross-validation are "
            "too good. Fit the encoder to these rows alone, in a pipeline that is searched or validated as a whole.",
        )


def _set_both(fraction: float) -> str:
    return (
        "held-out rows with labels that the others know leak into early stopping. Set "
        f"CTREncoder(validation_fraction={fraction:g}) too, or give X_val and y_val."
    )


def warn_about_copies(rows: Impressions, n_floats: int, is_held_out: NDArray[np.bool_]) -> None:
    """Warn if many held-out rows of the rarer classes are exact copies of training rows.

    Copies differ in statistics, which are all but the first `n_floats` columns of values.
    """
    target = rows.target.numpy()
    is_rare = target != np.bincount(target).argmax()
    if np.count_nonzero(is_rare & is_held_out) < _MIN_ROWS:
        return
    hashes = _hashes(rows, n_floats)
    labelled = hashes * np.uint64(target.max() + 1) + target.astype(np.uint64)
    held_out, training = is_rare & is_held_out, ~is_held_out
    share = pd.Series(labelled[held_out]).isin(labelled[training]).mean()
    if share < _MAX_SHARE:
        return
    alike = training & pd.Series(hashes).isin(hashes[held_out]).to_numpy()
    has_same_label = pd.Series(labelled[alike]).isin(labelled[held_out]).mean()
    if has_same_label > _MIN_SAME_LABEL and len(pd.unique(hashes)) > _MIN_DISTINCT * len(hashes):
        warn(
            f"{share:.0%} of the held-out rows of the rarer classes are exact copies of training rows: early "
            "stopping relies on rows that the network memorises, and the target statistics of CTREncoder contain their "
            "labels. If rows were repeated, as by RandomOverSampler or bootstrap samples, give sample_weight instead, "
            "or sample without replacement, for example by BaggingClassifier(bootstrap=False, max_samples=0.8).",
        )


def _hashes(rows: Impressions, n_floats: int) -> NDArray[np.uint64]:
    hashes = np.zeros(len(rows), np.uint64)
    values = rows.values[:, :n_floats].contiguous().numpy().view(np.int32)
    for matrix in (rows.codes.numpy(), values):
        for column in matrix.T:
            hashes = (hashes ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(29)
    return hashes
