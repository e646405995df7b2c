"""Training on a device beside the CPU, which must not wait for it in a step.

There is no such device where these tests run. Torch's "meta" device stands for one: it has shapes and no numbers, so
that whatever reads a number raises. What copies from the CPU is watched. Numbers are compared on the CPU.
"""

import importlib
from dataclasses import replace

import pytest
import small_models
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sk_finalmlp import streams
from sk_finalmlp.nn import Ensemble, FieldEmbedding, TwoStreamNetwork, give_vectors
from sk_finalmlp.schema import Field
from sk_finalmlp.training import (
    Batches,
    Impressions,
    StoredImpressions,
    TaskObjective,
    _callbacks,
    _device,
    _net,
    _train,
    predict_logits,
    train,
)

META = torch.device("meta")
SETTINGS = replace(small_models.SETTINGS, schedule="one_cycle", embedding_regularizer=0.1, device=META)
N_CODES = 20
FIELDS = [
    Field("user", "categorical", n_codes=N_CODES),
    Field("item", "categorical", n_codes=N_CODES),
    Field("tags", "multi-valued", n_codes=N_CODES, n_columns=3),
    Field("text of item", "pretrained", n_codes=N_CODES, length=6, of="item"),
    Field("age", "numeric"),
    Field("price", "numeric"),
    Field("picture", "vector", n_columns=4),
    Field("user@rate", "statistic"),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def impressions(n_rows=640, seed=0, **options):
    generator = seeded(seed)
    codes = torch.randint(N_CODES, (n_rows, 6), generator=generator, dtype=torch.int32)
    values = torch.randn(n_rows, 7, generator=generator)
    target = (torch.sin(codes[:, :2].double()).prod(dim=1) + values[:, 0] > 0).long()
    return Impressions(codes, values, target, torch.ones(n_rows), **options)


def small(**parameters):
    widths = {"num_heads": 4, "fs_hidden_units": (8,)}
    return TwoStreamNetwork(FIELDS, streams.MLP((16,)), streams.MLP((8,)), generator=seeded(), **widths, **parameters)


def two_streams(stream, **parameters):
    streams_of_16 = [streams.as_stream(name) for name in (stream, "mlp")]
    return TwoStreamNetwork(FIELDS, *streams_of_16, fusion="sum", generator=seeded(), **parameters)


GATED = {"fs1_context": ["user", "tags"], "fs2_context": ["item"]}
NETWORKS = {
    "FinalMLP": small,
    "gates with contexts": lambda: small(**GATED),
    "gate with floats": lambda: small(fs1_context=["price"]),
    "DualMLP": lambda: small(fusion="sum", feature_selection=False),
    "ensemble": lambda: Ensemble([small(), small(**GATED)]),
    "fields and tables of each stream": lambda: small(
        stream1_fields=["item", "price"], stream2_fields=["user", "tags", "user@rate"], stream_embeddings="own"
    ),
    "losses of streams, linear term": lambda: two_streams("mlp", stream_loss=0.3, linear_term=True),
} | {name: lambda name=name: two_streams(name, **GATED) for name in streams.stream_names()}
TASKS = {
    "funnel": TaskObjective(("a", "b"), "funnel", (1.0, 0.5)),
    "independent": TaskObjective(("a", "b"), "independent", (1.0, 0.5)),
}


class Crossings(TorchDispatchMode):
    """Operators that see both the CPU and the device: for each, the CPU may wait."""

    def __init__(self):
        super().__init__()
        self.operators = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        if len({tensor.device.type for tensor in tensors}) > 1:
            self.operators.append(str(operator))
        return result


class NoLists(TorchFunctionMode):
    """Refuses what copies Python lists to the device, which no operator tells of."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        makes_tensor = function in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor)
        indexes = function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
        if makes_tensor or (indexes and any(isinstance(leaf, list) for leaf in leaves_of_index(args[1]))):
            raise AssertionError(f"{function} copies a list to the device")
        return function(*args, **(kwargs or {}))


def leaves_of_index(index):
    return index if isinstance(index, tuple) else (index,)


@pytest.fixture
def on_meta(monkeypatch):
    """Let torch train on a device without numbers, and hold rows there."""
    adam = importlib.import_module("torch.optim.adam")
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda *_, **__: None)
    monkeypatch.setattr(_device, "_free_memory", lambda device: 2**40 if device.type == "meta" else 0)


def take_an_epoch(network, rows):
    """Train for an epoch, up to the only place that reads a number, at the end; the batches, and what has crossed."""
    give_vectors(network, {"text of item": torch.ones(N_CODES, 6)})
    batches = Batches(rows, SETTINGS.batch_size, seeded(), META)
    callbacks = _train._callbacks(batches, None, SETTINGS, _train.BestEpoch(0.0, 4), [])
    net = _train._make_net(network.to(META), SETTINGS, callbacks)
    net.notify("on_train_begin", X=batches, y=None)
    with Crossings() as crossings, NoLists(), pytest.raises(NotImplementedError, match="Cannot copy out of meta"):
        net.fit_loop(batches, epochs=1)
    assert len(net.history[-1, "batches"]) == len(batches) == 10
    return batches, crossings.operators


@pytest.mark.parametrize("name", NETWORKS)
def test_no_step_waits_for_the_device(on_meta, name):
    _, crossings = take_an_epoch(NETWORKS[name](), impressions())
    # The four columns of the rows, once, and the order of an epoch.
    assert crossings == ["aten._to_copy.default"] * 5


@pytest.mark.parametrize("name", TASKS)
def test_no_step_of_several_tasks_waits_for_the_device(on_meta, name):
    network = small(n_outputs=2)
    _, crossings = take_an_epoch(network, impressions(objective=TASKS[name]))
    assert crossings == ["aten._to_copy.default"] * 5


def batches_on_meta(monkeypatch, rows, free_memory, **options):
    monkeypatch.setattr(_device, "_free_memory", lambda device: free_memory)
    return Batches(rows, SETTINGS.batch_size, seeded(), META, **options)


@pytest.mark.parametrize(("spare", "n_copies"), [(0, 5), (-1, 40)])
def test_rows_are_copied_once_where_they_take_half_of_the_free_memory_at_most(monkeypatch, spare, n_copies):
    rows = impressions()
    n_bytes = 640 * (6 * 4 + 7 * 4 + 8 + 4)
    with Crossings() as crossings:
        list(batches_on_meta(monkeypatch, rows, 2 * n_bytes + spare))
    assert crossings.operators == ["aten._to_copy.default"] * n_copies


@pytest.mark.parametrize("free_memory", [0, 2**40])
@pytest.mark.parametrize("options", [{}, {"negative_sampling": 0.5}])
def test_batches_have_the_sizes_and_draws_of_those_on_the_cpu(monkeypatch, free_memory, options):
    rows = impressions()
    batches = batches_on_meta(monkeypatch, rows, free_memory, **options)
    on_cpu = Batches(rows, SETTINGS.batch_size, seeded(), torch.device("cpu"), **options)
    for one, other in zip(batches, on_cpu, strict=True):
        kinds = [[(tensor.shape, tensor.dtype) for tensor in tree_leaves(batch)] for batch in (one, other)]
        assert kinds[0] == kinds[1]
        assert {tensor.device for tensor in tree_leaves(one)} == {META}
    assert torch.equal(batches.generator.get_state(), on_cpu.generator.get_state())
    assert batches.impressions.codes.device.type == "cpu"


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_batches_that_do_not_fit_come_from_pinned_memory_without_a_wait(monkeypatch, is_on_disk):
    rows, copies = stored(impressions()) if is_on_disk else impressions(), []

    def copy(tensor, *arguments, **options):
        copies.append(options)
        return tensor

    expected = [tree_leaves(batch) for batch in batches_of(rows, torch.device("cpu"))]
    monkeypatch.setattr(_device, "_free_memory", lambda device: 0)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: copy(tensor, pinned=True))
    monkeypatch.setattr(torch.Tensor, "to", copy)
    actual = [tree_leaves(batch) for batch in batches_of(rows, torch.device("cuda"))]
    assert [copy for copy in copies if copy] == [{"pinned": True}, {"non_blocking": True}] * 40
    assert all(map(torch.equal, tree_leaves(actual), tree_leaves(expected)))


def batches_of(rows, device):
    return Batches(rows, SETTINGS.batch_size, seeded(), device)


def stored(rows):
    return StoredImpressions([StoredImpressions.rows_of(rows)], 6, rows.class_weights(2), rows.counts)


@pytest.mark.parametrize(("device", "free"), [("cuda:1", 30), ("mps", 50 - 8), ("cpu", 0), ("meta", 0)])
def test_free_memory_is_what_torch_says(monkeypatch, device, free):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30, 80) if device.index == 1 else None)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 50)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 8)
    assert _device._free_memory(torch.device(device)) == free


def test_validation_rows_are_copied_once_and_their_labels_stay(on_meta):
    rows = impressions()
    batches = Batches(rows, SETTINGS.batch_size, seeded(), META)
    callbacks = _train._callbacks(batches, rows, SETTINGS, _train.BestEpoch(0.0, 4), [])
    (record,) = (callback for callback in callbacks if isinstance(callback, _callbacks.EpochRecord))
    net = _train._make_net(small().to(META), SETTINGS, callbacks)
    net.notify("on_train_begin", X=batches, y=None)
    with Crossings() as crossings, pytest.raises(NotImplementedError, match="Cannot copy out of meta"):
        predict_logits(net.module_.eval(), record.validation.codes, record.validation.values)
    assert crossings.operators == []
    assert record.validation.target.device == record.validation.weight.device == torch.device("cpu")


@pytest.fixture
def accelerated(monkeypatch):
    """Let the CPU train as an accelerator does."""
    monkeypatch.setattr(_net.ClickNet, "is_accelerated", True)
    monkeypatch.setattr(_device, "_free_memory", lambda device: 2**40)


ON_CPU = replace(SETTINGS, device=torch.device("cpu"))


def weights_and_history(name, **changes):
    network = NETWORKS[name]()
    give_vectors(network, {"text of item": torch.ones(N_CODES, 6)})
    result = train(network, impressions(), impressions(200, seed=1), replace(ON_CPU, **changes), seeded())
    return network.state_dict(), [{**record, "seconds": 0} for record in result.history]


@pytest.mark.parametrize("name", ["FinalMLP", "DualMLP", "ensemble", "crossnet", "fm", "cin", "selfattention"])
def test_losses_and_weights_are_those_of_the_cpu_to_the_last_bit(name, request):
    weights, history = weights_and_history(name, final_epoch=True)
    request.getfixturevalue("accelerated")
    late_weights, late_history = weights_and_history(name, final_epoch=True)
    assert late_history == history
    assert all(map(torch.equal, late_weights.values(), weights.values()))


def test_gates_of_each_row_are_those_of_its_context(monkeypatch):
    gate, rows = small(**GATED).gate1, impressions()
    of_contexts = gate(rows.codes, rows.values)
    monkeypatch.setattr(FieldEmbedding, "reads_values", True)
    torch.testing.assert_close(gate(rows.codes, rows.values), of_contexts)


def test_nan_ends_the_training_at_the_end_of_the_epoch(accelerated):
    rows, model = impressions(), small()
    rows.values[:, 0] = float("nan")
    steps = []
    hook = nn.modules.module.register_module_forward_pre_hook(lambda module, _: steps.append(module is model))
    try:
        with pytest.raises(FloatingPointError, match=r"training loss became nan in epoch 1\. Try a lower"):
            train(model, rows, None, ON_CPU, seeded())
    finally:
        hook.remove()
    assert sum(steps) == 10
