"""Each function with a derivative of its own: against its derivative by differences, and against plain torch."""

import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional as F

from sk_finalmlp.nn import (
    Activation,
    Dropout,
    Linear,
    MultiHeadBilinearFusion,
    _kernels,
    _workspace,
    dropout_generator,
    lent_workspaces,
)
from sk_finalmlp.nn._kernels import bilinear_fusion, linear, look_up
from sk_finalmlp.nn._workspace import Workspace


@pytest.fixture(autouse=True)
def keep_small_tensors_too(monkeypatch):
    monkeypatch.setattr(_workspace, "_FEW_ELEMENTS", 0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64).requires_grad_()


def check(function, plain, *inputs):
    """Derivatives are right; outputs and gradients are those of the plain function, in kept memory too."""
    workspace = Workspace()
    assert torch.autograd.gradcheck(lambda *inputs: function(*inputs, workspace), inputs)
    learned = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    for _ in range(3):
        output, expected = function(*inputs, workspace), plain(*inputs)
        torch.testing.assert_close(output, expected)
        upstream = torch.randn_like(expected)
        torch.testing.assert_close(
            torch.autograd.grad(output, learned, upstream), torch.autograd.grad(expected, learned, upstream)
        )
        del output


@pytest.mark.parametrize(("n_in", "n_out"), [(3, 5), (5, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(n_in, n_out, bias):
    check(linear, F.linear, draw(7, n_in), draw(n_out, n_in, seed=1), draw(n_out, seed=2) if bias else None)


@pytest.mark.parametrize("layer", [Linear(6, 3), Activation(6, 0.0), Activation(4, 0.0, batch_norm=True)], ids=repr)
def test_maps_of_each_vector_of_a_row(layer):
    x = draw(9, 4, 6).float()
    expected = layer(x)
    with lent_workspaces(layer):
        torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("n_heads", [1, 2])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_bilinear_fusion(n_heads, n_outputs):
    plain = MultiHeadBilinearFusion(4, 6, n_outputs, n_heads).double()
    weights = [plain.linear_x.weight, plain.linear_y.weight, plain.bilinear]
    check(bilinear_fusion, lambda x, y, *_: plain(x, y), draw(5, 4), draw(5, 6, seed=1), *weights)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_look_up_has_the_bits_of_torch_on_any_number_of_threads(n_threads):
    rows = torch.randint(50, (400, 30), generator=seeded())
    table = torch.randn(50, 10, generator=seeded(1)).requires_grad_()
    upstream = torch.randn(400, 30, 10, generator=seeded(2))
    with threadpool_limits(n_threads, user_api="openmp"):
        vectors = look_up(rows, table)
        (gradient,) = torch.autograd.grad(vectors, table, upstream)
    expected = F.embedding(rows, table, padding_idx=0)
    assert not gradient[0].any()
    assert torch.equal(vectors, expected)
    assert torch.equal(gradient, *torch.autograd.grad(expected, table, upstream))


class TestActivation:
    @pytest.mark.parametrize("batch_norm", [True, False])
    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    def test_derivative(self, batch_norm, dropout):
        layer = _layer(batch_norm, dropout)

        def activate(x, *_):
            with dropout_generator(layer, seeded(3)), lent_workspaces(layer):
                return layer(x)

        assert torch.autograd.gradcheck(activate, (draw(9, 6), *layer.parameters()))

    @pytest.mark.parametrize("batch_norm", [True, False])
    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    def test_is_that_of_plain_torch_and_moves_the_same_statistics(self, batch_norm, dropout):
        kept, plain = _layer(batch_norm, dropout), _layer(batch_norm, dropout)
        with dropout_generator(kept, seeded()), dropout_generator(plain, seeded()), lent_workspaces(kept):
            for n_rows in (9, 8, 10):
                x = draw(n_rows, 6, seed=n_rows)
                outputs = kept(x), plain(x)
                torch.testing.assert_close(*outputs)
                upstream = torch.randn_like(outputs[0])
                gradients = (
                    torch.autograd.grad(output, [x, *layer.parameters()], upstream)
                    for output, layer in zip(outputs, (kept, plain), strict=True)
                )
                torch.testing.assert_close(*gradients)
        torch.testing.assert_close(kept.state_dict(), plain.state_dict())

    def test_does_without_torch_s_own_operator(self, monkeypatch):
        x = draw(9, 6)
        results = []
        for operator in (_kernels.threshold_backward, None):
            monkeypatch.setattr(_kernels, "threshold_backward", operator)
            layer = _layer(batch_norm=True, dropout=0.4)
            with dropout_generator(layer, seeded()), lent_workspaces(layer):
                output = layer(x)
                results.append((output, *torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])))
        torch.testing.assert_close(*results)

    @pytest.mark.parametrize("p", [0.1, 0.9])
    def test_rate_and_scale(self, p):
        layer = Activation(100, p)
        with lent_workspaces(layer):
            dropped = layer(torch.ones(1000, 100))
        assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
        assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.01)

    def test_one_row_has_no_variance(self):
        layer = _layer(batch_norm=True, dropout=0.0)
        with lent_workspaces(layer), pytest.raises(ValueError, match="more than 1 value per channel"):
            layer(draw(1, 6))


def _layer(batch_norm, dropout):
    layer = Activation(6, dropout, batch_norm).double()
    for seed, parameter in enumerate(layer.parameters()):
        nn.init.normal_(parameter, generator=seeded(seed + 10))
    assert isinstance(layer.dropout, Dropout)
    return layer
