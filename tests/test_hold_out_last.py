"""The last rows held out, as they will be used: by their order, or by a column of times."""

import datetime
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hold_out import held_out_rows
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp._hold_out import packed, place_from_last, places_of_choice, unpacked
from sk_finalmlp.schema import read_schema, write_schema
from sk_finalmlp.streams import MLP

N_ROWS = 1_200
SMALL = {"stream1": MLP((8,)), "stream2": MLP((8,)), "n_members": 1, "random_state": 0}


def classifier(**parameters):
    return FinalMLPClassifier(**{**SMALL, "max_epochs": 1, "final_epoch": False, **parameters})


def log(n_rows=N_ROWS, seed=0):
    """Rows in any order of time, with the minute in which each was seen."""
    rng = np.random.default_rng(seed)
    minutes = rng.permutation(n_rows)
    X = pd.DataFrame(
        {
            "user": rng.integers(0, 20, n_rows),
            "item": rng.choice(list("abcde"), n_rows),
            "time": pd.Timestamp("2024-05-01") + pd.to_timedelta(minutes, unit="min"),
        }
    )
    return X, rng.integers(0, 2, n_rows), minutes


def swapped(y, is_held_out):
    """Other labels there, as many of each class."""
    other = y.copy()
    rows = np.random.default_rng(0).permutation(np.flatnonzero(is_held_out))
    other[rows] = y[np.roll(rows, 1)]
    assert (other != y).sum() > 20
    return other


@pytest.mark.parametrize(("n_rows", "fraction"), [(1_000, 0.1), (10, 0.1), (37, 0.3), (1, 0.5)])
def test_the_last_rows_have_the_lowest_places(n_rows, fraction):
    place = place_from_last(np.arange(n_rows))
    is_held_out = held_out_rows(np.zeros(n_rows), fraction, place.__getitem__)
    n_held_out = np.ceil(fraction * n_rows - 1e-9) if n_rows > 1 else 0
    assert is_held_out.tolist() == [False] * int(n_rows - n_held_out) + [True] * int(n_held_out)


def test_of_each_class_the_last_row_is_held_out_and_the_first_is_not():
    y = np.zeros(100)
    y[[3, 5]] = 1
    y[[97, 98]] = 2
    is_held_out = held_out_rows(y, 0.1, place_from_last(np.arange(100)).__getitem__)
    assert [is_held_out[row] for row in (3, 5, 97, 98)] == [False, True, False, True]


def test_a_choice_that_is_told_is_taken():
    is_held_out = np.random.default_rng(0).random(1_001) < 0.1
    told = unpacked(packed(is_held_out), 1_001)
    y = np.arange(1_001) % 2
    assert np.array_equal(held_out_rows(y, 0.1, places_of_choice(told, 0.1).__getitem__), is_held_out)
    assert len(packed(np.arange(10**6) < 10**5)) < 2_000


def test_the_classifier_learns_nothing_from_the_last_rows():
    X, y, _ = log()
    codes = X[["user"]]
    last = np.arange(N_ROWS) >= 0.8 * N_ROWS
    changed = codes.copy()
    changed.loc[last, "user"] = codes.loc[last, "user"].to_numpy()[::-1]
    model = classifier(hold_out="last", validation_fraction=0.2)
    before, after = (model.fit(table, y).decision_function(codes) for table in (codes, changed))
    assert np.array_equal(before, after)
    assert not np.array_equal(before, classifier(validation_fraction=0.2).fit(codes, y).decision_function(codes))


TIMES = {
    "datetime": lambda minutes, X: X["time"],
    "instant": lambda minutes, X: X["time"].dt.tz_localize("Europe/Berlin"),
    "integer": lambda minutes, X: minutes,
    "float": lambda minutes, X: minutes / 7,
    "duration": lambda minutes, X: pd.to_timedelta(minutes, unit="min"),
    "text": lambda minutes, X: X["time"].dt.strftime("%Y-%m-%d %H:%M:%S"),
    "date": lambda minutes, X: [datetime.date(1990, 1, 1) + datetime.timedelta(days=int(day)) for day in minutes],
}


