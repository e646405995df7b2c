"""Forward and backward pass of each stream, beside its matrix products alone.

    .venv/bin/python examples/benchmarks/reference/steps.py

Batches of 4,096 rows of Frappe's shape, 10 fields of vectors of length 10. Each stream takes turns with the products of
its linear layers, forward and backward, written into matrices that are kept; the ratio is that of the medians.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import nn

from sk_finalmlp.nn import dropout_generator
from sk_finalmlp.streams import CIN, FM, MLP, QNN, CrossNet, Final, GatedCrossNet, MaskNet, Product, SelfAttention
from sk_finalmlp.training._device import kept_memory

_N_ROWS, _N_FIELDS, _DIM = 4096, 10, 10
_N_TURNS = 15

STREAMS = {
    "MLP 400, 400, 400": MLP((400, 400, 400)),
    "CrossNet, 3 layers": CrossNet(3),
    "CrossNet, rank 32, 4 experts": CrossNet(3, rank=32, n_experts=4),
    "GatedCrossNet, 3 layers": GatedCrossNet(3),
    "CIN 64": CIN((64,)),
    "CIN 64, 64, 64": CIN((64, 64, 64)),
    "FM, MLP 400, 400, 400": FM((400, 400, 400)),
    "Product, MLP 400, 400, 400": Product("inner", (400, 400, 400)),
    "SelfAttention, 2 layers of 128": SelfAttention(2, 4, 128),
    "Final 400, 400": Final((400, 400)),
    "MaskNet 400, 400": MaskNet((400, 400)),
    "QNN, 2 layers": QNN(2, 2),
}


def main() -> None:
    """Print milliseconds and ratios."""
    torch.set_num_threads(1)
    print(f"{'stream':32} {'step, ms':>9} {'products, ms':>13} {'ratio':>6}")
    for name, parameters in STREAMS.items():
        stream = parameters.build(_N_FIELDS, _DIM, 0, torch.Generator().manual_seed(0))
        step, products = _step(stream), _products(stream)
        seconds: dict[str, list[float]] = {"step": [], "products": []}
        with dropout_generator(stream, torch.Generator()), kept_memory():
            for _ in range(_N_TURNS + 3):
                for contestant, run in (("step", step), ("products", products)):
                    start = perf_counter()
                    run()
                    seconds[contestant].append(perf_counter() - start)
        of_step, of_products = (1000 * median(turns[3:]) for turns in seconds.values())
        print(f"{name:32} {of_step:9.1f} {of_products:13.1f} {of_step / of_products:6.2f}")


def _step(stream: nn.Module) -> Callable[[], None]:
    x = torch.randn(_N_ROWS, _N_FIELDS * _DIM, requires_grad=True)
    upstream = torch.randn(_N_ROWS, stream.out_features)

    def run() -> None:
        stream.zero_grad()
        x.grad = None
        stream(x).backward(upstream)

    return run


def _products(stream: nn.Module) -> Callable[[], None]:
    """The products of all linear layers, of the experts, and of attention."""
    shapes: list[tuple[int, ...]] = []
    hooks = [
        module.register_forward_hook(
            lambda layer, inputs, output: shapes.append((1, len(inputs[0]), *layer.weight.shape))
        )
        for module in stream.modules()
        if isinstance(module, nn.Linear)
    ]
    stream(torch.randn(_N_ROWS, _N_FIELDS * _DIM))
    for hook in hooks:
        hook.remove()
    for layer in getattr(stream, "layers", []):
        if hasattr(layer, "u"):
            n_experts, n_features, rank = layer.u.shape
            shapes += [(1, _N_ROWS, n_experts * rank, n_features), (1, _N_ROWS, n_features, n_experts * rank)]
            shapes += [(n_experts, _N_ROWS, rank, rank)]
        if hasattr(layer, "n_heads"):
            n_heads, size = layer.n_heads, layer.query.out_features // layer.n_heads
            shapes += [(_N_ROWS * n_heads, _N_FIELDS, _N_FIELDS, size), (_N_ROWS * n_heads, _N_FIELDS, size, _N_FIELDS)]
    calls = [call for shape in shapes for call in _of_shape(*shape)]

    def run() -> None:
        for call in calls:
            call()

    return run


def _of_shape(n: int, n_rows: int, n_out: int, n_in: int) -> list[Callable[[], object]]:
    x, weight, y = torch.randn(n, n_rows, n_in), torch.randn(n, n_out, n_in), torch.randn(n, n_rows, n_out)
    forward, to_input, to_weight = torch.empty_like(y), torch.empty_like(x), torch.empty_like(weight)
    if n == 1:
        x, weight, y, forward, to_input, to_weight = (m[0] for m in (x, weight, y, forward, to_input, to_weight))
        return [
            lambda: torch.mm(x, weight.t(), out=forward),
            lambda: torch.mm(y, weight, out=to_input),
            lambda: torch.mm(y.t(), x, out=to_weight),
        ]
    return [
        lambda: torch.bmm(x, weight.transpose(1, 2), out=forward),
        lambda: torch.bmm(y, weight, out=to_input),
        lambda: torch.bmm(y.transpose(1, 2), x, out=to_weight),
    ]


if __name__ == "__main__":
    main()
