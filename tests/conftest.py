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
