"""What the gates learn of their contexts, and the penalty on that."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from sk_finalmlp import FinalMLPClassifier, published_configs
from sk_finalmlp.inspection import gate_weights

PROPERTIES = ["brand", "colour", "size"]
CONTEXT = {"fs1_context": ["segment"], "fs2_context": ["segment"]}
QUICK = {"n_members": 1, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def known_gate():
    """Each segment looks at one property of a product, and at no other."""
    rng = np.random.default_rng(0)
    n_rows = 4000
    X = pd.DataFrame({name: rng.integers(10, size=n_rows) for name in [*PROPERTIES, "segment"]})
    X["segment"] %= len(PROPERTIES)
    seen = X[PROPERTIES].to_numpy()[np.arange(n_rows), X["segment"]]
    effects = 2 * rng.standard_normal((len(PROPERTIES), 10))
    return X, (rng.random(n_rows) < expit(effects[X["segment"], seen])).astype(int)


def _opening(classifier, X):
    """By how much the gate of each stream is opener for the fields that segments look at than for others."""
    of_segments = gate_weights(classifier, X, by="segment").loc[PROPERTIES]
    is_seen = np.eye(len(PROPERTIES), dtype=bool)
    return [gates[is_seen].mean() - gates[~is_seen].mean() for gates in (of_segments[s].to_numpy() for s in (1, 2))]


def test_a_gate_opens_for_the_field_that_its_context_makes_matter(known_gate):
    X, y = known_gate
    # Only the gates know the segment.
    streams = (PROPERTIES, PROPERTIES)
    free, tied = (
        FinalMLPClassifier(**CONTEXT, stream_fields=streams, **penalty, n_members=1, random_state=0).fit(
            X[:3000], y[:3000]
        )
        for penalty in ({}, {"embedding_regularizer": ("auto", "auto")})
    )
    assert min(_opening(free, X)) > 0.2
    assert max(np.abs(_opening(tied, X))) < 0.01
    of_free, of_tied = (roc_auc_score(y[3000:], model.predict_proba(X[3000:])[:, 1]) for model in (free, tied))
    assert of_free > of_tied + 0.1


def test_gates_open_where_the_streams_know_the_context_too(known_gate):
    X, y = known_gate
    assert min(_opening(FinalMLPClassifier(**CONTEXT, n_members=1, random_state=0).fit(X, y), X)) > 0.05


def test_the_second_penalty_is_that_of_the_gates_contexts(known_gate):
    X, y = known_gate
    models = [
        FinalMLPClassifier(**CONTEXT, **QUICK, embedding_regularizer=penalty).fit(X, y)
        for penalty in ((0.5, "auto"), (0.5, 0.5), (0.5, 0.1))
    ]
    first, same, other = (model.decision_function(X) for model in models)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("name", published_configs)
def test_published_configurations_have_one_penalty_for_all_tables(name):
    of_tables, of_contexts = published_configs[name]["embedding_regularizer"]
    assert of_tables == of_contexts
