import re
from email.message import Message
from html import unescape
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_html_repr

from sk_finalmlp import CTREncoder, FinalMLPClassifier


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "user": rng.integers(0, 20, 400),
            "city": rng.choice(["<b>Rome</b>", "a city with a very long name indeed", None], 400),
            "price": rng.standard_normal(400),
            "time": pd.date_range("2026-01-01", periods=400, freq="h"),
        }
    )
    y = (X["user"] + rng.integers(0, 2, 400)) % 2
    classifier = FinalMLPClassifier(num_heads=4, max_epochs=2, random_state=0)
    return Pipeline([("enc", CTREncoder(statistics=["user"])), ("clf", classifier)]).fit(X, y)


def _tables(estimator):
    """Cells of the tables in the HTML of an estimator, by the title of the table."""
    html = estimator_html_repr(estimator)
    found = re.findall(r"<summary>([^<]*)</summary>(.*?)</table>", html, flags=re.DOTALL)
    return {
        title: [
            [unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in _inside("t[dh]", row)]
            for row in _inside("tr", table)
        ]
        for title, table in found
    }


def _inside(tag, html):
    return re.findall(rf"<(?:{tag})\b[^>]*>(.*?)</(?:{tag})>", html, flags=re.DOTALL)


def test_encoder_shows_what_it_found_in_each_column(model):
    rows = _tables(model[0])["Columns"]
    assert rows[0] == ["column", "kind", "values", "why"]
    kinds = model[0].feature_kinds_
    assert {name: (kind, why) for name, kind, _, why in rows[1:]} == {
        name: (found["kind"], found["why"]) for name, found in kinds.iterrows()
    }
    values = {name: described for name, _, described, _ in rows[1:]}
    assert re.fullmatch(r"20: \d+, \d+, \d+, \.\.\.", values["user"])
    assert "<b>Rome</b>" in values["city"]
    assert "a city with a very lo..." in values["city"]
    assert values["city"].endswith(f"; {kinds.loc['city', 'n_missing']} missing")
    assert values["price"] == ""
    assert values["time"] == f"{kinds.loc['time', 'n_codes']} codes in 3 columns"


def test_encoder_shows_the_statistics_that_it_makes(model):
    assert [row[:2] for row in _tables(model[0])["Statistics"][1:]] == [["user", "rate, count"]]
    assert "Statistics" not in _tables(CTREncoder(statistics=None).fit(pd.DataFrame({"user": [1, 2, 1]})))


def test_classifier_shows_its_network_and_best_epoch(model):
    classifier = model[1]
    tables = _tables(classifier)
    lines = dict(tables["Network"])
    n_weights = sum(weight.numel() for weight in classifier.network_.parameters())
    best = classifier.history_[classifier.best_epoch_ - 1]
    votes = ", ".join(f"{weight:.2f}" for weight in classifier.network_.weights)
    assert lines["network"] == f"2 x TwoStreamNetwork, voting by {votes}"
    assert lines["weights"].startswith(f"{n_weights:,}, ")
    assert lines["weights"].endswith(" of them embeddings")
    assert lines["training"].startswith("2 epochs, ")
    assert lines["best epoch"].startswith(f"{best['epoch']}, with log-loss {best['valid_loss']:.4f} and AUC ")
    assert [tuple(row[:2]) for row in tables["Fields"][1:]] == [(f.name, f.kind) for f in classifier.fields_]


def test_single_network_without_validation_rows():
    X = np.random.default_rng(0).integers(0, 5, (100, 2))
    classifier = FinalMLPClassifier(n_members=1, early_stopping=False, max_epochs=1).fit(X, X[:, 0] > 2)
    lines = dict(_tables(classifier)["Network"])
    assert lines["network"] == "TwoStreamNetwork"
    assert lines["input"] == "2 categorical"
    assert lines["best epoch"] == "1, the last: there were no validation rows"


def test_long_tables_are_cut():
    X = pd.DataFrame({f"column{number}": [1, 2, 1] for number in range(130)})
    rows = _tables(CTREncoder(statistics=None).fit(X))["Columns"]
    assert len(rows) == 102
    assert rows[-1] == ["... and 30 more"]


def test_parameters_are_shown_before_and_after_fit(model):
    for estimator in (model[0], model[1], CTREncoder(separator=","), FinalMLPClassifier(num_heads=4)):
        names = [row[1].split()[0].strip("\xa0") for row in _tables(estimator)["Parameters"]]
        assert set(names) == set(estimator.get_params())
    assert "Columns" not in _tables(CTREncoder())
    assert "Network" not in _tables(FinalMLPClassifier())


def test_pipelines_and_searches_show_their_steps(model):
    assert {"Columns", "Network", "Fields"} <= _tables(model).keys()
    assert "Parameters" in _tables(GridSearchCV(model, {"clf__num_heads": [1, 2]}))


def test_links_go_where_the_package_says_its_documentation_is(monkeypatch):
    class Own(CTREncoder):
        pass

    stated = Message()
    monkeypatch.setattr(metadata, "metadata", lambda name: stated)
    assert CTREncoder()._get_doc_link() == ""
    stated["Project-URL"] = "Source, https://example.org/code"
    stated["Project-URL"] = "Documentation, https://example.org/docs/"
    page = "https://example.org/docs/api/generated/sk_finalmlp.CTREncoder.html"
    assert CTREncoder()._get_doc_link() == page
    assert f'href="{page}"' in estimator_html_repr(CTREncoder())
    assert Own()._get_doc_link() == ""


def test_package_that_is_not_installed_has_no_links(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert FinalMLPClassifier()._get_doc_link() == ""
