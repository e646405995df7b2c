"""The plain PyTorch way to train FinalMLP, to measure this library against.

The network of the paper as anybody would write it first: a table per field, `torch.nn` layers, gates computed row by
row, the penalty in the loss, Adam, batches sliced from a permutation, all of one size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

DIM, HEADS, DROPOUT, PENALTY, BATCH_SIZE = 10, 5, 0.4, 0.05, 4096


class PlainFinalMLP(nn.Module):
    """FinalMLP in its published configuration for Frappe, with one context field for each gate."""

    def __init__(self, n_codes: Sequence[int], contexts: tuple[int, int] = (0, 1)) -> None:
        super().__init__()
        width = len(n_codes) * DIM
        self.contexts = contexts
        self.tables = nn.ModuleList(_table(n) for n in n_codes)
        self.context_tables = nn.ModuleList(_table(n_codes[field]) for field in contexts)
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Linear(DIM, 400), nn.ReLU(), nn.Linear(400, width), nn.Sigmoid()) for _ in contexts
        )
        self.streams = nn.ModuleList(
            nn.Sequential(nn.Linear(width, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(DROPOUT))
            for units in (400, 100)
        )
        self.outputs = nn.ModuleList(nn.Linear(units, 1) for units in (400, 100))
        self.bilinear = nn.Parameter(torch.randn(HEADS, 400 // HEADS, 100 // HEADS) * 0.016)

    def forward(self, codes: Tensor) -> Tensor:
        e = torch.cat([table(codes[:, field]) for field, table in enumerate(self.tables)], dim=1)
        contexts = [table(codes[:, field]) for field, table in zip(self.contexts, self.context_tables, strict=True)]
        o1, o2 = (
            stream(e * 2 * gate(context))
            for stream, gate, context in zip(self.streams, self.gates, contexts, strict=True)
        )
        return self.outputs[0](o1) + self.outputs[1](o2) + self.fuse(o1, o2)

    def fuse(self, o1: Tensor, o2: Tensor) -> Tensor:
        """The bilinear term, each head one matrix product over the batch."""
        heads1, heads2 = (o.view(len(o), HEADS, -1).transpose(0, 1) for o in (o1, o2))
        return (heads1 @ self.bilinear * heads2).sum(dim=(0, 2)).unsqueeze(1)

    def penalty(self) -> Tensor:
        tables = [*self.tables, *self.context_tables]
        return PENALTY / 2 * sum((table.weight.square().sum() for table in tables), torch.zeros(()))


class BroadcastFinalMLP(PlainFinalMLP):
    """The same with the bilinear term as the reference implementation writes it.

    A matrix product that broadcasts over rows copies the weights once per row, 131 MB a batch and as much for the
    gradient, so that this is no yardstick: half of a step or more goes into these copies.
    """

    def fuse(self, o1: Tensor, o2: Tensor) -> Tensor:
        """The bilinear term, row by row."""
        heads1, heads2 = (o.view(len(o), HEADS, 1, -1) for o in (o1, o2))
        return (heads1 @ self.bilinear @ heads2.transpose(2, 3)).sum(dim=1)[:, :, 0]


def _table(n_codes: int) -> nn.Embedding:
    table = nn.Embedding(n_codes, DIM, padding_idx=0)
    nn.init.normal_(table.weight, std=1e-4)
    return table


def plain_steps(network: PlainFinalMLP, codes: Tensor, clicks: Tensor) -> Iterator[float]:
    """Train for ever; yields the loss of each step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    while True:
        for rows in torch.randperm(len(codes)).tensor_split(-(-len(codes) // BATCH_SIZE)):
            optimizer.zero_grad()
            logits = network(codes[rows])[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, clicks[rows]) + network.penalty()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10)
            optimizer.step()
            yield loss.item()
