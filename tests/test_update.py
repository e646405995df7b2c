"""A pipeline that learns from one day after the other."""

import copy
import pickle
import re
import threading

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import small_models
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier, update
from sk_finalmlp.datasets import make_click_data

SMALL = small_models.SMALL | {"batch_size": 200}


@pytest.fixture(scope="module")
def days():
    X, y, _ = make_click_data(4_000, n_days=4, n_users=300, n_items=60, turnover=0.1, click_rate=0.3, random_state=0)
    X = X.rename(columns={"day": "batch"})
    return [(X[X["batch"] == day], y[X["batch"] == day]) for day in range(4)]


def encoder(**parameters):
    return CTREncoder(statistics=["user", "item", ("user", "category")], **parameters)


@pytest.fixture(scope="module")
def fitted(days):
    return pickle.dumps(make_pipeline(encoder(), FinalMLPClassifier(**SMALL)).fit(*days[0]))


@pytest.fixture
def model(fitted):
    return pickle.loads(fitted)


@pytest.fixture
def state_of():
    return lambda model: joblib.hash([step.__getstate__() for step in model])


class TestUpdate:
    def test_of_two_members_teaches_both(self, days):
        model = make_pipeline(encoder(), FinalMLPClassifier(**SMALL | {"n_members": 2})).fit(*days[0])
        before = [member.stream1[0].weight.clone() for member in model[1].network_.members]
        update(model, *days[1])
        after = [member.stream1[0].weight for member in model[1].network_.members]
        assert all((one != other).any() for one, other in zip(before, after, strict=True))

    def test_makes_unknown_users_known(self, model, days):
        X, y = days[1]
        new = ~X["user"].isin(days[0][0]["user"])
        unknown = model.predict_proba(X[new].assign(user="nobody"))
        assert (model.predict_proba(X[new]) == unknown).all()
        assert update(model, X, y) is model
        assert (model[0].transform(X)["user"] > 0).all()
        assert (model.predict_proba(X[new]) != model.predict_proba(X[new].assign(user="nobody"))).any()

    def test_leaves_old_codes_as_they_are(self, model, days):
        X, _ = days[0]
        before = model[0].transform(X)
        update(model, *days[1])
        coded = [name for name in before if before[name].dtype == np.int64]
        assert before[coded].equals(model[0].transform(X)[coded])

    def test_leaves_vectors_of_absent_users_as_they_are(self, model, days):
        X, y = days[1]
        user = days[0][0]["user"].iloc[0]
        code = model[0].transform(days[0][0])["user"].iloc[0]
        before = model[1].network_.embedding.table[1 + code].clone()
        update(model, X[X["user"] != user], y[X["user"] != user])
        embedding = model[1].network_.embedding
        assert (embedding.table[embedding.first_row["user"] + 1 + code] == before).all()

    def test_learns(self, days):
        X, y, _ = make_click_data(6_000, n_days=2, n_users=20, n_items=20, drift=1.0, logit_scale=3, random_state=1)
        first, half = X.pop("day") == 0, X.index % 2 == 0
        model = make_pipeline(CTREncoder(), FinalMLPClassifier(**SMALL | {"max_epochs": 4})).fit(X[first], y[first])
        before = log_loss(y[~first & half], model.predict_proba(X[~first & half]))
        for _ in range(3):
            update(model, X[~first & ~half], y[~first & ~half])
        assert log_loss(y[~first & half], model.predict_proba(X[~first & half])) < before

    def test_scores_the_rows_before_it_learns_from_them(self, model, days):
        X, y = days[1]
        expected = log_loss(y, model.predict_proba(X))
        update(model, X, y)
        assert model[1].history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-6)
        assert model[1].n_iter_ == model[1].best_epoch_ == len(model[1].history_) == 2
        assert [record["method"] for record in model[1].history_] == ["fit", "partial_fit"]

    @pytest.mark.filterwarnings("ignore:100% of these rows, which come after")
    @pytest.mark.parametrize("parameters", [{"min_frequency": 5}, {"max_categories": 9}, {"statistics": None}])
    def test_scores_new_values_as_they_were_served(self, days, parameters):
        (X, y), (later, clicked) = days[:2]
        model = make_pipeline(CTREncoder(**parameters), FinalMLPClassifier(**SMALL)).fit(X, y)
        by_hand = copy.deepcopy(model)
        later = later.assign(user=[f"new{row % 12}" for row in range(len(later))])
        expected = log_loss(clicked, model.predict_proba(later))
        update(model, later, clicked)
        assert model[1].history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-6)
        by_hand[1].partial_fit(by_hand[0].partial_fit_transform(later, clicked), clicked)
        if parameters == {"statistics": None}:
            assert by_hand[1].history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("way", ["pickle", "save"])
    def test_gives_the_same_bits_after_a_file(self, model, days, way, tmp_path):
        other = pickle.loads(pickle.dumps(model))
        for X, y in days[1:]:
            update(model, X, y)
            update(other, X, y)
            if way == "pickle":
                other = pickle.loads(pickle.dumps(other))
            else:
                sk_finalmlp.save(other, tmp_path / "model")
                other = sk_finalmlp.load(tmp_path / "model")
        X, _ = days[-1]
        assert model[0].transform(X).equals(other[0].transform(X))
        assert (model.predict_proba(X) == other.predict_proba(X)).all()

    def test_takes_names_of_columns(self, model, days):
        X, y = days[1]
        other = pickle.loads(pickle.dumps(model))
        weight = np.linspace(1, 2, len(X))
        update(model, X, y, weight)
        update(other, X.assign(click=y, weight=weight), "click", "weight")
        assert (model.predict_proba(X) == other.predict_proba(X)).all()

    def test_takes_polars(self, model, days):
        days = [(pl.from_pandas(X), pl.from_pandas(y)) for X, y in days]
        of_polars = make_pipeline(encoder(), FinalMLPClassifier(**SMALL)).fit(*days[0])
        update(of_polars, *days[1])
        assert np.isfinite(of_polars.predict_proba(days[2][0])).all()

    def test_gives_codes_that_changed_hands_fresh_weights(self, days):
        for to_container in (lambda X: X, pl.from_pandas):
            model = make_pipeline(
                encoder(max_categories=40, decay=0.1), FinalMLPClassifier(**SMALL, learning_rate=1e-12)
            )
            model.fit(to_container(days[0][0]), days[0][1].to_numpy())
            before = model[1].network_.embedding.table.detach().clone()
            old = model[0].categories_["user"]
            X, y = days[1]
            update(model, to_container(X), y.to_numpy())
            changed = np.flatnonzero(model[0].categories_["user"] != old)
            assert 0 < len(changed) < 40
            embedding = model[1].network_.embedding
            users = embedding.first_row["user"] + 2 + np.arange(40)
            kept = np.setdiff1d(users, users[changed])
            assert (embedding.table[users[changed]] != before[users[changed]]).all(dim=1).all()
            assert (embedding.table[kept] - before[kept]).abs().max() < 1e-6

    def test_leaves_alone_codes_that_changed_hands_where_the_classifier_never_saw_them(self):
        # The second elements of the lists have codes, but no column.
        first = pd.DataFrame({"tags": [["a", "b"], ["a", "c"], ["a", "d"]] * 20, "kind": ["x", "y", "z"] * 20})
        later = pd.DataFrame({"tags": [["a", "e"], ["a", "f"], ["a", "g"]] * 20, "kind": ["u", "v", "w"] * 20})
        y = [0, 1, 1, 0] * 15
        model = make_pipeline(
            CTREncoder(max_length=1, max_categories=4, decay=0.1, statistics=None),
            FinalMLPClassifier(**SMALL, categorical_features=["tags@0"]),
        )
        update(model.fit(first, y), later, y)
        assert len(model[0].categories_["tags"]) == 4
        assert np.isfinite(model.predict_proba(later)).all()


