"""The mean prediction is the click rate."""

import numpy as np
import pytest
import torch
from hold_out import held_out_rows

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.nn import Ensemble, TwoStreamNetwork, members_of
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import Impressions, predict_logits
from sk_finalmlp.training._scores import correct_mean

SMALL = {"stream1": MLP((16,)), "stream2": MLP((16,)), "num_heads": 1}


def rows(n_rows=3000, n_classes=2, negatives_kept=1.0):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(20, (n_rows, 1), generator=generator, dtype=torch.int32)
    target = torch.multinomial(torch.tensor([0.9, *[0.1] * (n_classes - 1)]), n_rows, True, generator=generator)
    weight = torch.rand(n_rows, generator=generator)
    return Impressions(codes, torch.empty(n_rows, 0), target, weight, negatives_kept=negatives_kept)


def network(n_outputs=1, scale=1.0):
    generator = torch.Generator().manual_seed(3)
    made = TwoStreamNetwork(
        [Field("user", "categorical", n_codes=20)],
        MLP((16,)),
        MLP((16,)),
        num_heads=1,
        n_outputs=n_outputs,
        generator=generator,
    )
    made.start_at(torch.randn(n_outputs, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        made.embedding.table.normal_(std=scale, generator=torch.Generator().manual_seed(2))
    return made.eval()


def probabilities(model, impressions):
    logits = predict_logits(model, impressions.codes, impressions.values)
    return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], 1) if logits.shape[1] == 1 else logits.softmax(1)


@pytest.mark.parametrize(("n_classes", "n_outputs"), [(2, 1), (4, 4)])
@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_the_mean_prediction_is_the_share_of_each_class_by_weight(n_classes, n_outputs, scale):
    impressions, model = rows(n_classes=n_classes), network(n_outputs, scale)
    correct_mean(model, impressions)
    mean = np.average(probabilities(model, impressions).numpy(), axis=0, weights=impressions.weight)
    expected = torch.bincount(impressions.target, impressions.weight) / impressions.weight.sum()
    np.testing.assert_allclose(mean, expected, rtol=1e-4)


def test_of_a_sample_the_mean_is_that_of_the_whole_table():
    impressions, model = rows(negatives_kept=0.01), network(scale=0.1)
    correct_mean(model, impressions)
    negatives, positives = torch.bincount(impressions.target, impressions.weight).tolist()
    mean = np.average(probabilities(model, impressions)[:, 1], weights=impressions.weight)
    assert mean == pytest.approx(positives / (positives + negatives / 0.01), rel=0.05)


def test_some_of_the_rows_tell_the_mean():
    exact, rough = network(scale=0.1), network(scale=0.1)
    of_all, of_some = correct_mean(exact, rows(20_000)), correct_mean(rough, rows(20_000), n_rows=4000)
    assert of_some.item() == pytest.approx(of_all.item(), abs=0.1)
    assert of_some != of_all


def test_all_members_move_together():
    ensemble = Ensemble([network(), network(scale=3.0)]).eval()
    impressions = rows()
    before = [predict_logits(member, impressions.codes, impressions.values) for member in members_of(ensemble)]
    shift = correct_mean(ensemble, impressions)
    for member, logits in zip(members_of(ensemble), before, strict=True):
        torch.testing.assert_close(predict_logits(member, impressions.codes, impressions.values), logits + shift)


def test_again_there_is_nothing_to_correct():
    model = network()
    assert abs(correct_mean(model, rows())) > 0.1
    assert abs(correct_mean(model, rows())) < 1e-5


@pytest.mark.parametrize("what", ["a class without rows", "logits that aren't numbers"])
def test_what_no_constant_can_correct_stays(what):
    impressions, model = rows(), network()
    if what == "a class without rows":
        impressions = impressions.take(torch.nonzero(impressions.target == 0)[:, 0])
    else:
        model.shift_logits(torch.tensor([float("nan")]))
    assert correct_mean(model, impressions) == 0


def test_a_network_without_the_operation_stays():
    class Network(torch.nn.Module):
        def forward(self, codes, values):
            raise AssertionError

    assert correct_mean(Network(), rows()) is None
    assert correct_mean(Ensemble([network(), Network()]).eval(), rows()) is None


@pytest.mark.parametrize(
    "stopping",
    [{}, {"final_epoch": False}, {"early_stopping": False}],
    ids=["final epoch", "early stopping", "neither"],
)
def test_a_classifier_of_rare_clicks_predicts_their_rate(stopping):
    X, y, _ = make_click_data(10_000, n_users=100, n_items=50, n_tags=5, click_rate=0.02, random_state=0)
    X = X[["user", "item"]].apply(lambda column: column.str[5:].astype(int))
    classifier = FinalMLPClassifier(**SMALL, max_epochs=2, random_state=0, device="cpu", **stopping)
    classifier.fit(X, y)
    learned_from = ~held_out_rows(y.to_numpy()) if "final_epoch" in stopping else np.full(len(y), True)
    mean = classifier.predict_proba(X[learned_from])[:, 1].mean()
    assert mean == pytest.approx(y[learned_from].mean(), rel=1e-3)
