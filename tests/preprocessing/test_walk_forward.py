"""Statistics of training rows as a later row sees them: from the rows before its block in time alone."""

import numpy as np
import pandas as pd
import pytest
from hold_out import blocks_of, held_out_rows

from sk_finalmlp._hold_out import unpacked
from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.schema import read_schema


def log(n=600, seed=0, n_users=25):
    """Impressions in no order, dated by the hour; every user comes for a while, and clicks become fewer."""
    rng = np.random.default_rng(seed)
    hours = rng.integers(24 * 30, size=n)
    user = (hours // 60 + rng.integers(n_users, size=n)).astype(str)
    X = pd.DataFrame({"user": user, "time": pd.Timestamp("2024-03-01") + pd.to_timedelta(hours, "h")})
    y = (rng.random(n) < 0.6 - 0.4 * hours / hours.max()).astype(int)
    return X, y


def share_forward(X, y, out, new, blocks, weights=None):
    """Share of the rows behind the first block with counts, and rates, of the blocks before theirs alone."""
    weights = np.ones(len(y)) if weights is None else weights
    learned = pd.DataFrame({"user": X["user"], "block": blocks, "rows": weights * ~held_out_rows(y)})
    learned["clicks"] = learned["rows"] * y
    before = [
        learned[(learned["block"] < block) & (learned["user"] == user)][["clicks", "rows"]].sum()
        for user, block in zip(X["user"], blocks, strict=True)
    ]
    before = pd.DataFrame(before).reset_index(drop=True)
    totals = X.assign(rows=weights, clicks=weights * y).groupby("user")[["clicks", "rows"]].transform("sum")
    prior = np.average(y, weights=weights)
    agree = []
    statistics = {
        "user@count": lambda sums: np.log1p(sums["rows"]),
        "user@rate": lambda sums: np.log(
            (sums["clicks"] + 3 * prior) / (sums["rows"] - sums["clicks"] + 3 - 3 * prior)
        ),
    }
    for name, of in statistics.items():
        # New rows tell how sums are standardised.
        slope, intercept = np.polyfit(of(totals), new[name], 1)
        agree.append(np.abs(slope * of(before) + intercept - out[name].reset_index(drop=True)) < 1e-3)
    later = (blocks > 0) & (weights > 0)
    return (agree[0] & agree[1])[later].mean()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_three_tenths_of_the_rows_know_the_blocks_before_theirs_alone(seed, weighted):
    X, y = log(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 3, len(y)).astype(float) if weighted else np.ones(len(y))
    encoder = CTREncoder(statistics=["user"])
    out = encoder.fit_transform(X, y, sample_weight=weights)
    blocks = np.zeros(len(y), int)
    times = X["time"].to_numpy().astype("int64")
    blocks[weights > 0] = blocks_of(times[weights > 0])
    assert 0.2 < share_forward(X, y, out, encoder.transform(X), blocks, weights) < 0.45


def test_rows_without_times_know_all_others():
    X, y = log()
    encoder = CTREncoder(statistics=["user"])
    blocks = blocks_of(X["time"].to_numpy().astype("int64"))
    out = encoder.fit_transform(X[["user"]], y)
    assert share_forward(X, y, out, encoder.transform(X[["user"]]), blocks) < 0.1


def test_order_follows_the_column_by_which_users_are_new():
    X, y = log(6_000)
    born = pd.Series(pd.to_datetime("1990-01-01") + pd.to_timedelta(np.arange(len(X)) % 300, "D"))
    two = CTREncoder(statistics=["user"]).fit_transform(X.assign(born=born)[["born", "user", "time"]], y)
    one = CTREncoder(statistics=["user"]).fit_transform(X, y)
    pd.testing.assert_series_equal(two["user@rate"], one["user@rate"])


def test_order_follows_what_later_rows_are_held_out_by():
    X, y = log()
    order = np.argsort(X["time"], kind="stable")
    X, y = X.iloc[order].reset_index(drop=True), y[order]
    # Rows of one time would be in one block.
    X["time"] += pd.to_timedelta(np.arange(len(X)), "us")
    last = CTREncoder(statistics=["user"], hold_out="last").fit_transform(X[["user"]], y)
    by_column = CTREncoder(statistics=["user"], hold_out="time", drop="time").fit_transform(X, y)
    assert last["user@count"].equals(by_column["user@count"])
    assert not last["user@count"].equals(CTREncoder(statistics=["user"]).fit_transform(X[["user"]], y)["user@count"])


def test_rows_of_one_time_know_none_of_each_other():
    day = np.random.default_rng(0).permutation(np.repeat(np.arange(12), 100))
    y = np.arange(1_200) % 2
    X = pd.DataFrame({"of_day": day, "time": pd.Timestamp("2024-05-01") + pd.to_timedelta(day, "D")})
    encoder = CTREncoder(statistics=["of_day"], categorical=["of_day"], hold_out="time")
    encoded = encoder.fit_transform(X, y)
    new = encoder.transform(pd.DataFrame({"of_day": [99], "time": pd.Timestamp("2024-06-01")}))
    known = encoded["of_day@count"][day >= 3].unique()
    assert known.tolist() == [new["of_day@count"][0]]
    held_out = unpacked(read_schema(encoded).held_out, len(X))
    assert set(day[held_out]) == {11}
    assert held_out.sum() == 100


def test_rows_without_a_time_are_in_the_first_block():
    X, y = log()
    is_missing = np.arange(len(X)) < 60
    times = X["time"].mask(is_missing)
    encoder = CTREncoder(statistics=["user"])
    out = encoder.fit_transform(X.assign(time=times), y)
    blocks = np.where(is_missing, 0, 1 + np.arange(len(X)))
    blocks[~is_missing] = blocks_of(times[~is_missing].to_numpy().astype("int64"))
    assert 0.2 < share_forward(X, y, out, encoder.transform(X), blocks) < 0.45


@pytest.mark.parametrize("hold_out", ["random", "last"])
def test_rows_in_files_know_what_rows_in_memory_know(tmp_path, hold_out):
    X, y = log(3_000)
    X.assign(click=y)[:1_700].to_parquet(tmp_path / "0.parquet")
    X.assign(click=y)[1_700:].to_parquet(tmp_path / "1.parquet")
    encoder = CTREncoder(statistics=["user"], hold_out=hold_out)
    stored = encoder.fit_transform(tmp_path, "click")
    out = encoder.fit_transform(X, y)
    for name in ("user@rate", "user@count"):
        np.testing.assert_array_equal(stored.columns[name].read(), out[name])


def test_a_column_named_like_the_blocks_of_another_is_a_column():
    X, y = log()
    out = CTREncoder(statistics=["user"]).fit_transform(X.assign(**{"time@block": X["user"]}), y)
    expected = CTREncoder(statistics=["user"]).fit_transform(X, y)
    pd.testing.assert_frame_equal(out.drop(columns="time@block"), expected)
    assert out["time@block"].tolist() == expected["user"].tolist()
