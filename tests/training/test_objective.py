"""Several labels in the loss, in scores and in the mean prediction."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from sk_finalmlp.training import TaskObjective

NO, YES, MISSING = 0, 1, 2


def pattern(*digits):
    return sum(digit * 3**task for task, digit in enumerate(digits))


def funnel(*weights):
    weights = weights or (1.0, 1.0)
    return TaskObjective(tuple("abc"[: len(weights)]), "funnel", weights)


def losses(objective, logits, *digits):
    return objective.losses(torch.tensor([logits], dtype=torch.float64), torch.tensor([pattern(*digits)])).item()


class TestLosses:
    @pytest.mark.parametrize("click", [NO, YES])
    @pytest.mark.parametrize("conversion", [NO, YES])
    def test_independent_labels(self, click, conversion):
        objective = TaskObjective(("a", "b"), "independent", (1.0, 3.0))
        p = expit([0.3, -1.2])
        expected = -math.log(p[0] if click else 1 - p[0]) - 3 * math.log(p[1] if conversion else 1 - p[1])
        assert losses(objective, [0.3, -1.2], click, conversion) == pytest.approx(expected)

    @pytest.mark.parametrize(("click", "conversion"), [(NO, NO), (YES, NO), (YES, YES)])
    def test_a_conversion_is_a_product_over_all_rows(self, click, conversion):
        p, after = expit([0.3, -1.2])
        both = p * after
        expected = -math.log(p if click else 1 - p) - math.log(both if conversion else 1 - both)
        assert losses(funnel(), [0.3, -1.2], click, conversion) == pytest.approx(expected)

    def test_three_steps(self):
        a, b, c = expit([0.3, -1.2, 2.0])
        expected = -math.log(a) - math.log(a * b) - math.log(1 - a * b * c)
        assert losses(funnel(1.0, 1.0, 1.0), [0.3, -1.2, 2.0], YES, YES, NO) == pytest.approx(expected)

    def test_large_logits(self):
        logits = torch.tensor([[80.0, 80.0], [-80.0, 80.0], [80.0, -80.0]], requires_grad=True)
        target = torch.tensor([pattern(NO, NO), pattern(YES, YES), pattern(YES, YES)])
        values = funnel().losses(logits, target)
        values.sum().backward()
        assert torch.isfinite(values).all()
        assert torch.isfinite(logits.grad).all()

    def test_missing_labels_do_not_count(self):
        independent = TaskObjective(("a", "b"), "independent", (1.0, 1.0))
        for objective in (independent, funnel()):
            assert losses(objective, [0.3, -1.2], YES, MISSING) >= losses(independent, [0.3, -1.2], YES, MISSING)
            assert losses(objective, [0.3, -1.2], MISSING, MISSING) == 0
        assert losses(funnel(), [0.3, -1.2], NO, MISSING) == losses(funnel(), [0.3, -1.2], NO, NO)

    def test_an_unknown_conversion_moves_its_probability_nowhere(self):
        """In the mean over rows whose conversions are unknown, whatever share of the clicks that is."""
        click, after = 0.3, 0.2
        logits = torch.tensor([math.log(p / (1 - p)) for p in (click, after)], dtype=torch.float64, requires_grad=True)
        shares = {(NO, NO): 0.7, (YES, MISSING): 0.3 * 0.9, (YES, YES): 0.03 * 0.2, (YES, NO): 0.03 * 0.8}
        target = torch.tensor([pattern(*digits) for digits in shares])
        values = funnel().losses(logits.expand(len(shares), 2), target)
        (values * torch.tensor(list(shares.values()), dtype=torch.float64)).sum().backward()
        np.testing.assert_allclose(logits.grad, 0, atol=1e-9)

    @pytest.mark.parametrize("kept", [(1.0, 0.1), (0.3, 0.3)], ids=["of buyers", "at random"])
    def test_a_lost_click_moves_its_probability_nowhere(self, kept):
        """In the mean over rows, whether clicks are lost at random or those of buyers."""
        click, after = 0.3, 0.2
        logits = torch.tensor([math.log(p / (1 - p)) for p in (click, after)], dtype=torch.float64, requires_grad=True)
        shares = {(NO, NO): 0.7, (YES, NO): 0.3 * 0.8, (YES, YES): 0.3 * 0.2}
        lost = {(click, buy): (MISSING, buy) for click, buy in shares}
        of_pattern = {}
        for digits, share in shares.items():
            for given, part in ((digits, kept[digits[1]]), (lost[digits], 1 - kept[digits[1]])):
                of_pattern[given] = of_pattern.get(given, 0) + share * part
        target = torch.tensor([pattern(*digits) for digits in of_pattern])
        values = funnel().losses(logits.expand(len(target), 2), target)
        (values * torch.tensor(list(of_pattern.values()), dtype=torch.float64)).sum().backward()
        np.testing.assert_allclose(logits.grad, 0, atol=1e-9)


def lose(click, conversion, how):
    """The same labels, some of which are lost."""
    u, v = np.random.default_rng(1).random((2, len(click)))
    lost_click = {"clicks of buyers": (conversion == 1) & (u < 0.9), "conversions": u < 0}.get(how, u < 0.5)
    lost_conversion = (v < 0.5) & (how in ("conversions", "both"))
    return np.where(lost_click, MISSING, click), np.where(lost_conversion, MISSING, conversion)


class TestScores:
    @pytest.fixture
    def rows(self):
        """Logits and labels of a funnel that is as the logits say."""
        rng = np.random.default_rng(0)
        logits = rng.normal([-0.5, -0.5], 1.0, (40_000, 2))
        click = rng.random(40_000) < expit(logits[:, 0])
        conversion = click & (rng.random(40_000) < expit(logits[:, 1]))
        return logits, click.astype(int), conversion.astype(int)

    def scores(self, logits, click, conversion):
        target = torch.from_numpy(click + 3 * conversion)
        return funnel().scores(torch.from_numpy(logits).float(), target, torch.ones(len(target)))

    def test_are_those_of_scikit_learn(self, rows):
        logits, click, conversion = rows
        scores = self.scores(*rows)
        for name, label, p in (("a", click, expit(logits[:, 0])), ("b", conversion, expit(logits).prod(axis=1))):
            assert scores[f"valid_loss_{name}"] == pytest.approx(log_loss(label, p), rel=1e-4)
            assert scores[f"valid_auc_{name}"] == pytest.approx(roc_auc_score(label, p), rel=1e-4)

    def test_clicks_with_a_known_conversion_stand_for_all(self, rows):
        logits, click, conversion = rows
        unknown = (click == 1) & (np.random.default_rng(1).random(len(click)) < 0.8)
        scores = self.scores(logits, click, np.where(unknown, MISSING, conversion))
        of_all = self.scores(*rows)
        assert scores["valid_loss"] == pytest.approx(of_all["valid_loss"], rel=0.02)
        assert scores["valid_auc"] == pytest.approx(of_all["valid_auc"], abs=0.01)

    def test_the_mean_prediction_is_moved_to_the_rates(self, rows):
        logits, click, conversion = rows
        unknown = (click == 1) & (np.arange(len(click)) % 2 == 0)
        target = torch.from_numpy(click + 3 * np.where(unknown, MISSING, conversion))
        weights = torch.bincount(target, minlength=9).double()
        moved = logits - 1 + funnel().shift(logits - 1, target, np.ones(len(click)), weights)
        np.testing.assert_allclose(expit(moved[:, 0]).mean(), click.mean(), rtol=1e-4)
        after = conversion[(click == 1) & ~unknown].mean()
        np.testing.assert_allclose(expit(moved).prod(axis=1).mean(), click.mean() * after, rtol=1e-4)
        start = funnel().start(weights, len(click), 2, 1.0)
        np.testing.assert_allclose(expit(start.numpy()), [click.mean(), after], rtol=1e-6)

    @pytest.mark.parametrize("how", ["clicks of buyers", "clicks", "conversions", "both"])
    def test_lost_labels_change_no_score_and_no_mean(self, rows, how):
        logits, click, conversion = rows
        given = lose(click, conversion, how)
        lost, of_all = self.scores(logits, *given), self.scores(*rows)
        for name in of_all:
            assert lost[name] == pytest.approx(of_all[name], rel=0.02), name
        target = torch.from_numpy(given[0] + 3 * given[1])
        weights = torch.bincount(target, minlength=9).double()
        rates = [click.mean(), conversion[click == 1].mean()]
        np.testing.assert_allclose(expit(funnel().start(weights, len(click), 2, 1.0).numpy()), rates, rtol=0.03)
        moved = logits - 1 + funnel().shift(logits - 1, target, np.ones(len(click)), weights)
        means = expit(moved).cumprod(axis=1).mean(axis=0)
        np.testing.assert_allclose(means, [click.mean(), conversion.mean()], rtol=0.03)

    @pytest.mark.parametrize("step", [0, 1])
    def test_a_step_that_is_lost_where_the_last_is_known(self, step):
        rng = np.random.default_rng(0)
        logits = rng.normal([0.5, 0.0, 0.0], 1.0, (40_000, 3))
        reached = (rng.random(logits.shape) < expit(logits)).cumprod(axis=1)
        given = reached.copy()
        given[(reached[:, 2] == 1) & (rng.random(len(given)) < 0.9), step] = MISSING
        given[rng.random(len(given)) < 0.3, step] = MISSING
        objective, ones = funnel(1.0, 1.0, 1.0), torch.ones(len(given))
        lost, of_all = (
            objective.scores(torch.from_numpy(logits).float(), torch.from_numpy(digits @ [1, 3, 9]), ones)
            for digits in (given, reached)
        )
        for name in of_all:
            assert lost[name] == pytest.approx(of_all[name], rel=0.02), name
        target = torch.from_numpy(given @ [1, 3, 9])
        weights = torch.bincount(target, minlength=27).double()
        moved = logits - 1 + objective.shift(logits - 1, target, np.ones(len(given)), weights)
        np.testing.assert_allclose(expit(moved).cumprod(axis=1).mean(axis=0), reached.mean(axis=0), rtol=0.03)
