"""Probabilities of all rows from a share of the negatives: sampled before `fit`, or anew in each epoch."""

import pickle

import numpy as np
import pytest
import torch
from scipy.special import logit
from sklearn.base import clone
from sklearn.metrics import log_loss

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.nn import members_of
from sk_finalmlp.training import Batches, Impressions, predict_logits

QUICK = {"schedule": "plateau", "n_members": 1, "max_epochs": 3, "random_state": 0, "device": "cpu"}
CLICK_RATE = 0.1


@pytest.fixture(scope="module")
def clicks():
    """Encoded rows, their clicks and true probabilities: for training, and for a test."""
    X, y, probability = make_click_data(
        24_000, n_users=50, n_items=30, n_tags=5, click_rate=CLICK_RATE, logit_scale=1.0, random_state=0
    )
    X = X[["user", "item", "segment", "category"]]
    codes = CTREncoder(statistics=None).fit(X[:20_000]).transform(X)
    return codes[:20_000], y[:20_000].to_numpy(), codes[20_000:], probability[20_000:].to_numpy()


def sample(X, y, share):
    # With the seed of the table, its users would decide which rows are kept.
    kept = (y == 1) | (np.random.default_rng(42).random(len(y)) < share)
    return X[kept], y[kept]


def relative_error(classifier, X, probability):
    """Of the mean prediction, in units of the true one."""
    return classifier.predict_proba(X)[:, 1].mean() / probability.mean() - 1


# The clicks of the training, 2,000 of them, vary by 2.2%; a hundredth of the negatives, 180 rows, by 7.5%.
@pytest.mark.parametrize(("share", "tolerance"), [(1.0, 0.07), (0.1, 0.09), (0.01, 0.25)])
def test_the_mean_prediction_is_the_click_rate_whatever_share_of_the_negatives_is_kept(clicks, share, tolerance):
    X, y, X_test, probability = clicks
    classifier = FinalMLPClassifier(**QUICK, negatives_kept=share).fit(*sample(X, y, share))
    assert abs(relative_error(classifier, X_test, probability)) < tolerance


@pytest.mark.parametrize(("share", "tolerance"), [(0.1, 0.09), (0.01, 0.25)])
def test_the_mean_prediction_is_the_click_rate_whatever_share_of_the_negatives_is_drawn(clicks, share, tolerance):
    X, y, X_test, probability = clicks
    # Epochs of a hundredth are so short that it takes more of them.
    epochs = {"max_epochs": 20, "n_iter_no_change": 20} if share == 0.01 else {}
    classifier = FinalMLPClassifier(**{**QUICK, **epochs}, negative_sampling=share).fit(X, y)
    assert abs(relative_error(classifier, X_test, probability)) < tolerance


def test_without_the_share_the_mean_prediction_is_that_of_the_sample(clicks):
    X, y, X_test, probability = clicks
    classifier = FinalMLPClassifier(**QUICK).fit(*sample(X, y, 0.1))
    assert relative_error(classifier, X_test, probability) > 2


@pytest.mark.parametrize("early_stopping", [True, False])
def test_logits_are_those_of_the_sample_moved_by_the_logarithm_of_the_share(clicks, early_stopping):
    X, y, X_test, _ = clicks
    X, y = sample(X, y, 0.1)
    classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 1}, early_stopping=early_stopping)
    of_sample = classifier.fit(X, y).decision_function(X_test)
    of_all = classifier.set_params(negatives_kept=0.1).fit(X, y).decision_function(X_test)
    # Rounding differs by the constant, and grows with the steps: hence one epoch.
    np.testing.assert_allclose(of_all, of_sample + np.log(0.1), atol=0.02)


def test_all_that_the_classifier_says_agrees(clicks):
    X, y, X_test, _ = clicks
    X, y = sample(X, y, 0.1)
    classifier = FinalMLPClassifier(**{**QUICK, "n_members": 2, "max_epochs": 1}, negatives_kept=0.1).fit(X, y)
    logits = classifier.decision_function(X_test)
    np.testing.assert_allclose(classifier.predict_proba(X_test)[:, 1], 1 / (1 + np.exp(-logits)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(classifier)).decision_function(X_test), logits)
    codes = torch.from_numpy(X_test.to_numpy(np.int32) + 1)
    for member in members_of(classifier.network_):
        of_member = predict_logits(member, codes, torch.empty(len(codes), 0))
        assert abs(of_member.mean() - logits.mean()) < 0.3


def test_held_out_rows_are_scored_as_a_part_of_the_sample(clicks):
    X, y, _, _ = clicks
    X, y = sample(X, y, 0.1)
    classifier = FinalMLPClassifier(**QUICK)
    of_sample = classifier.fit(X, y).history_
    of_all = classifier.set_params(negatives_kept=0.1).fit(X, y).history_
    for name in ("train_loss", "valid_loss", "valid_auc"):
        assert [epoch[name] for epoch in of_all] == pytest.approx([epoch[name] for epoch in of_sample], abs=0.01)


@pytest.mark.parametrize("share", [{"negatives_kept": 0.1}, {"negative_sampling": 0.1}], ids=str)
def test_rows_given_for_validation_are_scored_as_a_whole_table(clicks, share, monkeypatch):
    # The mean prediction is corrected by the same rows after the epoch and in the end.
    monkeypatch.setattr("sk_finalmlp.training._scores.ROUGHLY", 2**17)
    X, y, _, _ = clicks
    X_val, y_val, X, y = X[:4000], y[:4000], X[4000:], y[4000:]
    if "negatives_kept" in share:
        X, y = sample(X, y, 0.1)
    classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 1}, **share).fit(X, y, X_val=X_val, y_val=y_val)
    loss = log_loss(y_val, classifier.predict_proba(X_val))
    assert classifier.history_[0]["valid_loss"] == pytest.approx(loss, abs=1e-6)


