"""Classifiers of histories: learned from, saved, updated, read from files, explained, exported."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.inspection import embeddings, gate_weights, pair_interactions, row_contributions
from sk_finalmlp.schema import Field
from sk_finalmlp.serving import make_predictor

_POOLINGS = ["mean", "attention", "transformer"]
_VALUE_AT_HAND = {"history_pooling": "din"}


@pytest.fixture(scope="module")
def clicks():
    """Items of five kinds; a click where the history holds the item's kind."""
    rng = np.random.default_rng(0)
    n_rows = 2000
    item = rng.integers(0, 30, n_rows)
    history = [rng.integers(0, 30, length).tolist() for length in rng.integers(0, 5, n_rows)]
    kinds = [{value % 5 for value in values} for values in history]
    y = np.array([own % 5 in seen for own, seen in zip(item, kinds, strict=True)]).astype(int)
    return pd.DataFrame({"history": history, "item": item, "user": rng.integers(0, 20, n_rows)}), y


def _pipeline(**parameters):
    parameters = {"max_epochs": 2, "n_members": 1, "random_state": 0, **parameters}
    return make_pipeline(CTREncoder(histories={"history": "item"}, statistics=None), FinalMLPClassifier(**parameters))


@pytest.fixture(scope="module")
def models(clicks):
    return {pooling: _pipeline(history_pooling=pooling).fit(*clicks) for pooling in _POOLINGS}


def test_history_is_a_field(models):
    classifier = models["mean"][-1]
    assert classifier.fields_ == [
        Field("history", "history", n_codes=32, n_columns=4, of="item"),
        Field("item", "categorical", n_codes=32),
        Field("user", "categorical", n_codes=22),
    ]
    assert list(classifier.network_.fields1.sizes) == ["item", "user", "history"]


@pytest.mark.parametrize("parameters", [{}, {"fusion": "sum", "feature_selection": False}], ids=str)
def test_what_only_the_history_tells_is_learned(clicks, parameters):
    X, y = clicks
    model = _pipeline(history_pooling="attention", max_epochs=10, **parameters).fit(X[:1600], y[:1600])
    assert roc_auc_score(y[1600:], model.predict_proba(X[1600:])[:, 1]) > 0.85


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_row_is_predicted_alike_alone_and_saved(clicks, models, pooling, tmp_path):
    (X, _), model = clicks, models[pooling]
    expected = model.predict_proba(X)
    # To the last bit where widths are multiples of 16, and those of the transformer are the embedding's.
    np.testing.assert_allclose(model.predict_proba(X[5:6]), expected[5:6], rtol=1e-6 if pooling == "transformer" else 0)
    sk_finalmlp.save(model, tmp_path / "a.model")
    for again in (pickle.loads(pickle.dumps(model)), sk_finalmlp.load(tmp_path / "a.model")):
        np.testing.assert_array_equal(again.predict_proba(X), expected)
    # Nothing known is as good as no history.
    unknown, none = X[:3].assign(history=[[-1]] * 3), X[:3].assign(history=None)
    np.testing.assert_array_equal(model.predict_proba(unknown), model.predict_proba(none))


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_predictor_answers_as_the_model(clicks, models, pooling):
    predict = make_predictor(models[pooling])
    X = clicks[0][:50].assign(history=[[3, None, 4.0], None, *clicks[0]["history"][2:50]])
    np.testing.assert_allclose(predict(X.to_dict("records")), models[pooling].predict_proba(X), atol=1e-6)
    assert predict.kinds_["history"] == "history"
    candidates = [{"item": 3}, {"item": 7}]
    scores = predict.score_candidates({"user": 1, "history": [3, 9]}, candidates)
    rows = pd.DataFrame({"history": [[3, 9]] * 2, "item": [3, 7], "user": 1})
    np.testing.assert_allclose(scores, models[pooling].predict_proba(rows), atol=1e-6)
    with pytest.raises(ValueError, match="'history': '3' is not a list, but fit saw lists"):
        predict([{"user": 1, "item": 3, "history": "3"}])


