"""What tells the order of the rows in time: a column, the rows themselves, or nothing."""

import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hold_out import N_BLOCKS, held_out_rows

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp._hold_out import unpacked
from sk_finalmlp.schema import read_schema
from sk_finalmlp.streams import MLP

N_ROWS = 6_000


def log(n_rows=N_ROWS, seed=0):
    """Impressions in the order of time; users come for a while, and items are shown all the time."""
    rng = np.random.default_rng(seed)
    when = np.sort(rng.random(n_rows))
    user = (400 * when + rng.integers(40, size=n_rows)).astype(int)
    X = pd.DataFrame(
        {
            "user": user.astype(str),
            "item": rng.integers(50, size=n_rows).astype(str),
            "time": pd.Timestamp("2024-03-01") + pd.to_timedelta((when * 30 * 86_400e6).astype(int), "us"),
        }
    )
    y = (rng.random(n_rows) < 0.2 + 0.3 * (rng.random(500)[user])).astype(int)
    return X, y


def encoded(X, y, statistics=("user", "item"), **parameters):
    return CTREncoder(statistics=list(statistics), **parameters).fit_transform(X, y)


def whys(X, y, **parameters):
    return CTREncoder(statistics=["user", "item"], **parameters).fit(X, y).feature_kinds_["why"]


def shuffled(X, y):
    rows = np.random.default_rng(1).permutation(len(y))
    return X.iloc[rows].reset_index(drop=True), y[rows]


def share_of_earlier(X, y, out, new):
    """Share of the rows behind the first block with counts of the blocks before theirs alone."""
    blocks = np.arange(len(X)) * N_BLOCKS // len(X)
    learned = pd.DataFrame({"user": X["user"], "block": blocks, "rows": (~held_out_rows(y)).astype(float)})
    sums = learned.groupby(["user", "block"])["rows"].sum().unstack(fill_value=0.0).cumsum(axis=1).shift(1, axis=1)
    before = np.array([sums.loc[user, block] for user, block in zip(X["user"], blocks, strict=True)])
    slope, intercept = np.polyfit(np.log1p(X.groupby("user")["user"].transform("size")), new["user@count"], 1)
    later = blocks > 0
    return (np.abs(slope * np.log1p(before) + intercept - out["user@count"])[later] < 1e-3).mean()


def test_new_values_among_the_last_rows_tell_that_the_rows_come_in_the_order_of_time():
    X, y = log()
    encoder = CTREncoder(statistics=["user", "item"])
    X = X.drop(columns="time")
    out = encoder.fit_transform(X, y)
    assert "the rows come in the order of time" in encoder.feature_kinds_["why"]["user"]
    assert "order" not in encoder.feature_kinds_["why"]["item"]
    assert share_of_earlier(X, y, out, encoder.transform(X)) > 0.25


@pytest.mark.parametrize("arrange", [shuffled, lambda X, y: (X, y)])
def test_no_order_is_found_where_values_are_new_by_chance_or_where_none_is_wanted(arrange):
    X, y = log()
    X = X.drop(columns="time")
    order = "auto" if arrange is shuffled else None
    X, y = arrange(X, y)
    assert not whys(X, y, order=order).str.contains("order").any()


