"""Labelled rows: columns, labels and weights, checked together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from .._checks import check_detached, refuse_name_as_labels, refuse_name_as_weights
from .._hold_out import held_out_rows, places_from_last, places_of_choice, share_held_out, unpacked
from .._labels import has_tasks
from .._origin import Origin, read_origin
from .._sklearn import check_sample_weight
from .._warnings import warn
from ..fields import Field
from ..training import Impressions
from ._field_readers import FieldReader, read_matrices
from ._input_columns import InputColumn, read_columns
from ._tasks import Tasks

#: Smaller weights, in units of the largest, are as good as none: single precision doesn't know them.
MIN_WEIGHT = 1e-30


@dataclass(frozen=True)
class LabelledRows:
    """Rows as `fit` takes them.

    Parameters
    ----------
    columns : list of InputColumn
        Columns of the table.
    y : ndarray of shape (n,)
        Labels.
    weight : ndarray of float64, shape (n,)
        Positive weights, 1 at most.
    is_held_out : ndarray of bool, shape (n,)
        Which rows stop the training where there are no validation rows.
    n_given : int
        Number of rows of the table, those without weight among them.
    origin : Origin or None
        What the table says of where it comes from.
    tasks : Tasks or None
        The tasks whose patterns of labels `y` holds; None for a single label.
    """

    columns: list[InputColumn]
    y: NDArray[Any]
    weight: NDArray[np.float64]
    is_held_out: NDArray[np.bool_]
    n_given: int
    origin: Origin | None
    tasks: Tasks | None = None

    def classes_on_one_side(self) -> list[Any]:
        """Labels of which all rows, or none, are held out."""
        n_rows, n_held_out = pd.Series(self.y).value_counts(), pd.Series(self.y[self.is_held_out]).value_counts()
        n_held_out = n_held_out.reindex(n_rows.index, fill_value=0)
        lacking: list[Any] = n_rows.index[(n_held_out == 0) | (n_held_out == n_rows)].tolist()
        return lacking


def check_rows(estimator: Any, X: Any, y: Any, sample_weight: Any, *, reset: bool, holds_out: bool) -> LabelledRows:
    """Check table, labels and weights of training rows; scikit-learn's usual errors where they can't be used."""
    columns = read_columns(estimator, X, reset=reset)
    refuse_name_as_labels(X, y)
    y, tasks = estimator._read_labels(y, columns)
    weight = _check_weight(sample_weight, columns)
    origin = read_origin(X)
    fraction = fraction_held_out(estimator, len(y), origin)
    if holds_out:
        # Of all rows, those without weight too: the encoder may have been given other weights.
        place = _places(estimator.hold_out, fraction, len(y), origin)
        is_held_out = held_out_rows(y, fraction, place)
    else:
        is_held_out = np.zeros(len(y), dtype=bool)
    return _labelled(columns, y, weight, is_held_out, origin, tasks)


def fraction_held_out(estimator: Any, n_rows: int, origin: Origin | None) -> float:
    """Share of the rows that is held out: "auto" asks the encoder, which may have been given other rows.

    Parameters
    ----------
    estimator : estimator
        The classifier.
    n_rows : int
        Number of rows, those without weight among them.
    origin : Origin or None
        What the table says of where it comes from.

    Returns
    -------
    float
    """
    fraction = estimator.validation_fraction
    if fraction == "auto" and origin is not None and origin.validation_fraction is not None:
        return origin.validation_fraction
    return share_held_out(fraction, n_rows, at_random=estimator.hold_out != "last")


def _places(hold_out: str, fraction: float, n_rows: int, origin: Origin | None) -> NDArray[np.float64] | None:
    """Places by which rows are held out; None for the rule at random."""
    if hold_out == "auto":
        hold_out = (origin and origin.hold_out) or "random"
    if hold_out == "random":
        return None
    if hold_out == "last":
        return places_from_last(np.arange(n_rows))
    assert origin is not None
    assert origin.held_out is not None
    if origin.n_rows != n_rows:
        raise ValueError(
            f"CTREncoder(hold_out={hold_out!r}) chose among {origin.n_rows} rows, but X has {n_rows}. Fit the encoder "
            "to these rows alone, in a pipeline that is searched or validated as a whole, or set hold_out='last' in "
            "both."
        )
    if fraction != origin.validation_fraction:
        raise ValueError(
            f"validation_fraction={fraction:g}, but CTREncoder(hold_out={hold_out!r}) held out "
            f"{origin.validation_fraction:g} of the rows. Set it to the same in both."
        )
    return places_of_choice(unpacked(origin.held_out, n_rows), fraction)


def check_validation_rows(
    estimator: Any, X_val: Any, y_val: Any, sample_weight_val: Any, tasks: Tasks | None
) -> LabelledRows:
    """Check table, labels and weights of validation rows, and say which of them can't be used."""
    with _naming(
        "X_val",
        "It must be encoded like X, by the same fitted encoder; a Pipeline does so with transform_input=['X_val'].",
    ):
        columns = read_columns(estimator, X_val, reset=False)
    with _naming("y_val"):
        y, _ = estimator._read_labels(y_val, columns, tasks)
    with _naming("sample_weight_val"):
        weight = _check_weight(sample_weight_val, columns)
    return _labelled(columns, y, weight, np.zeros(len(y), dtype=bool), read_origin(X_val), tasks)


