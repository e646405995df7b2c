"""Vectors from elsewhere in the networks of classifiers: of rows, and of ids."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier
from sk_finalmlp.inspection import embeddings, gate_weights, row_contributions
from sk_finalmlp.nn import (
    FieldEmbedding,
    PretrainedVectors,
    TwoStreamNetwork,
    VectorProjection,
    embedding_parameters,
)
from sk_finalmlp.schema import Field, read_schema, write_schema
from sk_finalmlp.serving import make_predictor, to_onnx

N_ITEMS = 60
IDS = [f"item {number}" for number in range(N_ITEMS)]


def make_rows(n_rows=1000):
    """Clicks that depend on the first coordinate of the item's vector; a column holds the vector itself."""
    rng = np.random.default_rng(0)
    vectors = pd.DataFrame(rng.normal(size=(N_ITEMS, 4)), index=IDS)
    item, user = rng.integers(0, N_ITEMS, n_rows), rng.integers(0, 10, n_rows)
    logits = 3 * vectors.to_numpy()[item, 0] + (user % 2)
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(int)
    X = pd.DataFrame({"user": user, "item": np.array(IDS, dtype=object)[item]})
    return X, y, vectors, item >= N_ITEMS - 15


X, Y, TABLE, IS_NEW = make_rows()
WITH_ARRAYS = X[["user"]].assign(text=list(TABLE.loc[X["item"]].to_numpy(np.float32)))
WITH_ARRAYS.loc[::50, "text"] = None


def classifier(**parameters):
    return FinalMLPClassifier(**{"max_epochs": 2, "n_members": 1, "random_state": 0, **parameters})


WAYS = {"sum": {}, "replace": {"vectors_mode": "replace"}, "trained": {"vectors_mode": "sum-trained"}}
each_way = pytest.mark.parametrize("way", WAYS)


def encoder_of(way):
    return CTREncoder(vectors={"item": TABLE}, **WAYS[way])


def fitted(encoder, **parameters):
    """A model that has seen no row of the last 15 items."""
    return make_pipeline(encoder, classifier(**parameters)).fit(X[~IS_NEW], Y[~IS_NEW])


@cache
def model_of(way):
    """One that no test changes."""
    return fitted(encoder_of(way), max_epochs=4, n_members=2, fs1_context=["item"])


@cache
def of_arrays():
    """One of rows of which some have no vector; no test changes it."""
    return make_pipeline(CTREncoder(), classifier(max_epochs=4)).fit(WITH_ARRAYS, Y)


def layers(model):
    return [module for module in model[-1].network_.modules() if isinstance(module, PretrainedVectors)]


# What the network makes of vectors


def test_rows_with_the_vector_in_a_column():
    model = of_arrays()
    assert roc_auc_score(Y, model.predict_proba(WITH_ARRAYS)[:, 1]) > 0.85
    _, text, *_ = model[-1].fields_
    assert (text.name, text.kind, text.n_columns) == ("text", "vector", 4)


@each_way
def test_new_items_are_told_by_their_vectors(way):
    model = model_of(way)
    assert roc_auc_score(Y[IS_NEW], model.predict_proba(X[IS_NEW])[:, 1]) > 0.8
    assert not any(np.isnan(model.predict_proba(X.assign(item="unheard of"))).ravel())


def test_without_vectors_they_are_not():
    model = fitted(CTREncoder(), max_epochs=4)
    assert roc_auc_score(Y[IS_NEW], model.predict_proba(X[IS_NEW])[:, 1]) < 0.65


def test_a_vector_is_part_of_the_embedding_of_its_id():
    fields = [
        Field("item", "categorical", n_codes=3),
        Field("user", "categorical", n_codes=4),
        Field("item@vector", "pretrained", n_codes=5, of="item", length=2),
    ]
    embedding = FieldEmbedding(fields, embedding_dim=3)
    (vectors,) = embedding.pretrained
    vectors.give(torch.tensor([[0.0, 0], [1, 2], [3, 4], [5, 6], [7, 8]]))
    codes = torch.tensor([[2, 1, 4], [0, 1, 4], [0, 1, 0], [0, 0, 9]])
    e = embedding(codes, torch.empty(4, 0))
    assert [field.name for field in embedding.fields] == ["item", "user"]
    assert e.shape == (4, 2, 3)
    projected = torch.tensor([7.0, 8]) @ vectors.project.projection.T
    torch.testing.assert_close(e[0, 0], embedding.table[2] + projected)
    torch.testing.assert_close(e[1, 0], projected)
    assert not e[2:, 0].any()
    torch.testing.assert_close(e[0, 1], embedding.table[embedding.first_row["user"] + 1])


