"""scikit-learn's callbacks on our estimators, alone and inside of scikit-learn's own."""

import pickle

import numpy as np
import pytest
import rich
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")

SMALL = {"stream1": MLP((16,)), "stream2": MLP((16,)), "n_members": 1, "max_epochs": 3, "random_state": 0}


class Recorder:
    """Keeps what it is told at the end of each task, and returns what it is asked to."""

    def __init__(self, answer=lambda task: None):
        self.answer = answer
        self.ended = []
        self.n_open = 0

    def setup(self, estimator, context):
        self.n_open += 1

    def teardown(self, estimator, context):
        self.n_open -= 1

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.ended.append((context.task_name, fitted_estimator))
        return self.answer(context)


@pytest.fixture(scope="module")
def impressions():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 20, size=(800, 3))
    return X, (np.sin(X).sum(axis=1) + rng.logistic(size=800) * 0.3 > 0).astype(int)


@pytest.fixture
def wide_console():
    rich.reconfigure(width=200)
    yield
    rich.reconfigure()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_grid_search_shows_encoder_and_network_in_each_pipeline(
    movielens, capsys, wide_console, n_jobs
):
    X, _, y, _ = movielens
    pipeline = Pipeline([("enc", CTREncoder()), ("clf", FinalMLPClassifier(**SMALL))])
    search = GridSearchCV(pipeline, {"clf__num_heads": [1, 2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("GridSearchCV - fit")
    assert sum("| Pipeline - fit" in line for line in lines) == 2 * 2 + 1
    assert sum("      Pipeline - fit-transform-enc | CTREncoder - fit #0" in line for line in lines) == 2 * 2
    assert sum("      Pipeline - fit-final-estimator | FinalMLPClassifier - fit #1" in line for line in lines) == 2 * 2
    assert all("100%" in line for line in lines)


def test_scoring_monitor_records_each_epoch_as_if_fit_had_ended_with_it(impressions):
    X, y = impressions
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    # By one cycle, a shorter training isn't the beginning of a longer one.
    model = FinalMLPClassifier(**SMALL, schedule="plateau", early_stopping=False)
    clone(model).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    shorter = [clone(model).set_params(max_epochs=n_epochs).fit(X, y) for n_epochs in (1, 2, 3)]
    scores = [-log_loss(y, fitted.predict_proba(X)) for fitted in shorter]
    assert [row["neg_log_loss"] for row in log if row["task_name"] == "epoch"] == pytest.approx(scores)
    assert [row["neg_log_loss"] for row in log if row["task_name"] == "fit"] == pytest.approx(scores[-1:])


def test_scoring_monitor_weighs_the_rows_as_fit_does(impressions):
    X, y = impressions
    weight = np.where(y == 1, 5.0, 1.0)
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    model = FinalMLPClassifier(**SMALL).set_callbacks(monitor).fit(X, y, sample_weight=weight)
    recorded = [row["neg_log_loss"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert recorded == pytest.approx([-log_loss(y, model.predict_proba(X), sample_weight=weight)])


def test_the_final_epoch_is_a_subtask_but_not_in_the_history(impressions):
    recorder = Recorder()
    model = FinalMLPClassifier(**SMALL).set_callbacks(recorder).fit(*impressions)
    assert [name for name, _ in recorder.ended] == ["epoch"] * 3 + ["final epoch", "fit"]
    assert [len(fitted.history_) for _, fitted in recorder.ended] == [1, 2, 3, 3, 3]
    assert [fitted.best_epoch_ for _, fitted in recorder.ended[-2:]] == [model.best_epoch_] * 2


def test_the_estimator_of_an_epoch_stays_as_it_was(impressions):
    X, y = impressions
    seen = []
    recorder = Recorder(lambda task: seen.append(recorder.ended[-1][1].predict_proba(X)))
    model = FinalMLPClassifier(**SMALL).set_callbacks(recorder).fit(X, y)
    later = [fitted.predict_proba(X) for _, fitted in recorder.ended]
    assert all(np.array_equal(before, after) for before, after in zip(seen, later, strict=True))
    assert not np.array_equal(later[0], later[1])
    assert np.array_equal(later[-1], model.predict_proba(X))


def test_callbacks_change_no_prediction(impressions):
    X, y = impressions
    watched = FinalMLPClassifier(**SMALL).set_callbacks(Recorder()).fit(X, y)
    assert np.array_equal(watched.predict_proba(X), FinalMLPClassifier(**SMALL).fit(X, y).predict_proba(X))


def test_a_callback_can_end_the_training(impressions):
    recorder = Recorder(lambda task: task.task_name == "epoch" and task.task_id == 1)
    model = FinalMLPClassifier(**{**SMALL, "max_epochs": 50}).set_callbacks(recorder).fit(*impressions)
    assert model.n_iter_ == 2
    assert [name for name, _ in recorder.ended] == ["epoch", "epoch", "final epoch", "fit"]


@pytest.mark.parametrize("task_name", ["epoch", "final epoch", "fit"])
def test_an_error_of_a_callback_leaves_nothing_half_fitted(impressions, task_name):
    def fail(task):
        if task.task_name == task_name:
            raise RuntimeError("out of patience")

    recorder = Recorder(fail)
    model = FinalMLPClassifier(**SMALL).set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="out of patience"):
        model.fit(*impressions)
    assert recorder.n_open == 0
    assert not hasattr(model, "_callback_fit_ctx")


def test_callbacks_are_torn_down_where_fit_refuses_the_rows(impressions):
    X, y = impressions
    recorder = Recorder()
    with pytest.raises(ValueError, match="at least two classes"):
        FinalMLPClassifier(**SMALL).set_callbacks(recorder).fit(X, np.zeros_like(y))
    assert (recorder.n_open, recorder.ended) == (0, [])


def test_warm_start_goes_on_with_the_epochs(impressions):
    recorder = Recorder()
    model = FinalMLPClassifier(**SMALL, warm_start=True).set_callbacks(recorder)
    model.fit(*impressions).fit(*impressions)
    assert [len(fitted.history_) for name, fitted in recorder.ended if name == "epoch"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_the_encoder_tells_of_its_fit(movielens, method):
    X, _, y, _ = movielens
    recorder = Recorder()
    encoder = CTREncoder().set_callbacks(recorder)
    getattr(encoder, method)(X, y)
    [(name, fitted)] = recorder.ended
    assert (name, recorder.n_open) == ("fit", 0)
    assert fitted.transform(X).equals(encoder.transform(X))


def test_a_watched_classifier_can_be_saved(impressions):
    X, y = impressions
    model = FinalMLPClassifier(**SMALL).set_callbacks(callback.ScoringMonitor(scoring="roc_auc")).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
