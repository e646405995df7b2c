"""What holds for every table, and where it doesn't for one."""

from __future__ import annotations

import pickle
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from types import ModuleType
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import sklearn

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier
from sk_finalmlp._sources import sizes
from sk_finalmlp.preprocessing import _tally, add_recency
from sk_finalmlp.schema import is_statistic
from sk_finalmlp.streams import MLP

from .breaks import break_table, values_of_any_kind
from .columns import OBJECTS, pick
from .containers import arrays, build, object_array, possible_containers, possible_forms, reorder, take
from .tables import MIN_ROWS, Table, draw_sound_table

#: One in so many tables is broken on purpose.
_ONE_IN_BROKEN = 3
#: One in so many tables is fitted with a classifier, too.
_ONE_IN_CLASSIFIED = 25
#: So many rows of each table are served alone.
_ALONE = 6
#: More codes than this aren't learned from few rows.
_MOST_EMBEDDED = 1_000
#: An error with more letters shows rows.
_LONGEST_ERROR = 2_000
#: So many rows at a time are read, and so many values are counted, of a table in batches.
_BATCH, _FEW_VALUES = 50, 40
#: What a table in batches may be refused for beyond what it is in memory.
_TOO_MANY = ("has a different value in nearly every row", "more values than codes can be learned of")
#: More classes than the first are refused where they have fewer rows than the second on average.
_MOST_CLASSES, _ROWS_OF_A_CLASS = 20, 5
#: So many times the rows of a table make a large batch.
_REPEATED = 30

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """A property that doesn't hold for a table.

    Parameters
    ----------
    number : int
        Number of the table.
    name : str
        The property.
    about : str
        The kinds of the columns concerned, or what was broken.
    message : str
        What was found.
    """

    number: int
    name: str
    about: str
    message: str


def draw_table(seed: int, number: int) -> Table:
    """The table of this number, one in three of them broken."""
    rng = np.random.default_rng([seed, number])
    table = draw_sound_table(rng, seed, number)
    return break_table(rng, table) if number % _ONE_IN_BROKEN == 2 else table


