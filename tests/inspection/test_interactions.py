import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.inspection import InteractionDisplay, field_interactions, head_strengths
from sk_finalmlp.streams import MLP

_SMALL = {
    "stream1": MLP((16,)),
    "stream2": MLP((8,)),
    "num_heads": 4,
    "embedding_regularizer": 0.0,
    "learning_rate": 0.03,
    "max_epochs": 6,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def pairs():
    """Rows whose clicks depend on a pair of codes alone."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.integers(0, 4, 700) for name in ("user", "item", "noise")})
    return X, ((X["user"] + X["item"]) % 2).to_numpy()


@pytest.mark.parametrize("n_members", [1, 3])
def test_interaction_is_the_second_difference_of_the_logit(pairs, n_members):
    # Each stream reads fields of its own: to swap a column is to swap what one stream reads.
    X, y = pairs
    classifier = FinalMLPClassifier(stream_fields=(["user"], ["item", "noise"]), n_members=n_members, **_SMALL).fit(
        X, y
    )
    table = field_interactions(classifier, X, random_state=7)
    donors = np.random.RandomState(7).permutation(len(X))

    def logit(*swapped):
        taken = {name: X[name].to_numpy()[donors] for name in swapped}
        return classifier.decision_function(X.assign(**taken))

    for other in ("item", "noise"):
        effect = logit() - logit("user") - logit(other) + logit("user", other)
        assert table.loc["user", other] == pytest.approx(np.sqrt(np.mean(effect**2)), rel=1e-3)
    assert table.loc["user", "item"] > 3 * table.loc["user", "noise"]


def test_interaction_of_several_classes_knows_no_constant(pairs):
    X, _ = pairs
    classifier = FinalMLPClassifier(stream_fields=(["user"], ["item"]), n_members=1, **_SMALL)
    classifier.fit(X, (X["user"] + X["item"]) % 3)
    donors = np.random.RandomState(0).permutation(len(X))

    def logits(*swapped):
        found = classifier.decision_function(X.assign(**{name: X[name].to_numpy()[donors] for name in swapped}))
        return found - found.mean(axis=1, keepdims=True)

    effect = logits() - logits("user") - logits("item") + logits("user", "item")
    strength = field_interactions(classifier, X, random_state=0).loc["user", "item"]
    assert strength == pytest.approx(np.sqrt(np.mean(effect**2)), rel=1e-3)


def test_fields_are_those_that_each_stream_reads(model, movielens):
    _, X, _, _ = movielens
    fields = model[-1].fields_
    table = field_interactions(model, X[:100], random_state=0)
    assert list(table.index) == [field.name for field in fields if field.kind != "statistic"]
    assert list(table.columns) == [field.name for field in fields]
    assert (table.to_numpy() > 0).any(axis=0).all()


def test_terms_of_the_fusion_make_up_the_logit(pairs):
    # With a single field in one stream that never changes, only the other stream's terms can vary.
    X, y = pairs
    classifier = FinalMLPClassifier(stream_fields=(["user"], ["item"]), n_members=1, **_SMALL).fit(X, y)
    strengths = head_strengths(classifier, X.assign(user=1))
    assert strengths.loc["stream 1", 1] == pytest.approx(0, abs=1e-6)
    assert strengths.loc["stream 2", 1] > 0.01
    assert list(strengths.index[2:]) == [f"head {head}" for head in (1, 2, 3, 4)]
    one_head = FinalMLPClassifier(stream_fields=(["user"], ["item"]), n_members=1, **{**_SMALL, "num_heads": 1}).fit(
        X, y
    )
    network = one_head.network_
    fusion = network.fusion
    fusion.linear_x.weight.data.zero_()
    fusion.linear_y.weight.data.zero_()
    strengths = head_strengths(one_head, X)
    assert strengths.loc["head 1", 1] == pytest.approx(one_head.decision_function(X).std(), rel=1e-4)
    assert strengths.loc[["stream 1", "stream 2"], 1].tolist() == [0, 0]


def test_heads_of_an_ensemble_count_by_the_vote(pairs):
    X, y = pairs
    classifier = FinalMLPClassifier(n_members=2, **_SMALL).fit(X, y)
    strengths = head_strengths(classifier, X)
    assert list(strengths.columns) == [1, 2]
    weights = classifier.network_.weights
    weights.mul_(weights.new_tensor([3.0, 0.5]))
    np.testing.assert_allclose(head_strengths(classifier, X), strengths * [3, 0.5], rtol=1e-5)


def test_picture_holds_the_numbers(pairs):
    X, y = pairs
    classifier = FinalMLPClassifier(n_members=2, **_SMALL).fit(X, y)
    figure, (left, _) = plt.subplots(1, 2)
    display = InteractionDisplay.from_estimator(classifier, X, random_state=0, ax=left)
    assert display.figure_ is figure
    heads, fields = display.axes_
    for line, (_, strengths) in zip(heads.get_lines(), display.heads.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), strengths)
    assert [text.get_text() for text in heads.get_legend().get_texts()] == ["member 1", "member 2"]
    np.testing.assert_array_equal(fields.images[0].get_array(), display.fields)
    assert fields.get_ylabel() == "field in stream 1"


def test_only_the_strongest_fields_are_drawn_where_there_are_many():
    heads = pd.DataFrame({1: np.ones(102)}, index=["stream 1", "stream 2", *(f"head {h}" for h in range(1, 101))])
    fields = pd.DataFrame([[0, 1, 0], [0, 9, 3], [0, 0, 0]], index=list("abc"), columns=list("abc"))
    display = InteractionDisplay(heads, fields).plot(max_fields=2)
    assert len(display.axes_[0].get_xticks()) <= 20
    assert [label.get_text() for label in display.axes_[1].get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in display.axes_[1].get_xticklabels()] == ["b", "c"]