@contextmanager
def _naming(argument: str, remedy: str = "") -> Iterator[None]:
    """Begin the message of an error with the argument that is wrong."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind("\n".join(filter(None, [f"{argument}: {error}", remedy]))) from error


def _labelled(
    columns: list[InputColumn],
    y: NDArray[Any],
    weight: NDArray[np.float64],
    is_held_out: NDArray[np.bool_],
    origin: Origin | None,
    tasks: Tasks | None,
) -> LabelledRows:
    """The rows with a weight: one of weight 0 is left out of everything, of batch norm and of the known codes too."""
    n_given, counts = len(y), weight > MIN_WEIGHT
    if not counts.all():
        columns = [InputColumn(column.name, column.values[counts]) for column in columns]
        y, weight, is_held_out = y[counts], weight[counts], is_held_out[counts]
    return LabelledRows(columns, y, weight, is_held_out, n_given, origin, tasks)


def weight_of_class(class_weight: Any, classes: NDArray[Any], rows: LabelledRows) -> NDArray[np.float64]:
    """Weight of each class, by the training rows; only ratios count, and the largest is between a half and 1."""
    positions = _positions_of(rows.y, classes)
    return weight_by_counts(class_weight, classes, np.bincount(positions), np.bincount(positions, rows.weight))


def weight_by_counts(
    class_weight: Any, classes: NDArray[Any], n_rows: NDArray[Any], sums: NDArray[Any]
) -> NDArray[np.float64]:
    """The same, by the number of rows of each class and the sum of their weights."""
    if isinstance(class_weight, dict):
        _check_weights_by_class(class_weight, classes)
    if isinstance(class_weight, str):
        weights = _scaled(n_rows.sum() / (len(classes) * n_rows), classes)
    else:
        weights = _weights_by_class(class_weight, classes, classes)
    _check_shares(sums * weights, classes)
    return weights


def weight_without_counts(class_weight: Any, classes: NDArray[Any], rows: LabelledRows) -> NDArray[np.float64]:
    """Weight of each class where the rows don't tell how frequent the classes are."""
    if class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' weighs by the frequencies in all rows, which partial_fit doesn't see. Compute the "
            "weights by sklearn.utils.class_weight.compute_class_weight, and give them as a dict."
        )
    if isinstance(class_weight, dict):
        _check_weights_by_class(class_weight, classes)
    return _weights_by_class(class_weight, classes, rows.y)