class TestErrors:
    def test_leave_both_steps_as_they_were(self, model, days, state_of):
        X, y = days[1]
        before = state_of(model)
        for bad, labels, message in [
            (X.drop(columns="user"), y, "feature names should match"),
            (X, np.where(y == 1, 1, 2), r"y has labels that fit didn't see, \[2\]; it saw \[0, 1\]"),
            (X, np.resize([0.5, 1.5], len(X)), "Statistics take in the labels of new rows"),
            (X.assign(numeric_0="a"), y, "Column 'numeric_0': 'a' is not a number"),
        ]:
            with pytest.raises(ValueError, match=message):
                update(model, bad, labels)
            assert state_of(model) == before

    def test_in_the_classifier_leave_the_encoder_as_it_was(self, model, days, state_of):
        before = state_of(model)
        model[1].embedding_dim = 3
        with pytest.raises(ValueError, match=r"In partial_fit the network stays as it is.*embedding_dim"):
            update(model, *days[1])
        model[1].embedding_dim = "auto"
        assert state_of(model) == before

    @pytest.mark.parametrize("changed", [{"min_frequency": 5}, {"drop": ["user"]}, {"separator": "|"}])
    def test_of_an_encoder_with_other_parameters(self, model, days, state_of, changed):
        before = {name: getattr(model[0], name) for name in changed}
        model[0].set_params(**changed)
        with pytest.raises(ValueError, match=re.escape(f"these parameters have changed since: {[*changed]}")):
            update(model, *days[1])
        model[0].set_params(**before, decay=0.5, n_jobs=1)
        update(model, *days[1])

    def test_name_a_column_that_is_not_there(self, model, days):
        with pytest.raises(ValueError, match="y='clicked', but there is no such column"):
            update(model, days[1][0], "clicked")

    def test_of_rows_that_are_read_in_batches(self, model, days, tmp_path):
        X, y = days[1]
        X.assign(click=y).to_parquet(tmp_path / "day.parquet")
        with pytest.raises(TypeError, match=r"partial_fit takes a table in memory.*let sk_finalmlp\.update"):
            model[0].partial_fit(tmp_path / "day.parquet", "click")
        with pytest.raises(TypeError, match="partial_fit takes a table in memory"):
            model[1].partial_fit(model[0].transform(tmp_path / "day.parquet"), y)

    def test_of_other_pipelines(self, days):
        X, y = days[0]
        with pytest.raises(TypeError, match=r"CTREncoder and a classifier.*'StandardScaler'"):
            update(make_pipeline(CTREncoder(), StandardScaler(), FinalMLPClassifier()), X, y)
        with pytest.raises(TypeError, match="this is FinalMLPClassifier"):
            update(FinalMLPClassifier(), X, y)
        with pytest.raises(NotFittedError):
            update(make_pipeline(CTREncoder(), FinalMLPClassifier()), X, y)


