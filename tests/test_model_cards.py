"""A model card tells what a model is."""

import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier, model_card
from sk_finalmlp.datasets import make_click_data


def test_card_of_a_pipeline():
    X, y, _ = make_click_data(1500, random_state=0)
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=2, num_heads=4, random_state=0)).fit(X, y)
    card = model_card(model, title="Clicks")
    assert card.startswith("# Clicks\n")
    assert "| user | categorical | 0 |" in card
    assert "user@count" in card
    assert "num_heads=4, random_state=0" in card
    assert f"| valid_loss | {-model[-1].best_score_:.4f} |" in card
    assert f"| sk_finalmlp | {sk_finalmlp.__version__} |" in card


def test_names_do_not_break_the_table():
    X = pd.DataFrame({"a|b": ["x", "y"] * 10})
    assert r"| a\|b | categorical |" in model_card(CTREncoder().fit(X))


def test_model_must_be_fitted():
    with pytest.raises(NotFittedError):
        model_card(CTREncoder())
