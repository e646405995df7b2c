"""A model card tells what a model is."""

import json

import numpy as np
import pandas as pd
import polars as pl
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
    assert "\n# Clicks\n" in card
    assert "| user | categorical | 0 |" in card
    assert "user@count" in card
    assert "num_heads=4, random_state=0" in card
    assert f"| valid_loss | {-model[-1].best_score_:.4f} |" in card
    assert f"| sk_finalmlp | {sk_finalmlp.__version__} |" in card


def test_how_to_use_is_code_that_runs(clicks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder = CTREncoder(statistics=None)
    classifier = FinalMLPClassifier(max_epochs=1, n_members=1)
    X, y = clicks[["user", "day"]], clicks["click"]
    pipeline = make_pipeline(encoder, classifier).fit(X, y)
    for model, rows in ((pipeline, X), (encoder, X), (classifier, encoder.transform(X))):
        sk_finalmlp.save(model, "clicks.model")
        card = model_card(model)
        code = card.split("```python\n")[1].split("```")[0]
        names = {"X": rows}
        exec(code, names)
        assert len(names["encoded" if model is encoder else "probabilities"]) == len(X)


@pytest.fixture(scope="module")
def clicks():
    return pd.DataFrame(
        {
            "user": ["ann", "bob"] * 10,
            "day": [f"2026-03-{day:02d} 10:00" for day in range(1, 21)],
            "click": [1, 0, 0, 0] * 5,
        }
    )


@pytest.mark.parametrize("read", [lambda table: table, pl.from_pandas])
def test_data_are_counted(clicks, read):
    columns = ["user", "day"]
    encoder = CTREncoder(datetime=["day"], statistics=None).fit(clicks[columns])
    tables = {"training": clicks[:16], "test": clicks[16:]}
    data = {name: (read(table[columns]), table["click"]) for name, table in tables.items()}
    card = model_card(encoder, data=data)
    assert "| rows of | number | click rate | day: first day | day: last day |" in card
    assert "| training | 16 | 0.2500 | 2026-03-01 | 2026-03-16 |" in card
    assert "| test | 4 | 0.2500 | 2026-03-17 | 2026-03-20 |" in card


def test_click_rates_of_several_labels_and_classes(clicks):
    X = clicks[["user"]]
    encoder = CTREncoder().fit(X)
    labels = {
        "two": pd.DataFrame({"click": [1, 0] * 10, "order": [1, 0, 0, 0, 0] * 4}),
        "three": np.array(["no", "maybe", "yes", "no"] * 5),
    }
    card = model_card(encoder, data={name: (X, y) for name, y in labels.items()})
    assert "| two | 20 | click 0.5000; order 0.2000 |" in card
    assert "| three | 20 | maybe: 0.2500, no: 0.5000, yes: 0.2500 |" in card


def test_notes_and_scores_are_what_the_hub_reads(clicks):
    encoder = CTREncoder().fit(clicks[["user"]])
    card = model_card(encoder, title='The "new" page', notes="Not for mails.", scores={"test AUC": np.float32(0.75)})
    _, front, text = card.split("---\n", maxsplit=2)
    about = dict(line.split(": ", maxsplit=1) for line in front.splitlines())
    assert json.loads(about["pipeline_tag"]) == "tabular-classification"
    (model,) = json.loads(about["model-index"])
    assert model["name"] == 'The "new" page'
    assert model["results"][0]["metrics"] == [{"type": "test AUC", "value": 0.75}]
    assert text.startswith('\n# The "new" page\n\nNot for mails.\n')
    assert "| test AUC | 0.7500 |" in card


def test_names_do_not_break_the_table():
    X = pd.DataFrame({"a|b": ["x", "y"] * 10})
    assert r"| a\|b | categorical |" in model_card(CTREncoder().fit(X))


def test_model_must_be_fitted():
    with pytest.raises(NotFittedError):
        model_card(CTREncoder())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": {"test": [1, 2, 3]}}, r"data\['test'\] must be a pair \(X, y\), not list"),
        ({"scores": {"AUC": "0.8"}}, r"scores\['AUC'\] must be a number, not '0.8'"),
    ],
)
def test_what_is_no_table_or_score_is_named(clicks, arguments, message):
    with pytest.raises(TypeError, match=message):
        model_card(CTREncoder().fit(clicks[["user"]]), **arguments)
