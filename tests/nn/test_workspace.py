"""Memory that is kept from step to step changes nothing but the time."""

import copy
import pickle

import pytest
import torch

from sk_finalmlp.nn import TwoStreamNetwork, _workspace, dropout_generator, lent_workspaces
from sk_finalmlp.nn._workspace import Workspace, WorkspaceUser
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

FIELDS = [
    Field("user", "categorical", n_codes=20),
    Field("item", "categorical", n_codes=30),
    Field("genres", "multi-valued", n_codes=6, n_columns=3),
    Field("age", "numeric"),
]
NETWORKS = {
    "published form": {"fs1_context": ["user"], "fs2_context": ["item"]},
    "several layers": {"stream1": MLP((16, 8)), "fs_hidden_units": (8, 8), "fs1_context": ["user", "item"]},
    "no context": {},
    "contexts of other kinds": {"fs1_context": ["genres"], "fs2_context": ["age", "user"]},
    "no batch norm": {"stream1": MLP((16,), batch_norm=False), "stream2": MLP((8,), 0.0, batch_norm=False)},
    "no gates, classes": {"feature_selection": False, "n_outputs": 3},
}
WIDTHS = {"stream1": MLP((16,)), "stream2": MLP((8,)), "num_heads": 4}
NO_DROPOUT = {"stream1": MLP((16,), dropout=0.0), "stream2": MLP((8,), dropout=0.0)}


@pytest.fixture(autouse=True)
def keep_small_tensors_too(monkeypatch):
    monkeypatch.setattr(_workspace, "_FEW_ELEMENTS", 0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n_rows, seed=0):
    generator = seeded(seed)
    codes = [torch.randint(0, n_codes, (n_rows, 1), generator=generator) for n_codes in (20, 30, 6, 6, 6)]
    return torch.cat(codes, dim=1), torch.randn(n_rows, 1, generator=generator, dtype=torch.float64)


def make(**parameters):
    return TwoStreamNetwork(FIELDS, generator=seeded(), **{**WIDTHS, **parameters}).double()


def gradients(network):
    return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("parameters", NETWORKS.values(), ids=NETWORKS)
def test_outputs_and_gradients_are_the_same(parameters):
    _compare(make(**parameters), make(**parameters))


def test_outputs_and_gradients_of_dualmlp_are_the_same():
    _compare(*(make(fusion="sum", feature_selection=False) for _ in range(2)))


def _compare(kept, plain):
    with dropout_generator(kept, seeded()), dropout_generator(plain, seeded()), lent_workspaces(kept):
        for step, n_rows in enumerate((40, 39, 41)):
            for network in (kept, plain):
                network.zero_grad()
                network(*batch(n_rows, seed=step)).square().sum().backward()
            torch.testing.assert_close(gradients(kept), gradients(plain))
    torch.testing.assert_close(kept.state_dict(), plain.state_dict())
    torch.testing.assert_close(kept.eval()(*batch(50)), plain.eval()(*batch(50)))


def test_passes_before_a_backward_pass_do_not_disturb_each_other():
    kept, plain = (make(**NETWORKS["published form"], **NO_DROPOUT) for _ in range(2))
    with lent_workspaces(kept):
        for network in (kept, plain):
            first, second = network(*batch(40, seed=0)), network(*batch(40, seed=1))
            (first.sum() + second.square().sum()).backward()
    torch.testing.assert_close(gradients(kept), gradients(plain))


def test_gradients_of_several_batches_add_up():
    kept, plain = (make(**NETWORKS["published form"], **NO_DROPOUT) for _ in range(2))
    with lent_workspaces(kept):
        for network in (kept, plain):
            for seed in range(3):
                network(*batch(40, seed)).sum().backward()
    torch.testing.assert_close(gradients(kept), gradients(plain))


def test_memory_is_the_same_in_each_step(monkeypatch):
    network, addresses = make(**NETWORKS["published form"]), []
    empty = Workspace.empty

    def record(workspace, name, shape, dtype):
        tensor = empty(workspace, name, shape, dtype)
        addresses[-1].append((id(workspace), name, tensor.data_ptr()))
        return tensor

    monkeypatch.setattr(Workspace, "empty", record)
    with lent_workspaces(network):
        for n_rows in (41, 40, 41):
            addresses.append([])
            loss = network(*batch(n_rows)).sum()
            loss.backward()
    assert addresses[0]
    assert addresses[0] == addresses[1] == addresses[2]


def test_is_used_in_training_mode_only(monkeypatch):
    network = make()
    expected = network.eval()(*batch(40))
    monkeypatch.setattr(Workspace, "empty", lambda *_: pytest.fail("a workspace was used"))
    with lent_workspaces(network):
        assert torch.equal(network(*batch(40)), expected)


def test_is_given_back_after_the_loan_even_if_it_fails():
    network = make()
    with pytest.raises(ValueError, match="one row"), lent_workspaces(network):
        network(*batch(1))
    _assert_nothing_is_kept(network)


def test_a_copy_or_pickle_of_a_network_in_training_has_memory_of_its_own():
    network = make()
    with lent_workspaces(network):
        network(*batch(40)).sum().backward()
        copies = copy.deepcopy(network), pickle.loads(pickle.dumps(network))
    for copied in copies:
        assert torch.equal(copied.eval()(*batch(40)), network.eval()(*batch(40)))


def _assert_nothing_is_kept(network):
    users = [module for module in network.modules() if isinstance(module, WorkspaceUser)]
    assert users
    assert not any(vars(user).get("_lent") for user in users)


class TestWorkspace:
    def test_grows_with_the_largest_tensor(self):
        workspace = Workspace()
        for n_rows in (3, 5, 4):
            assert workspace.empty("output", (n_rows, 2), torch.float32).shape == (n_rows, 2)

    def test_memory_of_a_tensor_in_use_is_not_handed_out(self):
        workspace = Workspace()
        view = workspace.empty("output", (4, 3), torch.float32).fill_(1).view(12)
        workspace.empty("output", (4, 3), torch.float32).fill_(2)
        assert torch.equal(view, torch.ones(12))