@pytest.mark.filterwarnings("ignore:Column 'time' holds dates or times as text")
@pytest.mark.parametrize("kind", TIMES)
def test_rates_know_no_label_of_the_last_rows_by_time(kind):
    X, y, minutes = log()
    X["time"] = TIMES[kind](minutes, X)
    is_last = minutes >= 0.9 * N_ROWS
    encoder = CTREncoder(statistics=["user", ("user", "item")], hold_out="time", drop="time")
    before, after = (encoder.fit_transform(X, labels) for labels in (y, swapped(y, is_last)))
    pd.testing.assert_frame_equal(before, after)
    assert np.array_equal(unpacked(read_schema(before).held_out, N_ROWS), is_last)
    assert not before.equals(encoder.fit_transform(X, swapped(y, ~is_last)))


def test_rates_know_no_label_of_the_last_rows_by_order():
    X, y, _ = log()
    encoder = CTREncoder(statistics=["user"], hold_out="last", validation_fraction=0.3)
    other = swapped(y, np.arange(N_ROWS) >= 0.7 * N_ROWS)
    pd.testing.assert_frame_equal(encoder.fit_transform(X, y), encoder.fit_transform(X, other))


def test_a_missing_time_is_not_late():
    X, y, minutes = log()
    X.loc[minutes >= N_ROWS - 60, "time"] = None
    encoded = CTREncoder(hold_out="time").fit_transform(X, y)
    is_held_out = unpacked(read_schema(encoded).held_out, N_ROWS)
    assert np.array_equal(is_held_out, (minutes >= N_ROWS - 180) & (minutes < N_ROWS - 60))


def test_rows_without_weight_in_the_encoder_are_held_out_as_well():
    X, y, minutes = log()
    weights = np.arange(N_ROWS) % 2
    encoded = CTREncoder(hold_out="time").fit_transform(X, y, sample_weight=weights)
    first = np.quantile(minutes[weights > 0], 0.9, method="higher")
    held_out = unpacked(read_schema(encoded).held_out, N_ROWS)
    assert np.array_equal(held_out[weights > 0], (minutes >= first)[weights > 0])
    assert held_out[minutes > first].all()
    assert held_out.sum() == pytest.approx(0.1 * N_ROWS, abs=20)


@pytest.mark.parametrize("statistics", ["auto", None])
@pytest.mark.parametrize("hold_out", ["last", "time"])
def test_a_pipeline_needs_it_once(hold_out, statistics):
    X, y, minutes = log()
    X = X.assign(minute=minutes)
    is_last = np.arange(N_ROWS) >= 0.9 * N_ROWS if hold_out == "last" else minutes >= 0.9 * N_ROWS
    encoder = CTREncoder(hold_out=hold_out, statistics=statistics, categorical=["user"], drop=["minute"])
    codes = encoder.fit_transform(X, y)
    changed = codes.copy()
    changed.loc[is_last] = codes.loc[is_last].to_numpy()[::-1]
    # Changed rows would be noticed.
    changed = write_schema(changed.astype(codes.dtypes), replace(read_schema(codes), checksum={}))
    model = classifier()
    assert np.array_equal(model.fit(codes, y).decision_function(codes), model.fit(changed, y).decision_function(codes))
    together = make_pipeline(encoder, classifier()).fit(X, y)
    assert np.array_equal(together[1].decision_function(codes), classifier().fit(codes, y).decision_function(codes))


def test_the_last_rows_are_learned_from_in_the_final_epoch():
    X, y, _ = log()
    first = make_pipeline(CTREncoder(hold_out="time"), classifier(final_epoch=True)).fit(X, y)
    second = make_pipeline(CTREncoder(hold_out="time"), classifier()).fit(X, y)
    assert not np.array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize("hold_out", ["last", "time"])
def test_splits_by_time_work(hold_out):
    X, y, minutes = log()
    order = np.argsort(minutes)
    model = make_pipeline(CTREncoder(hold_out=hold_out), classifier())
    scores = cross_val_score(model, X.iloc[order], y[order], cv=TimeSeriesSplit(2), error_score="raise")
    assert np.isfinite(scores).all()


