"""Clicks as a table in memory and as a folder of Parquet files, and sizes at which a few rows are many."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sk_finalmlp._sources import sizes

N_ROWS = 3_000


def make_clicks(n_rows=N_ROWS):
    """Columns of every kind, with holes."""
    random = np.random.default_rng(0)
    user, item = random.integers(0, 80, n_rows), (60 * random.random(n_rows) ** 2).astype(int)
    logit = np.sin(3.1 * user) + np.sin(7.7 * item) - 0.5
    tags = [f"tag{number}" for number in range(7)]
    return pd.DataFrame(
        {
            "user": pd.array([f"u{number}" for number in user], dtype="str"),
            "item": item,
            "amount": np.where(random.random(n_rows) < 0.1, np.nan, random.integers(0, 200, n_rows)),
            "price": np.exp(random.normal(size=n_rows)),
            "is_new": random.random(n_rows) < 0.3,
            "tags": [list(random.choice(tags, size)) for size in random.integers(0, 4, n_rows)],
            "genres": ["|".join(random.choice(["a", "b", "c"], size)) for size in random.integers(0, 3, n_rows)],
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 40 * 86_400, n_rows), unit="s"),
            "weight": random.integers(0, 4, n_rows) / 2,
            "click": (random.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(int),
        }
    )


def write_files(clicks, folder, n_files=4):
    """Files of as many rows each, in row groups."""
    folder.mkdir(exist_ok=True)
    bounds = np.linspace(0, len(clicks), n_files + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(bounds)):
        table = pa.Table.from_pandas(clicks[start:stop], preserve_index=False)
        pq.write_table(table, folder / f"part-{number}.parquet", row_group_size=300)
    return folder


@pytest.fixture(scope="session")
def clicks():
    """The table."""
    return make_clicks()


@pytest.fixture(scope="session")
def folder(clicks, tmp_path_factory):
    """The same rows as Parquet files."""
    return write_files(clicks, tmp_path_factory.mktemp("clicks"))


@pytest.fixture(scope="session")
def write_folder():
    """The function that writes a table as Parquet files."""
    return write_files


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    """A few hundred rows at a time."""
    monkeypatch.setattr(sizes, "CHUNK", 700)
    monkeypatch.setattr(sizes, "PILE", 20_000)


@pytest.fixture
def temp_folder(tmp_path):
    """Where the temporary files go; it must be empty in the end."""
    parent = tmp_path / "temporary"
    parent.mkdir()
    yield parent
    assert not list(parent.iterdir())
