"""What a table says of its encoder: those that don't belong together, and statistics that know too much."""

import pickle
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from small_models import SMALL

from sk_finalmlp import CTREncoder, FinalMLPClassifier

OTHER_ENCODER = "X was encoded by another encoder than the rows that this classifier was fitted to"


def classifier(**parameters):
    return FinalMLPClassifier(**SMALL, **parameters)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 30, 1_200), "item": rng.choice(list("abcdef"), 1_200)})
    return X, rng.integers(0, 2, 1_200)


class TestEncoderOfAnotherFit:
    def test_of_a_pipeline_whose_refit_failed_is_an_error(self, table):
        X, y = table
        model = make_pipeline(CTREncoder(), classifier()).fit(X, y)
        with pytest.raises(ValueError, match="at least two classes"):
            model.fit(X[:900], np.zeros(900))
        with pytest.raises(ValueError, match=f"{OTHER_ENCODER}.* fit the pipeline again"):
            model.predict_proba(X)
        assert np.isfinite(model.fit(X, y).predict_proba(X)).all()

    def test_of_an_interrupted_pipeline_is_an_error(self, table, monkeypatch):
        X, y = table
        model = make_pipeline(CTREncoder(), classifier()).fit(X, y)

        def interrupt(*args):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("sk_finalmlp.training.train", interrupt)
            with pytest.raises(KeyboardInterrupt):
                model.fit(X[::-1][:900], y[:900])
        with pytest.raises(ValueError, match=OTHER_ENCODER):
            model.predict(X)

    def test_in_a_pipeline_with_warm_start_is_an_error(self, table):
        X, y = table
        model = make_pipeline(CTREncoder(), classifier(warm_start=True)).fit(X[:1_100], y[:1_100])
        with pytest.raises(ValueError, match=f"{OTHER_ENCODER}.* With warm_start=True, encode all rows by transform"):
            model.fit(X, y)

    def test_of_the_validation_rows_is_an_error(self, table):
        X, y = table
        encoder = CTREncoder(statistics=None)
        encoded, validation = (
            encoder.fit_transform(X[:900], y[:900]),
            CTREncoder(statistics=None).fit_transform(X[900:]),
        )
        with pytest.raises(ValueError, match=f"X_val: {OTHER_ENCODER}"):
            classifier().fit(encoded, y[:900], X_val=validation, y_val=y[900:])

    def test_that_learned_the_same_is_the_same(self, table):
        X, y = table
        encoder = CTREncoder()
        model = classifier().fit(encoder.fit_transform(X, y), y)
        for same in (encoder, clone(encoder).fit(X, y), pickle.loads(pickle.dumps(encoder))):
            assert np.isfinite(pickle.loads(pickle.dumps(model)).predict_proba(same.transform(X)[3:50].copy())).all()

    def test_is_not_noticed_where_the_container_cannot_say_so(self, table):
        X, y = table
        model = classifier().fit(CTREncoder(statistics=None).fit_transform(X, y), y)
        others = CTREncoder(statistics=None).fit_transform(pl.from_pandas(X[:900]))
        assert np.isfinite(model.predict_proba(others)).all()


class TestStatisticsThatKnowHeldOutLabels:
    def test_more_rows_are_held_out_than_the_encoder_left_out(self, table):
        X, y = table
        with pytest.raises(
            ValueError, match=r"validation_fraction=0.3, but .* only 0.1 .*CTREncoder\(validation_fraction"
        ):
            make_pipeline(CTREncoder(), classifier(validation_fraction=0.3)).fit(X, y)
        make_pipeline(CTREncoder(validation_fraction=0.3), classifier(validation_fraction=0.3)).fit(X, y)
        make_pipeline(CTREncoder(statistics=None), classifier(validation_fraction=0.3)).fit(X, y)
        make_pipeline(CTREncoder(), classifier(validation_fraction=0.3, early_stopping=False)).fit(X, y)

    def test_a_container_that_cannot_say_what_was_left_out(self, table):
        X, y = table
        with pytest.warns(UserWarning, match=r"a tenth .* by default: .*CTREncoder\(validation_fraction=0.3\)"):
            make_pipeline(CTREncoder(), classifier(validation_fraction=0.3)).fit(pl.from_pandas(X), y)

    def test_rows_in_another_order(self, table):
        X, y = table
        encoded = CTREncoder().fit_transform(X, y)
        with pytest.warns(UserWarning, match=r"Column 'user@\w+' isn't as .* rows were moved or changed since"):
            classifier().fit(encoded[::-1], y[::-1])
        classifier().fit(encoded.iloc[:, ::-1], y)

    def test_training_rows_by_transform(self, table):
        X, y = table
        encoder = CTREncoder().fit(X, y)
        with pytest.warns(UserWarning, match=r"transform wrote X, of as many rows as .*, 1200\. .* by fit_transform"):
            classifier().fit(encoder.transform(X), y)
        classifier().fit(encoder.transform(X[:-1]), y[:-1])
        plain = CTREncoder(statistics=None).fit(X, y)
        classifier().fit(plain.transform(X), y)

    def test_a_search_behind_the_encoder(self, table):
        X, y = table
        search = GridSearchCV(classifier(), {"num_heads": [1]}, cv=2, refit=False, error_score="raise")
        with pytest.warns(UserWarning, match=r"wrote statistics of 1200 rows, and X has 600: .* in a pipeline"):
            make_pipeline(CTREncoder(), search).fit(X, y)


