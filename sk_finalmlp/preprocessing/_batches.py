"""How an encoder is fitted to rows that are read in batches, and encodes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .._fit_task import fit_task
from .._hold_out import place_from_last, places
from .._sklearn import check_feature_names_in, get_output_config
from .._sources import (
    EncodedRows,
    EncodedStream,
    Parts,
    Passes,
    Source,
    StoredArray,
    TemporaryFolder,
    check_space,
    column_of,
    in_file,
    naming_full_disk,
    open_source,
)
from ..schema import Origin, write_origin
from ._calendar import UnknownDates
from ._column_rules import FittedColumn, find_histories, fit_tallied_history, fit_tally
from ._first_pass import FirstPass
from ._kinds import Kind
from ._on_disk import codes_of_rows, encode_column, used_columns, widen_lists, write_codes
from ._plan import Planner
from .statistics._derived import DerivedFields
from .statistics._stored_target import StoredTarget
from .statistics._target import NoLabels, Target
from .statistics._unknown import UnknownRows

_SEVERAL_LABELS = (
    " Several labels, as FunnelClassifier takes them, go with a table in memory: read the rows, for example by "
    "pandas.read_parquet, or fit a FinalMLPClassifier to each label."
)


class BatchEncoder:
    """Mixin that lets an encoder take rows that are read in batches, such as those of Parquet files."""

    _origin: list[Origin]
    _rare_dates: Mapping[str, pa.Array]

    def _fit_source(self: Any, X: Any, y: Any, sample_weight: Any) -> EncodedRows:
        """Fit to rows that are read in batches, and write what they become to disk."""
        self._check_source_arguments(y, sample_weight)
        folder = TemporaryFolder(self.temp_folder)
        with naming_full_disk(folder), fit_task(self, X=X, y=y):
            rows: EncodedRows = self._fit_opened(open_source(X, folder), y, sample_weight, folder)
            return rows

    def _check_source_arguments(self: Any, y: Any, sample_weight: Any) -> None:
        for argument, value in {"y": y, "sample_weight": sample_weight}.items():
            if value is not None and not isinstance(value, str):
                raise TypeError(
                    f"X is read in batches, so {argument} must be the name of one of its columns, not "
                    f"{type(value).__name__}.{_SEVERAL_LABELS if argument == 'y' and _are_several(value) else ''}"
                )
        self._check_default_container()
        if self.hold_out not in ("random", "last"):
            raise ValueError(
                f"hold_out={self.hold_out!r}: rows that are read in batches are not sorted by a column. Name the files "
                "so that they come in the order of time, and set hold_out='last'."
            )

        if self.half_life is not None:
            raise ValueError(
                f"half_life={dict(self.half_life)!r}: rows that are read in batches count alike in statistics. Fit to "
                "a table in memory, or give a column of weights by age as sample_weight."
            )

    def _check_default_container(self: Any) -> None:
        asked = get_output_config("transform", self)["dense"]
        if asked != "default":
            raise ValueError(
                f"transform={asked!r} is asked for by set_output or set_config, but rows that are read in batches fit "
                "in no such table. Call set_output(transform='default')."
            )

    def _fit_opened(
        self: Any, source: Source, label: str | None, weight: str | None, folder: TemporaryFolder
    ) -> EncodedRows:
        passes = Passes(int(self.verbose))
        self._learn_names(source, label, weight)
        names = check_feature_names_in(self)
        if source.n_rows is not None:
            check_space(folder, self._expected_bytes(source.n_rows, 2 * len(names)))
        chosen = self._chosen_kinds(source.empty(names), names)
        parts = Parts(source, self.n_jobs)
        first = FirstPass(parts, names, chosen, label, weight, folder, passes)
        planner = self._planner()
        place = places if self.hold_out == "random" else partial(place_from_last, n_rows=first.n_rows)
        target = planner.read_stored_target(first.labels, first.y, first.weight, place)
        self._fit_tallies(first, chosen, target)
        first.forget()
        widen_lists(source, names, self._readings, self._encoders, first.weight, first.n_rows, passes)
        columns = write_codes(parts, names, self._readings, self._encoders, first.n_rows, folder, passes)
        columns.update(self._fit_derived_on_disk(planner, columns, first, target, folder, passes))
        origin = self._with_vectors(self._origin_of_training_rows(first.n_rows, None, NoLabels()))
        return EncodedRows(
            folder, self._fields, columns, origin, label, first.labels, first.y, weight, first.weight, place
        )

    def _learn_names(self: Any, source: Source, label: str | None, weight: str | None) -> None:
        for argument, name in {"y": label, "sample_weight": weight}.items():
            if name is not None and name not in source.names:
                raise ValueError(f"{argument}={name!r} is not a column of X, which has {source.names}.")
        names = [name for name in source.names if name not in (label, weight)]
        self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = len(names)

    def _expected_bytes(self: Any, n_rows: int, n_columns: int) -> float:
        # Once in the order of the table and once shuffled, four bytes each, and the labels.
        return n_rows * (8.0 * n_columns + 12)

    def _fit_tallies(self: Any, first: FirstPass, chosen: Mapping[int, Kind], target: StoredTarget | NoLabels) -> None:
        """Find out what each column is, and learn to encode it alone, from its tally."""
        rules = self._column_rules()
        telling = None
        if isinstance(target, StoredTarget) and self.statistics == "auto":
            telling = target.sample(first.sample.numbers)
        names = check_feature_names_in(self)
        targets = find_histories(self.histories, names)
        fitted: dict[int, FittedColumn] = {
            position: fit_tally(
                name, tally, first.sample, chosen.get(position), rules, telling, position in targets.values()
            )
            for position, (name, tally) in enumerate(zip(names, first.tallies, strict=True))
            if position not in targets
        }
        for position, of in targets.items():
            tally = first.tallies[position]
            assert tally is not None
            fitted[position] = fit_tallied_history(tally, fitted[of], names[of], self.max_length)
        self._origin = []
        self._keep_fitted([fitted[position] for position in range(len(names))])

    def _fit_derived_on_disk(
        self: Any,
        planner: Planner,
        columns: Mapping[str, StoredArray],
        first: FirstPass,
        target: StoredTarget | NoLabels,
        folder: TemporaryFolder,
        passes: Passes,
    ) -> dict[str, StoredArray]:
        """Choose and learn crosses and statistics, and write those of the training rows."""
        names = check_feature_names_in(self)
        codes = {name: column for name, column in columns.items() if column.dtype.kind == "i"}
        some: dict[str, np.ndarray] = {}
        telling: Target | NoLabels
        if isinstance(target, StoredTarget):
            telling = target.sample(first.sample.numbers)
            some = codes_of_rows(codes, first.sample.numbers)
        else:
            telling = target
        plan = planner.plan(
            dict(zip(names, self._fields_of(names), strict=True)),
            some,
            telling,
            self._date_parts(),
            n_rows=first.sample.n_seen,
        )
        check_space(
            folder,
            self._expected_bytes(first.n_rows, len(columns) + len(plan.crosses) + 2 * len(plan.statistics))
            - 4 * first.n_rows * len(columns),
        )
        self._derived = DerivedFields(plan.crosses, plan.statistics)
        self._classes = target.classes if isinstance(target, StoredTarget) else None
        self._has_tasks = False
        unknown = UnknownRows(self.unknown_dropout, planner.random_state)
        stored: dict[str, StoredArray] = self._derived.fit_on_disk(codes, first.weight, target, unknown, folder, passes)
        self._finish_fit(plan)
        return stored

    def _transform_source(self: Any, X: Any) -> EncodedStream:
        """Rows that are encoded as they are read."""
        self._check_default_container()
        source = open_source(X)
        names = list(check_feature_names_in(self))
        missing = [name for name in names if name not in source.names]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r}, which fit saw. It has {source.names}.")
        return EncodedStream(partial(self._encoded_batches, source), partial(_column_in_memory, source))

    def _encoded_batches(self: Any, source: Source) -> Iterator[pd.DataFrame]:
        used = used_columns(check_feature_names_in(self), self._readings, self._encoders)
        unknown = UnknownDates(self._rare_dates)
        for batch in source.batches([name for name, _, _ in used]):
            with in_file(batch):
                outputs: dict[str, np.ndarray] = {}
                for name, reading, encoder in used:
                    outputs.update(encode_column(batch.table, name, reading, encoder, unknown))
                outputs.update(self._derived.transform(outputs))
            yield write_origin(pd.DataFrame(outputs, copy=False), self._with_vectors(self._origin_of_new_rows()))
        unknown.warn()


def _are_several(labels: Any) -> bool:
    """Whether labels are names of columns, or have several columns themselves."""
    is_list_of_names = isinstance(labels, list | tuple) and all(isinstance(name, str) for name in labels)
    return is_list_of_names or len(getattr(labels, "shape", ())) > 1


def _column_in_memory(source: Source, name: str) -> np.ndarray:
    """A raw column of all rows, such as their labels."""
    if name not in source.names:
        raise ValueError(f"X has no column {name!r}. It has {source.names}.")
    return np.concatenate([np.asarray(column_of(batch.table, name)) for batch in source.batches([name])])