class TestOfFiles:
    def test_large_ids_are_not_rounded_by_frames_of_other_integers(self):
        rows = pd.DataFrame({"id": np.arange(60) % 5, "click": np.arange(60) % 2})
        model = make_pipeline(CTREncoder(), FinalMLPClassifier(**SMALL)).fit(rows[["id"]], rows["click"])
        signed = rows.assign(id=rows["id"] + 2**60)
        update(model, lambda: [signed, signed.assign(id=signed["id"].astype("uint64") + 5)], "click")
        assert sorted(model[0].categories_["id"].tolist()) == [*range(5), *range(2**60, 2**60 + 10)]

    @pytest.mark.parametrize("as_source", [str, ds.dataset, pl.scan_parquet], ids=["path", "data set", "lazy frame"])
    def test_is_that_of_their_rows(self, model, days, tmp_path, as_source):
        X, y = days[1]
        in_another_order = X.assign(click=y, others=0).iloc[:, ::-1]
        in_another_order.to_parquet(tmp_path / "day.parquet", row_group_size=200)
        other = pickle.loads(pickle.dumps(model))
        update(model, X, y)
        update(other, as_source(tmp_path / "day.parquet"), "click")
        assert (model.predict_proba(X) == other.predict_proba(X)).all()

    def test_with_columns_of_several_types(self, model, days):
        X, y = days[1]
        rows = X.assign(click=y)
        first, second, third = (rows[part::3] for part in range(3))

        def frames():
            yield first
            yield pl.from_pandas(second.assign(batch=second["batch"].astype(float), user=None))
            yield pa.Table.from_pandas(third, preserve_index=False)

        other = pickle.loads(pickle.dumps(model))
        update(other, frames, "click")
        together = pd.concat([first, second.assign(user=None), third])
        update(model, together.drop(columns="click"), together["click"])
        assert (model.predict_proba(X) == other.predict_proba(X)).all()

    def test_of_types_that_have_nothing_in_common(self, model, days):
        rows = days[1][0].assign(click=days[1][1])
        with pytest.raises(ValueError, match=r"(?s)can't be read into one table.*batch.*same type in all files"):
            update(model, lambda: iter([rows, pl.from_pandas(rows.assign(batch="Monday"))]), "click")

    def test_without_rows(self, model, days, tmp_path):
        days[1][0].assign(click=days[1][1]).head(0).to_parquet(tmp_path / "day.parquet")
        with pytest.raises(ValueError, match=r"Found array with 0 sample"):
            update(model, tmp_path / "day.parquet", "click")


class TestOneStepAlone:
    def test_of_the_encoder_is_refused_by_the_classifier(self, model, days):
        X, y = days[1]
        model[0].partial_fit(X, y)
        with pytest.raises(ValueError, match=r"Where the encoder alone took in new rows.*use sk_finalmlp\.update"):
            model.predict(X)
        with pytest.raises(ValueError, match="use sk_finalmlp"):
            model[1].partial_fit(model[0].transform(X), y)

    def test_after_the_other_is_as_good_as_update(self, model, days):
        X, y = days[1]
        other = pickle.loads(pickle.dumps(model))
        update(model, X, y)
        other[1].partial_fit(other[0].partial_fit_transform(X, y), y)
        assert (model.predict_proba(X) == other.predict_proba(X)).all()

    def test_by_hand_of_some_of_the_columns(self, days):
        enc = encoder(max_categories=40, decay=0.1)
        clf = FinalMLPClassifier(**SMALL).fit(enc.fit_transform(*days[0]).drop(columns="user"), days[0][1])
        clf.partial_fit(enc.partial_fit_transform(*days[1]).drop(columns="user"), days[1][1])
        assert clf.n_iter_ == 2

    def test_of_the_classifier_goes_on_with_the_encoder(self, model, days):
        X, y = days[1]
        model[1].partial_fit(model[0].transform(X), y)
        assert np.isfinite(model.predict_proba(X)).all()


def test_other_threads_predict_by_the_old_model_or_the_new_one(model, days):
    encoded = model[:-1].transform(days[0][0][:50])
    before, seen = model[-1].predict_proba(encoded), []
    thread = threading.Thread(target=update, args=(model, *days[1]))
    thread.start()
    while thread.is_alive():
        seen.append(model[-1].predict_proba(encoded))
    thread.join()
    after = model[-1].predict_proba(encoded)
    assert not np.array_equal(before, after)
    assert all(np.array_equal(now, before) or np.array_equal(now, after) for now in seen)
