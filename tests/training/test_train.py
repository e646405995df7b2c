"""The loop on a small problem: schedule, early stopping, penalty, interruption, divergence."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import small_models
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from sk_finalmlp.nn import Ensemble, FieldEmbedding, TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import Batches, Impressions, _train, predict_logits, resolve_device, train

CPU = torch.device("cpu")
TOLERANCE = 1e-6
SETTINGS = replace(small_models.SETTINGS, max_epochs=30, scoring="roc_auc")
FIELDS = [Field("user", "categorical", n_codes=20), Field("item", "categorical", n_codes=20), Field("age", "numeric")]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def impressions(n_rows=1000, seed=0, noise=1.0):
    generator = seeded(seed)
    codes = torch.randint(1, 20, (n_rows, 2), generator=generator, dtype=torch.int32)
    values = torch.randn(n_rows, 1, generator=generator)
    logit = torch.sin(codes.double()).prod(dim=1) * 4 + values[:, 0] + noise * torch.randn(n_rows, generator=generator)
    return Impressions(codes, values, (logit > 0).long(), torch.ones(n_rows))


def network(dropout=0.0, batch_norm=True, **parameters):
    streams = MLP((32,), dropout, batch_norm), MLP((16,), 0.0, batch_norm)
    return TwoStreamNetwork(FIELDS, *streams, num_heads=4, generator=seeded(), **parameters)


def weighted_loss(trained, rows):
    logits = predict_logits(trained, rows.codes, rows.values)[:, 0]
    return nn.functional.binary_cross_entropy_with_logits(logits, rows.target.float()).item()


@pytest.fixture(scope="module")
def trained():
    model = network(dropout=0.1)
    return model, train(model, impressions(seed=1), impressions(seed=2), SETTINGS, seeded())


def test_learns(trained):
    _, result = trained
    assert result.history[0]["valid_auc"] < result.history[result.best_epoch - 1]["valid_auc"]
    assert result.history[result.best_epoch - 1]["valid_auc"] > 0.85


def test_history_has_one_record_per_epoch(trained):
    _, result = trained
    names = ["epoch", "train_loss", "valid_loss", "valid_auc", "learning_rate", "seconds"]
    assert [list(record) for record in result.history] == [names] * len(result.history)
    assert [record["epoch"] for record in result.history] == list(range(1, len(result.history) + 1))


def test_learning_rate_falls_to_a_tenth_where_the_score_does_not_improve(trained):
    _, result = trained
    best, rate, expected = -float("inf"), SETTINGS.learning_rate, []
    for record in result.history:
        expected.append(rate)
        score = record["valid_auc"]
        rate = rate if score > best + TOLERANCE else max(rate * 0.1, 1e-6)
        best = max(best, score)
    assert [record["learning_rate"] for record in result.history] == pytest.approx(expected)
    assert expected[-1] < SETTINGS.learning_rate


def test_learning_rate_falls_after_half_of_the_epochs_that_end_the_training():
    settings = replace(SETTINGS, n_iter_no_change=4)
    history = train(network(), impressions(seed=1), impressions(seed=2), settings, seeded()).history
    best, bad, rate, expected = -float("inf"), 0, SETTINGS.learning_rate, []
    for record in history:
        expected.append(rate)
        bad = 0 if record["valid_auc"] > best + TOLERANCE else bad + 1
        best = max(best, record["valid_auc"])
        if bad == 2:
            rate, bad = max(rate * 0.1, 1e-6), 0
    assert [record["learning_rate"] for record in history] == pytest.approx(expected)
    assert expected[-1] < SETTINGS.learning_rate


def rates_of_steps(settings, validation=None):
    """The learning rate of each step, by the optimizer, and the history."""
    rates = []
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    try:
        result = train(network(), impressions(seed=1), validation, settings, seeded())
    finally:
        hook.remove()
    return rates, result.history


ONE_CYCLE = replace(SETTINGS, schedule="one_cycle", max_epochs=5, n_iter_no_change=5)


@pytest.mark.parametrize("validation", [None, impressions(seed=2)], ids=["without validation rows", "with them"])
def test_one_cycle_rises_to_the_learning_rate_and_falls_to_nothing_by_the_last_step(validation):
    rates, history = rates_of_steps(ONE_CYCLE, validation)
    n_steps = 5 * 16
    assert len(rates) == n_steps
    highest = rates.index(max(rates))
    assert highest == pytest.approx(0.15 * n_steps, abs=1)
    assert rates[highest] == pytest.approx(ONE_CYCLE.learning_rate)
    assert rates[0] == pytest.approx(ONE_CYCLE.learning_rate / 25)
    assert rates[-1] < 1e-5 * ONE_CYCLE.learning_rate
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    assert [record["learning_rate"] for record in history] == rates[15::16]


def test_the_final_epoch_after_one_cycle_is_at_a_tenth_of_its_highest_rate():
    rates, history = rates_of_steps(replace(ONE_CYCLE, final_epoch=True), impressions(seed=2))
    assert len(history) == 5
    assert set(rates[5 * 16 :]) == {0.1 * ONE_CYCLE.learning_rate}


def test_one_cycle_ends_early_where_the_score_does_not_improve_and_keeps_the_best_epoch():
    settings = replace(ONE_CYCLE, max_epochs=30, n_iter_no_change=2)
    model = network()
    result = train(model, impressions(400, seed=1, noise=3.0), impressions(seed=2), settings, seeded())
    assert len(result.history) == result.best_epoch + 2 < 30
    best_loss = result.history[result.best_epoch - 1]["valid_loss"]
    assert weighted_loss(model, impressions(seed=2)) == pytest.approx(best_loss, abs=1e-6)


def test_one_cycle_of_a_single_step_learns():
    model, rows = network(), impressions()
    before = weighted_loss(model.eval(), rows)
    train(model.train(), rows, None, replace(ONE_CYCLE, max_epochs=1, batch_size=1000), seeded())
    assert weighted_loss(model, rows) != pytest.approx(before, abs=1e-3)


def test_one_cycle_takes_fewer_epochs_to_the_score_of_a_plateau(trained):
    _, by_plateau = trained
    result = train(network(dropout=0.1), impressions(seed=1), impressions(seed=2), ONE_CYCLE, seeded())
    assert len(result.history) < len(by_plateau.history)
    assert result.best_score > by_plateau.best_score - 0.01


@pytest.mark.parametrize(("scoring", "name", "sign"), [("neg_log_loss", "valid_loss", -1), ("roc_auc", "valid_auc", 1)])
def test_the_best_epoch_is_that_by_the_chosen_score(scoring, name, sign):
    # Few rows with noise, so that the loss rises while the AUC still does.
    settings = replace(SETTINGS, scoring=scoring, n_iter_no_change=8)
    result = train(network(), impressions(400, seed=1, noise=3.0), impressions(seed=2), settings, seeded())
    other = {"valid_loss": "valid_auc", "valid_auc": "valid_loss"}[name]
    scores = [sign * record[name] for record in result.history]
    others = [-sign * record[other] for record in result.history]
    assert result.best_epoch == scores.index(max(scores)) + 1
    assert result.best_score == pytest.approx(max(scores))
    assert result.best_epoch != others.index(max(others)) + 1


def test_stops_after_two_epochs_without_improvement_and_restores_the_best(trained):
    model, result = trained
    scores = [record["valid_auc"] for record in result.history]
    assert result.best_epoch == scores.index(max(scores)) + 1 == len(scores) - 2
    assert result.best_score == pytest.approx(max(scores))
    best_loss = result.history[result.best_epoch - 1]["valid_loss"]
    assert weighted_loss(model, impressions(seed=2)) == pytest.approx(best_loss, abs=1e-6)


def test_final_epoch_learns_from_the_validation_rows_and_leaves_history_and_best_epoch_alone():
    rows, validation = impressions(seed=1), impressions(seed=2)
    (without, before), (with_it, after) = (
        (model := network(), train(model, rows, validation, replace(SETTINGS, final_epoch=final_epoch), seeded()))
        for final_epoch in (False, True)
    )
    timeless = [[{**record, "seconds": 0} for record in result.history] for result in (before, after)]
    assert timeless[0] == timeless[1]
    assert (before.best_epoch, before.best_score) == (after.best_epoch, after.best_score)
    assert weighted_loss(with_it, validation) < weighted_loss(without, validation)


def test_interrupt_in_the_final_epoch_keeps_the_best_epoch(monkeypatch):
    rows, validation = impressions(seed=1), impressions(seed=2)
    best = network()
    train(best, rows, validation, SETTINGS, seeded())
    interrupted = network()
    take = Impressions.take

    def take_or_interrupt(self, chosen):
        if len(self) > len(rows):
            raise KeyboardInterrupt
        return take(self, chosen)

    monkeypatch.setattr(Impressions, "take", take_or_interrupt)
    with pytest.warns(UserWarning, match="interrupted in the final epoch"):
        train(interrupted, rows, validation, replace(SETTINGS, final_epoch=True), seeded())
    for name, weights in best.state_dict().items():
        torch.testing.assert_close(interrupted.state_dict()[name], weights, rtol=0, atol=0)


def test_without_validation_rows_takes_all_epochs_at_one_rate():
    result = train(network(), impressions(), None, replace(SETTINGS, max_epochs=4), seeded())
    assert [record["learning_rate"] for record in result.history] == [SETTINGS.learning_rate] * 4
    assert (result.best_epoch, result.best_score) == (4, None)
    assert "valid_loss" not in result.history[0]


def test_penalty_is_half_lambda_times_the_squared_norm_of_the_complete_tables():
    rows = impressions(15)  # too few to touch all of the codes
    settings = replace(SETTINGS, max_epochs=5, embedding_regularizer=0.3, net_regularizer=0.1)
    parameters = {"feature_selection": False, "batch_norm": False}
    model, expected = network(**parameters), network(**parameters)
    train(model, rows, None, settings, seeded())

    optimizer = torch.optim.Adam(expected.parameters(), lr=settings.learning_rate)
    for _ in range(5):
        logits = expected(rows.codes, rows.values)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, rows.target.float())
        for name, parameter in expected.named_parameters():
            loss = loss + (0.3 if "embedding" in name else 0.1) / 2 * parameter.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for (name, actual), wanted in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(actual, wanted, msg=name, rtol=1e-3, atol=1e-4)


class _OwnNames(nn.Module):
    """A network of one's own, whose tables have names of their own; it knows nothing of the library's protocol."""

    def __init__(self):
        super().__init__()
        self.vectors = FieldEmbedding(FIELDS, 4, generator=seeded())
        self.bias_of_code = nn.Embedding(20, 1)
        self.head = nn.Linear(12, 1)

    def forward(self, codes, values):
        return self.head(self.vectors.features(codes, values)) + self.bias_of_code(codes[:, 0])


class _OwnChoice(_OwnNames):
    """The same, but it says itself what gets the penalty of embeddings."""

    def embedding_parameters(self):
        return [self.head.weight]


@pytest.mark.parametrize(
    ("network_class", "penalised"),
    [(_OwnNames, {"vectors.table", "vectors.numeric", "bias_of_code.weight"}), (_OwnChoice, {"head.weight"})],
)
def test_tables_get_their_penalty_whatever_their_name(network_class, penalised):
    rows = impressions(200)
    settings = replace(SETTINGS, max_epochs=20, learning_rate=0.05)
    norms = {}
    for penalty in (0.0, 10.0):
        torch.manual_seed(0)
        model = network_class()
        train(model, rows, None, replace(settings, embedding_regularizer=penalty), seeded())
        norms[penalty] = {name: parameter.norm().item() for name, parameter in model.named_parameters()}
    assert {name for name in norms[0.0] if norms[10.0][name] < 0.1 * norms[0.0][name]} >= penalised
    assert (norms[10.0]["head.weight"] < 0.1 * norms[0.0]["head.weight"]) == ("head.weight" in penalised)


@pytest.mark.parametrize("n_members", [1, 2])
def test_losses_of_the_streams_are_added_by_their_weight(n_members):
    rows = impressions(300)
    settings = replace(SETTINGS, max_epochs=3, batch_size=1000)
    parameters = {"stream_loss": 0.3, "batch_norm": False}
    models = [[network(**parameters) for _ in range(n_members)] for _ in range(2)]
    trained, expected = (members[0] if n_members == 1 else Ensemble(members) for members in models)
    history = train(trained, rows, None, settings, seeded()).history

    optimizer = torch.optim.Adam(expected.parameters(), lr=settings.learning_rate)
    losses = []
    for _ in range(3):
        logits = expected.train()(rows.codes, rows.values).view(n_members, 3, len(rows.target))
        target = rows.target.float().expand_as(logits)
        each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(0, 2))
        loss = each[0] + 0.3 * (each[1] + each[2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert [record["train_loss"] for record in history] == pytest.approx(losses, rel=1e-4)


def test_an_ensemble_is_weighed_by_the_validation_rows_and_keeps_the_weights_of_its_best_epoch():
    models = [network(), network(fs1_context=["user"]), network(stream1_fields=["age"], stream2_fields=["age"])]
    ensemble = Ensemble(models)
    validation = impressions(seed=2)
    result = train(ensemble, impressions(seed=1), validation, SETTINGS, seeded())
    assert ensemble.weights.sum().item() == pytest.approx(1)
    assert ensemble.weights[2] < ensemble.weights[:2].min()
    best_loss = result.history[result.best_epoch - 1]["valid_loss"]
    assert weighted_loss(ensemble, validation) == pytest.approx(best_loss, abs=1e-6)

    equal = Ensemble([network(), network(fs1_context=["user"])])
    train(equal, impressions(seed=1), None, replace(SETTINGS, max_epochs=2), seeded())
    assert equal.weights.tolist() == [0.5, 0.5]


def test_weight_of_a_row_counts_like_copies_of_it_in_a_full_batch():
    rows = impressions(100)
    copies = torch.arange(100) % 3 + 1
    parameters = {"batch_norm": False}
    settings = replace(SETTINGS, max_epochs=3, batch_size=1000)
    weighted, repeated = network(**parameters), network(**parameters)
    train(weighted, replace(rows, weight=copies / copies.float().mean()), None, settings, seeded())
    train(repeated, rows.take(torch.arange(100).repeat_interleave(copies)), None, settings, seeded())
    for actual, wanted in zip(weighted.parameters(), repeated.parameters(), strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n_members", [1, 3])
def test_gradients_of_the_loss_of_each_network_are_clipped_to_norm_ten(n_members):
    model = Ensemble(network() for _ in range(n_members))
    norms = []

    def record(optimizer, *_):
        for member in model.members:
            gradients = [p.grad.flatten() for p in member.parameters()]
            # The loss is the mean of theirs.
            norms.append(n_members * torch.cat(gradients).norm().item())

    rows = replace(impressions(200), weight=torch.full((200,), 1e6))
    hook = register_optimizer_step_post_hook(record)
    try:
        train(model, rows, None, replace(SETTINGS, max_epochs=1), seeded())
    finally:
        hook.remove()
    assert len(norms) >= 4 * n_members
    assert norms == pytest.approx([10.0] * len(norms), rel=1e-3)


def test_a_member_of_an_ensemble_learns_the_same_whatever_the_gradients_of_the_others():
    rows = replace(impressions(200), weight=torch.full((200,), 30.0))
    settings = replace(SETTINGS, max_epochs=2)
    learned = []
    for scale in (1.0, 100.0):
        ensemble = Ensemble([network(), network()])
        with torch.no_grad():
            ensemble.members[1].fusion.bilinear.mul_(scale)
        train(ensemble, rows, None, settings, seeded())
        learned.append(ensemble.members[0].state_dict())
    torch.testing.assert_close(learned[0], learned[1], rtol=0, atol=0)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_lazy_update_learns_like_the_dense_one(decay, monkeypatch):
    validation = impressions(1000, seed=1)
    settings = replace(SETTINGS, embedding_regularizer=decay, batch_size=16)
    results = {}
    for update, lazy_from in (("dense", math.inf), ("lazy", 0)):
        monkeypatch.setattr(_train, "_LAZY_FROM_ROWS", lazy_from)
        model = network(fs1_context=["user"])
        results[update] = train(model, impressions(), validation, settings, seeded())
        assert not any(module.sparse_gradient for module in model.modules() if isinstance(module, FieldEmbedding))
    assert results["lazy"].best_score == pytest.approx(results["dense"].best_score, abs=0.03)


def test_same_generator_same_weights_and_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    settings = replace(SETTINGS, max_epochs=2)
    first, second = network(dropout=0.5), network(dropout=0.5)
    for model in (first, second):
        train(model, impressions(), None, settings, seeded(3))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_trainings_in_threads_give_the_same_weights_to_the_last_bit():
    def weights(_=None):
        model = network(dropout=0.3, fs1_context=["user"], fs2_context=["item", "age"])
        settings = replace(SETTINGS, max_epochs=2, batch_size=1024)
        train(model, impressions(4000), impressions(500, seed=1), settings, seeded(3))
        return list(model.parameters())

    expected = weights()
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(weights, range(3)):
            assert all(torch.equal(actual, wanted) for actual, wanted in zip(found, expected, strict=True))


class _RaisesAt(TwoStreamNetwork):
    """A network that raises in a given call, as Ctrl-C would."""

    def __init__(self, call, dropout=0.2):
        streams = [MLP((8,), dropout)] * 2
        super().__init__(FIELDS, *streams, "sum", feature_selection=False, generator=seeded())
        self.calls_left = call

    def forward(self, codes, values):
        if self.training:
            self.calls_left -= 1
            if self.calls_left == 0:
                raise KeyboardInterrupt
        return super().forward(codes, values)


def test_interrupt_after_an_epoch_keeps_the_best_weights_and_warns():
    rows, validation = impressions(640), impressions(100, seed=1)
    model = _RaisesAt(call=25, dropout=0.0)
    with pytest.warns(UserWarning, match="interrupted in epoch 3; the model has the weights of epoch 2"):
        result = train(model, rows, validation, SETTINGS, seeded())
    assert len(result.history) == 2
    assert weighted_loss(model, validation) == pytest.approx(result.history[1]["valid_loss"], abs=1e-6)
    assert not model.training


def test_interrupt_without_validation_rows_keeps_the_last_finished_epoch():
    rows = impressions(640)
    interrupted, finished = _RaisesAt(call=25), _RaisesAt(call=-1)
    with pytest.warns(UserWarning, match="interrupted in epoch 3; the model has the weights of epoch 2"):
        train(interrupted, rows, None, SETTINGS, seeded())
    train(finished, rows, None, replace(SETTINGS, max_epochs=2), seeded())
    assert all(torch.equal(a, b) for a, b in zip(interrupted.parameters(), finished.parameters(), strict=True))


def test_interrupt_before_the_end_of_an_epoch_is_raised():
    with pytest.raises(KeyboardInterrupt):
        train(_RaisesAt(call=5), impressions(640), None, SETTINGS, seeded())


def test_nan_stops_with_advice():
    rows = impressions()
    rows.values[700] = float("nan")
    with pytest.raises(FloatingPointError, match=r"became nan in epoch 1\. Try a lower learning_rate"):
        train(network(), rows, None, SETTINGS, seeded())


def test_divergence_in_the_last_step_stops_with_advice():
    settings = replace(SETTINGS, max_epochs=1, batch_size=1000, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"became .+ in epoch 1\. Try a lower learning_rate"):
        train(network(batch_norm=False), impressions(), None, settings, seeded())


def test_validation_rows_of_one_class_have_a_log_loss_but_no_auc():
    validation = impressions(100, seed=1)
    validation = replace(validation, target=torch.zeros_like(validation.target))
    by_loss = replace(SETTINGS, max_epochs=2, scoring="neg_log_loss")
    result = train(network(), impressions(), validation, by_loss, seeded())
    assert all(math.isnan(record["valid_auc"]) for record in result.history)
    assert result.best_score == pytest.approx(-min(record["valid_loss"] for record in result.history))
    with pytest.raises(ValueError, match="'roc_auc' needs validation rows of every class"):
        train(network(), impressions(), validation, SETTINGS, seeded())


def test_validation_rows_without_a_finite_loss_stop_with_advice():
    validation = impressions(100, seed=1)
    validation.values[7] = float("nan")
    with pytest.raises(FloatingPointError, match=r"loss on the validation rows became nan in epoch 1\. Try a lower"):
        train(network(), impressions(), validation, SETTINGS, seeded())


@pytest.mark.parametrize(("n_rows", "batch_size"), [(1000, 64), (65, 64), (3, 2), (2, 1), (1, 64)])
def test_batches_hold_every_row_once_and_are_of_equal_size(n_rows, batch_size):
    rows = replace(impressions(n_rows), weight=torch.arange(n_rows, dtype=torch.float32))
    batches = Batches(rows, batch_size, seeded(), CPU)
    weights = [weight for _, (_, weight) in batches]
    assert len(weights) == len(batches)
    assert torch.equal(torch.cat(weights).sort().values, rows.weight)
    sizes = {len(weight) for weight in weights}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(batch_size, 3)
    assert min(sizes) >= min(2, n_rows)


def test_batches_are_shuffled_anew_and_codes_stay_integers():
    batches = Batches(impressions(), 1000, seeded(), CPU)
    ((first, _), _), ((second, _), _) = next(iter(batches)), next(iter(batches))
    assert first.dtype == torch.int32
    assert not torch.equal(first, second)


@pytest.mark.parametrize("n_rows", [1, 7, 33, 200])
def test_logits_do_not_depend_on_the_rows_beside(trained, n_rows):
    model, _ = trained
    rows = impressions(200, seed=5)
    all_logits = predict_logits(model, rows.codes, rows.values)
    assert torch.equal(predict_logits(model, rows.codes[:n_rows], rows.values[:n_rows]), all_logits[:n_rows])


class TestDevice:
    def test_auto_is_one_that_torch_can_use(self):
        torch.ones(1, device=resolve_device("auto"))

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_absent_device_is_an_error(self):
        with pytest.raises(ValueError, match=r"device='cuda' was asked for, but torch \S+ finds no such device here"):
            resolve_device("cuda")

    def test_unknown_name_is_an_error(self):
        with pytest.raises(ValueError, match="device='gpu0' isn't a name of a device"):
            resolve_device("gpu0")
