"""Steps that are recorded and replayed.

Where there is no CUDA device, a recorder that replays by calling the step again stands for one: so all but CUDA's own
recording is what runs on it. Torch's "meta" device shows that a step with a rate in a tensor reads no number.
"""

from dataclasses import replace

import pytest
import torch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.fields import Field
from sk_finalmlp.nn import Dropout, Ensemble, FinalMLP, dropout_generator
from sk_finalmlp.training import Impressions, TrainingSettings, _graphs, _train, train
from sk_finalmlp.training._graphs import CudaRecorder, Graphs, operator_by_operator

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

    def make():
        made.append(Again())
        return made[-1]

    monkeypatch.setattr(_train, "_check_can_be_recorded", lambda *_: None)
    monkeypatch.setattr(_train, "CudaRecorder", make)
    return made


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_recorded_steps_train_as_others_do(recorders, monkeypatch, schedule, n_members):
    settings = replace(SETTINGS, schedule=schedule, cuda_graph=True)
    graphed, record = trained(settings, n_members)
    assert recorders[0].n_replayed > 0
    monkeypatch.setattr(_train, "Graphs", lambda *_: operator_by_operator)
    one_by_one, _ = trained(settings, n_members)
    for one, other in zip(one_by_one.state_dict().values(), graphed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    # Where the rate is no tensor, it isn't rounded to a float32.
    _, plain = trained(replace(settings, cuda_graph=False), n_members)
    for name in ("train_loss", "valid_loss", "learning_rate"):
        assert [epoch[name] for epoch in record.history] == pytest.approx([e[name] for e in plain.history], rel=1e-4)


def test_each_size_of_a_batch_is_recorded_once_after_three_steps(recorders):
    # Eleven batches an epoch: one of 60 rows and ten of 59.
    trained(replace(SETTINGS, cuda_graph=True, final_epoch=False, max_epochs=5), n_rows=650)
    (recorder,) = recorders
    assert (recorder.n_beside, recorder.n_recorded) == (6, 2)
    assert recorder.n_replayed == 5 * 11 - 6


def test_replay_reads_each_batch():
    graphs = Graphs(Again(), [])

    def step(batch):
        (codes, values), (target, weight) = batch
        return codes.sum() + values.sum() + target.sum() + weight.sum()

    for number in range(8):
        batch = (torch.full((2,), number), torch.ones(2)), (torch.zeros(2), torch.full((2,), 10 * number))
        assert graphs(step, batch).item() == 22 * number + 2


def test_recorded_random_numbers_that_repeat_are_refused():
    generator = torch.Generator().manual_seed(0)
    layer = Dropout(0.5)

    class Repeats(Again):
        """As a graph does that doesn't know the generator."""

        def record(self, function, generators):
            loss = torch.zeros(())
            return lambda: loss

    def step(batch):
        # On other devices than the CPU, layers draw from the generator itself.
        return (batch[0][0] * torch.empty(9).bernoulli_(0.5, generator=generator)).sum()

    batch = (torch.ones(9), torch.ones(9)), (torch.ones(9), torch.ones(9))
    graphs = Graphs(Repeats(), [generator])
    with dropout_generator(layer, generator):
        for _ in range(3):
            graphs(step, batch)
        with pytest.raises(RuntimeError, match="repeats its random numbers on this device: set cuda_graph=False"):
            graphs(step, batch)
    assert Graphs(Repeats(), [])(step, batch).item() > 0


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


def test_cuda_recorder_registers_generators_and_records_in_one_pool(monkeypatch):
    calls = []

    class Graph:
        def register_generator_state(self, generator):
            calls.append(("register", generator))

        def replay(self):
            calls.append("replay")

    class Recording:
        def __init__(self, graph, pool):
            calls.append(("record", pool))

        def __enter__(self):
            calls.append("begin")

        def __exit__(self, *_):
            calls.append("end")

    monkeypatch.setattr(_graphs.torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(_graphs.torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(_graphs.torch.cuda, "graph", Recording)
    generator = torch.Generator()
    replay = CudaRecorder().record(lambda: calls.append("step") or torch.ones(()), [generator])
    assert calls == [("register", generator), ("record", "pool"), "begin", "step", "end"]
    assert replay() == 1
    assert calls[-1] == "replay"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_on_cuda_train_as_steps_do():
    settings = replace(SETTINGS, device=torch.device("cuda"), max_epochs=8)
    _, plain = trained(settings)
    _, graphed = trained(replace(settings, cuda_graph=True))
    assert graphed.best_score == pytest.approx(plain.best_score, abs=0.01)
