"""Where rows come from: Parquet files and other data sets of Arrow, streams of batches, lazy frames, functions.

Every source gives its rows in batches, in the same order each time, and says of each batch where it is from, so that an
error can name the file.
"""

from __future__ import annotations

import glob
import logging
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from narwhals import to_native
from numpy.typing import NDArray

from .._checks import check_unique_names
from ._storage import TemporaryFolder, sizes

# Loading these takes a tenth of what the whole library does, and only rows in batches need them.
if TYPE_CHECKING:
    import pyarrow.dataset as ds

logger = logging.getLogger("sk_finalmlp.sources")

_INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")
_GLOB_CHARACTERS = frozenset("*?[")


class Batch(NamedTuple):
    """Some rows of a source, in a table of pyarrow or a DataFrame of pandas."""

    table: Any
    where: str


class Source(ABC):
    """Rows in batches."""

    names: list[str]
    #: None where it isn't known before the rows are read.
    n_rows: int | None = None

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Yield the rows from the first to the last, with these columns alone."""

    def parts(self) -> list[Source]:
        """Return parts of the rows that can be read at the same time, in order; they depend on the files alone."""
        return [self]

    def empty(self, columns: Sequence[str]) -> Any:
        """Return a frame of these columns without rows, to select columns by type; rows to fit to have one."""
        raise NotImplementedError


def is_source(X: Any, y: Any = None) -> bool:
    """Return whether X stands for rows that are read in batches."""
    if hasattr(X, "shape"):
        return isinstance(X, pa.Table) and isinstance(y, str)
    is_read_once = isinstance(X, pa.RecordBatchReader) or nw.dependencies.is_polars_lazyframe(X)
    return is_in_files(X) or is_read_once or callable(X)


def is_in_files(X: Any) -> bool:
    """Return whether X is the name of files, or a data set of Arrow."""
    return isinstance(X, str | PathLike) or _is_dataset(X)


def _is_dataset(X: Any) -> bool:
    # A data set in memory means that its module is loaded.
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(X, module.Dataset)


def refuse_source(X: Any) -> None:
    """Refuse rows that are read in batches where only a table in memory will do."""
    if is_source(X):
        raise TypeError(
            f"X is a {type(X).__name__}, which is read in batches, and partial_fit takes a table in memory, such as a "
            "day of rows. Read it, for example by pandas.read_parquet, or let sk_finalmlp.update read it."
        )


def read_rows(X: Any) -> Any:
    """Return all rows of a source as one table in memory."""
    source = open_source(X)
    tables = [batch.table for batch in source.batches(source.names)]
    if not tables:
        raise ValueError("Found array with 0 sample(s): the files or frames of X have no rows.")
    if all(isinstance(table, pd.DataFrame) for table in tables):
        return pd.concat(map(_without_unsigned, tables), ignore_index=True)
    try:
        return pa.concat_tables(map(_without_dictionaries, tables), promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(
            f"X can't be read into one table: {error}. Write each column with the same type in all files."
        ) from error


def _without_unsigned(frame: pd.DataFrame) -> pd.DataFrame:
    """Return unsigned numbers as objects: beside signed ones, pandas would round both to floats."""
    return frame.astype({name: object for name, dtype in frame.dtypes.items() if dtype == np.uint64})


def _without_dictionaries(table: Any) -> pa.Table:
    table = nw.from_native(table, eager_only=True).to_arrow()
    types = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(types))


def open_source(X: Any, folder: TemporaryFolder | None = None) -> Source:
    """Get ready to read rows."""
    if isinstance(X, pa.RecordBatchReader):
        return _Reader(X) if folder is None else _spooled_reader(X, folder)
    if isinstance(X, pa.Table):
        return _Dataset(_open(X))
    if isinstance(X, str | PathLike):
        return _Dataset(_dataset_of_path(fspath(X)))
    if _is_dataset(X):
        return _Dataset(X)
    if callable(X):
        return _Frames(X)
    return _spooled_lazy_frame(X, TemporaryFolder() if folder is None else folder)


def _open(source: Any, **options: Any) -> ds.Dataset:
    from pyarrow.dataset import dataset

    return dataset(source, **options)


def _dataset_of_path(path: str) -> ds.Dataset:
    if Path(path).is_dir():
        files: str | list[str] = path
        if not any(Path(path).rglob("*")):
            raise ValueError(f"The folder {path!r} is empty: there is no Parquet file to read.")
    elif _GLOB_CHARACTERS.isdisjoint(path):
        files = path
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file or folder {path!r} to read rows from.")
    else:
        files = sorted(glob.glob(path, recursive=True))
        if not files:
            raise FileNotFoundError(f"No file is named like {path!r}.")
    try:
        return _open(files, format="parquet", partitioning="hive")
    except (pa.ArrowInvalid, OSError) as error:
        remedy = ""
        if path.endswith((".csv", ".csv.gz")):
            remedy = f"Pass pyarrow.dataset.dataset({path!r}, format='csv') for a CSV file. "
        raise ValueError(f"{path!r} can't be read as Parquet. {remedy}{error}") from error


class Parts:
    """Rows of a source, part by part; several workers read the parts at the same time, as tasks of joblib."""

    def __init__(self, source: Source, n_jobs: int | None) -> None:
        self.source = source
        self._n_jobs = n_jobs
        self._parts = source.parts() if effective_n_jobs(n_jobs) > 1 else [source]
        self.are_parallel = len(self._parts) > 1

    def map(self, advance: Callable[[int], None], function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """Yield a function's result for each part, given the part, the number of its first row, and arguments.

        It also gets what to call with the number of rows of each step, where these are steps of this process.
        """
        if not self.are_parallel:
            yield function(self.source, 0, *arguments, advance)
            return
        sizes_of_parts = [part.n_rows or 0 for part in self._parts]
        firsts = accumulate(sizes_of_parts[:-1], initial=0)
        backend, _ = get_active_backend()
        # Where results come one by one, they are not all in memory.
        return_as = "generator" if backend.supports_return_generator else "list"
        tasks = (delayed(function)(part, first, *arguments) for part, first in zip(self._parts, firsts, strict=True))
        results = Parallel(n_jobs=self._n_jobs, return_as=return_as)(tasks)
        for n_rows, result in zip(sizes_of_parts, results, strict=True):
            advance(n_rows)
            yield result


class Passes:
    """Tells of the passes over the rows."""

    def __init__(self, verbose: int) -> None:
        self._verbose = verbose

    @contextmanager
    def over(self, what: str, n_rows: int | None) -> Iterator[Callable[[int], None]]:
        """Time a pass: call what this gives with the number of rows of each step."""
        start, done = time.perf_counter(), 0
        with self._bars() as bars:
            task = None if bars is None else bars.add_task(what, total=n_rows)

            def advance(n: int) -> None:
                nonlocal done
                done += n
                if bars is not None:
                    bars.update(task, advance=n)

            yield advance
        seconds = time.perf_counter() - start
        line = f"{what}: {done:,} rows in {seconds:.1f}s, {done / max(seconds, 1e-9):,.0f} a second"
        logger.info(line)
        if self._verbose >= 1:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    def _bars(self) -> AbstractContextManager[Any]:
        """Return progress bars of rich, or a context of None."""
        if self._verbose < 2:
            return nullcontext()
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ModuleNotFoundError as error:
            raise ImportError(
                f"verbose={self._verbose} shows progress bars, which need rich: pip install 'sk-finalmlp[progress]'. "
                "verbose=1 writes a line for each pass and needs nothing."
            ) from error
        console = Console()
        # Control characters in a file would only be in the way.
        return Progress(console=console, transient=True) if console.is_terminal else nullcontext()


class _File(NamedTuple):
    """A file or a row group of it, its columns, and its size and modification time when it was opened."""

    fragment: Any
    schema: pa.Schema
    version: tuple[int, int] | None


class _Files(Source):
    """Files or row groups of files, one after the other: no reader runs ahead and fills the memory."""

    def __init__(self, files: list[_File], n_rows: int) -> None:
        self._files = files
        self.names, self.n_rows = list(files[0].schema.names), n_rows

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        for fragment, schema, version in self._files:
            where = _name_of(fragment)
            with _unchanged(fragment, version), reading(where):
                for part in _parts_of(fragment):
                    for table in _joined(part.to_batches(schema=schema, **_options(columns))):
                        yield Batch(table, where)


def _options(columns: Sequence[str]) -> dict[str, Any]:
    return {"columns": list(columns), "batch_size": sizes.CHUNK, "batch_readahead": 0, "fragment_readahead": 0}


class _Dataset(_Files):
    """A data set of Arrow, file by file and row group by row group; without files where it is filtered."""

    def __init__(self, dataset: ds.Dataset) -> None:
        self._dataset: ds.Dataset = dataset
        self._files: list[_File] = []
        common = _without_index(dataset.schema)
        self.names = list(common.names)
        if not self.names:
            raise ValueError("The data set has no columns: it has no file, or they are empty.")
        try:
            fragments = list(dataset.get_fragments())
        except ValueError:
            return
        if not fragments:
            raise ValueError("Found array with 0 sample(s): the data set has no file.")
        versions = [_version_of(fragment) for fragment in fragments]
        self._files = list(map(_File, fragments, _schemas_of(fragments, common), versions))
        self.n_rows = dataset.count_rows()

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        if self._files:
            yield from super().batches(columns)
            return
        batches = self._dataset.to_batches(**_options(columns))
        yield from (Batch(pa.Table.from_batches([batch]), "") for batch in batches)

    def parts(self) -> list[Source]:
        if not self._files:
            return [self]
        parts: list[Source] = []
        files: list[_File] = []
        n_rows = 0
        for fragment, schema, version in self._files:
            with _unchanged(fragment, version), reading(_name_of(fragment)):
                for part in _parts_of(fragment):
                    files.append(_File(part, schema, version))
                    # `count_rows` counts the whole file.
                    groups = getattr(part, "row_groups", None)
                    n_rows += part.count_rows() if groups is None else sum(group.num_rows for group in groups)
                    if n_rows >= sizes.TASK:
                        parts.append(_Files(files, n_rows))
                        files, n_rows = [], 0
        return [*parts, _Files(files, n_rows)] if files else parts

    def empty(self, columns: Sequence[str]) -> pd.DataFrame:
        # What pandas notes of its types in a file it can't read back for lists.
        return self._dataset.schema.empty_table().select(list(columns)).to_pandas(ignore_metadata=True)


def _parts_of(fragment: Any) -> list[Any]:
    return fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the same rows in fewer batches."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        if waiting and sum(map(len, waiting)) + len(batch) > sizes.CHUNK:
            yield pa.Table.from_batches(waiting)
            waiting = []
        waiting.append(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)


def _name_of(fragment: Any) -> str:
    return str(getattr(fragment, "path", ""))


def _version_of(fragment: Any) -> tuple[int, int] | None:
    """Return size and modification time of a file, None for rows in memory."""
    if not _name_of(fragment):
        return None
    info = fragment.filesystem.get_file_info(fragment.path)
    return info.size, info.mtime_ns


@contextmanager
def _unchanged(fragment: Any, version: tuple[int, int] | None) -> Iterator[None]:
    """Refuse a file that is another one than when it was opened, also where it can't be read any more."""
    try:
        yield
    except ValueError as error:
        _check_version(fragment, version, error)
        raise
    _check_version(fragment, version)