def test_a_warm_start_with_later_rows_is_none_of_this(table):
    X, y = table
    encoder, model = CTREncoder(), classifier(warm_start=True)
    model.fit(encoder.fit_transform(X[:1_000], y[:1_000]), y[:1_000])
    model.fit(encoder.transform(X[1_000:]), y[1_000:])
    assert model.n_iter_ == 2


class TestStatistics:
    """Which columns are statistics of CTREncoder."""

    @pytest.fixture
    def encoded(self, table):
        X, y = table
        return CTREncoder(statistics=["user"]).fit_transform(X, y), y

    @staticmethod
    def statistics_of(X, y):
        return [field.name for field in classifier().fit(X, y).fields_ if field.kind == "statistic"]

    def test_are_those_that_the_encoder_says_it_wrote(self, encoded):
        X, y = encoded
        own = X.assign(**{"item@count": X["user@count"]})
        with pytest.warns(
            UserWarning, match=r"\['item@count'\] are named like statistics .* X doesn't say that they are"
        ):
            assert self.statistics_of(own, y) == ["user@rate", "user@count"]
        # Also without the codes beside them, and under the prefix that ColumnTransformer gives them.
        assert self.statistics_of(X[["item", "user@rate"]], y) == ["user@rate"]
        assert self.statistics_of(X.add_prefix("enc__"), y) == ["enc__user@rate", "enc__user@count"]

    def test_stand_beside_their_codes_in_other_tables(self, encoded):
        X, y = encoded
        assert self.statistics_of(pl.from_pandas(X), y) == ["user@rate", "user@count"]
        assert self.statistics_of(pl.from_pandas(X).drop("user"), y) == []

    def test_of_a_column_transformer_are_statistics(self, table):
        X, y = table
        mixed = ColumnTransformer([("enc", CTREncoder(statistics=["user"]), ["user", "item"])], remainder="passthrough")
        encoded = mixed.set_output(transform="pandas").fit_transform(X.assign(price=0.5), y)
        with pytest.warns(UserWarning, match="ColumnTransformer, FeatureUnion and samplers such as SMOTE"):
            assert self.statistics_of(encoded, y) == ["enc__user@rate", "enc__user@count"]


class TestUsersOwnNames:
    """Names mean nothing where the encoder says what a column is, or where they aren't in the form of its names."""

    @pytest.mark.parametrize("names", [("answer[0]", "answer[1]"), ("answer@0", "answer@1")])
    def test_integers_are_two_columns(self, table, names):
        X, y = table
        X = X.rename(columns=dict(zip(["user", "item"], names, strict=True)))
        encoded = CTREncoder(categorical=list(names), statistics=[names]).fit_transform(X, y)
        assert list(encoded) == [*names, *(f"{names[0]} & {names[1]}@{measure}" for measure in ("rate", "count"))]
        kinds = {field.name: field.kind for field in classifier().fit(encoded, y).fields_}
        assert [kinds[name] for name in encoded] == ["categorical", "categorical", "statistic", "statistic"]

    def test_integers_without_an_encoder_are_two_columns(self, table):
        X, y = table
        codes = X.assign(item=X["user"] % 7).rename(columns={"user": "answer[0]", "item": "answer[1]"})
        assert [field.name for field in classifier().fit(codes, y).fields_] == ["answer[0]", "answer[1]"]

    @pytest.mark.parametrize("name", ["rate(item)", "item@rate", "item@count", "price@0", "item@vector"])
    def test_a_number_is_a_number(self, table, name):
        X, y = table
        X = X.assign(**{name: np.linspace(0, 1, len(X))})
        encoded = CTREncoder(statistics=None, numeric=[name]).fit_transform(X, y)
        assert classifier().fit(encoded, y).fields_[-1].kind == "numeric"

    @pytest.mark.parametrize("name", ["rate(user)", "price@rate", "user@0"])
    def test_a_number_without_an_encoder_is_a_number(self, table, name):
        X, y = table
        X = pd.DataFrame({"user": X["user"], name: np.linspace(0, 1, len(X))})
        assert classifier().fit(X, y).fields_[-1].kind == "numeric"


