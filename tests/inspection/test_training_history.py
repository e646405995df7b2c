import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.inspection import TrainingHistoryDisplay


def _records(*learning_rates):
    return [
        {"epoch": epoch, "train_loss": 1 / epoch, "valid_loss": 1.1 / epoch, "valid_auc": 0.7, "learning_rate": rate}
        for epoch, rate in enumerate(learning_rates, start=1)
    ]


def _line(panel, label):
    return next(line for line in panel.get_lines() if line.get_label() == label)


def test_numbers_are_those_of_the_classifier(model):
    display = TrainingHistoryDisplay.from_estimator(model)
    records = display.history.reset_index().to_dict("records")
    assert records == model[-1].history_
    assert display.best_epoch == model[-1].best_epoch_


def test_lines_are_the_numbers_and_the_best_epoch_is_marked(model):
    display = TrainingHistoryDisplay.from_estimator(model)
    losses, auc = display.axes_
    np.testing.assert_array_equal(_line(losses, "training").get_ydata(), display.history["train_loss"])
    np.testing.assert_array_equal(_line(losses, "validation").get_ydata(), display.history["valid_loss"])
    np.testing.assert_array_equal(_line(auc, "validation").get_ydata(), display.history["valid_auc"])
    best = _line(losses, f"best epoch: {display.best_epoch}")
    assert best.get_xydata().tolist() == [[display.best_epoch, display.history["valid_loss"][display.best_epoch]]]


def test_falls_of_the_learning_rate_are_found_and_a_rise_is_none():
    display = TrainingHistoryDisplay(_records(1e-3, 1e-3, 1e-4, 1e-3, 1e-4, 1e-5))
    assert display.learning_rate_falls == [3, 5, 6]
    lines = display.plot().axes_[0].get_lines()
    assert [line.get_xdata()[0] for line in lines if line.get_linestyle() == ":"] == [2.5, 4.5, 5.5]


def test_no_falls_are_marked_where_the_rate_is_another_in_each_epoch():
    lines = TrainingHistoryDisplay(_records(3e-3, 2e-3, 1e-3, 1e-8)).plot().axes_[0].get_lines()
    assert not any(line.get_linestyle() == ":" for line in lines)


def test_training_without_validation_rows_has_one_panel():
    X = np.random.default_rng(0).integers(0, 9, (200, 2))
    classifier = FinalMLPClassifier(early_stopping=False, max_epochs=2, random_state=0).fit(X, X[:, 0] > 4)
    _, ax = plt.subplots()
    display = TrainingHistoryDisplay.from_estimator(classifier, ax=ax)
    assert display.axes_ == [ax]
    assert display.figure_ is ax.figure


def test_draws_in_the_place_of_one_axes_or_in_one_for_each_panel():
    display = TrainingHistoryDisplay(_records(1e-3, 1e-4), best_epoch=1)
    figure, (left, right) = plt.subplots(1, 2)
    display.plot(ax=left)
    assert display.figure_ is figure
    assert all(panel.get_position().x1 <= right.get_position().x0 for panel in display.axes_)
    _, axes = plt.subplots(2, 1)
    assert display.plot(ax=axes).axes_ == list(axes)


def test_axes_that_do_not_fit_are_refused():
    display = TrainingHistoryDisplay(_records(1e-3, 1e-4))
    figure, axes = plt.subplots(3)
    with pytest.raises(ValueError, match="TrainingHistoryDisplay has 2 panels, but ax has 3 axes"):
        display.plot(ax=axes)
    with pytest.raises(ValueError, match=r"pass axes of plt.subplots\(\), or 2 axes"):
        display.plot(ax=figure.add_axes((0, 0, 1, 1)))


def test_best_model_of_a_search_is_found():
    X = np.random.default_rng(0).integers(0, 9, (200, 2))
    search = GridSearchCV(FinalMLPClassifier(max_epochs=1, n_members=1), {"embedding_dim": [2, 3]}, cv=2)
    search.fit(X, X[:, 0] > 4)
    assert len(TrainingHistoryDisplay.from_estimator(search).history) == 1


def test_what_has_no_history_is_refused():
    with pytest.raises(TypeError, match="LogisticRegression isn't a FinalMLPClassifier"):
        TrainingHistoryDisplay.from_estimator(LogisticRegression())
    with pytest.raises(NotFittedError):
        TrainingHistoryDisplay.from_estimator(FinalMLPClassifier())


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    display = TrainingHistoryDisplay(_records(1e-3, 1e-4))
    assert display.learning_rate_falls == [2]
    with pytest.raises(ImportError, match=r'TrainingHistoryDisplay.plot .* pip install "sk-finalmlp\[plot\]"'):
        display.plot()
