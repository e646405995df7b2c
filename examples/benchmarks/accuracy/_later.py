"""Tables in order of time, as a model in service meets them: fitted to all earlier rows, used on later ones.

Choose by the validation rows. A model for the test is fitted to these, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from _folders import FOLDERS, MOVIELENS_10M_HOME, place, read_tags
from _real import REAL, read_r
from _synthetic import SYNTHETIC
from _tables import BY_TIME, GROUPLENS, DataSet, Table, as_clicks, by_order, by_part

LASTFM_HOME = "LASTFM_HOME"
TENNIS_HOME = "TENNIS_HOME"

_REFITTED = "for the test, models are fitted to the first two"
_SEASONS = range(1991, 2025)
_MISSES_PER_TAG = 2
_HALF = 0.5


def _flights() -> Table:
    """Months and days are integers, as in many tables, and no column tells the time."""
    table = REAL["flights"].load()
    time = table.X["time"].dt
    X = table.X.drop(columns="time").assign(month=time.month, day=time.day)
    return by_part(X, table.y, pd.cut(X["month"], [0, 6, 9, 12], labels=["train", "validation", "test"]).astype("str"))


def _ratings() -> Table:
    return _in_order(REAL["movielens"].load())


def _ratings_small() -> Table:
    return _in_order(REAL["movielens_small"].load())


def _in_order(table: Table) -> Table:
    rows = table.X["time"].argsort(kind="stable")
    return by_order(table.X.iloc[rows].reset_index(drop=True), table.y.iloc[rows].reset_index(drop=True))


def _film_tags() -> Table:
    return _first_tags(read_tags(place(MOVIELENS_10M_HOME, "the folder of tags.dat and movies.dat")))


def _artist_tags() -> Table:
    """Most days are the first of a month."""
    folder = place(LASTFM_HOME, "the folder of user_taggedartists.dat")
    tags = pd.read_csv(folder / "user_taggedartists.dat", sep="\t", dtype="str")
    # Some are dated before the service began.
    tags = tags.assign(time=pd.to_datetime(tags[["year", "month", "day"]].astype("int64"))).query("time >= '2005'")
    return _first_tags(tags.rename(columns={"userID": "user", "artistID": "item", "tagID": "tag"}))


def _first_tags(tags: pd.DataFrame) -> Table:
    """The first tag that a user gave to an item, against twice as many with an item drawn by chance, dated by day.

    Had each tag its own two misses, a model that counts in order could tell the third row from the first two.
    """
    rng = np.random.default_rng(0)
    tags = tags[["user", "item", "tag", "time"]].sort_values("time", kind="stable").drop_duplicates(["user", "item"])
    misses = tags.sample(_MISSES_PER_TAG * len(tags), replace=True, random_state=rng)
    misses = misses.assign(item=rng.choice(tags["item"].to_numpy(), len(misses)))
    frame = pd.concat([tags.assign(click=1), misses.assign(click=0)]).sample(frac=1, random_state=rng)
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    X = frame[["user", "item", "tag"]].assign(date=frame["time"].dt.normalize())
    return by_order(X, as_clicks(frame["click"] == 1))


def _tennis() -> Table:
    """Whether the first of two players wins, in an order drawn by chance."""
    folder = place(TENNIS_HOME, f"the folder of atp_matches_{_SEASONS[0]}.csv to atp_matches_{_SEASONS[-1]}.csv")
    matches = pd.concat([pd.read_csv(folder / f"atp_matches_{season}.csv", dtype="str") for season in _SEASONS])
    matches = matches.assign(date=pd.to_datetime(matches["tourney_date"]))
    matches = matches.sort_values("date", kind="stable", ignore_index=True)
    winners, losers = (_players(matches, f"{side}_") for side in ("winner", "loser"))
    wins = np.random.default_rng(0).random(len(matches)) < _HALF
    of_first = np.broadcast_to(wins[:, None], winners.shape)
    first, second = winners.where(of_first, losers), losers.where(of_first, winners)
    X = matches[["tourney_name", "surface", "tourney_level", "round", "date"]]
    return by_order(X.join([first.add_suffix("_1"), second.add_suffix("_2")]), as_clicks(pd.Series(wins)))


def _players(matches: pd.DataFrame, side: str) -> pd.DataFrame:
    names = ["id", "ioc", "hand", "age", "rank"]
    players = matches[[f"{side}{name}" for name in names]].set_axis(names, axis="columns")
    return players.astype({"age": "float64", "rank": "float64"})


def _stops() -> Table:
    """Whether a person was searched, by place, day and person."""
    frame = read_r("carData/MplsStops").sort_values("date", kind="stable", ignore_index=True)
    X = frame[["problem", "preRace", "gender", "lat", "long", "policePrecinct", "neighborhood"]]
    X = X.astype({"policePrecinct": "str"}).assign(time=pd.to_datetime(frame["date"]).dt.tz_localize(None))
    return by_order(X, as_clicks(frame["personSearch"] == "YES"))


def _later(
    load: Callable[[], Table], stands_for: str, source: str, licence: str, split: str = f"{BY_TIME}; {_REFITTED}"
) -> DataSet:
    return DataSet(lambda: replace(load(), refits=True), "later", stands_for, split, source, licence)


_FLIGHTS, _DRIFT = REAL["flights"], SYNTHETIC["click_drift"]

LATER = {
    "flights_later": _later(
        _flights,
        "flights, with months and days as integers and no column of times",
        _FLIGHTS.source,
        _FLIGHTS.licence,
        f"January to June, July to September, October to December; {_REFITTED}",
    ),
    "ratings_later": _later(
        _ratings, "ratings of seven months: most later users are new", REAL["movielens"].source, GROUPLENS
    ),
    "ratings_small_later": _later(
        _ratings_small, "ratings of 22 years: most later users are new", REAL["movielens_small"].source, GROUPLENS
    ),
    "film_tags_later": _later(
        _film_tags,
        "first tags, by day, against sampled films",
        FOLDERS["movielens_tags"].source,
        GROUPLENS,
    ),
    "artist_tags_later": _later(
        _artist_tags,
        "first tags, by month, against sampled artists",
        f"files in ${LASTFM_HOME} (HetRec 2011, Last.fm)",
        "research use, not commercial (Last.fm)",
    ),
    "tennis_later": _later(
        _tennis,
        "matches of 34 seasons, which of two players wins: new players, careers",
        f"files in ${TENNIS_HOME} (tennis_atp)",
        "CC BY-NC-SA 4.0 (Jeff Sackmann, Tennis Abstract)",
    ),
    "stops_later": _later(
        _stops,
        "police stops of a year, whether a person is searched: places, few values",
        _FLIGHTS.source.replace("nycflights13::flights", "carData::MplsStops"),
        "open data of the city of Minneapolis; GPL (the R package)",
    ),
    "click_drift_later": _later(_DRIFT.load, _DRIFT.stands_for, _DRIFT.source, _DRIFT.licence),
}