def test_a_missing_vector_has_a_learned_embedding():
    project = VectorProjection(length=2, embedding_dim=3)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert not project(x)[0].any()
    with torch.no_grad():
        project.missing.fill_(1)
    assert project(x)[0].tolist() == [1, 1, 1]
    torch.testing.assert_close(project(x)[1], project.projection[:, 1])


def test_vectors_can_be_context_of_a_gate_and_input_of_a_linear_term():
    fields = [Field("text", "vector", n_columns=2), Field("item@vector", "pretrained", n_codes=2, length=3)]
    network = TwoStreamNetwork(fields, fs1_context=["text"], fs2_context=["item@vector"])
    assert network(torch.tensor([[1], [0]]), torch.ones(2, 2)).shape == (2, 1)


@pytest.mark.parametrize("stream", ["crossnet", "fm", "product", "cin", "selfattention", "masknet"])
def test_streams_read_vectors_as_any_other_field(stream):
    model = make_pipeline(
        CTREncoder(vectors={"item": TABLE}),
        FinalMLPClassifier(stream2=stream, fusion="sum", linear_term=True, stream_embeddings="own", max_epochs=1),
    )
    table = X.assign(text=WITH_ARRAYS["text"])[:200]
    assert model.fit(table, Y[:200]).predict_proba(table).shape == (200, 2)


def test_vectors_of_a_field_that_there_is_not():
    with pytest.raises(ValueError, match=r"'item@vector' holds vectors of 'item', but the categorical fields are \[\]"):
        TwoStreamNetwork([Field("item@vector", "pretrained", n_codes=2, length=3, of="item")])


def test_a_stream_reads_the_field_and_not_its_vectors_alone():
    with pytest.raises(ValueError, match=r"'item@vector', but the fields are"):
        fitted(encoder_of("sum"), stream_fields=(["item@vector"], "auto"))
    assert fitted(encoder_of("sum"), stream_fields=(["item"], "auto"), max_epochs=1).predict_proba(X).shape == (
        len(X),
        2,
    )


# The table of vectors


def test_the_table_is_held_once_and_never_changes():
    encoder = CTREncoder(vectors={"item": TABLE})
    encoded = encoder.fit_transform(X, Y)
    table = read_schema(encoded).vectors["item@vector"].vectors
    before = table.copy()
    model = make_pipeline(encoder, classifier(n_members=2, fs1_context=["item"]).fit(encoded, Y))
    assert len(layers(model)) > 2
    assert {layer.table.data_ptr() for layer in layers(model)} == {table.ctypes.data}
    assert np.array_equal(table, before)
    assert not any("table" in name for name in model[-1].network_.state_dict() if "pretrained" in name)


def test_training_the_vectors_changes_a_copy():
    model = model_of("trained")
    layer, *_ = layers(model)
    given = read_schema(model[0].transform(X[:1])).vectors["item@vector"].vectors
    assert np.abs(layer.table.detach().numpy() - given).max() > 1e-4
    assert not layer.table[0].any()
    # Decay towards zero would undo what the vectors know.
    assert layer.table not in set(embedding_parameters(model[-1].network_))


def test_replaced_ids_have_no_embeddings_of_their_own():
    encoder = CTREncoder(vectors={"item": TABLE}, vectors_mode="replace", statistics=["item"])
    model = fitted(encoder, max_epochs=1)
    item = next(field for field in model[-1].fields_ if field.name == "item")
    assert item.n_codes == 1
    assert {"item@rate", "item@count"} <= {field.name for field in model[-1].fields_}


def test_vectors_remain_where_their_ids_are_left_out():
    encoded = CTREncoder(vectors={"item": TABLE}, statistics=None).fit_transform(X, Y)
    model = classifier().fit(encoded.drop(columns="item"), Y)
    assert [(field.name, field.of) for field in model.fields_] == [("user", ""), ("item@vector", "")]


def test_a_table_that_does_not_say_which_vectors_they_are(tmp_path):
    encoder = CTREncoder(vectors={"item": TABLE}, statistics=None)
    encoded = encoder.fit_transform(X, Y)
    model = classifier().fit(encoded, Y)
    columns = make_column_transformer((encoder, ["user", "item"]), ("passthrough", ["age"]))
    others = columns.set_output(transform="pandas").fit_transform(X.assign(age=0.5))
    with pytest.raises(ValueError, match=r"'ctrencoder__item@vector' is named like the codes of vectors"):
        classifier().fit(others, Y)
    # Where it has the encoder alone, its table is that of the encoder under other names.
    alone = make_column_transformer((encoder, ["user", "item"])).set_output(transform="pandas").fit_transform(X, Y)
    model_of_alone = classifier().fit(alone, Y)
    assert [field.kind for field in model_of_alone.fields_] == ["categorical", "categorical", "pretrained"]
    assert np.array_equal(model_of_alone.predict_proba(alone), model.predict_proba(encoded))
    encoded.to_parquet(tmp_path / "encoded.parquet")
    read = pd.read_parquet(tmp_path / "encoded.parquet")
    assert np.array_equal(model.predict_proba(read), model.predict_proba(encoded))
    with pytest.raises(ValueError, match=r"column 'item@vector' stand for aren't with the table: files"):
        classifier().fit(read, Y)


