"""The settings of the training that follow from the number of rows and the schedule."""

import numpy as np
import pytest

import sk_finalmlp.training
from sk_finalmlp import CTREncoder, FinalMLPClassifier, published_configs
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.estimators import _parameters
from sk_finalmlp.nn import Dropout
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

SMALL = {"embedding_dim": 4, "n_members": 1, "random_state": 0}


def rows(n_rows):
    X = np.random.default_rng(0).integers(0, 9, (n_rows, 2))
    return X, (X.sum(axis=1) > 8).astype(int)


def settings_of(classifier, X, y, monkeypatch):
    """How the classifier trains, and on how many rows."""
    seen = []
    train = sk_finalmlp.training.train

    def spy(network, training, validation, settings, *rest):
        seen.append((settings, len(training)))
        return train(network, training, validation, settings, *rest)

    monkeypatch.setattr(sk_finalmlp.training, "train", spy)
    classifier.fit(X, y)
    return seen[0]


def test_the_defaults_are_one_cycle_and_two_members():
    parameters = FinalMLPClassifier().get_params()
    assert (parameters["schedule"], parameters["n_members"]) == ("one_cycle", 2)
    assert {parameters[name] for name in ("learning_rate", "batch_size", "max_epochs")} == {"auto"}


@pytest.mark.parametrize("name", published_configs)
def test_published_configurations_keep_the_plateau(name):
    assert published_configs[name]["schedule"] == "plateau"


@pytest.mark.parametrize(
    ("schedule", "n_rows", "learning_rate", "batch_size", "max_epochs", "penalty"),
    [
        ("one_cycle", 400, 5e-3, lambda n: 32, 25, lambda n: 4),
        ("one_cycle", 4000, 5e-3, lambda n: n // 32, 8, lambda n: 10_000 / n),
        ("plateau", 400, 1e-3, lambda n: int(2 * n**0.5), 100, lambda n: 4),
        ("plateau", 4000, 1e-3, lambda n: int(2 * n**0.5), 100, lambda n: 14_000 / n),
    ],
)
def test_auto_follows_from_rows_and_schedule(
    monkeypatch, schedule, n_rows, learning_rate, batch_size, max_epochs, penalty
):
    classifier = FinalMLPClassifier(**SMALL, schedule=schedule, n_iter_no_change=1)
    settings, n_train = settings_of(classifier, *rows(n_rows), monkeypatch)
    assert (settings.schedule, settings.learning_rate, settings.max_epochs) == (schedule, learning_rate, max_epochs)
    assert settings.batch_size == batch_size(n_train)
    assert settings.embedding_regularizer == pytest.approx(penalty(n_train))


@pytest.mark.parametrize(
    ("n_rows", "learning_rate", "batch_size", "max_epochs", "penalty"),
    [
        (50, 5e-3, 32, 100, 4),
        (40_000, 5e-3, 1024, 8, 0.25),
        (72_000, 3e-3, 1024, 10, 10_000 / 72_000),
        (200_000, 5e-3, 2048, 6, 0.1),
        (600_000, 1.5e-3, 4096, 6, 0.02),
    ],
)
def test_one_cycle_takes_larger_batches_of_larger_tables(n_rows, learning_rate, batch_size, max_epochs, penalty):
    settings = _parameters.automatic_settings(n_rows, "one_cycle")
    assert (settings["learning_rate"], settings["batch_size"]) == (learning_rate, batch_size)
    assert _parameters.automatic_max_epochs(n_rows, "one_cycle") == max_epochs
    assert settings["embedding_regularizer"] == penalty


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
def test_embeddings_beside_statistics_of_recent_rows_have_a_larger_penalty(schedule):
    # A column of the user may be named like a statistic.
    fields = [Field("item", "categorical", n_codes=9), Field("item@rate", "statistic"), Field("tax@rate", "numeric")]
    recent = [*fields, Field("item@recent_rate", "numeric")]
    plain, larger = (_parameters.automatic_settings(80_000, schedule, given) for given in (fields, recent))
    assert plain.pop("embedding_regularizer") < larger.pop("embedding_regularizer") == 0.5
    assert larger == plain
    assert _parameters.automatic_settings(800, schedule, recent) == _parameters.automatic_settings(
        800, schedule, fields
    )


@pytest.mark.parametrize(("n_rows", "embedding_dim"), [(1, 10), (400_000, 10), (400_001, 16), (10**9, 16)])
def test_vectors_are_longer_where_many_rows_tell_of_each_id(n_rows, embedding_dim):
    assert _parameters.automatic_embedding_dim(n_rows) == embedding_dim


@pytest.mark.parametrize(
    ("n_rows", "dropout", "beside_statistics"),
    [(1, 0.3, 0.3), (50_000, 0.3, 0.3), (50_001, 0.2, 0.3), (400_000, 0.2, 0.3), (400_001, 0.05, 0.05)],
)
def test_less_is_dropped_where_many_rows_tell_of_each_id(n_rows, dropout, beside_statistics):
    fields = [Field("user", "categorical", n_codes=3)]
    assert _parameters.automatic_dropout(n_rows, fields) == dropout
    assert _parameters.automatic_dropout(n_rows, [*fields, Field("user@rate", "statistic")]) == beside_statistics


@pytest.mark.parametrize(
    ("statistics", "n_numeric", "dropout"),
    [
        ([], 1, 0.3),
        ([], 2, 0.2),
        (["user@rate"], 1, 0.3),
        (["user@rate"], 2, 0.2),
        (["user@rate", "user@recent_rate"], 1, 0.3),
    ],
)
def test_no_more_is_dropped_where_most_fields_are_numbers(statistics, n_numeric, dropout):
    kinds = {"user@rate": "statistic", "user@recent_rate": "numeric"}
    numbers = [Field(f"price_{position}", "numeric") for position in range(n_numeric)]
    fields = [Field("user", "categorical", n_codes=3), *numbers, *(Field(name, kinds[name]) for name in statistics)]
    assert _parameters.automatic_dropout(1000, fields) == dropout


@pytest.fixture
def long_vectors_from_500_rows(monkeypatch):
    monkeypatch.setattr(_parameters, "_HUGE_TABLE", 500)


def dropout_rates(network):
    return {module.p for module in network.modules() if isinstance(module, Dropout) and module.p}


def length_of_vectors(classifier):
    return classifier.network_.embedding.embedding_dim


def test_vectors_of_a_fit_follow_its_rows(long_vectors_from_500_rows):
    few, many = (FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0).fit(*rows(n)) for n in (400, 1000))
    assert (length_of_vectors(few), length_of_vectors(many)) == (10, 16)
    assert length_of_vectors(few.fit(*rows(1000))) == 16