def test_predictor_of_other_networks(clicks):
    parameters = {"fs1_context": ["history"], "stream_fields": (["history"], "auto"), "stream_embeddings": "own"}
    model = _pipeline(linear_term=True, **parameters, **_VALUE_AT_HAND).fit(*clicks)
    rows = clicks[0][:50]
    np.testing.assert_allclose(make_predictor(model)(rows.to_dict("records")), model.predict_proba(rows), atol=1e-6)


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_update_learns_new_items_in_item_and_history(clicks, models, pooling):
    X, _ = clicks
    model = pickle.loads(pickle.dumps(models[pooling]))
    before = model[-1].network_.embedding.table.detach().clone()
    day = pd.DataFrame({"history": [[30, 2], [31]], "item": [31, 30], "user": [1, 2]})
    sk_finalmlp.update(model, day, [1, 0])
    history, item, _ = model[-1].fields_
    assert history.n_codes == item.n_codes > 32
    embedding = model[-1].network_.embedding
    vectors = embedding.table[embedding.first_row["item"] :][: item.n_codes]
    # Code 0 and the items that neither rows nor histories hold keep their vectors.
    touched = models[pooling][0].transform(day)["history@item@0"].max() + 1
    kept = [row for row in range(32) if row != touched]
    assert not torch_equal(vectors[touched], before[touched])
    assert torch_equal(vectors[kept], before[kept])
    assert np.isfinite(model.predict_proba(X)).all()


def torch_equal(one, other):
    return np.array_equal(one.numpy(force=True), other.numpy(force=True))


def test_rows_in_files_are_learned_like_those_in_memory(clicks, models, tmp_path):
    X, y = clicks
    X.assign(click=y).to_parquet(tmp_path / "rows.parquet")
    model = clone(models["attention"]).fit(str(tmp_path / "rows.parquet"), "click")
    assert model[-1].fields_ == models["attention"][-1].fields_
    np.testing.assert_allclose(model.predict_proba(str(tmp_path / "rows.parquet")), model.predict_proba(X), atol=1e-7)


def test_codes_by_hand():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 6, (200, 3)), columns=["item", "past@item@0", "past@item@1"])
    y = rng.integers(0, 2, 200)
    X.loc[X["item"] == 5, "item"] = 4
    for chosen in ("auto", ["item", "past"]):
        classifier = FinalMLPClassifier(max_epochs=1, categorical_features=chosen).fit(X, y)
        readers = {reader.field.name: reader for reader in classifier.table_reader_}
        # 0 is padding in a history and a code in its field; 5 is only in histories, and unknown.
        assert readers["item"].row_of_code.tolist() == [1, 2, 3, 4, 5, 0]
        assert readers["past"].row_of_code.tolist() == [0, 2, 3, 4, 5, 0]
    for wrong in (X.drop(columns="item"), X.assign(item=X["item"] + 0.5)):
        with pytest.raises(ValueError, match="named like a history of 'item', but there is no categorical field"):
            FinalMLPClassifier(max_epochs=1).fit(wrong, y)


def test_pooling_without_histories_is_a_warning(clicks):
    X, y = clicks[0].drop(columns="history"), clicks[1]
    models = [make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0))]
    models.append(clone(models[0]).set_params(finalmlpclassifier__history_pooling="din"))
    models[0].fit(X, y)
    with pytest.warns(UserWarning, match="history_pooling='din' has no effect: no column is a history") as caught:
        models[1].fit(X, y)
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_array_equal(*(model.predict_proba(X) for model in models))
    assert "history_pooling" not in models[1][-1]._network_arguments


def test_inspection(clicks, models):
    (X, _), model = clicks, models["attention"]
    assert list(gate_weights(model, X[:50]).index) == ["history", "item", "user"]
    assert list(pair_interactions(model, X[:20])) == ["history", "item", "user"]
    assert row_contributions(model, X[:2], n_permutations=2, random_state=0).shape == (2, 3)
    assert embeddings(model, "item").shape == (30, 10)
    with pytest.raises(ValueError, match="'history' is a history, which shares the vectors of 'item'"):
        embeddings(model, "history")
    assert "history" in sk_finalmlp.model_card(model)


@pytest.mark.parametrize("parameters", [{"history_pooling": "sum"}], ids=["history_pooling"])
def test_parameters_out_of_range(clicks, parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter"):
        _pipeline(**parameters).fit(*clicks)
