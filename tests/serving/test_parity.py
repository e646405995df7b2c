"""Graphs of encoders of any table and options write what `transform` writes, to the last bit of a float32."""

import warnings

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp import CTREncoder
from sk_finalmlp.schema import column_names
from sk_finalmlp.serving._check import check
from sk_finalmlp.serving._export import export
from sk_finalmlp.serving._to_onnx import make_session


def times(rng, n_rows, first=0):
    return pd.to_datetime(rng.integers(first, 2 * 10**15, n_rows), unit="us").as_unit("us")


def lists(rng, n_rows, least=0):
    return [rng.integers(0, 30, rng.integers(least, 5)).tolist() for _ in range(n_rows)]


def texts_of_lists(rng, n_rows):
    joined = ["|".join(f"t{element}" for element in elements) for elements in lists(rng, n_rows)]
    return pd.Series(joined, dtype=object).replace("", None)


COLUMNS = {
    "text": lambda rng, n: [f"v{i}" for i in rng.integers(0, 40, n)],
    "unicode": lambda rng, n: ["w " * int(i) + "\u00e9\u2603" for i in rng.integers(0, 9, n)],
    "ids": lambda rng, n: pd.Series(rng.integers(-20, 20, n)).astype("Int64"),
    "large ids": lambda rng, n: pd.Series(rng.integers(0, 10**17, n)).astype("Int64"),
    "floats": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-8, 9),
    "few floats": lambda rng, n: rng.choice([1.5, 2.5, -3.25], n),
    "skewed": lambda rng, n: np.exp(rng.normal(size=n) * 20),
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.2, np.inf, rng.normal(size=n)),
    "bools": lambda rng, n: pd.Series(rng.random(n) < 0.3).astype("boolean"),
    "durations": lambda rng, n: pd.to_timedelta(rng.integers(-(10**9), 10**9, n), unit="us"),
    "times": lambda rng, n: times(rng, n, -(10**15)),
    "instants": lambda rng, n: times(rng, n).tz_localize("UTC").tz_convert(rng.choice(["UTC", "+05:30", "-03:00"])),
    "dates": lambda rng, n: pd.Series(times(rng, n).date, dtype=object),
    "separated": texts_of_lists,
    "lists": lambda rng, n: [[f"t{element}" for element in elements] for elements in lists(rng, n)],
    "lists of integers": lambda rng, n: lists(rng, n, least=1),
}


@st.composite
def tables(draw):
    """A table and labels."""
    rng = np.random.default_rng(draw(st.integers(0, 10**9)))
    n_rows = draw(st.sampled_from([20, 200, 1200]))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5, unique=True))
    X = pd.DataFrame({kind: pd.Series(COLUMNS[kind](rng, n_rows)) for kind in kinds})
    X = X.mask(rng.random(X.shape) < draw(st.sampled_from([0, 0.1])))
    y = rng.integers(0, draw(st.integers(2, 3)), n_rows)
    y[:3] = 0, 1, 1
    return X, y


@st.composite
def options(draw):
    """Parameters of an encoder."""
    return {
        "numeric_encoding": draw(st.sampled_from(["normal", "standard", "bins", "log"])),
        "n_bins": draw(st.sampled_from([2, 32, 300])),
        "min_frequency": draw(st.sampled_from([1, 2, 5])),
        "max_categories": draw(st.none() | st.integers(1, 20)),
        "max_length": draw(st.none() | st.integers(1, 3)),
    }


def with_combinations(encoder, X, y):
    """The encoder with a cross and statistics of the fields that it found."""
    fields = [field.name for field in encoder.fields_ if field.kind == "categorical"]
    if len(fields) < 2:
        return encoder
    pair = (fields[0], fields[-1])
    return encoder.set_params(crosses=[pair], statistics=[fields[0], pair]).fit(X, y)


@settings(max_examples=25, deadline=None)
@given(tables(), options())
def test_graph_writes_what_transform_writes(table, parameters):
    X, y = table
    with warnings.catch_warnings():
        # Doubtful columns are as good as any here.
        warnings.simplefilter("ignore", UserWarning)
        encoder = with_combinations(CTREncoder(**parameters).fit(X, y), X, y)
    exported = export(encoder)
    check(exported, encoder)
    encoded = encoder.transform(X)
    feed = {column.name: column.tensor(X[column.name].tolist()) for column in exported.inputs}
    session = make_session(exported.model.SerializeToString())
    outputs = session.run(None, feed)
    for name, output in zip(column_names(encoder.fields_), outputs, strict=True):
        np.testing.assert_array_equal(output[:, 0], encoded[name], err_msg=name)
    # A single row of a column stands for all rows.
    context = {name: tensor[:1] for name, tensor in list(feed.items())[::2]}
    repeated = {name: np.repeat(tensor, len(X), axis=0) for name, tensor in context.items()}
    own = {name: tensor for name, tensor in feed.items() if name not in context}
    rows = slice(None) if own else slice(1)
    for output, expected in zip(session.run(None, own | context), session.run(None, own | repeated), strict=True):
        np.testing.assert_array_equal(output, expected[rows])
