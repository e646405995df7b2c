import matplotlib
import pytest
from matplotlib import pyplot as plt
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

matplotlib.use("agg")  # needs no screen


@pytest.fixture(autouse=True)
def closed_figures():
    """Leave no figure open."""
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def model(movielens):
    """Encoder and three networks, whose gates depend on the user and on the genres."""
    X, _, y, _ = movielens
    classifier = FinalMLPClassifier(
        stream1=MLP((32,)),
        stream2=MLP((16,)),
        num_heads=4,
        fs_hidden_units=(8,),
        fs1_context=["user"],
        fs2_context=["genres"],
        n_members=3,
        max_epochs=6,
        learning_rate=0.01,
        random_state=0,
    )
    return Pipeline([("enc", CTREncoder(order=None)), ("clf", classifier)]).fit(X, y)
