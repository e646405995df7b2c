"""Steps that are recorded and replayed.

Where there is no CUDA device, a recorder that replays by calling the step again stands for one: so all but CUDA's own
recording is what runs on it.
"""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.fields import Field
from sk_finalmlp.nn import Ensemble, FinalMLP
from sk_finalmlp.training import Impressions, LazyAdam, TrainingSettings, _graphs, _train, train
from sk_finalmlp.training._graphs import CudaRecorder, Graphs

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(
    schedule="one_cycle",
    precision="float32",
    learning_rate=1e-2,
    batch_size=64,
    max_epochs=3,
    n_iter_no_change=3,
    tol=1e-6,
    embedding_regularizer=0.1,
    net_regularizer=0.0,
    embedding_update="dense",
    device=CPU,
    scoring="neg_log_loss",
    final_epoch=True,
    verbose=0,
)
FIELDS = [Field("user", "categorical", n_codes=20), Field("item", "categorical", n_codes=20), Field("age", "numeric")]


class Again:
    """Records the step itself."""

    def __init__(self):
        self.n_beside = self.n_recorded = self.n_replayed = 0

    def beside(self, function):
        self.n_beside += 1
        return function()

    def record(self, function, generators):
        self.n_recorded += 1

        def replay():
            self.n_replayed += 1
            return function()

        return replay


def network(n_members=1):
    generator = torch.Generator().manual_seed(0)
    widths = {"mlp1_hidden_units": (16,), "mlp2_hidden_units": (8,), "num_heads": 4}
    members = [FinalMLP(FIELDS, **widths, mlp1_dropout=0.3, generator=generator) for _ in range(n_members)]
    return members[0] if n_members == 1 else Ensemble(members)


def no_steps():
    return LazyAdam([torch.nn.Parameter(torch.ones(()))])