def _check_version(fragment: Any, version: tuple[int, int] | None, error: ValueError | None = None) -> None:
    if _version_of(fragment) != version:
        raise ValueError(
            f"{_name_of(fragment)} has changed during fit or transform, which read files several times: rows of both "
            "would be mixed. Write new rows to a new file or folder, and begin again."
        ) from error


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Say in an error of Arrow which file it is about."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if not where:
            raise
        raise ValueError(f"{where} can't be read: {error}") from error


def _schemas_of(fragments: Sequence[Any], common: pa.Schema) -> list[pa.Schema]:
    """Return the columns of each file, of the types that they have there; an error where a file lacks one."""
    own = []
    for fragment in fragments:
        with reading(_name_of(fragment)):
            own.append(_without_index(fragment.physical_schema))
    surplus = [set(schema.names) - set(common.names) for schema in own]
    # Columns that all files have and the data set lacks were left out on purpose.
    left_out = set.intersection(*surplus)
    schemas = []
    for fragment, schema, more in zip(fragments, own, surplus, strict=True):
        if more - left_out:
            raise ValueError(
                f"{_name_of(fragment)} has the column {sorted(more - left_out)[0]!r}, which other files lack. "
                "All files must have the same columns."
            )
        schemas.append(_schema_of(fragment, schema, common))
    return schemas