@pytest.mark.parametrize("by", ["user", "town", "item"])
def test_rows_that_are_sorted_by_an_id_are_not_in_the_order_of_time(by):
    X, y = shuffled(*log())
    X = X.drop(columns="time").assign(town=X["user"].astype(int) // 10)
    rows = X[by].argsort(kind="stable")
    assert not whys(X.iloc[rows].reset_index(drop=True), y[rows], categorical=["town"]).str.contains("order").any()


def test_the_user_says_that_the_rows_are_in_order_or_names_the_column():
    X, y = log()
    plain = X.drop(columns="time")
    assert encoded(plain, y, order="rows").equals(encoded(plain, y))
    X["seconds"] = X["time"].astype("int64") // 10**6
    mixed, labels = shuffled(X, y)
    by_number = encoded(mixed, labels, order="seconds", drop=["seconds", "time"])
    by_time = encoded(mixed, labels, drop=["seconds"])
    assert by_number["user@count"].equals(by_time["user@count"])
    assert not by_number["user@count"].equals(encoded(mixed, labels, drop=["seconds"], order=None)["user@count"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": "tme"}, "order='tme' is neither 'auto' nor 'rows' nor a column of times. The columns are"),
        ({"order": "time", "hold_out": "item"}, "hold_out='item' names the column that tells the order"),
        ({"hold_out": "same"}, "Column 'same', which tells the order of the rows, has a single time"),
        ({"order": "same"}, "Column 'same', which tells the order of the rows, has a single time"),
    ],
)
def test_what_tells_no_order_is_refused(parameters, message):
    X, y = log(200)
    with pytest.raises(ValueError, match=message):
        CTREncoder(**parameters).fit(X.assign(same=pd.Timestamp("2024-05-01")), y)


@pytest.mark.parametrize("arrange", [shuffled, lambda X, y: (X, y)])
def test_a_date_that_an_id_determines_is_not_the_time_of_the_row(arrange):
    X, y = shuffled(*log())
    days = np.random.default_rng(2).integers(1_000, size=500)
    X["signup"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(days[X["user"].astype(int)], "D")
    X, y = arrange(X, y)
    untimed = X.drop(columns="time")
    assert "one for each value of 'user', so they don't tell the order" in whys(untimed, y)["signup"]
    plain = encoded(untimed.drop(columns="signup"), y)
    assert encoded(untimed, y)[["user@rate", "item@count"]].equals(plain[["user@rate", "item@count"]])
    both = whys(X, y)
    assert "tell the order of the rows" in both["time"]
    assert "don't tell" in both["signup"]


def test_of_several_times_the_one_by_which_values_are_new_tells_the_order():
    X, y = shuffled(*log())
    X["expires"] = X["time"] + pd.to_timedelta(np.random.default_rng(3).integers(1, 40, len(X)), "D")
    X = X[["expires", "user", "item", "time"]]
    assert encoded(X, y)["user@rate"].equals(encoded(X.drop(columns="expires"), y)["user@rate"])
    assert "tell the order" in whys(X, y)["time"]


def test_doubt_names_both_columns_and_the_parameter():
    X, y = log()
    rng = np.random.default_rng(4)
    X, y = shuffled(X.assign(user=rng.permutation(X["user"])), y)
    X["updated"] = rng.permutation(X["time"])
    with pytest.warns(UserWarning, match=r"'time' and 'updated' hold times in different orders.*CTREncoder\(order="):
        CTREncoder(statistics=["user"]).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CTREncoder(statistics=["user"], order="updated").fit(X, y)


@pytest.mark.parametrize("year", ["1970", "2100"])
def test_a_wrong_date_moves_no_other_rows(year):
    X, y = log(60_000)
    wrong = X.copy()
    wrong.loc[17, "time"] = pd.Timestamp(year)
    rows = np.arange(len(X)) != 17
    elapsed = [encoded(of, y, datetime_parts=["elapsed"]).loc[rows, "time_elapsed"] for of in (X, wrong)]
    assert np.abs(elapsed[0] - elapsed[1]).max() < 0.01


def test_a_wrong_late_date_does_not_silence_the_warning_of_later_rows():
    X, y = log()
    X.loc[17, "time"] = pd.Timestamp("2100-01-01")
    later = X[-1_500:].assign(user="new", time=X["time"].drop(17).max() + pd.Timedelta("1D"))
    encoder = CTREncoder(statistics=["user"]).fit(X, y)
    with pytest.warns(UserWarning, match="come after the training rows"):
        encoder.transform(later.assign(user=np.arange(1_500).astype(str) + "new"))


def test_rows_of_a_session_in_the_first_block_know_nothing_of_each_other():
    X, y = log()
    # A session is three rows, one after the other, of one label.
    session = np.arange(N_ROWS) // 3
    X = X.assign(session=session.astype(str))
    y = np.random.default_rng(0).permutation(np.arange(N_ROWS // 3) % 2)[session]
    out = encoded(X, y, ["session"], hold_out="last")
    first = slice(0, N_ROWS // N_BLOCKS)
    # But where a fold ends.
    assert (out["session@count"][first] == out["session@count"].min()).mean() > 0.98


def test_rows_in_files_are_held_out_by_a_column_as_rows_in_memory(tmp_path):
    X, y = shuffled(*log(3_000))
    table = X.assign(click=y, weight=np.arange(3_000) % 3.0)
    for number in range(3):
        table[number * 1_000 : number * 1_000 + 1_000].to_parquet(tmp_path / f"{number}.parquet")
    for weight in (None, "weight"):
        parameters = {"statistics": ["user", ("user", "item")], "hold_out": "time"}
        stored = CTREncoder(**parameters).fit_transform(tmp_path, "click", weight)
        plain = table.drop(columns=["click"]) if weight is None else X
        in_memory = CTREncoder(**parameters).fit_transform(plain, y, None if weight is None else table[weight])
        for name, column in stored.columns.items():
            np.testing.assert_array_equal(column.read(), in_memory[name], err_msg=name)
        assert stored.schema.held_out == read_schema(in_memory).held_out
        FinalMLPClassifier(stream1=MLP((8,)), stream2=MLP((8,)), n_members=1, max_epochs=1).fit(stored, "click")


def test_rows_in_files_that_come_in_the_order_of_time_are_found_out(tmp_path):
    X, y = log()
    X = X.drop(columns="time")
    X.assign(click=y).to_parquet(tmp_path / "rows.parquet", row_group_size=1_000)
    assert pq.read_metadata(tmp_path / "rows.parquet").num_row_groups == 6
    encoder = CTREncoder(statistics=["user", "item"])
    stored = encoder.fit_transform(tmp_path, "click")
    in_memory = CTREncoder(statistics=["user", "item"])
    out = in_memory.fit_transform(X, y)
    assert encoder.feature_kinds_["why"].equals(in_memory.feature_kinds_["why"])
    np.testing.assert_array_equal(stored.columns["user@rate"].read(), out["user@rate"])


@pytest.mark.parametrize("hold_out", ["last", "time"])
def test_rows_without_weight_have_no_place_in_time(hold_out):
    X, y = log()
    n_labelled = 4_500
    # The labels of the last rows aren't known yet.
    weights = (np.arange(N_ROWS) < n_labelled).astype(float)
    # The user would be dropped: its values go with time.
    parameters = {"hold_out": hold_out, "categorical": ["user"]}
    masked = CTREncoder(statistics=["user", "item"], **parameters).fit_transform(X, y, sample_weight=weights)
    left_out = encoded(X[:n_labelled], y[:n_labelled], **parameters)
    names = ["user@rate", "user@count", "item@rate", "item@count"]
    pd.testing.assert_frame_equal(masked[names][:n_labelled], left_out[names], atol=1e-6)
    held_out = unpacked(read_schema(masked).held_out, N_ROWS)
    assert np.array_equal(np.flatnonzero(held_out[:n_labelled]), np.arange(0.9 * n_labelled, n_labelled))
    clf = FinalMLPClassifier(stream1=MLP((8,)), stream2=MLP((8,)), n_members=1, max_epochs=1, random_state=0)
    stopped_by = [clf.fit(masked, y, sample_weight=weights).history_[0]["valid_loss"]]
    stopped_by += [clf.fit(left_out, y[:n_labelled]).history_[0]["valid_loss"]]
    assert stopped_by[0] == pytest.approx(stopped_by[1], abs=0.02)


def test_the_classifier_alone_holds_out_the_last_rows_with_weight():
    X, y = log()
    codes = CTREncoder(statistics=None, drop=["time"]).fit_transform(X, y).to_numpy()
    weights = (np.arange(N_ROWS) < 4_500).astype(float)
    clf = FinalMLPClassifier(
        stream1=MLP((8,)), stream2=MLP((8,)), n_members=1, max_epochs=2, random_state=0, hold_out="last"
    )
    history = clf.fit(codes, y, sample_weight=weights).history_
    alone = clf.fit(codes[:4_500], y[:4_500]).history_
    assert history[0]["valid_auc"] == pytest.approx(alone[0]["valid_auc"], abs=0.1)


def test_few_labels_among_the_last_rows_are_noticed():
    X, y = log()
    y[-700:] = 0
    y[-1] = 1
    model = FinalMLPClassifier(stream1=MLP((8,)), stream2=MLP((8,)), n_members=1, max_epochs=1, random_state=0)
    codes = CTREncoder(statistics=None, hold_out="last", categorical=["user"], drop=["time"]).fit_transform(X, y)
    with pytest.warns(UserWarning, match="rows with label 1, only 1 are among the last rows"):
        model.fit(codes, y)