def impressions(n_rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(20, (n_rows, 2), generator=generator, dtype=torch.int32)
    return Impressions(
        codes, torch.randn(n_rows, 1, generator=generator), (codes.sum(1) > 20).long(), torch.ones(n_rows)
    )


def trained(settings, n_members=1, n_rows=650):
    own = network(n_members)
    result = train(own, impressions(n_rows), impressions(100, seed=1), settings, torch.Generator().manual_seed(0))
    return own, result


@pytest.fixture
def recorders(monkeypatch):
    """Let steps be recorded on the CPU; the recorders of the trainings."""
    made = []

    def make(device):
        made.append(Again())
        return made[-1]

    monkeypatch.setattr(_train, "_check_can_be_recorded", lambda *_: None)
    monkeypatch.setattr(_train, "CudaRecorder", make)
    return made


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_recorded_steps_train_as_others_do(recorders, schedule, n_members):
    # No score is as much better, so that the rate falls.
    settings = replace(SETTINGS, schedule=schedule, tol=10.0, n_iter_no_change=2 if schedule == "plateau" else 3)
    _, graphed = trained(replace(settings, cuda_graph=True), n_members)
    assert recorders[0].n_replayed > 0
    _, plain = trained(settings, n_members)
    assert len({epoch["learning_rate"] for epoch in plain.history}) > 1
    assert [e["learning_rate"] for e in graphed.history] == [e["learning_rate"] for e in plain.history]
    # A rate in a tensor is rounded to a float32.
    for name in ("train_loss", "valid_loss"):
        assert [e[name] for e in graphed.history] == pytest.approx([e[name] for e in plain.history], rel=1e-5)


def test_replay_reads_the_rate_of_each_group_which_stays_a_number():
    weights = [torch.nn.Parameter(torch.ones(())) for _ in range(2)]
    optimizer = LazyAdam([{"params": [weight], "lr": 1.0} for weight in weights], fused=True)
    graphs = Graphs(Again(), [], optimizer)

    def step(batch):
        for weight in weights:
            weight.grad = torch.ones(())
        optimizer.step()
        return torch.zeros(())

    batch = (torch.ones(2), torch.ones(2)), (torch.ones(2), torch.ones(2))
    for number in range(6):
        before = [weight.item() for weight in weights]
        rates = [0.5**number, 0.25**number]
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        graphs(step, batch)
        assert [b - w.item() for b, w in zip(before, weights, strict=True)] == pytest.approx(rates, abs=1e-5)
        assert [(group["lr"], group["capturable"]) for group in optimizer.param_groups] == [(r, False) for r in rates]


def test_each_size_of_a_batch_is_recorded_once_after_three_steps(recorders):
    # Eleven batches an epoch: one of 60 rows and ten of 59.
    trained(replace(SETTINGS, cuda_graph=True, final_epoch=False, max_epochs=5), n_rows=650)
    (recorder,) = recorders
    assert (recorder.n_beside, recorder.n_recorded) == (6, 2)
    assert recorder.n_replayed == 5 * 11 - 6


def test_replay_reads_each_batch():
    graphs = Graphs(Again(), [], no_steps())

    def step(batch):
        (codes, values), (target, weight) = batch
        return codes.sum() + values.sum() + target.sum() + weight.sum()

    for number in range(8):
        batch = (torch.full((2,), number), torch.ones(2)), (torch.zeros(2), torch.full((2,), 10 * number))
        assert graphs(step, batch).item() == 22 * number + 2


def test_recorded_random_numbers_that_repeat_are_refused():
    generator = torch.Generator().manual_seed(0)

    class Repeats(Again):
        """As a graph does that doesn't know the generator."""

        def record(self, function, generators):
            loss = torch.zeros(())
            return lambda: loss

    def step(batch):
        # On other devices than the CPU, layers draw from the generator itself.
        return (batch[0][0] * torch.empty(9).bernoulli_(0.5, generator=generator)).sum()

    batch = (torch.ones(9), torch.ones(9)), (torch.ones(9), torch.ones(9))
    graphs = Graphs(Repeats(), [generator], no_steps())
    for _ in range(3):
        graphs(step, batch)
    with pytest.raises(RuntimeError, match="repeats its random numbers on this device: set cuda_graph=False"):
        graphs(step, batch)
    assert Graphs(Repeats(), [], no_steps())(step, batch).item() > 0


def test_what_cannot_be_recorded_is_named():
    with pytest.raises(ValueError, match="cuda_graph=True can't be had with device='cpu': only CUDA devices"):
        trained(replace(SETTINGS, cuda_graph=True))
    on_cuda = replace(SETTINGS, cuda_graph=True, device=torch.device("cuda"))
    with pytest.raises(ValueError, match="updated lazily: set embedding_update='dense'; or set cuda_graph=False"):
        trained(replace(on_cuda, embedding_update="lazy"))
    with pytest.raises(ValueError, match="several processes: set n_processes=1"):
        trained(replace(on_cuda, n_processes=2))
    fields = [*FIELDS, Field("past~item", "history", n_codes=20, n_columns=3, of="item")]
    past = FinalMLP(fields, mlp1_hidden_units=(16,), mlp2_hidden_units=(8,), num_heads=4)
    with pytest.raises(ValueError, match="histories, whose values the CPU counts"):
        train(past, impressions(100), None, on_cuda, torch.Generator())


def test_classifier_hands_it_on():
    codes = impressions(50).codes.numpy()
    with pytest.raises(ValueError, match="only CUDA devices have such graphs"):
        FinalMLPClassifier(cuda_graph=True, device="cpu").fit(codes, codes[:, 0] % 2)


def test_cuda_recorder_registers_generators_and_records_on_its_device_in_one_pool(monkeypatch):
    calls = []
    on_device = torch.device("cuda", 1)

    class Graph:
        def register_generator_state(self, generator):
            calls.append(("register", generator))

        def replay(self):
            calls.append("replay")

    class Recording:
        def __init__(self, graph, pool, stream):
            calls.append(("record", pool, stream))

        def __enter__(self):
            calls.append("begin")

        def __exit__(self, *_):
            calls.append("end")

    monkeypatch.setattr(_graphs.torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(_graphs.torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(_graphs.torch.cuda, "graph", Recording)
    monkeypatch.setattr(_graphs.torch.cuda, "Stream", lambda device: ("stream", device))
    monkeypatch.setattr(_graphs.torch.cuda, "device", lambda device: calls.append(device) or nullcontext())
    generator = torch.Generator()
    recorder = CudaRecorder(on_device)
    replay = recorder.record(lambda: calls.append("step") or torch.ones(()), [generator])
    recording = ("record", "pool", ("stream", on_device))
    assert calls == [on_device, ("register", generator), recording, "begin", "step", "end"]
    assert replay() == 1
    assert calls[-1] == "replay"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_graphs_on_cuda_train_as_steps_do(schedule, precision):
    on_cuda = replace(SETTINGS, schedule=schedule, precision=precision, device=torch.device("cuda"))
    # No score is as much better, so that the rate falls.
    settings = replace(on_cuda, tol=10.0, max_epochs=4, n_iter_no_change=3)
    _, plain = trained(settings)
    _, graphed = trained(replace(settings, cuda_graph=True))
    assert [e["learning_rate"] for e in graphed.history] == [e["learning_rate"] for e in plain.history]
    for name in ("train_loss", "valid_loss"):
        assert [e[name] for e in graphed.history] == pytest.approx([e[name] for e in plain.history], abs=0.02)