def _without_index(schema: pa.Schema) -> pa.Schema:
    """Return the columns without the unnamed index that pandas writes."""
    return pa.schema([field for field in schema if not _INDEX_OF_PANDAS.fullmatch(field.name)])


def _schema_of(fragment: Any, own: pa.Schema, common: pa.Schema) -> pa.Schema:
    from pyarrow.dataset import get_partition_keys

    of_folders = get_partition_keys(fragment.partition_expression)
    fields = []
    for field in common:
        if field.name in own.names:
            dtype = own.field(field.name).type
            kinds = {_kind_of(field.type), _kind_of(dtype)} - {"null"}
            if len(kinds) > 1:
                raise ValueError(
                    f"{_name_of(fragment)} has the column {field.name!r} as {dtype}, other files as {field.type}. "
                    "Write it with the same type in all files."
                )
            fields.append(pa.field(field.name, dtype))
        elif field.name in of_folders:
            fields.append(field)
        else:
            raise ValueError(
                f"{_name_of(fragment)} has no column {field.name!r}, which other files have. All files must have the "
                "same columns."
            )
    return pa.schema(fields)


def _kind_of(dtype: pa.DataType) -> str:
    """Return a name for the types that are read alike: integers and floats, as where values are missing in one file."""
    if pa.types.is_dictionary(dtype):
        return _kind_of(dtype.value_type)
    checks = {
        "null": [pa.types.is_null],
        "bool": [pa.types.is_boolean],
        "number": [pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal],
        "string": [pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view],
        "date": [pa.types.is_date],
        "list": [pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list],
    }
    found = next((kind for kind, tests in checks.items() if any(test(dtype) for test in tests)), None)
    if found is None and pa.types.is_timestamp(dtype):
        return "time" if dtype.tz is None else "time with a zone"
    return found or str(dtype)


