"""What bad input gets: an error that names the fact and the remedy, before any training."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.utils._param_validation import InvalidParameterError

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.streams import MLP

SMALL = {"stream1": MLP((8,)), "stream2": MLP((8,)), "num_heads": 2, "max_epochs": 2, "random_state": 0}
PLAIN = {"stream1": MLP((8,), batch_norm=False), "stream2": MLP((8,), batch_norm=False)}


def refit(**changes):
    """A fit on the table with some arguments or columns changed."""

    def fit(X, y):
        columns = {name: change(X) for name, change in changes.get("columns", {}).items()}
        arguments = {name: value(X, y) for name, value in changes.get("fit", {}).items()}
        arguments = {"X": X.assign(**columns), "y": y, **arguments}
        return FinalMLPClassifier(**SMALL | changes.get("parameters", {})).fit(**arguments)

    return fit


IN_FIT = {
    "strings": (
        refit(columns={"item": lambda X: X["item"].map(lambda code: f"item {code}")}),
        ValueError,
        r"Column 'item' has dtype String: the classifier takes codes and floats.*CTREncoder",
    ),
    "pandas categories": (
        refit(columns={"item": lambda X: X["item"].astype(str).astype("category")}),
        ValueError,
        r"Column 'item' has dtype Categorical.*CTREncoder",
    ),
    "dates": (
        refit(columns={"item": lambda X: pd.to_datetime(X["item"])}),
        ValueError,
        r"Column 'item' has dtype Datetime.*CTREncoder",
    ),
    "strings in an array": (
        refit(fit={"X": lambda X, y: X.astype(str).to_numpy(dtype=object)}),
        ValueError,
        r"X holds strings \(could not convert string to float: 'False'\).*CTREncoder",
    ),
    "array of strings": (
        refit(fit={"X": lambda X, y: X.astype(str).to_numpy(dtype="U20")}),
        ValueError,
        r"X holds strings.*CTREncoder",
    ),
    "NaN": (
        refit(columns={"price": lambda X: X["price"].where(X["price"] > 0)}),
        ValueError,
        r"Input X contains NaN: values of column 'price' are missing.*CTREncoder",
    ),
    "infinity": (
        refit(columns={"price": lambda X: X["price"].where(X["price"] > 0, np.inf)}),
        ValueError,
        r"Input X contains NaN or infinity in column 'price'.*CTREncoder",
    ),
    "missing integer": (
        refit(columns={"item": lambda X: X["item"].astype("Int64").where(X["item"] > 3)}),
        ValueError,
        r"Input X contains NaN: values of column 'item' are missing.*CTREncoder",
    ),
    "too large for float32": (
        refit(columns={"price": lambda X: X["price"].where(X.index > 0, 1e39)}),
        ValueError,
        r"value too large for dtype\('float32'\) in column 'price'",
    ),
    "negative code": (
        refit(columns={"item": lambda X: X["item"] - 1}),
        ValueError,
        r"Column 'item' is categorical but has the negative code -1.*OrdinalEncoder can write -1",
    ),
    "fractional code": (
        refit(parameters={"categorical_features": ["price"]}),
        ValueError,
        r"Column 'price' is categorical but has the fractional value .*CTREncoder",
    ),
    "raw id as a code": (
        refit(columns={"item": lambda X: X["item"] + 10**9}),
        ValueError,
        r"Column 'item' has the code 1000000029.*the limit is 1000000.*let CTREncoder number its values",
    ),
    "sparse": (refit(fit={"X": lambda X, y: sparse.csr_array(X.to_numpy(float))}), TypeError, r"[Ss]parse"),
    "no rows": (refit(fit={"X": lambda X, y: X[:0]}), ValueError, r"Found array with 0 sample\(s\)"),
    "no columns": (refit(fit={"X": lambda X, y: X[[]]}), ValueError, r"Found array with 0 feature\(s\)"),
    "one class": (refit(fit={"y": lambda X, y: y * 0}), ValueError, r"y has one class, \[0\]"),
    "NaN in y": (refit(fit={"y": lambda X, y: np.where(y == 1, np.nan, 0)}), ValueError, r"Input y contains NaN"),
    "y too short": (refit(fit={"y": lambda X, y: y[:-1]}), ValueError, r"inconsistent numbers of samples"),
    "continuous y": (
        refit(fit={"y": lambda X, y: y + 0.3 * X["price"]}),
        ValueError,
        r"Unknown label type: continuous",
    ),
    "no y": (refit(fit={"y": lambda X, y: None}), ValueError, r"requires y to be passed, but the target y is None"),
    "negative weight": (
        refit(fit={"sample_weight": lambda X, y: -np.ones(len(y))}),
        ValueError,
        r"Negative values in data passed to `sample_weight`",
    ),
    "all weights zero": (
        refit(fit={"sample_weight": lambda X, y: 0 * y}),
        ValueError,
        r"Sample weights must contain at least one non-zero number",
    ),
    "missing label": (
        refit(fit={"y": lambda X, y: pd.Series(np.where(y == 1, "yes", None), dtype=object)}),
        ValueError,
        r"Input y contains NaN",
    ),
    "missing integer label": (
        refit(fit={"y": lambda X, y: pd.Series(y, dtype="Int64").where(y == 1)}),
        ValueError,
        r"Input y contains NaN",
    ),
    "class weight of zero": (
        refit(parameters={"class_weight": {0: 0, 1: 1}}),
        ValueError,
        r"class_weight must be positive and finite, but class 0 has 0",
    ),
    "class weight far smaller than the other": (
        refit(parameters={"class_weight": {0: 1e-50, 1: 1}}),
        ValueError,
        r"leave class 0 a share of .*e-51 of all weight, too little to learn from",
    ),
    "class weight far larger than the other": (
        refit(parameters={"class_weight": {0: 1, 1: 1e300}}),
        ValueError,
        r"class_weight and sample_weight leave class 0 a share of .*e-30\d of all weight",
    ),
    "weights of rows that leave a class nothing": (
        refit(fit={"sample_weight": lambda X, y: np.where(y == 1, 1, 1e-60)}),
        ValueError,
        r"at least two classes with a positive weight .*; y has one class, \[1\]",
    ),
    "class weight that is no number": (
        refit(parameters={"class_weight": {0: pd.Timestamp("2024-01-01"), 1: 1}}),
        ValueError,
        r"class_weight must be numbers, but class 0 has Timestamp",
    ),
    "class weights of dates": (
        refit(
            parameters={"class_weight": {pd.Timestamp("1970-01-01"): 1, pd.Timestamp("1970-01-02"): 2}},
            fit={"y": lambda X, y: pd.to_datetime(y, unit="D")},
        ),
        ValueError,
        r"class_weight can't name classes of dtype datetime64\[.*by y\.astype\(str\)",
    ),
    "numbers and strings in a list": (
        refit(fit={"y": lambda X, y: [label if label else "none" for label in y.tolist()]}),
        ValueError,
        r"y holds objects, of type int and str.*np\.asarray\(y, dtype=str\)",
    ),
    "missing label in a list of strings": (
        refit(fit={"y": lambda X, y: ["yes" if label else np.nan for label in y]}),
        ValueError,
        r"Input y contains NaN",
    ),
    "tensor y that requires grad": (
        refit(fit={"y": lambda X, y: torch.tensor(y, dtype=torch.float32, requires_grad=True)}),
        TypeError,
        r"y is a tensor that requires grad\. Pass y\.detach\(\)",
    ),
    "tensor of weights that requires grad": (
        refit(fit={"sample_weight": lambda X, y: torch.ones(len(y), requires_grad=True)}),
        TypeError,
        r"sample_weight is a tensor that requires grad",
    ),
    "a class without weight": (
        refit(fit={"sample_weight": lambda X, y: y}),
        ValueError,
        r"at least two classes with a positive weight .*; y has one class, \[1\]",
    ),
    "lazy frame": (
        refit(fit={"X": lambda X, y: pl.from_pandas(X).lazy()}),
        TypeError,
        r"X is a lazy frame\. Pass X\.collect\(\)",
    ),
    "X_val without y_val": (refit(fit={"X_val": lambda X, y: X}), ValueError, r"X_val is given but y_val isn't"),
    "y_val without X_val": (refit(fit={"y_val": lambda X, y: y}), ValueError, r"y_val is given but X_val isn't"),
    "validation weight alone": (
        refit(fit={"sample_weight_val": lambda X, y: y}),
        ValueError,
        r"sample_weight_val is given without X_val and y_val",
    ),
    "validation rows without early stopping": (
        refit(parameters={"early_stopping": False}, fit={"X_val": lambda X, y: X, "y_val": lambda X, y: y}),
        ValueError,
        r"X_val and y_val are for early stopping, but early_stopping=False",
    ),
    "new class in y_val": (
        refit(fit={"X_val": lambda X, y: X, "y_val": lambda X, y: y * 2}),
        ValueError,
        r"y_val: the classes \[2\] are new: fit saw \[0, 1\]",
    ),
    "validation table not encoded": (
        refit(fit={"X_val": lambda X, y: X.astype({"item": str}), "y_val": lambda X, y: y}),
        ValueError,
        r"Column 'item' has dtype String.*CTREncoder",
    ),
    "validation table with other columns": (
        refit(fit={"X_val": lambda X, y: X.drop(columns="item"), "y_val": lambda X, y: y}),
        ValueError,
        r"Feature names seen at fit time, yet now missing:\n- item",
    ),
    "unknown context": (
        refit(parameters={"fs1_context": ["usr"]}),
        ValueError,
        r"fs1_context.*names 'usr', but the fields are \['user', 'item', 'tags', 'is_new', 'price'\]",
    ),
    "heads that do not divide": (
        refit(parameters={"num_heads": 3}),
        ValueError,
        r"num_heads=3 doesn't divide both stream widths, 8 and 8.*\[1, 2, 4, 8\]",
    ),
    "categorical_features names no column": (
        refit(parameters={"categorical_features": ["usr"]}),
        ValueError,
        r"categorical_features names 'usr', but the table has the columns \['user'",
    ),
    "categorical_features beyond the columns": (
        refit(parameters={"categorical_features": [6]}),
        ValueError,
        r"categorical_features has position 6; positions go from 0 to 5",
    ),
    "mask of another length": (
        refit(parameters={"categorical_features": [True, False]}),
        ValueError,
        r"boolean mask of shape \(2,\); the table has 6 columns",
    ),
    "loss that explodes": (
        refit(parameters={"learning_rate": 1e30, **PLAIN, "batch_size": 32}),
        FloatingPointError,
        r"The training loss became \S+ in epoch \d+\. Try a lower learning_rate",
    ),
    "device that is not there": (
        refit(parameters={"device": "gpu"}),
        ValueError,
        r"device='gpu' isn't a name of a device",
    ),
}


@pytest.mark.parametrize(("fit", "error", "message"), IN_FIT.values(), ids=IN_FIT)
def test_fit_refuses(table, fit, error, message):
    with pytest.raises(error, match=message):
        fit(*table)


@pytest.mark.parametrize(
    "parameters",
    [
        {"embedding_dim": 0},
        {"stream1": MLP(64)},
        {"stream1": MLP(())},
        {"stream2": MLP((64, 0))},
        {"stream2": MLP((True,))},
        {"fs_hidden_units": (1.5,)},
        {"stream1": MLP(dropout=1.0)},
        {"stream1": "mlps"},
        {"stream_fields": "all"},
        {"num_heads": 0},
        {"fs1_context": "user"},
        {"learning_rate": 0},
        {"batch_size": "large"},
        {"validation_fraction": 1.0},
        {"n_iter_no_change": 0},
        {"class_weight": "even"},
        {"categorical_features": "all"},
        {"embedding_regularizer": -0.1},
        {"embedding_regularizer": (0.1, -0.1)},
        {"embedding_regularizer": (0.1,)},
    ],
    ids=str,
)
def test_parameter_out_of_range(table, parameters):
    ((name, value),) = parameters.items()
    parameter = (
        "'(hidden_units|dropout)' parameter of MLP" if isinstance(value, MLP) else f"'{name}' parameter of Final"
    )
    with pytest.raises(InvalidParameterError, match=parameter):
        FinalMLPClassifier(**SMALL | parameters).fit(*table)


@pytest.mark.parametrize("fields", [["user", "item"], [["user"]], (None, None, None), (None, 3)], ids=str)
def test_fields_of_streams_are_a_pair(table, fields):
    with pytest.raises(ValueError, match=r"stream_fields must be a pair, .* such as \(\['user'\], None\)"):
        FinalMLPClassifier(**SMALL, stream_fields=fields).fit(*table)


@pytest.fixture(scope="module")
def fitted(table):
    return FinalMLPClassifier(**SMALL).fit(*table)


class TestPredict:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda X: X.drop(columns="item"), r"yet now missing:\n- item"),
            (lambda X: X.assign(extra=1), r"unseen at fit time:\n- extra"),
            (lambda X: X[X.columns[::-1]], r"must be in the same order"),
            (lambda X: X.assign(price=np.nan), r"contains NaN: values of column 'price' are missing"),
            (lambda X: X.assign(item=X["item"] + 0.5), r"'item' is categorical but has the fractional value"),
            (lambda X: X.assign(item=-1), r"'item' is categorical but has the negative code -1"),
        ],
        ids=["missing", "extra", "reordered", "NaN", "fractional", "negative"],
    )
    def test_bad_tables(self, table, fitted, change, message):
        with pytest.raises(ValueError, match=message):
            fitted.predict_proba(change(table[0]))

    def test_unknown_codes_get_a_finite_probability(self, table, fitted):
        assert np.isfinite(fitted.predict_proba(table[0].assign(user=10**12, item=99))).all()


def test_a_failed_fit_leaves_no_half_fitted_classifier(table):
    X, y = table
    classifier = FinalMLPClassifier(**SMALL | PLAIN | {"learning_rate": 1e30})
    with pytest.raises(FloatingPointError):
        classifier.fit(X, y)
    assert not hasattr(classifier, "network_")


def test_a_failed_refit_leaves_the_classifier_as_it_was(table):
    X, y = table
    classifier = FinalMLPClassifier(**SMALL).fit(X, y)
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match="negative code"):
        classifier.fit(X[["user"]] - 100, y)
    assert np.array_equal(classifier.predict_proba(X), before)


def test_a_failed_warm_start_leaves_the_classifier_as_it_was(table):
    X, y = table
    classifier = FinalMLPClassifier(**SMALL | PLAIN, warm_start=True).fit(X, y)
    before = classifier.predict_proba(X)
    with pytest.raises(FloatingPointError):
        classifier.set_params(learning_rate=1e30).fit(X, y)
    assert np.array_equal(classifier.predict_proba(X), before)
