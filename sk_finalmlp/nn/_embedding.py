"""Embedding of the input fields: codes and numbers become one vector per field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from ..schema import Field, by_kind
from ._history import Histories, HistoryPooling, make_pooling
from ._layers import ROW_MULTIPLE, draw_normal, modules_of
from ._vectors import PretrainedVectors, VectorProjection

_START_STD = 1e-4


class FieldEmbedding(nn.Module):
    """One vector per input field, the first layer of the network.

    A categorical field looks up its code in a table, a multi-valued field takes the mean over its codes, and a numeric
    field multiplies a learned vector by its value. A vector field projects its vector, a pretrained one its code's
    vector, and adds it to the embedding of the field that it is of, if any. Statistics have no embedding. Code 0,
    like any code beyond the table, means "no value": its row is zero and stays zero, and the mean leaves it out.

    A history looks up its codes in the table of its field, and `history_pooling` makes one vector of the results, zero
    for an empty history.

    The tables of all fields are stacked in one parameter, `table`; a field's table begins at row `first_row[name]`.

    Parameters
    ----------
    fields : sequence of Field
        All fields of the input.
    embedding_dim : int
        Embedding dimension d.
    names : sequence of str, default=None
        The fields to embed; all but statistics if None.
    generator : torch.Generator, default=None
        Random generator of the initial weights, N(0, 1e-4); torch's global one if None.
    history_pooling : {"mean", "attention", "transformer"}, default="mean"
        How the vectors of a history become one: `MeanPooling`, `AttentionPooling` or `TransformerPooling`.
    history_softmax : bool, default=True
        Whether the weights of "attention" are normalised.

    Attributes
    ----------
    fields : list of Field
        The F embedded fields in the order of the output: categorical, multi-valued, history, pretrained, numeric,
        vector.
    tables : list of Field
        The fields that have a table, also fields of histories that aren't embedded themselves.
    first_row : dict of str to int
        Where the table of each of these begins.
    histories : list of Field
        The histories among the embedded fields.
    history_poolings : torch.nn.ModuleList
        What pools each of them.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FieldEmbedding
    >>> fields = [Field("user", "categorical", n_codes=944), Field("age", "numeric")]
    >>> embedding = FieldEmbedding(fields, embedding_dim=10)
    >>> embedding(torch.tensor([[3], [0]]), torch.tensor([[0.5], [1.5]])).shape
    torch.Size([2, 2, 10])
    """

    #: Set for the time of a training that updates only the rows that a batch touches.
    sparse_gradient = False
    #: Called in such a training with the table and the rows of it that are about to be read.
    before_reading: Callable[[Tensor, Tensor], None] | None = None

    _row_offsets: Tensor
    _n_codes: Tensor

    def __init__(
        self,
        fields: Sequence[Field],
        embedding_dim: int,
        names: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        history_pooling: HistoryPooling = "mean",
        history_softmax: bool = True,
    ) -> None:
        super().__init__()
        _check_fields(fields)
        everything = [field for field in by_kind(fields) if field.kind != "statistic"]
        self.fields = [field for field in everything if not field.is_added and (names is None or field.name in names)]
        self.embedding_dim = embedding_dim
        self.histories = [field for field in self.fields if field.kind == "history"]
        places = {field.name: place for place, field in enumerate(self.fields)}
        names_in_use = {field.name for field in self.fields} | {field.of for field in self.histories}
        looked_up = [
            field for field in everything if (field.of in places if field.is_added else field.name in names_in_use)
        ]
        self._code_columns = slices_of((f.n_columns, f in looked_up) for f in everything if f.has_codes)
        self._value_columns = slices_of((f.n_columns, f in looked_up) for f in everything if not f.has_codes)
        self._first_statistic = sum(field.n_columns for field in everything if not field.has_codes)
        self.tables = coded = [field for field in looked_up if field.has_table]
        *first_rows, n_rows = accumulate((field.n_codes for field in coded), initial=0)
        self.first_row = {field.name: row for field, row in zip(coded, first_rows, strict=True)}
        categorical = [field for field in coded if field.kind == "categorical"]
        self._place = {field.name: place for place, field in enumerate(categorical)}
        # Fields only for a history have no vector in the output.
        self._embedded = [place for place, field in enumerate(categorical) if field in self.fields]
        self._n_elements = [field.n_columns for field in coded if field.kind == "multi-valued"]
        pretrained = [field for field in looked_up if field.kind == "pretrained"]
        row_offsets = [self.first_row[field.name] for field in coded for _ in range(field.n_columns)]
        self.register_buffer("_row_offsets", torch.tensor(row_offsets, dtype=torch.int64))
        n_codes = [field.n_codes for field in [*coded, *pretrained] for _ in range(field.n_columns)]
        self.register_buffer("_n_codes", torch.tensor(n_codes, dtype=torch.int64))
        n_numeric = sum(field.kind == "numeric" for field in looked_up)
        table, numeric = (
            draw_normal(torch.empty(n, embedding_dim), _START_STD, generator) for n in (n_rows, n_numeric)
        )
        table[list(self.first_row.values())] = 0
        self.table, self.numeric = nn.Parameter(table), nn.Parameter(numeric)
        self.history_poolings = nn.ModuleList(
            make_pooling(history_pooling, history_softmax, embedding_dim, field.n_columns, generator)
            for field in self.histories
        )
        lengths = [field.n_columns for field in looked_up if field.kind == "vector"]
        self.vectors = nn.ModuleList(VectorProjection(length, embedding_dim, generator) for length in lengths)
        self._widths_of_values = [n_numeric, *lengths]
        self.pretrained = nn.ModuleList(PretrainedVectors(field, embedding_dim, generator) for field in pretrained)
        self._added_to = [places.get(field.of) for field in pretrained]

    @torch.no_grad()
    def draw_rows(self, rows: Tensor, generator: torch.Generator | None = None) -> None:
        """Give rows of the table new initial weights.

        Parameters
        ----------
        rows : Tensor of int64, shape (n,)
            Their positions in the table; none is the first row of a field.
        generator : torch.Generator, default=None
            Random generator of the initial weights; torch's global one if None.
        """
        fresh = torch.empty(len(rows), self.embedding_dim)
        draw_normal(fresh, _START_STD, generator)
        self.table.index_copy_(0, rows.to(self.table.device), fresh.to(self.table.device))

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        codes : Tensor of int32 or int64, shape (B, n_code_columns)
            Codes of all categorical fields of the input, then of its multi-valued fields and its histories.
        values : Tensor of float32, shape (B, n_values)
            Values of all numeric fields of the input, then of its statistics.

        Returns
        -------
        Tensor of float32, shape (B, F, d)
        """
        numbers, *vectors = torch.split(take_columns(values, self._value_columns), self._widths_of_values, dim=1)
        scaled = numbers.unsqueeze(2) * self.numeric
        projected = [project(of_field).unsqueeze(1) for project, of_field in zip(self.vectors, vectors, strict=True)]
        return _join([*self._look_up(take_columns(codes, self._code_columns)), scaled, *projected])

    def features(self, codes: Tensor, values: Tensor) -> Tensor:
        """The input of the streams: the concatenated embeddings, followed by all statistics unchanged.

        Parameters
        ----------
        codes, values : Tensor
            As for `forward`.

        Returns
        -------
        Tensor of float32, shape (B, F * d + n_statistics)
        """
        parts = self.feature_parts(codes, values)
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def feature_parts(self, codes: Tensor, values: Tensor) -> list[Tensor]:
        """The same, embeddings and statistics apart; only the first part needs a gradient."""
        vectors: Tensor = self(codes, values).flatten(start_dim=1)
        others = values[:, self._first_statistic :]
        return [vectors, others] if others.shape[1] else [vectors]

    def distinct(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Embed each distinct row of codes in a batch once; only for fields with codes, and without histories.

        Parameters
        ----------
        codes : Tensor of int32 or int64, shape (B, n_code_columns)
            As for `forward`.

        Returns
        -------
        vectors : Tensor of float32, shape (n_distinct, F, d)
            The embeddings of the distinct rows, padded to a multiple of `ROW_MULTIPLE` rows.
        positions : Tensor of int64, shape (B,)
            Which of them each row of the batch has.
        """
        codes = take_columns(codes, self._code_columns)
        # Keys of 32 bits would overflow, and so would keys of codes far beyond the tables.
        known = torch.where(self._is_known(codes), codes.long(), 0)
        positions = torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
        n_distinct = 1
        for column in known.unbind(dim=1):
            # A column at a time, so that the keys stay small however many columns there are.
            keys, positions = torch.unique(positions + n_distinct * column, return_inverse=True)
            n_distinct = len(keys)
        some_row = positions.new_zeros(n_distinct + -n_distinct % ROW_MULTIPLE)
        some_row[positions] = torch.arange(len(codes), device=codes.device)
        return _join(self._look_up(codes[some_row])), positions

    @property
    def reads_values(self) -> bool:
        """Whether any of the fields has columns of floats."""
        return sum(self._widths_of_values) > 0

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters with the penalty of embeddings: not vectors that come from elsewhere, which it would undo."""
        yield from self.parameters(recurse=False)
        for project in modules_of(self, VectorProjection):
            yield from project.parameters()

    def _is_known(self, codes: Tensor) -> Tensor:
        return (codes > 0) & (codes < self._n_codes[: codes.shape[1]])

    def _look_up(self, codes: Tensor) -> list[Tensor]:
        """Vectors of the categorical fields, (B, n, d), and one, (B, 1, d), of each other field with codes."""
        if not self.pretrained:
            return self._look_up_tables(codes)
        n_columns = codes.shape[1] - len(self.pretrained)
        own = self._look_up_tables(codes[:, :n_columns])
        for vectors, place, column in zip(self.pretrained, self._added_to, codes[:, n_columns:].unbind(1), strict=True):
            found = vectors(column).unsqueeze(1)
            if place is None:
                own.append(found)
            else:
                # Fields of single codes come first.
                own[0] = own[0].index_add(1, torch.full((1,), place, device=found.device), found)
        return own

    def _look_up_tables(self, codes: Tensor) -> list[Tensor]:
        """Vectors of the categorical fields, (B, n, d), and of each multi-valued one and each history, (B, 1, d)."""
        if not self._row_offsets.numel():
            return []
        of_histories: Sequence[Tensor] = ()
        if self.histories:
            widths = [len(self._row_offsets), *(field.n_columns for field in self.histories)]
            codes, *of_histories = torch.split(codes, widths, dim=1)
        is_known = self._is_known(codes)
        # All unknown codes go to the very first row, which gets no gradient.
        rows = torch.where(is_known, codes + self._row_offsets, 0)
        if not self.histories:
            return self._pool_elements(self._vectors(rows), codes, is_known)
        found = [self._elements_of(own, field) for own, field in zip(of_histories, self.histories, strict=True)]
        # All are looked up at once, so that the table gets one gradient.
        in_table = [rows.flatten(), *(keys for keys, _ in found)]
        vectors, *keys = torch.split(self._vectors(torch.cat(in_table)), [*map(len, in_table)])
        categorical, *multi_valued = self._pool_elements(vectors.view(*rows.shape, -1), codes, is_known)
        pooled = []
        for field, pooling, own, (_, histories) in zip(self.histories, self.history_poolings, keys, found, strict=True):
            query = categorical[:, self._place[field.of]]
            pooled.append(pooling(query, own, histories).unsqueeze(1))
        if len(self._embedded) < categorical.shape[1]:
            categorical = categorical[:, self._embedded]
        return [categorical, *multi_valued, *pooled]

    def _vectors(self, rows: Tensor) -> Tensor:
        if self.before_reading is not None and self.training:
            self.before_reading(self.table, rows)
        if self.sparse_gradient or self.table.device.type != "cpu":
            return F.embedding(rows, self.table, padding_idx=0, sparse=self.sparse_gradient)
        return _LookUp.apply(rows, self.table) if torch.is_grad_enabled() else F.embedding(rows, self.table)

    def _elements_of(self, codes: Tensor, field: Field) -> tuple[Tensor, Histories]:
        """Rows of the table for the known values of the histories of a batch, and where these values are."""
        is_known = (codes > 0) & (codes < field.n_codes)
        rows, positions = is_known.nonzero(as_tuple=True)
        in_table = codes[rows, positions] + self.first_row[field.of]
        return in_table, Histories(rows, positions, is_known.sum(dim=1))

    def _pool_elements(self, vectors: Tensor, codes: Tensor, is_known: Tensor) -> list[Tensor]:
        if not self._n_elements:
            return [vectors]
        sizes = [codes.shape[1] - sum(self._n_elements), *self._n_elements]
        categorical, *multi_valued = torch.split(vectors, sizes, dim=1)
        n_known = [own.sum(dim=1).clamp(min=1) for own in torch.split(is_known, sizes, dim=1)[1:]]
        # The vectors of unknown codes are zero.
        sums = [vectors.sum(dim=1, keepdim=True) for vectors in multi_valued]
        return [categorical, *(total / n.view(-1, 1, 1) for total, n in zip(sums, n_known, strict=True))]

    def extra_repr(self) -> str:
        return f"{len(self.fields)} fields, {len(self.table)} codes, embedding_dim={self.embedding_dim}"


def _join(vectors: list[Tensor]) -> Tensor:
    """Vectors of all fields, (B, F, d); without a copy where all are of one kind."""
    filled = [part for part in vectors if part.shape[1]]
    return filled[0] if len(filled) == 1 else torch.cat(filled or vectors, dim=1)


def slices_of(parts: Iterable[tuple[int, bool]]) -> list[slice]:
    """Positions of the chosen ones of parts side by side, given by width and choice; neighbours are one slice."""
    slices: list[slice] = []
    end = 0
    for width, is_chosen in parts:
        start, end = end, end + width
        if is_chosen:
            if slices and slices[-1].stop == start:
                start = slices.pop().start
            slices.append(slice(start, end))
    return slices


def take_columns(rows: Tensor, columns: Sequence[slice]) -> Tensor:
    """Some columns; the CPU would wait for a device to copy a list of their positions."""
    parts = [rows[:, part] for part in columns] or [rows[:, :0]]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _check_fields(fields: Sequence[Field]) -> None:
    if not fields or not all(isinstance(field, Field) for field in fields):
        raise ValueError(
            f"fields must be one or more of sk_finalmlp.schema.Field, such as CTREncoder().fit(X).fields_. Got "
            f"{list(fields)!r}."
        )
    names = [field.name for field in fields]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"Field names must be unique, but {repeated} occur more than once.")
    categorical = {field.name: field for field in fields if field.kind == "categorical"}
    for field in fields:
        if field.is_added and field.of not in categorical:
            raise ValueError(
                f"Field {field.name!r} holds vectors of {field.of!r}, but the categorical fields are {[*categorical]}."
            )
        if field.kind == "history":
            _check_history(field, categorical.get(field.of))


def _check_history(field: Field, of: Field | None) -> None:
    if of is None:
        raise ValueError(
            f"Field {field.name!r} is a history of {field.of!r}, which must be a categorical field among fields."
        )
    if of.n_codes != field.n_codes:
        raise ValueError(
            f"Field {field.name!r} is a history of {field.of!r}, so both have the same codes, but it has "
            f"n_codes={field.n_codes}, and {field.of!r} {of.n_codes}."
        )


class _LookUp(Function):
    """`torch.nn.functional.embedding` with `padding_idx=0`, on the CPU: the same bits, and a gradient in less time."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return F.embedding(rows, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        rows, gradient = rows.flatten(), gradient.flatten(end_dim=-2)
        to_table = gradient.new_zeros(ctx.shape)
        # PyTorch's own takes three to six times as long. The faster one isn't deterministic with several threads.
        if torch.get_num_threads() == 1:
            to_table.index_put_((rows,), gradient, accumulate=True)
        else:
            to_table.index_add_(0, rows, gradient)
        to_table[0] = 0
        return None, to_table