def test_the_length_of_vectors_that_is_given_counts(long_vectors_from_500_rows):
    assert length_of_vectors(FinalMLPClassifier(**SMALL, max_epochs=1).fit(*rows(1000))) == 4


def test_a_network_that_goes_on_keeps_the_length_of_its_vectors(long_vectors_from_500_rows):
    first, few = rows(1000), rows(100)
    classifier = FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0, warm_start=True).fit(*first)
    assert length_of_vectors(classifier.fit(*first)) == length_of_vectors(classifier.partial_fit(*few)) == 16
    online = FinalMLPClassifier(n_members=1, random_state=0).partial_fit(*few, classes=[0, 1])
    assert length_of_vectors(online.partial_fit(*first)) == 10


def test_dropout_of_a_fit_follows_its_rows_and_stays_where_it_goes_on(long_vectors_from_500_rows):
    classifier = FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0, warm_start=True).fit(*rows(1000))
    assert dropout_rates(classifier.network_) == {0.05}
    assert dropout_rates(classifier.fit(*rows(400)).network_) == {0.05}
    assert dropout_rates(classifier.partial_fit(*rows(100)).network_) == {0.05}
    online = FinalMLPClassifier(n_members=1, random_state=0).partial_fit(*rows(100), classes=[0, 1])
    assert dropout_rates(online.partial_fit(*rows(1000)).network_) == {0.3}
    single = FinalMLPClassifier(stream1=MLP(), stream2=None, max_epochs=1).fit(*rows(1000))
    assert dropout_rates(single.network_) == {0.05}


def test_only_members_that_read_statistics_drop_more_of_many_rows(monkeypatch):
    monkeypatch.setattr(_parameters, "_SMALL_TABLE", 1_000)
    X, y, _ = make_click_data(2_000, n_users=20, n_items=10, click_rate=0.4, random_state=0)
    X = CTREncoder().fit_transform(X[["user", "item"]], y)
    own = {"stream_fields": (["user"], ["user", "item"])}
    for parameters, rates in [({}, [0.3, 0.2]), (own, [0.2, 0.2]), ({"stream2": None}, [0.3, 0.2])]:
        classifier = FinalMLPClassifier(max_epochs=1, random_state=0, **parameters).fit(X, y)
        assert [dropout_rates(member) for member in classifier.network_.members] == [{rate} for rate in rates]


class OneLayer(MLP):
    def __init__(self, width=8):
        super().__init__((width,))
        self.width = width


def test_the_dropout_of_a_subclass_with_other_parameters_is_automatic(long_vectors_from_500_rows):
    classifier = FinalMLPClassifier(stream1=OneLayer(), stream2=None, max_epochs=1).fit(*rows(1000))
    assert dropout_rates(classifier.network_) == {0.05}


def test_another_dropout_is_noticed_where_a_network_goes_on():
    classifier = FinalMLPClassifier(stream1=MLP(dropout=0.5), stream2=None, max_epochs=1, warm_start=True).fit(
        *rows(200)
    )
    with pytest.raises(ValueError, match="parameters have changed since the first fit"):
        classifier.set_params(stream1="mlp").fit(*rows(200))


def test_what_is_given_counts(monkeypatch):
    given = {"learning_rate": 2e-3, "batch_size": 50, "max_epochs": 2, "embedding_regularizer": 0.5}
    settings, _ = settings_of(FinalMLPClassifier(**SMALL, **given), *rows(400), monkeypatch)
    assert {name: getattr(settings, name) for name in given} == given


def test_a_warm_start_runs_another_cycle():
    X, y = rows(1000)
    classifier = FinalMLPClassifier(**SMALL, max_epochs=3, early_stopping=False, warm_start=True).fit(X, y)
    once = [record["learning_rate"] for record in classifier.history_]
    twice = [record["learning_rate"] for record in classifier.fit(X, y).history_]
    assert twice == [*once, *once]
    assert once[0] > once[1] > once[2]


def test_plateau_lowers_the_rate_where_the_score_does_not_improve_alone():
    X, y = rows(1000)
    classifier = FinalMLPClassifier(**SMALL, schedule="plateau", max_epochs=3, early_stopping=False).fit(X, y)
    assert {record["learning_rate"] for record in classifier.history_} == {1e-3}


def test_one_cycle_reaches_the_score_of_a_plateau(table):
    X, y = table
    plateau = FinalMLPClassifier(schedule="plateau", random_state=0).fit(X, y)
    assert FinalMLPClassifier(random_state=0).fit(X, y).best_score_ > plateau.best_score_ - 0.01
