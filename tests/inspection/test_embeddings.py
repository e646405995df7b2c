import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.inspection import embeddings


@pytest.fixture(scope="module")
def twins():
    """Items of two kinds, a and b; users 0 to 9 click on the one and users 10 to 19 on the other."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 20, 2000), "item": rng.integers(0, 10, 2000)})
    y = ((X["user"] < 10) == (X["item"] < 5)).astype(int)
    X["item"] = np.where(X["item"] < 5, "a", "b") + X["item"].astype("str").astype(object)
    return X, y


# A value's row in the table comes after row 0, for what is unknown; in a categorical field also after that of code 0,
# which the encoder gives to what it doesn't know itself.
@pytest.mark.parametrize(("field", "first"), [("user", 2), ("occupation", 2), ("genres", 1)])
def test_vectors_are_rows_of_the_tables_of_all_networks_in_the_order_of_the_codes(model, field, first):
    vectors = embeddings(model, field)
    assert vectors.index.tolist() == model["enc"].categories_[field].tolist()
    assert vectors.index.name == field
    tables = []
    for member in model["clf"].network_.members:
        start = member.embedding.first_row[field] + first
        tables.append(member.embedding.table[start : start + len(vectors)].numpy(force=True))
    np.testing.assert_array_equal(vectors.to_numpy(), np.concatenate(tables, axis=1))
    assert vectors.columns.tolist() == [f"{field}_{position}" for position in range(30)]


def test_values_that_mean_the_same_have_similar_vectors(twins):
    X, y = twins
    classifier = FinalMLPClassifier(learning_rate=0.01, embedding_regularizer=0.0, n_members=1, random_state=0)
    vectors = embeddings(make_pipeline(CTREncoder(statistics=None), classifier).fit(X, y), "item")
    assert vectors.shape == (10, 10)
    unit = vectors.sort_index().to_numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = unit @ unit.T
    same_kind = np.repeat(np.eye(2, dtype=bool), 5, axis=0).repeat(5, axis=1)
    assert cosine[same_kind].min() > cosine[~same_kind].max()


def test_classifier_alone_knows_codes(twins):
    X, y = twins
    X = X.assign(item=X["item"].str[1:].astype(int) + 3)
    vectors = embeddings(
        FinalMLPClassifier(fusion="sum", n_members=1, embedding_dim=4, max_epochs=1, random_state=0).fit(X, y), "item"
    )
    assert vectors.index.tolist() == list(range(3, 13))
    assert vectors.shape == (10, 4)


def test_hashed_values_are_known_by_their_codes(twins):
    X, y = twins
    model = make_pipeline(CTREncoder(n_hash_buckets=64), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, y)
    vectors = embeddings(model, "item")
    assert vectors.index.tolist() == sorted(set(model[0].transform(X)["item"]))


def test_values_without_a_row_for_the_classifier_are_left_out(twins):
    X, y = twins
    encoder = CTREncoder(statistics=None).fit(X, y)
    kept = X["item"] != encoder.categories_["item"][-1]
    classifier = FinalMLPClassifier(max_epochs=1, random_state=0).fit(encoder.transform(X[kept]), y[kept])
    vectors = embeddings(Pipeline([("enc", encoder), ("clf", classifier)]), "item")
    assert vectors.index.tolist() == encoder.categories_["item"][:-1].tolist()


def test_search_shows_its_best_model(twins):
    X, y = twins
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0))
    search = GridSearchCV(model, {"finalmlpclassifier__embedding_dim": [3]}, cv=2).fit(X, y)
    pd.testing.assert_frame_equal(embeddings(search, "item"), embeddings(search.best_estimator_, "item"))


def test_fields_without_vectors_are_named(model):
    statistic = next(field.name for field in model["clf"].fields_ if field.kind == "statistic")
    with pytest.raises(
        ValueError, match=r"is of kind 'statistic': its values have no vectors; those with vectors are \['user'"
    ):
        embeddings(model, statistic)
    with pytest.raises(ValueError, match=r"'title' isn't a field of the network; those with vectors are \['user'"):
        embeddings(model, "title")


def test_other_and_unfitted_models_are_refused(twins):
    with pytest.raises(TypeError, match="LogisticRegression isn't a FinalMLPClassifier"):
        embeddings(LogisticRegression(), "item")
    with pytest.raises(NotFittedError):
        embeddings(make_pipeline(CTREncoder(), FinalMLPClassifier()), "item")


def test_frozen_steps(twins):
    X, y = twins
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, y)
    frozen = make_pipeline(*(FrozenEstimator(step) for _, step in model.steps))
    pd.testing.assert_frame_equal(embeddings(frozen, "item"), embeddings(model, "item"))
