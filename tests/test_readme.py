"""Every Python block of the README runs, one after the other."""

import re
from pathlib import Path

import pytest

from sk_finalmlp import datasets

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def few_ratings(monkeypatch):
    """The README trains on all ratings, which takes minutes; a part of them shows as well that its code runs."""
    X, y = datasets.fetch_movielens_100k(return_X_y=True)
    monkeypatch.setattr(datasets, "fetch_movielens_100k", lambda return_X_y: (X[:2_000], y[:2_000]))


@pytest.mark.network
def test_python_blocks_run(few_ratings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCKS.findall(README.read_text(encoding="utf-8"))
    assert blocks
    namespace = {}
    for block in blocks:
        exec(block, namespace)
    assert len(namespace["probability"]) == len(namespace["X_test"])