def examine(table: Table) -> list[Finding]:
    """What is wrong with the encoder's treatment of a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The library's own are for its user.
        warnings.simplefilter("ignore", UserWarning)
        return list(_Examination(table).findings())


class _Examination:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.rng = np.random.default_rng([table.seed, table.number, 1])

    def findings(self) -> Iterator[Finding]:
        try:
            self.encoder = self._fit(self.table)
            self.outputs = self._transform(self.encoder, self.table.X_new)
        except Exception as error:  # noqa: BLE001  (which errors there are is what is asked)
            yield from self._judge(error)
            return
        if self.table.expects == "error":
            yield self._finding("what can't be read is refused", self.table.fault, "an answer")
        for name, holds in PROPERTIES.items():
            try:
                for kinds, message in holds(self):
                    yield self._finding(name, kinds, message)
            except Exception as error:  # noqa: BLE001
                yield self._finding(name, self._kinds(error), _last_line(error))

    def _judge(self, error: Exception) -> Iterator[Finding]:
        about = self.table.fault or self._kinds(error)
        if str(error).startswith("No column is left to encode"):
            # A time of less than a day has no part, and a table may hold nothing else.
            return
        if self.table.expects == "answer" and not self.table.fault:
            yield self._finding("a sound table gets an answer", about, _last_line(error))
        if len(str(error)) > _LONGEST_ERROR and self.table.fault != "table: one dimension":
            yield self._finding("an error shows no rows", about, f"{len(str(error))} letters: {str(error)[:80]}")
        if not _is_own(error):
            yield self._finding("an error is ours or scikit-learn's", about, _last_line(error))
        elif not self._names_the_matter(error):
            yield self._finding("an error names what it is about", about, _last_line(error))

    def _names_the_matter(self, error: Exception) -> bool:
        """Whether an error of ours names what was broken, or a column that may be refused anyway."""
        doubtful = [name for name, column in self.table.columns.items() if column.kind in OBJECTS]
        doubtful += [] if self.table.fault.startswith("weights") else self.table.blank_columns
        named = [*map(repr, doubtful), *([self.table.named] if self.table.fault else [])]
        return not _is_raised_in(sk_finalmlp, error) or any(name in str(error) for name in named)

    def _finding(self, name: str, about: str, message: str) -> Finding:
        fault = f"; {self.table.fault}" if self.table.fault and self.table.fault not in about else ""
        return Finding(self.table.number, name, about + fault, message)

    def _kinds(self, error: Exception) -> str:
        """The kind of the columns that an error names, or of all."""
        named = [name for name in self.table.columns if repr(name) in str(error)]
        return ", ".join(sorted({self.table.columns[name].kind for name in named or self.table.columns}))

    def kind_of(self, output: str) -> str:
        """The kind of the column that an output is of, or the parts of a combination."""
        if is_statistic(output) or " & " in output:
            return "statistics and crosses"
        inputs = getattr(self.encoder, "feature_names_in_", list(self.table.columns))
        names = zip(inputs, self.table.columns.values(), strict=False)
        ours = [column.kind for name, column in names if re.fullmatch(rf"{re.escape(name)}(\[\d+\]|_[a-z]+)?", output)]
        return ours[0] if ours else "any"

    def _fit(self, table: Table, **changes: Any) -> CTREncoder:
        arguments = {"X": table.X, "y": table.y, "sample_weight": table.weights} | changes
        return CTREncoder(**table.parameters).fit(**arguments)

    def _transform(self, encoder: CTREncoder, X: Any) -> Outputs:
        out = arrays(encoder.transform(X))
        return dict(zip(map(str, encoder.get_feature_names_out()), out.values(), strict=True))

    def _differences(self, expected: Outputs, got: Outputs, exact: bool = True) -> Iterator[tuple[str, str]]:
        if list(expected) != list(got):
            names = list(dict.fromkeys(name for name in [*expected, *got] if (name in expected) != (name in got)))
            kinds = sorted({self.kind_of(name) for name in names})
            yield ", ".join(kinds) or "order", f"other columns: {names or list(got)}"
            return
        for name, values in expected.items():
            if values.dtype != got[name].dtype or len(values) != len(got[name]):
                yield (
                    self.kind_of(name),
                    f"{name}: {values.dtype} of {len(values)} and {got[name].dtype} of {len(got[name])}",
                )
            elif not _same(values, got[name], exact).all():
                row = int(np.flatnonzero(~_same(values, got[name], exact))[0])
                yield self.kind_of(name), f"{name}: {values[row]} and {got[name][row]} in row {row}"

    def well_formed(self) -> Iterator[tuple[str, str]]:
        """Codes are below the number of codes, numbers are finite."""
        cardinalities = self.encoder.cardinalities_
        for name, values in self.outputs.items():
            if values.dtype.kind == "i":
                n_codes = cardinalities.get(name, cardinalities.get(name.rsplit("@", 1)[0], 0))
                if values.min(initial=0) < 0 or values.max(initial=0) >= n_codes:
                    yield self.kind_of(name), f"{name}: codes {values.min()} to {values.max()} of {n_codes}"
            elif not np.isfinite(values).all():
                yield self.kind_of(name), f"{name}: {values[~np.isfinite(values)][0]}"

    def in_parts(self) -> Iterator[tuple[str, str]]:
        """The rows of a table in parts, and in another order."""
        n = len(self.table.X_new)
        order = self.rng.permutation(n)
        cuts = np.sort(self.rng.integers(0, n + 1, 3))
        parts = [part for part in np.split(order, cuts) if len(part)]
        transformed = [self._transform(self.encoder, take(self.table.X_new, part)) for part in parts]
        got = {name: np.concatenate([part[name] for part in transformed])[np.argsort(order)] for name in self.outputs}
        yield from self._differences(self.outputs, got)

    def in_a_large_batch(self) -> Iterator[tuple[str, str]]:
        """The rows of a table again and again: values of many rows are looked up by other means."""
        n = len(self.table.X_new)
        got = self._transform(self.encoder, take(self.table.X_new, np.tile(np.arange(n), _REPEATED)))
        yield from self._differences({name: np.tile(values, _REPEATED) for name, values in self.outputs.items()}, got)

    def alone(self) -> Iterator[tuple[str, str]]:
        """A row without others."""
        for row in self.rng.permutation(len(self.table.X_new))[:_ALONE]:
            got = self._transform(self.encoder, take(self.table.X_new, np.array([row])))
            yield from self._differences({name: values[[row]] for name, values in self.outputs.items()}, got)

    def as_python_objects(self) -> Iterator[tuple[str, str]]:
        """A row of Python objects, as JSON and database drivers give it, of which pandas finds the dtypes alone."""
        table = self.table
        if table.fault or table.blank_columns:
            return
        for row in self.rng.permutation(len(table.X_new))[:_ALONE]:
            record = {name: column.values[table.n_fit + row] for name, column in table.columns.items()}
            X = [list(record.values())] if table.container in ("ndarray", "rows") else pd.DataFrame([record])
            got = self._transform(self.encoder, X)
            yield from self._differences({name: values[[row]] for name, values in self.outputs.items()}, got)

    def other_labels(self) -> Iterator[tuple[str, str]]:
        """The same labels and weights in other containers."""
        table = self.table
        if table.fault or table.y is None:
            return
        index = pd.Index(range(len(table.y), 0, -1))
        for name, make in {
            "list": list,
            "series": lambda values: pd.Series(values, index),
            "polars": pl.Series,
        }.items():
            weights = None if table.weights is None else make(table.weights)
            got = self._transform(self._fit(table, y=make(table.y), sample_weight=weights), table.X_new)
            for kinds, message in self._differences(self.outputs, got):
                yield f"{table.labels}; {table.weighting}", f"as {name}, {kinds}: {message}"

    def index_kept(self) -> Iterator[tuple[str, str]]:
        """The index of a pandas table, whatever it is."""
        if not isinstance(self.table.X_new, pd.DataFrame):
            return
        index = pd.Index(self.rng.integers(0, 20, len(self.table.X_new)).astype(str), name="id")
        out = self.encoder.transform(self.table.X_new.set_axis(index))
        if not out.index.identical(index):
            yield "any", f"{out.index[:5]} for {index[:5]}"
        got = dict(zip(map(str, self.encoder.get_feature_names_out()), arrays(out).values(), strict=True))
        yield from self._differences(self.outputs, got)

    def pickled(self) -> Iterator[tuple[str, str]]:
        """A pickled encoder."""
        encoder = pickle.loads(pickle.dumps(self.encoder))
        yield from self._differences(self.outputs, self._transform(encoder, self.table.X_new))

    def fitted_again(self) -> Iterator[tuple[str, str]]:
        """A second fit to the same table."""
        yield from self._differences(self.outputs, self._transform(self._fit(self.table), self.table.X_new))

    def fit_transform(self) -> Iterator[tuple[str, str]]:
        """What fit_transform writes but for the statistics, which are cross-fitted."""
        table = self.table
        encoder = CTREncoder(**table.parameters)
        out = arrays(encoder.fit_transform(table.X, table.y, sample_weight=table.weights))
        got = dict(zip(map(str, encoder.get_feature_names_out()), out.values(), strict=True))
        expected = self._transform(self.encoder, table.X)
        if list(got) == list(expected):
            got |= {name: values for name, values in expected.items() if is_statistic(name)}
        yield from self._differences(expected, got)

    def other_row_order(self) -> Iterator[tuple[str, str]]:
        """A fit to the same rows in another order."""
        table = self.table
        order = self.rng.permutation(len(table.X))
        y = None if table.y is None else [table.y[row] for row in order]
        weights = None if table.weights is None else table.weights[order]
        encoder = self._fit(table, X=take(table.X, order), y=y, sample_weight=weights)
        got = self._transform(encoder, table.X_new)
        # The folds, by which statistics are chosen and standardised, depend on the order.
        yield from self._differences(*(_without_statistics(out, table) for out in (self.outputs, got)), exact=False)

    def other_column_order(self) -> Iterator[tuple[str, str]]:
        """A fit to the same columns in another order."""
        table = self.table
        if table.container in ("ndarray", "rows") or "names" in table.fault:
            # Their columns go by their position.
            return
        order = self.rng.permutation(table.X.shape[1]).tolist()
        encoder = self._fit(table, X=reorder(table.X, order))
        got = self._transform(encoder, reorder(table.X_new, order))
        expected, got = (_without_statistics(out, table) for out in (self.outputs, got))
        yield from self._differences(expected, {name: got[name] for name in expected if name in got}, exact=False)

    def other_containers(self) -> Iterator[tuple[str, str]]:
        """The same rows in other containers and dtypes, in fit, serving or both."""
        columns = list(self.table.columns.values())
        if self.table.fault or self.table.blank_columns:
            # Of a column without values, the dtype alone says what it is.
            return
        for container in possible_containers(columns):
            forms = [pick(self.rng, possible_forms(column)) for column in columns]
            other = self.table.rebuilt(container, forms)
            about = (
                "" if container in ("polars", "pyarrow") else f" as {dict(zip(self.table.columns, forms, strict=True))}"
            )
            try:
                encoder = self._fit(other)
                pairs = {"served": self._transform(self.encoder, _under_names(other.X_new, self.table))}
                pairs["fitted"] = self._transform(encoder, _under_names(self.table.X_new, other))
            except Exception as error:  # noqa: BLE001
                yield self._kinds(error), f"in {container}{about}: {_last_line(error)}"
                continue
            for what, got in pairs.items():
                for kinds, message in self._differences(self.outputs, got):
                    yield kinds, f"{what} in {container}{about}: {message}"

    def of_narwhals(self) -> Iterator[tuple[str, str]]:
        """A frame of narwhals around that of its library."""
        if isinstance(self.table.X, pd.DataFrame | pl.DataFrame | pa.Table):
            X, X_new = (nw.from_native(X) for X in (self.table.X, self.table.X_new))
            yield from self._differences(self.outputs, self._transform(self._fit(self.table, X=X), X_new))

    def in_batches(self) -> Iterator[tuple[str, str]]:
        """Rows that are read in batches, of which one has nothing in a column, and one no weight and other types."""
        if (source := self._source()) is None:
            return
        table = self.table.rebuilt("pyarrow", self.table.forms)
        expected = self._transform(self._fit(table), table.X_new)
        with _sizes(CHUNK=_BATCH):
            got = self._transform(self._fit(table, **source), table.X_new)
        yield from self._differences(expected, got, exact=False)

    def of_more_values_than_are_counted(self) -> Iterator[tuple[str, str]]:
        """Codes of a table in batches with more values than are counted, or an error that names the column."""
        if (source := self._source()) is None:
            return
        table = self.table.rebuilt("pyarrow", self.table.forms)
        in_memory = self._fit(table)
        try:
            with _sizes(CHUNK=_BATCH, SAMPLE=_FEW_VALUES):
                encoder = self._fit(table, **source)
        except ValueError as error:
            if not any(words in str(error) for words in _TOO_MANY):
                raise
            return
        expected, got = (self._transform(own, table.X_new) for own in (in_memory, encoder))
        kinds, others = (own.feature_kinds_["kind"] for own in (in_memory, encoder))
        same = [name for name in kinds.index if kinds[name] == others[name] in ("categorical", "multi-valued")]
        names = [name for name in expected if name.partition("@")[0] in same and not is_statistic(name)]
        yield from self._differences(*({name: out.get(name) for name in names} for out in (expected, got)))

    def _source(self) -> dict[str, Any] | None:
        """The rows of `fit` in batches, and the names of their labels and weights; None if types may not change."""
        table = self.table
        if table.fault or table.blank_columns or "pyarrow" not in possible_containers(list(table.columns.values())):
            return None
        rows = table.rebuilt("pyarrow", table.forms).X
        names = {"y": table.y, "sample_weight": table.weights}
        for name, values in names.items():
            rows = rows if values is None else rows.append_column(name, pa.array(np.asarray(values)))
        rng = np.random.default_rng([table.seed, table.number, 2])
        cuts = [0, *np.sort(rng.integers(0, table.n_fit + 1, 2)).tolist(), table.n_fit]
        batches = [_without_type(rows[start:stop]) for start, stop in pairwise(cuts)]
        if table.weights is not None and pa.types.is_integer(rows["x0"].type):
            others = rows[:1].set_column(0, "x0", [pa.array([0.5])])
            where = others.column_names.index("sample_weight")
            batches.append(others.set_column(where, "sample_weight", [pa.array([0.0])]))
        return {"X": lambda: iter(batches)} | {
            name: name if values is not None else None for name, values in names.items()
        }

    def past_of_other_types(self) -> Iterator[tuple[str, str]]:
        """Ages by a log with other dtypes of the same values, or an error that names the column."""
        # Floats of half the width are other numbers.
        columns = [
            column
            for column in self.table.columns.values()
            if column.is_scalar and column.type is not None and column.kind != "extreme floats"
        ]
        if self.table.fault or not columns:
            return
        column = {"key": pick(self.rng, columns)}
        forms = possible_forms(column["key"])
        rows = slice(self.table.n_fit)
        frames = [build(column, rows, "pandas", [form]).assign(time=0) for form in ("arrow", pick(self.rng, forms))]
        try:
            ages = [
                add_recency(X.assign(time=1), key="key", time="time", longest=2, log=log)["recency(key)"].to_numpy()
                for X, log in product(frames, repeat=2)
            ]
        except (TypeError, ValueError) as error:
            if not _is_raised_in(sk_finalmlp, error):
                raise
            return
        known = [value is not None and value == value for value in column["key"].values[rows]]
        for age in ages:
            if not np.array_equal(age, np.where(known, 1, 2)):
                yield column["key"].kind, f"ages {age[:5]} of {column['key'].values[:5]}"

    def without_weightless_rows(self) -> Iterator[tuple[str, str]]:
        """A fit without the rows of weight 0."""
        table = self.table
        if table.weights is None or np.all(table.weights) or table.blank_columns:
            return
        rows = np.flatnonzero(table.weights)
        y = None if table.y is None else [table.y[row] for row in rows]
        encoder = self._fit(table, X=take(table.X, rows), y=y, sample_weight=table.weights[rows])
        got = self._transform(encoder, table.X_new)
        if table.parameters.get("statistics", "auto") == "auto":
            expected, got = (_without_statistics(out, table) for out in (self.outputs, got))
        else:
            # The folds, by which statistics are standardised, follow from the numbers of the rows.
            expected = {name: got.get(name, out) if is_statistic(name) else out for name, out in self.outputs.items()}
        yield from self._differences(expected, got, exact=False)

    def with_larger_weights(self) -> Iterator[tuple[str, str]]:
        """A fit with all weights times 8, which no sum rounds, or with equal weights instead of none."""
        table = self.table
        if table.fault or table.n_fit >= MIN_ROWS:
            # With enough rows, rates tell quantities from ids, and rates are smoothed by a number of rows.
            return
        weights = np.full(table.n_fit, 0.3) if table.weights is None else table.weights * 8
        got = self._transform(self._fit(table, sample_weight=weights), table.X_new)
        yield from self._differences(*(_without_statistics(out, table) for out in (self.outputs, got)), exact=False)

    def there_and_back(self) -> Iterator[tuple[str, str]]:
        """Values of codes have these codes."""
        if self.table.parameters.get("n_hash_buckets") or self.table.fault:
            return
        out = self.encoder.transform(self.table.X_new)
        again = self._transform(self.encoder, self.encoder.inverse_transform(out))
        kinds = self.encoder.feature_kinds_["kind"]
        names = [name for name in self.outputs if kinds.get(name.split("@")[0]) in ("categorical", "multi-valued")]
        yield from self._differences({n: self.outputs[n] for n in names}, {n: again[n] for n in names if n in again})

    def untouched(self) -> Iterator[tuple[str, str]]:
        """The user's tables are as they were."""
        if self.table.fault:
            return
        for name in ("X", "X_new"):
            fresh = self.table.rebuilt(self.table.container, self.table.forms)
            if pickle.dumps(getattr(fresh, name)) != pickle.dumps(getattr(self.table, name)) and repr(
                getattr(fresh, name)
            ) != repr(getattr(self.table, name)):
                yield "any", f"{name} is another one after the call"

    def classified(self) -> Iterator[tuple[str, str]]:
        """A classifier of these codes gives probabilities, to each row its own."""
        table = self.table
        if table.number % _ONE_IN_CLASSIFIED or table.y is None or table.labels == "quantities" or table.fault:
            return
        if (table.parameters.get("n_hash_buckets") or 0) > _MOST_EMBEDDED:
            return
        if (
            len(np.unique(np.asarray(table.y)[np.asarray(table.weights) > 0] if table.weights is not None else table.y))
            < 2
        ):
            return
        classifier = FinalMLPClassifier(
            stream1=MLP((32,)), stream2=MLP((32,)), num_heads=2, n_members=1, max_epochs=1, random_state=0
        )
        encoder = CTREncoder(**table.parameters)
        codes = encoder.fit_transform(table.X, table.y, sample_weight=table.weights)
        n_classes = len(np.unique(table.y))
        if n_classes > max(_MOST_CLASSES, table.n_fit // _ROWS_OF_A_CLASS):
            yield from _refusal(
                lambda: classifier.fit(codes, table.y), f"y has {n_classes} classes in {table.n_fit} rows"
            )
            return
        classifier.fit(codes, table.y, sample_weight=table.weights)
        served = encoder.transform(table.X_new)
        probabilities = classifier.predict_proba(served)
        if not np.isfinite(probabilities).all() or not np.allclose(probabilities.sum(axis=1), 1):
            yield table.weighting, f"probabilities {probabilities[~np.isfinite(probabilities)][:1]}"
        alone = classifier.predict_proba(take(served, np.array([3])))
        if not np.array_equal(alone, probabilities[[3]]):
            yield "any", f"{alone} alone and {probabilities[3]} beside others"

    def of_new_days(self) -> Iterator[tuple[str, str]]:
        """New rows are taken in where there was one value of each column, and there is room for one alone."""
        table = self.table
        if table.fault or table.y is None or table.labels == "quantities":
            return
        encoder = CTREncoder(**table.parameters | {"max_categories": 1, "n_hash_buckets": None})
        try:
            encoder.fit(take(table.X, np.full(table.n_fit, self.rng.integers(table.n_fit))), table.y)
            for row in self.rng.integers(0, len(table.X_new), 3):
                labels = table.y * _REPEATED if isinstance(table.y, list) else np.tile(table.y, _REPEATED)
                day = encoder.partial_fit_transform(take(table.X_new, np.full(len(labels), row)), labels)
                for name, values in arrays(day).items():
                    if not np.isfinite(values).all() or (values.dtype.kind == "i" and values.min() < 0):
                        yield self.kind_of(str(name)), f"{name}: {values.min()} to {values.max()}"
        except (ValueError, TypeError) as error:
            if not _is_own(error):
                raise

    def of_another_kind(self) -> Iterator[tuple[str, str]]:
        """Values of another kind, served, on a new day or in another batch: an answer, or an error that names them."""
        table = self.table
        if table.fault or table.container in ("ndarray", "rows"):
            return
        table = table.rebuilt("pandas", ["objects"] * len(table.columns))
        name, n_rows = pick(self.rng, list(table.columns)), len(table.X_new)
        new = table.X_new.assign(**{name: values_of_any_kind(self.rng, n_rows)})
        y = np.arange(n_rows) % 2
        try:
            encoder = CTREncoder(**table.parameters).fit(table.X_new, y)
        except (ValueError, TypeError):
            return
        batches = [table.X_new.assign(y=y), new.assign(y=y)]
        calls = {
            "served": lambda: encoder.transform(new),
            "in batches": lambda: CTREncoder(**table.parameters).fit(lambda: iter(batches), "y"),
            "on a new day": lambda: encoder.partial_fit(new, y).transform(table.X_new),
        }
        for what, call in calls.items():
            try:
                call()
            except Exception as error:  # noqa: BLE001
                if not _is_own(error) or repr(name) not in str(error) or len(str(error)) > _LONGEST_ERROR:
                    kind = f"{table.columns[name].kind}, then {new[name].dtype}"
                    yield f"{what}: {kind}", f"{_last_line(error)}: {str(new[name].iloc[0])[:50]}"

    def implied_labels(self) -> Iterator[tuple[str, str]]:
        """A label that others imply needs not be written down: mean predictions are the shares of the labels."""
        table = self.table
        if table.number % _ONE_IN_CLASSIFIED or table.fault or table.n_fit < _ALONE**2:
            return
        if (table.parameters.get("n_hash_buckets") or 0) > _MOST_EMBEDDED:
            return
        X = CTREncoder(**table.parameters | {"statistics": None, "crosses": []}).fit_transform(table.X)
        click = self.rng.random(len(X)) < 0.5
        buy = click & (self.rng.random(len(X)) < 0.5)
        lost = self.rng.random((2, len(X))) < 0.7
        y = np.column_stack([np.where(buy & lost[0], np.nan, click), np.where(~click & lost[1], np.nan, buy)])
        classifier = FinalMLPClassifier(
            stream1=MLP((16,)), stream2=MLP((16,)), num_heads=2, n_members=1, max_epochs=1, random_state=0
        )
        means = FunnelClassifier(classifier).fit(X, y).predict_proba(X).mean(axis=0)
        if not np.allclose(means, [click.mean(), buy.mean()], atol=2e-3):
            yield "any", f"means {means} of labels with the shares {click.mean()} and {buy.mean()}"


PROPERTIES: dict[str, Callable[[_Examination], Iterator[tuple[str, str]]]] = {
    "codes and numbers are well-formed": _Examination.well_formed,
    "in parts as in whole": _Examination.in_parts,
    "in a large batch as in a small one": _Examination.in_a_large_batch,
    "alone as beside others": _Examination.alone,
    "as Python objects as in the table": _Examination.as_python_objects,
    "labels and weights in any container": _Examination.other_labels,
    "the index is kept": _Examination.index_kept,
    "pickled as not": _Examination.pickled,
    "fitted again as before": _Examination.fitted_again,
    "fit_transform as fit and transform": _Examination.fit_transform,
    "rows in another order": _Examination.other_row_order,
    "columns in another order": _Examination.other_column_order,
    "the same codes in each container": _Examination.other_containers,
    "a frame of narwhals as that of its library": _Examination.of_narwhals,
    "in batches as in memory": _Examination.in_batches,
    "more values than are counted": _Examination.of_more_values_than_are_counted,
    "the past by a log of other types": _Examination.past_of_other_types,
    "a row without weight is as good as absent": _Examination.without_weightless_rows,
    "weights matter in their proportions": _Examination.with_larger_weights,
    "codes of values of codes": _Examination.there_and_back,
    "the user's table is untouched": _Examination.untouched,
    "probabilities of a classifier": _Examination.classified,
    "rows of new days": _Examination.of_new_days,
    "values of another kind": _Examination.of_another_kind,
    "labels that others imply": _Examination.implied_labels,
}
_ERRORS = (
    "what can't be read is refused",
    "a sound table gets an answer",
    "an error is ours or scikit-learn's",
    "an error names what it is about",
    "an error shows no rows",
)


@contextmanager
def _sizes(**changes: int) -> Iterator[None]:
    """Read and count less at a time."""
    before = {name: getattr(sizes, name) for name in changes}
    most = _tally._MAX_VALUES, _tally._MIN_WAITING
    try:
        for name, value in changes.items():
            setattr(sizes, name, value)
        _tally._MAX_VALUES = min(changes.get("SAMPLE", most[0]), most[0])
        _tally._MIN_WAITING = _BATCH
        yield
    finally:
        for name, value in before.items():
            setattr(sizes, name, value)
        _tally._MAX_VALUES, _tally._MIN_WAITING = most


def _without_type(table: pa.Table) -> pa.Table:
    """The same rows, in which columns without a value have no type."""
    for position, name in enumerate(table.column_names):
        if table[name].null_count == len(table):
            table = table.set_column(position, name, pa.nulls(len(table)))
    return table


def _under_names(X: Any, table: Table) -> Any:
    """A table for an encoder that was fitted to another container: with names if it saw names, without if not."""
    if table.container in ("ndarray", "rows"):
        if isinstance(X, list | np.ndarray):
            return X
        return _plain(X)
    if isinstance(X, list | np.ndarray):
        rows = X if isinstance(X, list) else X.tolist()
        return pd.DataFrame(
            {name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(table.columns)}
        )
    return X


def _plain(X: Any) -> Any:
    """The rows of a frame as an ndarray of objects."""
    frame = nw.from_native(X, eager_only=True)
    array = np.empty(frame.shape, dtype=object)
    for position, series in enumerate(frame.iter_columns()):
        array[:, position] = object_array(series.to_list())
    return array


def _without_statistics(outputs: Outputs, table: Table) -> Outputs:
    """The outputs but for statistics, and for crosses that are chosen like them."""
    chosen = table.parameters.get("crosses") == "auto"
    return {
        name: values for name, values in outputs.items() if not is_statistic(name) and not (chosen and " & " in name)
    }


def _refusal(call: Callable[[], Any], words: str) -> Iterator[tuple[str, str]]:
    """What is found where a call isn't refused in these words."""
    try:
        call()
    except ValueError as error:
        if words not in str(error):
            raise
        return
    yield "any", f"an answer, and not the error {words!r}"


def _same(a: np.ndarray, b: np.ndarray, exact: bool) -> np.ndarray:
    if exact or a.dtype.kind != "f":
        return np.equal(a, b) | ((a != a) & (b != b))
    return np.isclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)


def _is_own(error: Exception) -> bool:
    """Whether an error was raised here or in scikit-learn, and is of a type that says what is wrong with the input."""
    own_type = type(error) in (ValueError, TypeError, FileNotFoundError) or type(error).__module__.startswith("sklearn")
    return own_type and (_is_raised_in(sklearn, error) or (_is_raised_in(sk_finalmlp, error) and not _is_quoted(error)))


def _is_quoted(error: Exception) -> bool:
    """Whether an error ends with the words of another package, which know of no remedy."""
    cause = error.__cause__
    while isinstance(cause, Exception) and _is_raised_in(sk_finalmlp, cause):
        cause = cause.__cause__
    return isinstance(cause, Exception) and str(error).endswith(str(cause))


def _is_raised_in(package: ModuleType, error: Exception) -> bool:
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(str(Path(package.__file__).parent))


def _last_line(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:300]} ({Path(frame.filename).name}:{frame.lineno})"