class TestLostSchema:
    """A step between encoder and classifier makes another table, in which statistics may know held-out labels."""

    LOST = r"named like statistics of CTREncoder, but X doesn't say that they are, nor which rows were held out"

    def test_by_a_column_transformer_of_two_encoders(self, table):
        X, y = table
        encoders = [(name, CTREncoder(statistics=[name], hold_out="last"), [name]) for name in ("user", "item")]
        columns = ColumnTransformer(encoders).set_output(transform="pandas")
        with pytest.warns(UserWarning, match=rf"'user__user@rate'.*{self.LOST}"):
            make_pipeline(columns, classifier()).fit(X, y)

    def test_by_a_sampler(self, table):
        encoded = CTREncoder(statistics=["user"]).fit_transform(*table)
        more = pd.DataFrame(np.r_[encoded, encoded[:100]], columns=encoded.columns).astype(encoded.dtypes)
        with pytest.warns(UserWarning, match=rf"{self.LOST}.* samplers such as SMOTE"):
            classifier().fit(more, np.r_[table[1], table[1][:100]])

    def test_is_no_matter_without_rows_that_are_held_out_by_default(self, table):
        X, y = table
        encoder = CTREncoder(statistics=["user"])
        encoded = encoder.fit_transform(X, y)
        encoded.attrs.clear()
        classifier(early_stopping=False).fit(encoded, y)
        classifier().fit(encoded, y, X_val=encoder.transform(X[:100]), y_val=y[:100])
        classifier(hold_out="random").fit(encoded, y)

    def test_is_what_polars_does_where_encoder_and_classifier_follow_one_rule(self, table):
        X, y = table
        model = make_pipeline(CTREncoder(statistics=["user"]).set_output(transform="polars"), classifier()).fit(X, y)
        assert [field.kind for field in model[-1].fields_][2:] == ["statistic", "statistic"]


class TestHash:
    """The mark is a hash of all that was learned, and takes as long."""

    @pytest.fixture
    def hashes(self, monkeypatch):
        made = []

        def count(learned):
            made.append(joblib.hash(learned))
            return made[-1]

        monkeypatch.setattr("sk_finalmlp.preprocessing._ctr_encoder.joblib", SimpleNamespace(hash=count))
        return made

    def test_is_not_made_where_the_container_cannot_carry_it(self, table, hashes):
        X, y = table
        encoder = CTREncoder().fit(X, y)
        encoder.fit_transform(pl.from_pandas(X), y)
        encoder.transform(pl.from_pandas(X))
        CTREncoder(statistics=None).fit(X.to_numpy()).transform(X.to_numpy())
        assert not hashes

    def test_is_made_once_by_each_fit(self, table, hashes):
        X, y = table
        encoder = CTREncoder()
        model = classifier().fit(encoder.fit_transform(X, y), y)
        model.predict(encoder.transform(X))
        model.predict(pickle.loads(pickle.dumps(encoder)).transform(X))
        assert len(hashes) == 1
        encoder.fit(X[:900], y[:900])
        with pytest.raises(ValueError, match=OTHER_ENCODER):
            model.predict(pickle.loads(pickle.dumps(encoder)).transform(X))
        assert len(set(hashes)) == 2


def test_the_schema_does_not_hinder_writing_to_parquet(table, tmp_path):
    encoded = CTREncoder().fit_transform(*table)
    encoded.to_parquet(tmp_path / "encoded.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "encoded.parquet"), encoded)