def test_users_own_columns_stay_what_they_are():
    rng = np.random.default_rng(0)
    own = pd.DataFrame({"x[0]": rng.normal(size=40), "x[1]": rng.normal(size=40), "x@0": rng.normal(size=40)})
    kinds = [field.kind for field in classifier().fit(own, [0, 1] * 20).fields_]
    assert kinds == ["numeric"] * 3
    own["x@vector"] = rng.integers(0, 3, 40)
    assert classifier().fit(own, [0, 1] * 20).fields_[-1].kind == "categorical"


# The rest of the library


def test_polars():
    vectors = [None if vector is None else list(vector) for vector in WITH_ARRAYS["text"]]
    table = pl.DataFrame(WITH_ARRAYS[["user"]]).with_columns(pl.Series("text", vectors, dtype=pl.Array(pl.Float32, 4)))
    model = make_pipeline(CTREncoder(), classifier(max_epochs=4)).fit(table, Y)
    np.testing.assert_allclose(model.predict_proba(table), of_arrays().predict_proba(WITH_ARRAYS), atol=1e-6)


@each_way
def test_files(way, tmp_path):
    model = model_of(way)
    expected = model.predict_proba(X)
    joblib.dump(model, tmp_path / "model.joblib")
    sk_finalmlp.save(model, tmp_path / "clicks.model")
    for read in (joblib.load(tmp_path / "model.joblib"), sk_finalmlp.load(tmp_path / "clicks.model")):
        assert np.array_equal(read.predict_proba(X), expected)
        assert read[0].vectors["item"].equals(TABLE)


def test_a_model_file_holds_series_and_matrices_too(tmp_path):
    series = pd.Series(list(TABLE.to_numpy()), index=TABLE.index)
    for given in (series, (list(TABLE.index), TABLE.to_numpy())):
        sk_finalmlp.save(CTREncoder(vectors={"item": given}), tmp_path / "encoder.model")
        read = sk_finalmlp.load(tmp_path / "encoder.model")
        assert read.fit_transform(X).equals(CTREncoder(vectors={"item": TABLE}).fit_transform(X))


@each_way
def test_updates(way):
    model = deepcopy(model_of(way))
    before = layers(model)[0].table.data_ptr()
    sk_finalmlp.update(model, X[:20], Y[:20])
    if way != "trained":
        assert {layer.table.data_ptr() for layer in layers(model)} == {before}
    sk_finalmlp.update(model, X[IS_NEW], Y[IS_NEW])
    assert model.predict_proba(X).shape == (len(X), 2)
    item = next(field for field in model[-1].fields_ if field.name == "item")
    assert item.n_codes == 1 if way == "replace" else item.n_codes > N_ITEMS


@each_way
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_an_update_takes_in_vectors_that_have_come(way, library):
    model, later = deepcopy(model_of(way)), pd.DataFrame(np.eye(2, 4), index=["later", "last"])
    before = layers(model)[0].table.detach().numpy().copy()
    model.set_params(ctrencoder__vectors={"item": pd.concat([later, TABLE.sample(frac=1, random_state=0)])})
    assert not model[0].transform(X[:1].assign(item="later"))["item@vector"].any()
    rows = X[:50].assign(item=["later", "never"] * 25)
    sk_finalmlp.update(model, library(rows), Y[:50])
    # Their codes come last, and all others stay as they are.
    assert model[0].transform(X[:2].assign(item=["later", "last"]))["item@vector"].tolist() == [61, 62]
    table = layers(model)[0].table.detach().numpy()
    scaled = CTREncoder(vectors={"item": TABLE}).fit(X)._columns[1].encoder.scale.transform(later.to_numpy())
    np.testing.assert_allclose(table[61:], scaled, atol=0.1 if way == "trained" else 0)
    np.testing.assert_allclose(table[:61], before, atol=0.1 if way == "trained" else 0)
    assert {layer.table.shape for layer in layers(model)} == {(63, 4)}
    assert np.ptp(model.predict_proba(X[:3].assign(item=["later", "last", "unheard of"], user=1))[:, 1]) > 0
    # And so after the next update, and in files.
    sk_finalmlp.update(model, rows, Y[:50])
    assert layers(model)[0].table.shape == (63, 4)
    np.testing.assert_allclose(make_predictor(model)(rows.to_dict("records")), model.predict_proba(rows), atol=1e-5)