class _Reader(Source):
    """Batches that can be read once."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self.names = list(reader.schema.names)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        for table in _joined(iter(self._reader)):
            yield Batch(table.select(list(columns)), "")


def _spooled_reader(reader: pa.RecordBatchReader, folder: TemporaryFolder) -> Source:
    from pyarrow.parquet import ParquetWriter

    path = folder.path / "rows.parquet"
    with ParquetWriter(path, reader.schema) as writer:
        for table in _joined(iter(reader)):
            writer.write_table(table)
    return _Dataset(_open(path, format="parquet"))


def _spooled_lazy_frame(frame: Any, folder: TemporaryFolder) -> Source:
    """Let Polars compute the frame once, by its streaming engine, in the order of its rows."""
    path = folder.path / "rows.parquet"
    frame.sink_parquet(path, maintain_order=True, row_group_size=sizes.CHUNK)
    source = _Dataset(_open(path, format="parquet"))
    source.folder = folder  # type: ignore[attr-defined]
    return source


class _Frames(Source):
    """Frames of any library, from a function that begins anew in each call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        first = next(iter(self._frames()), None)
        if first is None:
            raise ValueError("X is a function that gives no frame: there are no rows.")
        self.names = _names_of(first)
        self._first = first[:0]

    def _frames(self) -> Iterator[Any]:
        frames = self._make()
        if isinstance(frames, pa.Table | pd.DataFrame) or not hasattr(frames, "__iter__"):
            raise TypeError(f"X is a function, and must give an iterable of frames; it gives {type(frames).__name__}.")
        for frame in frames:
            yield (
                pa.Table.from_batches([frame])
                if isinstance(frame, pa.RecordBatch)
                else to_native(frame, pass_through=True)
            )

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        for number, frame in enumerate(self._frames()):
            where = f"frame {number}"
            names = _names_of(frame)
            if set(names) != set(self.names):
                raise ValueError(f"X: {where} has the columns {names}, frame 0 has {self.names}.")
            for start in range(0, len(frame), sizes.CHUNK):
                rows = frame[start : start + sizes.CHUNK]
                if not isinstance(rows, pd.DataFrame):
                    rows = nw.from_native(rows, eager_only=True).to_arrow()
                yield Batch(rows, where)

    def empty(self, columns: Sequence[str]) -> Any:
        return self._first[list(columns)] if isinstance(self._first, pd.DataFrame) else self._first.select(columns)


def _names_of(frame: Any) -> list[str]:
    if not nw.dependencies.is_into_dataframe(frame):
        raise TypeError(f"X gives a {type(frame).__name__}, which is not a data frame of pandas, polars or pyarrow.")
    check_unique_names(frame, "A frame of X")
    names = nw.from_native(frame, eager_only=True).columns
    strange = next((name for name in names if not isinstance(name, str)), None)
    if strange is not None:
        raise TypeError(
            f"A frame of X has the column name {strange!r}, which is no string. Name the columns by strings, for "
            "example by frame.rename(columns=str)."
        )
    return list(names)


def column_in_memory(source: Source, name: str) -> NDArray[Any]:
    """Return a raw column of all rows, such as their labels."""
    if name not in source.names:
        raise ValueError(f"X has no column {name!r}. It has {source.names}.")
    return np.concatenate([np.asarray(batch.table[name]) for batch in source.batches([name])])
