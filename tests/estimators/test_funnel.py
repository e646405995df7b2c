"""Several labels by one network."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier, model_card, update
from sk_finalmlp.datasets import make_funnel_data
from sk_finalmlp.inspection import SliceScoresDisplay, TrainingHistoryDisplay, embeddings, gate_weights

TASKS = ["click", "conversion"]
FAST = {"max_epochs": 1, "n_members": 1, "random_state": 0}


@pytest.fixture(scope="module")
def funnel():
    """Encoded impressions, their labels and true probabilities."""
    X, Y, probability = make_funnel_data(
        4000, n_users=40, n_items=20, click_rate=0.4, conversion_rate=0.4, random_state=0
    )
    return CTREncoder(statistics=None).fit_transform(X[["user", "item", "segment", "numeric_0"]]), Y, probability


@pytest.fixture(scope="module")
def fitted(funnel):
    X, Y, _ = funnel
    return make(max_epochs=4, n_members=2).fit(X, Y)


@pytest.fixture(scope="module")
def raw():
    """A few raw columns and their labels."""
    X, Y, _ = make_funnel_data(1500, n_users=40, n_items=20, click_rate=0.4, conversion_rate=0.4, random_state=0)
    return X[["user", "item", "numeric_0"]], Y


def make(tasks=TASKS, *, relation="funnel", task_weight=None, **parameters):
    """A funnel whose classifier has these parameters."""
    classifier = FinalMLPClassifier(**{**FAST, **parameters})
    return FunnelClassifier(classifier, tasks=tasks, relation=relation, task_weight=task_weight)


def without(Y, rows):
    """The labels without the conversions of some rows."""
    Y = Y.astype(float)
    Y.loc[rows, "conversion"] = np.nan
    return Y


class TestPredictions:
    def test_no_conversion_is_more_probable_than_its_click(self, fitted, funnel):
        X, _, truth = funnel
        probabilities = fitted.predict_proba(X)
        assert probabilities.shape == (len(X), 2)
        assert (probabilities[:, 1] <= probabilities[:, 0]).all()
        for predicted, true in zip(probabilities.T, truth.to_numpy().T, strict=True):
            assert np.corrcoef(predicted, true)[0, 1] > 0.6

    def test_means_are_the_rates(self, fitted, funnel):
        X, Y, _ = funnel
        np.testing.assert_allclose(fitted.predict_proba(X).mean(axis=0), Y.mean(), rtol=1e-3)

    def test_means_are_the_rates_without_early_stopping(self, funnel):
        X, Y, _ = funnel
        model = make(early_stopping=False).fit(X, Y)
        np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), Y.mean(), rtol=1e-3)

    def test_log_odds_and_labels_go_with_probabilities(self, fitted, funnel):
        X = funnel[0]
        log_odds, probabilities = fitted.decision_function(X), fitted.predict_proba(X)
        np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), probabilities, atol=1e-12)
        np.testing.assert_array_equal(fitted.predict(X), (probabilities > 0.5).astype(int))

    def test_names_of_labels_are_returned(self, funnel):
        X, Y, _ = funnel
        named = Y.replace({0: "no", 1: "yes"})
        model = make().fit(X, named)
        assert [classes.tolist() for classes in model.classes_] == [["no", "yes"]] * 2
        same = make().fit(X, Y)
        np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))
        np.testing.assert_array_equal(model.predict(X) == "yes", same.predict(X) == 1)

    def test_labels_of_two_types_stay_what_they_are(self, funnel):
        X, Y, _ = funnel
        predicted = make().fit(X, Y.replace({"conversion": {0: "no", 1: "yes"}})).predict(X)
        assert set(predicted[:, 0]) <= {0, 1}
        assert set(predicted[:, 1]) <= {"no", "yes"}

    def test_one_task_is_learned_like_a_single_label(self, funnel):
        X, Y, _ = funnel
        alone = FinalMLPClassifier(**FAST).fit(X, Y["click"]).predict_proba(X)[:, 1]
        for relation in ("funnel", "independent"):
            task = make(["click"], relation=relation).fit(X, Y[["click"]])
            np.testing.assert_allclose(task.predict_proba(X)[:, 0], alone, atol=1e-3)

    def test_three_steps(self, funnel):
        X, Y, _ = funnel
        Y = Y.assign(repeat=Y["conversion"] & (np.arange(len(Y)) % 2))
        model = make(None).fit(X, Y)
        assert model.tasks_ == ["click", "conversion", "repeat"]
        assert (np.diff(model.predict_proba(X), axis=1) <= 0).all()

    def test_the_same_seed_gives_the_same_bits(self, funnel):
        X, Y, _ = funnel
        first, second = (make().fit(X, Y).predict_proba(X[:9]) for _ in range(2))
        np.testing.assert_array_equal(first, second)


class TestMissingLabels:
    def test_conversions_without_a_click_need_not_be_written_down(self, funnel):
        X, Y, _ = funnel
        all_known = make().fit(X, Y)
        of_clicks = make().fit(X, without(Y, Y["click"] == 0))
        # Other rows are held out: those of a pattern of their own.
        np.testing.assert_allclose(of_clicks.predict_proba(X), all_known.predict_proba(X), atol=0.05)
        np.testing.assert_allclose(of_clicks.predict_proba(X).mean(axis=0), Y.mean(), rtol=1e-3)

    def test_clicks_whose_conversion_is_unknown_are_no_evidence_against_it(self, funnel):
        X, Y, _ = funnel
        unknown = (Y["click"] == 1) & (np.random.default_rng(0).random(len(Y)) < 0.7)
        model = make(max_epochs=3).fit(X, without(Y, unknown))
        np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), Y.mean(), rtol=0.1)
        best = model.classifier_.history_[model.classifier_.best_epoch_ - 1]
        full = make(max_epochs=3).fit(X, Y)
        of_all = full.classifier_.history_[full.classifier_.best_epoch_ - 1]
        assert best["valid_loss_conversion"] == pytest.approx(of_all["valid_loss_conversion"], rel=0.15)

    @pytest.mark.parametrize("of", ["buyers", "half"])
    def test_a_conversion_without_a_known_click(self, funnel, of):
        X, Y, _ = funnel
        is_lost = np.random.default_rng(7).random(len(Y)) < (0.9 if of == "buyers" else 0.5)
        is_lost &= (Y["conversion"] == 1) | (of == "half")
        lost = Y.assign(click=Y["click"].mask(is_lost))
        model, full = make().fit(X, lost), make().fit(X, Y)
        np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), Y.mean(), rtol=0.04)
        record, of_all = (each.classifier_.history_[0] for each in (model, full))
        assert record["valid_loss_click"] == pytest.approx(of_all["valid_loss_click"], rel=0.1)

    def test_a_task_learns_from_its_labelled_rows_alone(self, funnel):
        X, Y, _ = funnel
        # Independent: the rate of the rows with a label.
        model = make(relation="independent").fit(X, without(Y, Y["click"] == 0))
        clicked = (Y["click"] == 1).to_numpy()
        rate = Y["conversion"][clicked].mean()
        assert model.predict_proba(X[clicked])[:, 1].mean() == pytest.approx(rate, rel=1e-3)

    def test_labels_of_strings_and_none(self, funnel):
        X, Y, _ = funnel
        named = Y.replace({0: "no", 1: "yes"}).astype(object)
        named.loc[named.index % 3 == 0, "conversion"] = None
        model = make().fit(X, named)
        assert model.classes_[1].tolist() == ["no", "yes"]


class TestTraining:
    def test_history_has_the_scores_of_each_task(self, fitted):
        record = fitted.classifier_.history_[-1]
        for score in ("loss", "auc"):
            of_tasks = [record[f"valid_{score}_{task}"] for task in TASKS]
            assert record[f"valid_{score}"] == pytest.approx(np.mean(of_tasks))
        assert fitted.classifier_.best_score_ == pytest.approx(
            -min(epoch["valid_loss"] for epoch in fitted.classifier_.history_)
        )

    def test_weights_of_tasks(self, funnel):
        X, Y, _ = funnel
        model = make(task_weight={"conversion": 3}).fit(X, Y)
        record = model.classifier_.history_[0]
        means = (record["valid_loss_click"] + 3 * record["valid_loss_conversion"]) / 4
        assert record["valid_loss"] == pytest.approx(means)
        equal = make(task_weight=[1, 3]).fit(X, Y)
        np.testing.assert_array_equal(model.predict_proba(X[:9]), equal.predict_proba(X[:9]))

    def test_a_weight_counts_like_rows(self, funnel):
        X, Y, _ = funnel
        weight = np.where(Y["conversion"] == 1, 4.0, 1.0)
        model = make().fit(X, Y, sample_weight=weight)
        np.testing.assert_allclose(
            np.average(model.predict_proba(X), weights=weight, axis=0), np.average(Y, weights=weight, axis=0), rtol=1e-3
        )

    def test_validation_rows_of_ones_own(self, funnel):
        X, Y, _ = funnel
        model = make().fit(X[:3000], Y[:3000], X_val=X[3000:], y_val=without(Y, Y.index < 3500)[3000:])
        assert "valid_auc_conversion" in model.classifier_.history_[0]
        for y_val, match in (
            (Y[3000:] * np.nan, "no label"),
            (Y[3000:] * 2, "'click' has labels that fit didn't see, \\[2\\]"),
        ):
            with pytest.raises(ValueError, match=match):
                make().fit(X[:3000], Y[:3000], X_val=X[3000:], y_val=y_val)
        one_label = Y[3000:].assign(conversion=0)
        with pytest.raises(ValueError, match="lacks one of 'conversion'"):
            make(scoring="roc_auc").fit(X[:3000], Y[:3000], X_val=X[3000:], y_val=one_label)

    @pytest.mark.parametrize("parameters", [{"stream_loss": 0.5}, {}, {"scoring": "roc_auc"}, {"hold_out": "last"}])
    def test_other_trainings(self, funnel, parameters, monkeypatch):
        if not parameters:
            monkeypatch.setattr("sk_finalmlp.training._train._LAZY_FROM_ROWS", 0)
        X, Y, _ = funnel
        model = make(**parameters).fit(X, Y)
        np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), Y.mean(), rtol=1e-3)

    def test_checkpoint(self, funnel, tmp_path):
        X, Y, _ = funnel
        plain, kept = (make(checkpoint=folder).fit(X, Y) for folder in (None, tmp_path))
        np.testing.assert_array_equal(plain.predict_proba(X[:9]), kept.predict_proba(X[:9]))
        assert not list(tmp_path.iterdir())

    def test_warm_start_goes_on(self, funnel):
        X, Y, _ = funnel
        model = make(warm_start=True).fit(X, Y).fit(X, Y)
        assert model.classifier_.n_iter_ == 2
        with pytest.raises(ValueError, match="tasks and labels of the first fit"):
            model.set_params(relation="independent").fit(X, Y)

    def test_few_conversions_are_not_held_out(self, funnel):
        X, Y, _ = funnel
        Y = Y.assign(conversion=(np.arange(len(Y)) == Y["click"].argmax()).astype(int))
        with pytest.warns(UserWarning, match="class 'conversion=1' has a single row"):
            make().fit(X, Y)


class TestErrors:
    def fails(self, funnel, match, y=None, error=ValueError, **parameters):
        X, Y, _ = funnel
        with pytest.raises(error, match=match):
            make(**parameters).fit(X, Y if y is None else y)

    def test_a_conversion_without_a_click(self, funnel):
        Y = funnel[1].copy()
        rows = Y.index[Y["click"] == 0][:2]
        Y.loc[rows, "conversion"] = 1
        match = f"Row {rows[0]} of y, counted from 0, has conversion=1 but click=0, and so have 1 others"
        self.fails(funnel, match, Y)
        self.fails(funnel, "'click' implies 'conversion'", tasks=TASKS[::-1])
        make(relation="independent").fit(funnel[0], Y)

    def test_columns_of_y_name_the_tasks(self, funnel):
        X, Y, _ = funnel
        assert make(tasks=Y.columns).fit(X, Y).tasks_ == TASKS

    def test_columns_that_are_not_tasks(self, funnel):
        Y = funnel[1]
        self.fails(funnel, "y has the columns \\['click', 'conversion', 'more'\\]", Y.assign(more=1))
        self.fails(funnel, "names 2 tasks, but y has 1 columns", Y[["click"]].to_numpy())
        self.fails(funnel, "FinalMLPClassifier", Y["click"].to_numpy())
        self.fails(funnel, "different names of columns", tasks=["click", "click"])

    def test_labels_that_are_not_two(self, funnel):
        Y = funnel[1]
        self.fails(funnel, "'conversion' has one class, \\[0\\]", Y.assign(conversion=0))
        self.fails(funnel, "'conversion' has no label", Y.assign(conversion=np.nan))
        self.fails(funnel, "'click' has the 4 classes", Y.assign(click=np.arange(len(Y)) % 4))
        self.fails(funnel, "Unknown label type", Y.assign(click=np.linspace(0, 1, len(Y))))

    def test_weights_of_tasks(self, funnel):
        self.fails(funnel, "task_weight names \\['view'\\]", task_weight={"view": 2})
        self.fails(funnel, "'click' has 0", task_weight=[0, 1])
        self.fails(funnel, "3 weights", task_weight=[1, 1, 1])

    def test_what_is_for_a_single_label(self, fitted, funnel, tmp_path):
        X, Y, _ = funnel
        for name, value in {"class_weight": "balanced", "negative_sampling": 0.5}.items():
            self.fails(funnel, f"{name}={value!r} is for a single label", **{name: value})
        assert not hasattr(fitted, "partial_fit")
        with pytest.raises(TypeError, match="several labels has no partial_fit"):
            fitted.classifier_.partial_fit(X, Y)
        with pytest.raises(TypeError, match="fit the pipeline again"):
            update(make_pipeline(CTREncoder(), fitted), X, Y)
        with pytest.raises(TypeError, match="a logit for each label"):
            gate_weights(fitted, X)
        with pytest.raises(ValueError, match="take the column of one label"):
            SliceScoresDisplay.from_estimator(fitted, X, Y["click"], "user")

    def test_rows_on_disk(self, raw, tmp_path):
        X, Y = raw
        X.assign(**Y).to_parquet(tmp_path / "rows.parquet")
        for labels in (TASKS, Y):
            with pytest.raises(TypeError, match=r"name of one of its columns, not .* Several labels.*table in memory"):
                CTREncoder(drop=TASKS).fit(tmp_path / "rows.parquet", labels)
        rows = CTREncoder(drop=["conversion"]).fit_transform(tmp_path / "rows.parquet", "click")
        with pytest.raises(TypeError, match="FinalMLPClassifier to each label"):
            make().fit(rows, "click")

    def test_histories(self, raw, tmp_path):
        X, Y = raw
        X = X.assign(history=[[item] * (row % 3) for row, item in enumerate(X["item"].sample(frac=1, random_state=0))])
        models = {
            pooling: make_pipeline(
                CTREncoder(histories={"history": "item"}, statistics=None),
                make(history_pooling=pooling),
            ).fit(X, Y)
            for pooling in ("mean", "attention", "transformer")
        }
        predicted = [model.predict_proba(X) for model in models.values()]
        assert all(p.shape == (len(X), 2) and not np.array_equal(p, predicted[0]) for p in predicted[1:])
        sk_finalmlp.save(models["attention"], tmp_path / "funnel.model")
        read = sk_finalmlp.load(tmp_path / "funnel.model")
        np.testing.assert_array_equal(read.predict_proba(X), predicted[1])

    def test_onnx(self, fitted, tmp_path):
        serving = pytest.importorskip("sk_finalmlp.serving")
        with pytest.raises(ValueError, match="FinalMLPClassifier for each label"):
            serving.to_onnx(fitted, tmp_path / "model.onnx")


class TestInScikitLearn:
    def test_score_finds_the_labels_by_name(self, raw):
        X, Y = raw
        model = make_pipeline(CTREncoder(), make(tasks=list(Y.columns))).fit(X, Y[Y.columns[::-1]])
        found = accuracy_score(Y, model.predict(X))
        assert [model.score(X, y) for y in (Y, Y[Y.columns[::-1]], Y.to_numpy())] == [found] * 3
        with pytest.raises(ValueError, match="but y has the columns"):
            model.score(X, Y.iloc[:, :1])

    def test_pipeline_search_and_scores(self, raw):
        X, Y = raw
        model = make_pipeline(CTREncoder(statistics=["item"]), make())
        scores = cross_validate(model, X, Y, cv=KFold(2), scoring=["roc_auc", "accuracy"])
        assert (scores["test_roc_auc"] > 0.4).all()
        search = GridSearchCV(model, {"funnelclassifier__classifier__num_heads": [1, 2]}, cv=2, scoring="roc_auc").fit(
            X, Y
        )
        assert search.predict_proba(X).shape == (1500, 2)

    def test_files(self, raw, tmp_path):
        X, Y = raw
        model = make_pipeline(CTREncoder(), make(n_members=2)).fit(X, Y)
        sk_finalmlp.save(model, tmp_path / "a.model")
        joblib.dump(model, tmp_path / "a.joblib")
        for loaded in (sk_finalmlp.load(tmp_path / "a.model"), joblib.load(tmp_path / "a.joblib")):
            np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
            assert loaded[-1].tasks_ == TASKS

    def test_what_is_shown(self, fitted):
        assert "Tasks, in a funnel" in fitted._repr_html_()
        assert "click: 0, 1; conversion: 0, 1" in model_card(fitted)

    def test_inspection_that_asks_for_no_logit(self, fitted):
        pytest.importorskip("matplotlib")
        assert "valid_auc_click" in TrainingHistoryDisplay.from_estimator(fitted).history
        assert embeddings(fitted, "item").shape == (20, 20)


class TestEncoder:
    def test_each_task_has_a_rate(self, funnel):
        X, Y, _ = make_funnel_data(1000, random_state=0)
        encoder = CTREncoder(statistics=["item"])
        encoded = encoder.fit_transform(X[["user", "item"]], Y)
        assert list(encoded.columns[2:]) == ["item@rate=click", "item@rate=conversion", "item@count"]
        for task in TASKS:
            alone = CTREncoder(statistics=["item"]).fit(X[["user", "item"]], Y[task]).transform(X[["user", "item"]])
            both = encoder.transform(X[["user", "item"]])[f"item@rate={task}"]
            np.testing.assert_allclose(np.corrcoef(both, alone["item@rate"])[0, 1], 1, atol=1e-4)

    def test_rows_without_a_label_are_left_out(self):
        X = pd.DataFrame({"item": ["a", "b"] * 200})
        click = np.tile([1, 0, 1, 1], 100)
        conversion = np.where(np.arange(400) < 200, np.tile([1, 0, 0, 0], 100), np.nan)
        Y = pd.DataFrame({"click": click, "conversion": conversion})
        encoder = CTREncoder(statistics=["item"]).fit(X, Y)
        rates = encoder.transform(X[:2])["item@rate=conversion"]
        half = CTREncoder(statistics=["item"]).fit(X[:200], Y["conversion"][:200]).transform(X[:2])["item@rate"]
        assert np.sign(rates).tolist() == np.sign(half).tolist() == [1, -1]

    def test_the_classifier_holds_out_the_same_rows(self, funnel):
        X, Y, _ = make_funnel_data(1200, n_users=30, n_items=20, random_state=0)
        encoder = CTREncoder(hold_out="time")
        encoded = encoder.fit_transform(X, Y)
        make().fit(encoded, Y)

    def test_columns_that_are_not_all_labels_have_no_statistics(self):
        X, Y, _ = make_funnel_data(1200, n_users=30, n_items=20, random_state=0)
        encoder = CTREncoder().fit(X, Y.assign(price=np.linspace(0, 1, len(Y))))
        assert encoder.statistics_["why"].str.contains("'price' holds numbers").all()
        with pytest.raises(ValueError, match="'price'"):
            CTREncoder(statistics=["item"]).fit(X, Y.assign(price=np.linspace(0, 1, len(Y))))

    def test_more_rows_are_refused(self):
        X, Y, _ = make_funnel_data(1200, n_users=30, n_items=20, random_state=0)
        with pytest.raises(ValueError, match="\\['click', 'conversion'\\]"):
            CTREncoder().fit(X, Y).partial_fit(X, Y)