def _weights_by_class(class_weight: Any, classes: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    return _scaled(compute_class_weight(class_weight, classes=classes, y=y), classes)


def _scaled(weights: NDArray[np.float64], classes: NDArray[Any]) -> NDArray[np.float64]:
    is_wrong = ~((weights > 0) & np.isfinite(weights))
    if is_wrong.any():
        label, weight = classes[is_wrong].tolist()[0], weights[is_wrong][0]
        raise ValueError(f"class_weight must be positive and finite, but class {label!r} has {weight}.")
    # By a power of two, which changes no digit.
    scaled: NDArray[np.float64] = np.ldexp(weights, -np.frexp(weights.max())[1])
    return scaled


def check_labels_known(y: NDArray[Any], classes: NDArray[Any]) -> None:
    """Refuse labels that aren't among the classes."""
    unknown = np.setdiff1d(y, classes)
    if unknown.size:
        raise ValueError(
            f"y has the labels {unknown.tolist()}, which aren't among the classes {classes.tolist()}. Leave out such "
            "rows, or fit again to all classes."
        )


def _check_weights_by_class(class_weight: dict[Any, Any], classes: NDArray[Any]) -> None:
    if classes.dtype.kind in "mM":
        raise ValueError(
            f"class_weight can't name classes of dtype {classes.dtype}. Give y as strings, for example by "
            "y.astype(str), and name these."
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, Real):
            raise ValueError(f"class_weight must be numbers, but class {label!r} has {weight!r}.")


def _check_shares(weight_of_class: NDArray[np.float64], classes: NDArray[Any]) -> None:
    """Refuse weights that leave a class nothing once they are float32."""
    shares = weight_of_class / weight_of_class.sum()
    if shares.min() < MIN_WEIGHT:
        raise ValueError(
            f"class_weight and sample_weight leave class {classes.tolist()[shares.argmin()]!r} a share of "
            f"{shares.min():.1e} of all weight, too little to learn from. Give weights closer to each other."
        )


def make_impressions(
    rows: LabelledRows, readers: list[FieldReader], classes: NDArray[Any], class_weight: NDArray[np.float64]
) -> Impressions:
    """Rows as the network takes them."""
    codes, values = read_matrices(readers, rows.columns)
    target = _positions_of(rows.y, classes)
    weight = (rows.weight * class_weight[target]).astype(np.float32)
    return Impressions(
        codes=torch.from_numpy(codes),
        values=torch.from_numpy(values),
        target=torch.from_numpy(target),
        weight=torch.from_numpy(weight),
    )


def check_statistics(origin: Origin | None, n_given: int, fields: list[Field], fraction: float, hold_out: str) -> None:
    """Notice where statistics of training rows know labels of held-out rows.

    Parameters
    ----------
    origin : Origin or None
        What the rows say of where they come from.
    n_given : int
        Number of all rows.
    fields : list of Field
        Fields of the table.
    fraction : float
        Share of the rows that is held out.
    hold_out : {"auto", "random", "last"}
        Which rows these are.

    Raises
    ------
    ValueError
        If other rows are held out than the encoder left out.
    """
    if all(field.kind != "statistic" for field in fields):
        return
    if origin is None:
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
    elif origin.hold_out is not None and hold_out not in ("auto", origin.hold_out):
        raise ValueError(
            f"hold_out={hold_out!r}, but the encoder left the labels of other rows out of the statistics, by its "
            f"hold_out={origin.hold_out!r}. Set the intended one in CTREncoder, and hold_out='auto' here."
        )
    elif origin.validation_fraction is not None and fraction > origin.validation_fraction:
        raise ValueError(
            f"validation_fraction={fraction:g}, but the encoder left the labels of only {origin.validation_fraction:g} "
            f"of the rows out of the statistics of the others: {_set_both(fraction)}"
        )
    elif origin.n_rows is not None and origin.n_rows != n_given:
        warn(
            f"CTREncoder.fit_transform wrote statistics of {origin.n_rows} rows, and X has {n_given}: the "
            "statistics contain labels of held-out rows, so the scores of early stopping and of a cross-validation are "
            "too good. Fit the encoder to these rows alone, in a pipeline that is searched or validated as a whole.",
        )


def _set_both(fraction: float) -> str:
    return (
        "held-out rows whose labels the others know would call it progress when the network learns them by heart. Set "
        f"CTREncoder(validation_fraction={fraction:g}) too, or give X_val and y_val."
    )


def split_rows(impressions: Impressions, is_held_out: NDArray[np.bool_]) -> tuple[Impressions, Impressions]:
    """Training rows, and those that are held out from them."""
    kept, held_out = (torch.from_numpy(np.flatnonzero(mask)) for mask in (~is_held_out, is_held_out))
    return impressions.take(kept), impressions.take(held_out)


def check_labels(y: Any, columns: list[InputColumn]) -> NDArray[Any]:
    """A label for each row; scikit-learn's usual errors where there isn't."""
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None.")
    check_detached(y, "y")
    series = nw.from_native(y, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        y = series.to_numpy()
    elif isinstance(y, list | tuple) and len({isinstance(label, str) for label in y}) == 2:
        # NumPy would make strings of the numbers.
        y = np.array(y, dtype=object)
    if has_tasks(y):
        raise ValueError(
            f"y should be a 1d array, got an array of shape {np.shape(y)} instead, and this classifier has one label. "
            "Choose a column of y, or take FunnelClassifier for several labels."
        )
    y = column_or_1d(y, warn=True)
    if pd.isna(y).any():
        raise ValueError("Input y contains NaN: some labels are missing. Leave those rows out.")
    labels: NDArray[Any] = y
    assert_all_finite(labels, input_name="y")
    _check_one_type(labels)
    check_classification_targets(labels)
    check_consistent_length(columns[0].values, labels)
    return labels


def _check_one_type(y: NDArray[Any]) -> None:
    """Refuse labels as objects, which scikit-learn calls unknown, unless they are strings."""
    if y.dtype.kind == "O" and not all(isinstance(label, str) for label in y):
        types = sorted({type(label).__name__ for label in y})
        raise ValueError(
            f"Unknown label type: y holds objects, of type {' and '.join(types)}. Give them one type, for example by "
            "np.asarray(y, dtype=int) or np.asarray(y, dtype=str)."
        )


def _check_weight(sample_weight: Any, columns: list[InputColumn]) -> NDArray[np.float64]:
    check_detached(sample_weight, "sample_weight")
    refuse_name_as_weights(sample_weight)
    weight: NDArray[np.float64] = check_sample_weight(
        sample_weight, columns[0].values, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    normalised: NDArray[np.float64] = weight / weight.max()
    return normalised


def _positions_of(y: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Position of each label among the classes of the training rows."""
    unseen = np.setdiff1d(y, classes)
    if unseen.size:
        raise ValueError(
            f"y_val has the classes {unseen.tolist()}, which y lacks: y has {classes.tolist()}. Drop those "
            "validation rows, or add such rows to the training data."
        )
    return np.searchsorted(classes, y)