def test_held_out_rows_stay_complete_where_negatives_are_drawn(clicks):
    X, y, _, _ = clicks
    classifier = FinalMLPClassifier(**QUICK)
    complete = classifier.fit(X, y).history_[-1]
    drawn = classifier.set_params(negative_sampling=0.3).fit(X, y).history_[-1]
    assert drawn["valid_loss"] == pytest.approx(complete["valid_loss"], abs=0.02)
    assert drawn["train_loss"] > 1.3 * complete["train_loss"]


def test_a_warm_start_goes_on_without_a_second_shift(clicks):
    X, y, X_test, _ = clicks
    X, y = sample(X, y, 0.1)
    classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 2}, warm_start=True, negatives_kept=0.1)
    first = classifier.fit(X, y).decision_function(X_test)
    second = classifier.fit(X, y).decision_function(X_test)
    assert abs(second.mean() - first.mean()) < 0.5


def test_class_weights_shift_by_the_same_whatever_share_is_drawn(clicks):
    X, y, X_test, _ = clicks
    classifier = FinalMLPClassifier(**QUICK, class_weight={0: 1, 1: 9})
    complete = classifier.fit(X, y).predict_proba(X_test)[:, 1].mean()
    drawn = classifier.set_params(negative_sampling=0.2).fit(X, y).predict_proba(X_test)[:, 1].mean()
    assert complete > 0.4
    assert drawn == pytest.approx(complete, abs=0.04)


def test_weights_of_rows_count_in_a_draw(clicks):
    X, y, X_test, _ = clicks
    weight = np.where(y == 1, 1.0, 0.25)
    classifier = FinalMLPClassifier(**QUICK, negative_sampling=0.2).fit(X, y, sample_weight=weight)
    expected = weight[y == 1].sum() / weight.sum()
    assert classifier.predict_proba(X_test)[:, 1].mean() == pytest.approx(expected, abs=0.04)


def test_draws_are_the_same_with_the_same_seed(clicks):
    X, y, X_test, _ = clicks
    classifier = FinalMLPClassifier(**QUICK, negative_sampling=0.1)
    once, again = (clone(classifier).fit(X, y).predict_proba(X_test) for _ in range(2))
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("parameters", [{"fusion": "sum", "feature_selection": False}, {"stream_loss": 0.5}], ids=str)
def test_all_networks_know_the_shares(clicks, parameters):
    X, y, X_test, probability = clicks
    fitted = FinalMLPClassifier(**QUICK, **parameters, negatives_kept=0.2, negative_sampling=0.5)
    assert abs(relative_error(fitted.fit(*sample(X, y, 0.2)), X_test, probability)) < 0.1


@pytest.mark.parametrize("name", ["negatives_kept", "negative_sampling"])
def test_more_than_two_classes_have_no_negatives(clicks, name):
    X = clicks[0]
    with pytest.raises(ValueError, match=rf"{name}=0.1 is for two classes, .*; y has the 3 classes \[0, 1, 2\]"):
        FinalMLPClassifier(**QUICK, **{name: 0.1}).fit(X[:300], np.arange(300) % 3)


class TestBatches:
    def batches(self, share, batch_size=50):
        target = (torch.arange(1000) % 10 == 0).long()
        rows = Impressions(
            torch.arange(1000, dtype=torch.int32)[:, None], torch.empty(1000, 0), target, torch.ones(1000)
        )
        return Batches(rows, batch_size, torch.Generator().manual_seed(0), torch.device("cpu"), share)

    def test_each_pass_takes_all_positives_and_a_share_of_the_negatives(self):
        batches = self.batches(0.2)
        for _ in range(3):
            targets = torch.cat([target for _, (target, _) in batches])
            assert (targets == 1).sum() == 100
            assert (targets == 0).sum() == 180

    def test_all_negatives_are_seen_in_time(self):
        batches = self.batches(0.2)
        seen = torch.cat([codes[:, 0] for _ in range(5) for (codes, _), _ in batches])
        assert len(seen.unique()) == 1000

    def test_a_share_that_is_less_than_a_row_takes_one(self):
        batches = self.batches(1e-6)
        assert sum(len(target) for _, (target, _) in batches) == 101
        assert batches.negatives_kept == pytest.approx(1 / 900)

    def test_the_loss_has_the_size_of_a_loss_of_rows_of_weight_one(self):
        rows = self.batches(1.0).impressions
        weight = torch.where(rows.target == 1, 9.0, 1.0)
        rows = Impressions(rows.codes, rows.values, rows.target, weight)
        batches = Batches(rows, 50, torch.Generator().manual_seed(0), torch.device("cpu"), 0.1)
        assert torch.cat([weight for _, (_, weight) in batches]).mean() == pytest.approx(1)


def test_start_logits_are_those_of_all_rows(clicks):
    X, y, X_test, _ = clicks
    X, y = sample(X, y, 0.1)
    classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 1, "learning_rate": 1e-12}, negatives_kept=0.1).fit(X, y)
    assert classifier.decision_function(X_test).mean() == pytest.approx(logit(y.mean()) + np.log(0.1), abs=0.1)
