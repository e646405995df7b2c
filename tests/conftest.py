import signal
from contextlib import contextmanager

import pytest
from sklearn.model_selection import train_test_split

from sk_finalmlp.datasets import fetch_movielens_100k


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what uses the ratings as in need of a network: they are downloaded on first use."""
    for item in items:
        if "movielens" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.network)


@pytest.fixture(scope="session")
def movielens():
    """A few thousand real impressions, split in two: X_train, X_test, y_train, y_test."""
    data = fetch_movielens_100k()
    X, _, y, _ = train_test_split(data.data, data.target, train_size=4000, random_state=0)
    return train_test_split(X, y, test_size=1000, random_state=0)


@pytest.fixture
def full_disk():
    """A context in which no file of this process grows beyond 8 kB."""
    resource = pytest.importorskip("resource", reason="the limit is one of Unix")

    @contextmanager
    def filled():
        before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    return filled
