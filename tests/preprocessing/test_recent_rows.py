"""Statistics of recent rows, and a word on rows that come after the training rows with many more unknown ids."""

import warnings

import numpy as np
import pandas as pd
import pytest
from drifting import log
from hold_out import N_BLOCKS, blocks_of, held_out_rows

import sk_finalmlp
from sk_finalmlp.preprocessing import CTREncoder


def decayed(X, rows, blocks, block):
    """Sums by item of the blocks before one, each half of the next."""
    shares = np.where(blocks < block, 0.5 ** (block - 1.0 - blocks), 0.0)
    return (rows * shares).groupby(X["item"]).sum()


@pytest.mark.parametrize("seed", range(3))
def test_fields_with_many_values_have_statistics_of_recent_rows_where_clicks_drift(seed):
    X, y = log(seed=seed)
    encoder = CTREncoder().fit(X, y)
    assert {"item@recent_rate", "item@recent_count"} < set(encoder.get_feature_names_out())
    assert "screen@recent_rate" not in encoder.get_feature_names_out()
    chosen = encoder.statistics_.loc["item (recent)"]
    assert chosen[["rate", "count"]].all()
    assert chosen["gain"] > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_no_statistics_of_recent_rows_where_clicks_stay(seed):
    X, y = log(seed=seed, drift=0.0)
    assert "item (recent)" not in CTREncoder().fit(X, y).statistics_.index


@pytest.mark.parametrize("label", [0, 1])
def test_no_statistics_of_recent_rows_where_a_block_has_one_label(label):
    X, y = log()
    y[-2_000:] = label
    assert "item (recent)" not in CTREncoder().fit(X, y).statistics_.index


def test_each_of_several_labels_has_a_rate_of_recent_rows():
    X, y = log()
    labels = pd.DataFrame({"click": y, "buy": np.where(y == 1, np.arange(len(y)) % 2, 0.0)})
    labels.loc[::7, "buy"] = np.nan
    names = set(CTREncoder().fit_transform(X, labels).columns)
    assert {"item@recent_rate=click", "item@recent_rate=buy", "item@recent_count"} < names


def test_no_statistics_of_recent_rows_without_an_order():
    X, y = log()
    assert "item (recent)" not in CTREncoder().fit(X.drop(columns="time"), y).statistics_.index
    assert "item (recent)" in CTREncoder(hold_out="last").fit(X.drop(columns="time"), y).statistics_.index


def test_rows_know_the_blocks_before_theirs_and_new_rows_all():
    X, y = log()
    encoder = CTREncoder()
    out, new = encoder.fit_transform(X, y), encoder.transform(X)
    blocks = blocks_of(X["time"].to_numpy().astype("datetime64[us]").astype("int64"))
    rows, clicks = pd.Series(1.0, X.index), pd.Series(y, X.index, dtype=float)

    def excess(clicks, rows):
        prior = (clicks.sum() + y.mean()) / (rows.sum() + 1)
        return np.log((clicks + 3 * prior) / (rows - clicks + 3 - 3 * prior)) - np.log(prior / (1 - prior))

    learned = ~held_out_rows(y)
    for name, of in {"item@recent_count": lambda _, rows: np.log1p(rows), "item@recent_rate": excess}.items():
        of_items = of(decayed(X, clicks, blocks, N_BLOCKS), decayed(X, rows, blocks, N_BLOCKS))
        slope, intercept = np.polyfit(X["item"].map(of_items), new[name], 1)
        np.testing.assert_allclose(new[name], slope * X["item"].map(of_items) + intercept, atol=1e-4)
        for block in range(1, N_BLOCKS):
            before = of(decayed(X, clicks * learned, blocks, block), decayed(X, rows * learned, blocks, block))
            own = blocks == block
            expected = slope * X["item"][own].map(before) + intercept
            np.testing.assert_allclose(out[name][own], expected.clip(-5, 5), atol=1e-4)


def test_beside_them_all_rows_know_the_blocks_before_theirs_of_all_time():
    X, y = log()
    encoder = CTREncoder()
    out, new = encoder.fit_transform(X, y), encoder.transform(X)
    blocks = blocks_of(X["time"].to_numpy().astype("datetime64[us]").astype("int64"))
    learned = ~held_out_rows(y)
    slope, intercept = np.polyfit(np.log1p(X.groupby("item")["item"].transform("size")), new["item@count"], 1)
    for block in range(1, N_BLOCKS):
        before = np.log1p(X["item"][learned & (blocks < block)].value_counts())
        own = learned & (blocks == block)
        np.testing.assert_allclose(out["item@count"][own], slope * X["item"][own].map(before) + intercept, atol=1e-4)