class TestWhatDoesNotFit:
    X, y, _ = log()

    def test_a_column_that_is_not_there(self):
        with pytest.raises(ValueError, match="hold_out='tiem' is neither 'random' nor 'last' nor a column of times"):
            CTREncoder(hold_out="tiem").fit(self.X, self.y)

    def test_a_column_without_an_order_in_time(self):
        with pytest.raises(ValueError, match=r"Column 'item': '[a-e]' is not an ISO 8601 date or time"):
            CTREncoder(hold_out="item").fit(self.X, self.y)
        with pytest.raises(TypeError, match=r"Column 'late': it has no order in time.*`hold_out`"):
            CTREncoder(hold_out="late").fit(self.X.assign(late=True), self.y)

    def test_another_rule_of_the_classifier(self):
        encoder = CTREncoder(statistics=["user"], hold_out="time")
        with pytest.raises(ValueError, match=r"hold_out='last', but .*hold_out='time'.*hold_out='auto'"):
            make_pipeline(encoder, classifier(hold_out="last")).fit(self.X, self.y)
        with pytest.raises(ValueError, match="hold_out='random', but the encoder left the labels of other rows"):
            make_pipeline(encoder, classifier(hold_out="random")).fit(self.X, self.y)
        without = CTREncoder(statistics=None, hold_out="time")
        make_pipeline(without, classifier(hold_out="last")).fit(self.X, self.y)
        make_pipeline(encoder, classifier(hold_out="random", early_stopping=False)).fit(self.X, self.y)

    def test_another_fraction_of_the_classifier(self):
        with pytest.raises(ValueError, match=r"validation_fraction=0.05, but .*'time'.* held out 0.1 of the rows"):
            make_pipeline(CTREncoder(hold_out="time"), classifier(validation_fraction=0.05)).fit(self.X, self.y)
        make_pipeline(CTREncoder(hold_out="last"), classifier(validation_fraction=0.05)).fit(self.X, self.y)

    def test_rows_that_were_chosen_from_behind_the_encoder(self):
        codes = CTREncoder(hold_out="time", statistics=None).fit_transform(self.X, self.y)
        with pytest.raises(ValueError, match=r"chose among 1200 rows, but X has 600"):
            classifier().fit(codes[:600], self.y[:600])
        classifier(early_stopping=False).fit(codes[:600], self.y[:600])

    def test_a_container_that_cannot_tell(self):
        X = pl.from_pandas(self.X)
        with pytest.raises(ValueError, match=r"only a pandas DataFrame can tell .*set_output"):
            CTREncoder(hold_out="time").fit_transform(X, self.y)
        with pytest.warns(UserWarning, match="hold_out='last', but only a pandas DataFrame .*in the classifier too"):
            CTREncoder(hold_out="last").fit_transform(X, self.y)
        model = make_pipeline(CTREncoder(hold_out="time").set_output(transform="pandas"), classifier())
        model.fit(X, self.y)

    def test_a_smaller_share_than_the_default_that_can_not_be_told(self):
        X = pl.from_pandas(self.X)
        with pytest.warns(UserWarning, match=r"validation_fraction=0\.05, but only .*holds out 0\.1 .*classifier, too"):
            CTREncoder(validation_fraction=0.05).fit_transform(X, self.y)
        CTREncoder(validation_fraction=0.05, statistics=None).fit_transform(X, self.y)
        make_pipeline(CTREncoder(validation_fraction=0.05), classifier()).fit(self.X, self.y)

    def test_the_default_has_nothing_to_tell(self):
        make_pipeline(CTREncoder(), classifier()).fit(pl.from_pandas(self.X), self.y)
        make_pipeline(CTREncoder(validation_fraction=0.2), classifier()).fit(pl.from_pandas(self.X), self.y)

    def test_a_classifier_alone_that_can_not_know(self):
        encoder = CTREncoder(statistics=["user"])
        with pytest.warns(UserWarning, match=r"hold_out='last', and X holds statistics.*CTREncoder\(hold_out='last'\)"):
            make_pipeline(encoder, classifier(hold_out="last")).fit(pl.from_pandas(self.X), self.y)
