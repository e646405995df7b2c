"""Real tables whose licences forbid to pass them on, each from a folder that an environment variable names.

The folders hold the files as they are published, for MovieLens as copies with `,` or `;` between the values.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from _tables import BY_TIME, GROUPLENS, RANDOM, DataSet, Table, as_clicks, by_order, randomly

MOVIELENS_1M_HOME = "MOVIELENS_1M_HOME"
MOVIELENS_10M_HOME = "MOVIELENS_10M_HOME"
CRITEO_SAMPLE = "CRITEO_SAMPLE"
AVAZU_SAMPLE = "AVAZU_SAMPLE"

_LEAST_STARS_OF_A_CLICK = 4
_NEITHER = 3
_NEGATIVES_PER_TAG = 2
_YEAR = r"\((\d{4})\)\s*$"
# A tag may hold the separator.
_TAG_LINE = r"^(?P<user>\d+);(?P<item>\d+);(?P<tag>.*);(?P<time>\d+)$"


def place(variable: str, what: str) -> Path:
    """The folder or the file that an environment variable names."""
    named = os.environ.get(variable)
    if not named:
        raise OSError(f"${variable} doesn't name {what}.")
    return Path(named)


def _films(path: Path) -> pd.DataFrame:
    """Release year and genres of each film."""
    # Quotes in titles are quotes.
    films = pd.read_csv(
        path, sep=";", names=["item", "title", "genres"], dtype=str, quoting=3, encoding_errors="replace"
    )
    genres = films["genres"].fillna("").str.split("|", regex=False)
    return pd.DataFrame({"item": films["item"], "year": films["title"].str.extract(_YEAR)[0], "genres": genres})


def _with_films(frame: pd.DataFrame, films: pd.DataFrame) -> pd.DataFrame:
    joined = frame.merge(films, on="item", how="left")
    # What isn't in the list of films has no genre, and no missing list.
    joined["genres"] = joined["genres"].map(lambda genres: genres if isinstance(genres, list) else [])
    return joined


def _movielens_1m() -> Table:
    folder = place(MOVIELENS_1M_HOME, "the folder of test_1m1.dat to test_1m5.dat, users.dat and movies.dat")
    names = ["user", "item", "stars"]
    parts = [
        pd.read_csv(folder / f"test_1m{part}.dat", names=names, dtype={"user": str, "item": str})
        for part in range(1, 6)
    ]
    ratings = pd.concat(parts, ignore_index=True)
    ratings = ratings[ratings["stars"] != _NEITHER].reset_index(drop=True)
    columns = ["user", "gender", "age", "occupation", "zip"]
    users = pd.read_csv(folder / "users.dat", sep=";", names=columns, dtype=str).drop(columns="zip")
    frame = _with_films(ratings.merge(users, on="user", how="left"), _films(folder / "movies.dat"))
    return randomly(frame.drop(columns="stars"), as_clicks(frame["stars"] >= _LEAST_STARS_OF_A_CLICK))


def _movielens_tags() -> Table:
    """Tags that users gave to films, and beside each the same user, tag and time with two films drawn by chance."""
    folder = place(MOVIELENS_10M_HOME, "the folder of tags.dat and movies.dat")
    tags = read_tags(folder).sort_values("time", kind="stable", ignore_index=True)
    others = tags.loc[tags.index.repeat(_NEGATIVES_PER_TAG)]
    others = others.assign(item=np.random.default_rng(0).choice(tags["item"].to_numpy(), len(others)))
    frame = pd.concat([tags.assign(click=1), others.assign(click=0)]).sort_values("time", kind="stable")
    frame = _with_films(frame, _films(folder / "movies.dat"))
    return by_order(frame.drop(columns="click"), as_clicks(frame["click"] == 1))


def read_tags(folder: Path) -> pd.DataFrame:
    """Users, films, tags and times of MovieLens-10M."""
    lines = pd.Series((folder / "tags.dat").read_text(encoding="utf-8").splitlines())
    tags = lines.str.extract(_TAG_LINE).dropna()
    tags["time"] = pd.to_datetime(tags["time"].astype("int64"), unit="s")
    return tags


def _criteo_sample() -> Table:
    names = ["click", *(f"I{number}" for number in range(1, 14)), *(f"C{number}" for number in range(1, 27))]
    dtypes = dict.fromkeys(names[:14], "float64") | dict.fromkeys(names[14:], "str")
    path = place(CRITEO_SAMPLE, "a file of rows of the Criteo display challenge, with tabs and without a header")
    frame = pd.read_csv(path, sep="\t", names=names, dtype=dtypes)
    return by_order(frame.drop(columns="click"), as_clicks(frame["click"] == 1))


def _avazu_sample() -> Table:
    frame = pd.read_csv(place(AVAZU_SAMPLE, "a CSV file of rows of the Avazu challenge"), dtype=str)
    frame = frame.assign(hour=pd.to_datetime(frame["hour"], format="%y%m%d%H"))
    return by_order(frame.drop(columns=["id", "click"]), as_clicks(frame["click"] == "1"))


FOLDERS = {
    "movielens_1m": DataSet(
        _movielens_1m,
        "tuning",
        "ratings of 4 and 5 against 1 and 2: many rows per id",
        RANDOM,
        f"files in ${MOVIELENS_1M_HOME}",
        GROUPLENS,
    ),
    "movielens_tags": DataSet(
        _movielens_tags,
        "tuning",
        "tags against two sampled films each: new users and new tags every day",
        BY_TIME,
        f"files in ${MOVIELENS_10M_HOME}",
        GROUPLENS,
    ),
    "criteo_sample": DataSet(
        _criteo_sample,
        "confirming",
        "a sample of Criteo: whether real schemas go through, too few rows to compare by",
        "first 80% of the rows, next 10%, last 10%",
        f"the file ${CRITEO_SAMPLE}",
        "Criteo's terms: research",
    ),
    "avazu_sample": DataSet(
        _avazu_sample,
        "confirming",
        "a sample of Avazu, of one hour: the same",
        "first 80% of the rows, next 10%, last 10%",
        f"the file ${AVAZU_SAMPLE}",
        "rules of the competition",
    ),
}
