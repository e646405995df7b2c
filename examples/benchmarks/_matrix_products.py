"""The arithmetic that can't be avoided: the matrix products of FinalMLP's published configuration, and nothing else.

They write into matrices that live as long as the benchmark, so that no time goes into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from _frappe import N_CODES, PUBLISHED

Product = Callable[[], object]


def matrix_products(n_rows: int, n_contexts: Sequence[int], *, backward: bool, precision: str = "float32") -> Product:
    """All products of a pass.

    Parameters
    ----------
    n_rows : int
        Rows of the batch.
    n_contexts : sequence of int
        Rows that the two gates are computed for: `n_rows` as published, fewer if once per distinct context.
    backward : bool
        Whether to include the products of the backward pass: two for each of the forward pass.
    precision : {"float32", "bfloat16"}, default="float32"
        That of the factors and products of the linear layers; the heads keep float32, as in the library.
    """
    dtype = getattr(torch, precision)
    products = [product for layer in _layers(n_rows, n_contexts) for product in _of_layer(*layer, backward, dtype)]
    products += _of_heads(n_rows, backward)

    def run() -> None:
        for product in products:
            product()

    return run


def mean_n_distinct(columns: pd.DataFrame, batch_size: int) -> list[int]:
    """Mean number of distinct codes in a batch, for each column."""
    shuffled = columns.sample(frac=1, random_state=0)
    batches = [shuffled[first : first + batch_size] for first in range(0, len(shuffled), batch_size)]
    return [int(np.mean([batch[name].nunique() for batch in batches])) for name in columns]


def _layers(n_rows: int, n_contexts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of each linear layer."""
    dim, (gate,) = PUBLISHED["embedding_dim"], PUBLISHED["fs_hidden_units"]
    width = dim * len(N_CODES)
    streams = (*PUBLISHED["stream1"].hidden_units, *PUBLISHED["stream2"].hidden_units)
    gates = [layer for n in n_contexts for layer in ((n, dim, gate), (n, gate, width))]
    return [*gates, *((n_rows, width, units) for units in streams), *((n_rows, units, 1) for units in streams)]


def _of_layer(n_rows: int, n_in: int, n_out: int, backward: bool, dtype: torch.dtype) -> list[Product]:
    random, empty = partial(torch.randn, dtype=dtype), partial(torch.empty, dtype=dtype)
    x, weight, y = random(n_rows, n_in), random(n_out, n_in), random(n_rows, n_out)
    forward = partial(torch.mm, x, weight.t(), out=empty(n_rows, n_out))
    if not backward:
        return [forward]
    to_input = partial(torch.mm, y, weight, out=empty(n_rows, n_in))
    to_weight = partial(torch.mm, y.t(), x, out=empty(n_out, n_in))
    return [forward, to_input, to_weight]


def _of_heads(n_rows: int, backward: bool) -> list[Product]:
    n_heads = PUBLISHED["num_heads"]
    x_dim, y_dim = (PUBLISHED[name].hidden_units[-1] // n_heads for name in ("stream1", "stream2"))
    x, y = torch.randn(n_heads, n_rows, x_dim), torch.randn(n_heads, n_rows, y_dim)
    weight = torch.randn(n_heads, x_dim, y_dim)
    forward = partial(torch.bmm, x, weight, out=torch.empty(n_heads, n_rows, y_dim))
    if not backward:
        return [forward]
    to_input = partial(torch.bmm, y, weight.transpose(1, 2), out=torch.empty(n_heads, n_rows, x_dim))
    to_weight = partial(torch.bmm, x.transpose(1, 2), y, out=torch.empty(n_heads, x_dim, y_dim))
    return [forward, to_input, to_weight]