def test_vectors_that_have_come_and_the_classifier_alone():
    encoder = CTREncoder(vectors={"item": TABLE}, statistics=None)
    model = classifier().fit(encoder.fit_transform(X, Y), Y)
    encoder.set_params(vectors={"item": pd.concat([TABLE, TABLE[:1].set_axis(["later"])])})
    encoded = encoder.partial_fit_transform(X[:50].assign(item="later"))
    lost = pd.DataFrame(encoded.to_dict("series"))
    with pytest.raises(ValueError, match=r"'item@vector' has codes.*came after.*partial_fit_transform"):
        model.partial_fit(lost, Y[:50])
    assert model.fields_[-1].n_codes == 61
    assert model.partial_fit(encoded, Y[:50]).fields_[-1].n_codes == 62


def test_polars_and_files_after_fit(tmp_path):
    # What codes stand for is learned in fit alone.
    rows = pl.from_pandas(X[IS_NEW])
    rows.with_columns(click=pl.Series(Y[IS_NEW])).write_parquet(tmp_path / "day.parquet")
    model = model_of("sum")
    assert np.array_equal(model.predict_proba(rows), model.predict_proba(X[IS_NEW]))
    frame, polars, file = (deepcopy(model) for _ in range(3))
    expected = sk_finalmlp.update(frame, X[IS_NEW], Y[IS_NEW]).predict_proba(X)
    assert np.array_equal(sk_finalmlp.update(polars, rows, Y[IS_NEW]).predict_proba(X), expected)
    assert np.array_equal(sk_finalmlp.update(file, tmp_path / "day.parquet", "click").predict_proba(X), expected)


def test_updates_with_arrays():
    model = deepcopy(of_arrays())
    with pytest.raises(ValueError, match=r"^Column 'text': the vector of row 0"):
        sk_finalmlp.update(model, WITH_ARRAYS[:10].assign(text=[[0.5]] * 10), Y[:10])
    sk_finalmlp.update(model, WITH_ARRAYS[:100], Y[:100])
    assert model.predict_proba(WITH_ARRAYS).shape == (len(X), 2)


def test_warm_start():
    encoded = CTREncoder(vectors={"item": TABLE}).fit_transform(X, Y)
    model = classifier(warm_start=True).fit(encoded, Y).fit(encoded, Y)
    assert len(model.history_) == 4
    others = CTREncoder(vectors={"item": -TABLE}).fit_transform(X, Y)
    write_schema(others, replace(read_schema(others), encoder=read_schema(encoded).encoder))
    assert len(model.fit(others, Y).history_) == 6


def test_rows_on_disk(tmp_path):
    X.assign(text=WITH_ARRAYS["text"], click=Y).to_parquet(tmp_path / "rows.parquet")
    for mode in ("sum", "replace"):
        model = make_pipeline(CTREncoder(vectors={"item": TABLE}, vectors_mode=mode), classifier())
        model.fit(tmp_path / "rows.parquet", "click")
        in_memory = model[0].transform(X.assign(text=WITH_ARRAYS["text"]))
        probabilities = model.predict_proba(tmp_path / "rows.parquet")
        assert np.array_equal(probabilities, model[-1].predict_proba(in_memory))
        assert [field.kind for field in model[-1].fields_[:4]] == ["categorical", "categorical", "pretrained", "vector"]
    memory = CTREncoder(vectors={"item": TABLE}).fit(X.assign(text=WITH_ARRAYS["text"]), Y)
    pd.testing.assert_frame_equal(in_memory, memory.transform(X.assign(text=WITH_ARRAYS["text"])))


def test_search_over_vectors():
    grid = {"ctrencoder__vectors": [None, {"item": TABLE}], "ctrencoder__vectors_mode": ["sum", "replace"]}
    search = GridSearchCV(make_pipeline(CTREncoder(), classifier(max_epochs=1)), grid, cv=2).fit(X[:300], Y[:300])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@each_way
def test_onnx_of_vectors_of_ids(way, tmp_path):
    model = model_of(way)
    predict = make_predictor(model)
    rows = X[IS_NEW][:20].to_dict("records")
    np.testing.assert_allclose(predict(rows), model.predict_proba(X[IS_NEW][:20]), atol=1e-5)
    to_onnx(model[-1], tmp_path / "classifier.onnx")


