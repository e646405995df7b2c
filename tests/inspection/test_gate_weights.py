import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils import Bunch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.inspection import GateWeightsDisplay, gate_weights
from sk_finalmlp.streams import MLP


def _codes(n_rows=400):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 6, n_rows), "item": rng.integers(0, 9, n_rows)})
    X["price"] = rng.standard_normal(n_rows)
    return X, ((X["user"] + X["item"]) % 2).to_numpy()


def _fit(X, y, **parameters):
    return FinalMLPClassifier(
        stream1=MLP((16,)), stream2=MLP((16,)), max_epochs=3, learning_rate=0.03, random_state=0, **parameters
    ).fit(X, y)


@pytest.fixture(scope="module")
def single():
    """A single network whose first gate depends on the user."""
    X, y = _codes()
    return Bunch(X=X, y=y, classifier=_fit(X, y, n_members=1, fs1_context=["user"], embedding_regularizer=0.0))


def test_gate_of_a_field_is_the_mean_over_its_features(single):
    codes = torch.tensor(single.X[["user", "item"]].to_numpy() + 1)
    values = torch.tensor(single.X[["price"]].to_numpy(np.float32))
    gates = single.classifier.network_.gate1(codes, values).numpy(force=True)
    weights = gate_weights(single.classifier, single.X, by="user")
    of_user = gates[single.X["user"] == 2].mean(axis=0).reshape(3, 10).mean(axis=1)
    np.testing.assert_allclose(weights[1][2], of_user, rtol=1e-5)
    mean = gates.mean(axis=0).reshape(3, 10).mean(axis=1)
    np.testing.assert_allclose(gate_weights(single.classifier, single.X)[1], mean, rtol=1e-5)
    assert list(weights.index) == ["user", "item", "price"]
    assert list(weights.columns) == [(stream, user) for stream in (1, 2) for user in range(6)]


def test_only_a_gate_with_context_differs_between_groups(single):
    spread = gate_weights(single.classifier, single.X, by="user").T.groupby(level="stream").std().max(axis=1)
    assert spread[1] > 1e-3
    assert spread[2] < 1e-6


def test_members_count_by_their_vote_and_for_the_fields_that_they_read(model, movielens):
    _, X, _, _ = movielens
    classifier = model[-1]
    weights = gate_weights(model, X)
    network = classifier.network_
    votes = network.weights.numpy()
    statistics = [field.name for field in classifier.fields_ if field.kind == "statistic"]
    assert statistics
    assert weights.loc[statistics, 1].isna().all()
    assert weights.notna().loc[:, 2].all()
    # The second stream of the second member reads no statistics, that of the third only statistics and numbers.
    readers = [network.members[m].fields2.sizes for m in range(3)]
    user = [gate_weights(_alone(classifier, m), model[:-1].transform(X)).loc["user", 2] for m in range(3)]
    assert ["user" in sizes for sizes in readers] == [True, True, False]
    assert np.isnan(user[2])
    assert weights.loc["user", 2] == pytest.approx(np.average(user[:2], weights=votes[:2]), rel=1e-6)


def _alone(classifier, member):
    """A classifier that has one of the networks."""
    alone = FinalMLPClassifier().set_params(**classifier.get_params())
    vars(alone).update(vars(classifier))
    alone.network_ = classifier.network_.members[member]
    return alone


def test_without_groups_there_is_one_panel_of_points(single):
    display = GateWeightsDisplay.from_estimator(single.classifier, single.X)
    (panel,) = display.axes_
    first = next(line for line in panel.get_lines() if line.get_label() == "stream 1")
    np.testing.assert_array_equal(first.get_xdata(), display.weights[1])
    assert [label.get_text() for label in panel.get_yticklabels()] == ["user", "item", "price"]


def test_with_groups_there_is_a_panel_of_cells_for_each_stream(single):
    device = pd.Series(["phone", "desk"] * 200, name="device")
    display = GateWeightsDisplay.from_estimator(single.classifier, single.X, by=device)
    assert display.weights.columns.names == ["stream", "device"]
    for stream, panel in zip((1, 2), display.axes_, strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), display.weights[stream])
        assert [label.get_text() for label in panel.get_xticklabels()] == ["phone", "desk"]
        assert panel.get_xlabel() == "device"


def test_fields_with_a_neutral_gate_are_left_out_where_there_are_many():
    weights = pd.DataFrame({1: [1.0, 1.2, 0.7], 2: [1.01, np.nan, 1.0]}, index=["a", "b", "c"])
    (panel,) = GateWeightsDisplay(weights).plot(max_fields=2).axes_
    assert [label.get_text() for label in panel.get_yticklabels()] == ["b", "c"]


def test_classifiers_without_gates_are_refused():
    X, y = _codes(100)
    with pytest.raises(ValueError, match="no gates: it was fitted with feature_selection=False"):
        gate_weights(_fit(X, y, feature_selection=False), X)


def test_unfitting_groups_are_refused(single):
    with pytest.raises(ValueError, match="by='usr' isn't a column of X"):
        gate_weights(single.classifier, single.X, by="usr")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gate_weights(single.classifier, single.X, by=[1, 2])