@pytest.mark.parametrize("hold_out", ["random", "last"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_in_files_know_what_rows_in_memory_know(tmp_path, hold_out, weighted):
    X, y = log()
    weights = np.random.default_rng(0).random(len(y)) if weighted else None
    table = X.assign(click=y) if weights is None else X.assign(click=y, weight=weights)
    table[:3_000].to_parquet(tmp_path / "0.parquet")
    table[3_000:].to_parquet(tmp_path / "1.parquet")
    encoder = CTREncoder(hold_out=hold_out)
    stored = encoder.fit_transform(tmp_path, "click", sample_weight=None if weights is None else "weight")
    out = encoder.fit_transform(X, y, sample_weight=weights)
    for name in ("item@recent_rate", "item@recent_count", "item@rate", "item@count"):
        np.testing.assert_array_equal(stored.columns[name].read(), out[name])


def test_a_block_of_new_rows_halves_the_weight_of_those_before():
    X, y = log()
    encoder = CTREncoder().fit(X, y)
    before = encoder.transform(X)["item@recent_count"]
    absent, X_new = "0", X[X["item"] != "0"].iloc[: len(X) // N_BLOCKS]
    encoder.partial_fit(X_new, y[X_new.index])
    after = encoder.transform(X)["item@recent_count"]
    blocks = blocks_of(X["time"].to_numpy().astype("datetime64[us]").astype("int64"))
    sums = decayed(X, pd.Series(1.0, X.index), blocks, N_BLOCKS)
    slope, intercept = np.polyfit(X["item"].map(np.log1p(sums)), before, 1)
    own = X["item"] == absent
    np.testing.assert_allclose(after[own], slope * np.log1p(sums[absent] / 2) + intercept, atol=1e-3)
    sums = sums / 2 + X_new.groupby("item").size().reindex(sums.index, fill_value=0)
    np.testing.assert_allclose(after, slope * X["item"].map(np.log1p(sums)) + intercept, atol=1e-3)


def test_saved_encoders_know_recent_rows(tmp_path):
    X, y = log(3_000)
    encoder = CTREncoder().fit(X, y)
    assert "item@recent_rate" in encoder.get_feature_names_out()
    sk_finalmlp.save(encoder, tmp_path / "encoder.model")
    loaded = sk_finalmlp.load(tmp_path / "encoder.model")
    pd.testing.assert_frame_equal(loaded.transform(X), encoder.transform(X))
    pd.testing.assert_frame_equal(loaded.partial_fit(X, y).transform(X), encoder.partial_fit(X, y).transform(X))


def split(n=4_000, share_new=0.8):
    """Rows of known users, and later ones with a share of new users."""
    rng = np.random.default_rng(0)
    user = rng.integers(200, size=n)
    user[n // 2 :] += 200 * (rng.random(n - n // 2) < share_new)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), "min")
    X = pd.DataFrame({"user": user.astype(str), "time": times})
    return X[: n // 2], rng.integers(2, size=n // 2), X[n // 2 :]


def test_many_unknown_ids_in_later_rows_are_a_warning():
    X, y, X_later = split()
    encoder = CTREncoder().fit(X, y)
    message = r"8\d% of these rows, which come after the training rows, have values of 'user' .* about 0% .*'time'"
    with pytest.warns(UserWarning, match=message):
        encoder.transform(X_later)


@pytest.mark.parametrize(
    ("parameters", "share_new", "of"),
    [
        ({"hold_out": "time"}, 0.8, slice(None)),
        ({}, 0.1, slice(None)),
        ({}, 0.8, slice(900)),
        ({"n_hash_buckets": 16, "categorical": ["user"]}, 0.8, slice(None)),
    ],
    ids=["held out", "few unknown", "few rows", "hashed"],
)
def test_nothing_is_said_of_later_rows(parameters, share_new, of):
    X, y, X_later = split(share_new=share_new)
    encoder = CTREncoder(**parameters).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.transform(X_later[of])
        encoder.transform(X_later.assign(time=X["time"].to_numpy())[of])


def test_rows_that_updates_took_in_are_no_later_rows():
    X, y, X_later = split()
    encoder = CTREncoder().fit(X, y).partial_fit(X_later.assign(user="0"), y)
    encoder.transform(X_later)