def test_onnx_of_vectors_beside_a_history_of_another_stream():
    table = X.assign(kind=X["user"] % 3, shop=X["user"].astype(str)).astype({"kind": str})
    table["past"] = [[shop, "0"] for shop in table["shop"]]
    encoder = CTREncoder(vectors={"item": TABLE}, histories={"past": "shop"}, statistics=None)
    # The history of shops looks up the row's shop, which isn't a field of its stream.
    fields = (["item", "kind", "past"], ["shop"])
    own = {"stream_embeddings": "own", "stream_fields": fields, "feature_selection": False, "max_epochs": 1}
    model = make_pipeline(encoder, classifier(history_pooling="attention", **own)).fit(table, Y)
    predict = make_predictor(model)
    rows = table[:60].to_dict("records")
    np.testing.assert_allclose(predict(rows), model.predict_proba(table[:60]), atol=1e-5)


def test_onnx_of_arrays(tmp_path):
    model, table = of_arrays(), WITH_ARRAYS
    predict = make_predictor(model)
    assert predict.kinds_ == {"user": "integer", "text": "vector"}
    rows = table[:60].to_dict("records")
    np.testing.assert_allclose(predict(rows), model.predict_proba(table[:60]), atol=1e-5)
    of_user = predict.score_candidates({"user": 1}, [{"text": vector} for vector in table["text"][1:9]])
    np.testing.assert_allclose(of_user, model.predict_proba(table[1:9].assign(user=1)), atol=1e-5)
    to_onnx(model, tmp_path / "clicks.onnx")
    to_onnx(model[-1], tmp_path / "classifier.onnx")
    for bad, message in {(0.5,): "length 1", (0.5, np.nan, 0, 0): "NaN", "text": "not an array of numbers"}.items():
        with pytest.raises(ValueError, match=f"'text'.*{message}"):
            predict([{"user": 1, "text": bad}])


def test_inspection():
    model = model_of("sum")
    of_items, of_vectors = embeddings(model, "item"), embeddings(model, "item@vector")
    assert of_items.shape == (N_ITEMS - 15, 20)
    assert list(of_vectors.index) == IDS
    encoded = model[0].transform(X[:1])
    layer = model[-1].network_.members[0].embedding.pretrained[0]
    code = int(encoded["item@vector"].iloc[0])
    projected = layer(torch.tensor([code]))[0].detach().numpy()
    np.testing.assert_allclose(of_vectors.iloc[code - 1, :10], projected, rtol=1e-5)
    with pytest.raises(ValueError, match="give the pipeline of both"):
        embeddings(model[-1], "item")
    assert "item@vector" not in gate_weights(model, X).index
    assert list(row_contributions(model, X[:2]).columns) == ["user", "item"]
    with pytest.raises(ValueError, match=r"no embeddings of its own: ask for 'item@vector'"):
        embeddings(model_of("replace"), "item")
    with pytest.raises(ValueError, match="'text' is of kind 'vector'"):
        embeddings(of_arrays(), "text")


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_histories_of_ids_that_have_vectors(pooling, tmp_path):
    rng = np.random.default_rng(0)
    table = X.assign(history=[list(rng.choice(IDS, size)) for size in rng.integers(0, 4, len(X))])
    encoder = CTREncoder(vectors={"item": TABLE}, histories={"history": "item"})
    model = make_pipeline(encoder, classifier(history_pooling=pooling, early_stopping=False, fs1_context=["history"]))
    model.fit(table[~IS_NEW], Y[~IS_NEW])
    expected = model.predict_proba(table[:50])
    np.testing.assert_allclose(make_predictor(model)(table[:50].to_dict("records")), expected, atol=1e-5)
    sk_finalmlp.save(model, tmp_path / "clicks.model")
    assert np.array_equal(sk_finalmlp.load(tmp_path / "clicks.model").predict_proba(table[:50]), expected)
    sk_finalmlp.update(model, table[IS_NEW], Y[IS_NEW])
    with pytest.raises(ValueError, match=r"'history'.*'item', which have no embeddings with vectors_mode='replace'"):
        CTREncoder(vectors={"item": TABLE}, vectors_mode="replace", histories={"history": "item"}).fit(table)


def test_two_labels():
    y = np.column_stack([Y, Y * (np.arange(len(Y)) % 2)])
    model = make_pipeline(
        CTREncoder(vectors={"item": TABLE}), FunnelClassifier(FinalMLPClassifier(max_epochs=1, random_state=0))
    )
    assert model.fit(X, y).predict_proba(X[:5]).shape == (5, 2)
