"""Fitted parts as plain data and back: dicts, lists, numbers, text and numpy arrays, without any code of a class.

Pickles, model files and exports all read this one description. What is not data has a marked dict for it: a part of a
closed table of classes, an Arrow array or type, a dataframe or series, a path.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from . import __version__
from ._warnings import warn

#: The version that wrote a pickle or a file, among the attributes.
VERSION_KEY = "_sk_finalmlp_version"
#: The metadata that methods request: an object of scikit-learn that refers back to the estimator.
_REQUESTS = "_metadata_request"
#: Keys that mark the dicts; `ARROW` holds the bytes of an Arrow file, as an array of uint8.
PART, ARROW, TYPE, FRAME, SERIES, PATH = "$part", "$arrow", "$type", "$frame", "$series", "$path"

_PLAIN_TYPES = pa.null(), pa.bool_(), pa.int64(), pa.uint64(), pa.float64(), pa.large_string(), pa.date32()
_TYPES = {str(dtype): dtype for dtype in (*_PLAIN_TYPES, pa.timestamp("us"), pa.duration("us"))}
_INSTANT = re.compile(r"timestamp\[us, tz=(.+)\]")
_COLUMN = "values"
#: How an Arrow file begins, before the messages of a stream, and fields of a message by Arrow's format.
_ARROW_MAGIC = b"ARROW1\0\0"
_HEADER_OF_MESSAGE, _COMPRESSION_OF_BATCH = 2, 3

#: Classes of parts, by name, and the attributes of each.
Parts = Mapping[type, tuple[str, ...]]


def declared(*classes: type) -> Parts:
    """Return the declared attributes of dataclasses and named tuples."""
    return {cls: getattr(cls, "_fields", ()) or tuple(field.name for field in fields(cls)) for cls in classes}


def describe(value: Any, parts: Parts) -> Any:
    """Return plain data that `restore` turns into an equal value; unknown types stay as they are."""
    if type(value) in parts:
        return _describe_part(value, parts)
    if isinstance(value, pa.Array):
        return {ARROW: _arrow_bytes(value)}
    if isinstance(value, pa.DataType):
        return {TYPE: str(value)}
    if isinstance(value, pd.DataFrame):
        columns = {name: _describe_column(column) for name, column in value.items()}
        return {FRAME: columns, "index": _describe_column(value.index), "index_name": value.index.name}
    if isinstance(value, pd.Series):
        return {SERIES: _describe_column(value), "index": _describe_column(value.index), "name": value.name}
    if isinstance(value, PurePath):
        return {PATH: str(value)}
    return _of_each(value, lambda item: describe(item, parts))


def restore(plain: Any, parts: Parts) -> Any:
    """Return the value that `describe` described; refuse classes, attributes and types that aren't known."""
    if type(plain) is not dict:
        return _of_each(plain, lambda item: restore(item, parts))
    if PART in plain:
        return _restore_part(plain, parts)
    if ARROW in plain:
        return _arrow_array(plain[ARROW])
    if TYPE in plain:
        return _arrow_type(plain[TYPE])
    if FRAME in plain:
        index = pd.Index(_restore_column(plain["index"]), name=plain["index_name"])
        return pd.DataFrame({name: _restore_column(column) for name, column in plain[FRAME].items()}).set_index(index)
    if SERIES in plain:
        values = pd.Series(_restore_column(plain[SERIES]), name=plain["name"])
        return values.set_axis(pd.Index(_restore_column(plain["index"])))
    if PATH in plain:
        return Path(plain[PATH])
    return _of_each(plain, lambda item: restore(item, parts))


def with_tables(plain: Any) -> Any:
    """Return a description with Arrow arrays for their bytes and type names, for readers of the raw description."""
    if type(plain) is dict and ARROW in plain:
        return _arrow_array(plain[ARROW])
    if type(plain) is dict and TYPE in plain:
        return plain[TYPE]
    return _of_each(plain, with_tables)


def _of_each(value: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert the items of a dict, a list or a tuple; anything else stays as it is."""
    if type(value) is dict:
        return {key: convert(item) for key, item in value.items()}
    return type(value)(map(convert, value)) if type(value) in (list, tuple) else value


def _describe_part(part: Any, parts: Parts) -> dict[str, Any]:
    cls = type(part)
    attributes = part._asdict() if hasattr(part, "_asdict") else part.__getstate__()
    if set(attributes) != set(parts[cls]):
        raise TypeError(f"A fitted {cls.__name__} has {sorted(attributes)}, but {sorted(parts[cls])} are described.")
    return {PART: cls.__name__} | {name: describe(value, parts) for name, value in attributes.items()}


def _restore_part(plain: dict[str, Any], parts: Parts) -> Any:
    by_name = {cls.__name__: cls for cls in parts}
    if plain[PART] not in by_name:
        raise ValueError(f"There is no part {plain[PART]!r}; there are {sorted(by_name)}.")
    cls: Any = by_name[plain[PART]]
    attributes = {name: restore(value, parts) for name, value in plain.items() if name != PART}
    if is_dataclass(cls) or hasattr(cls, "_fields"):
        # Fields that later versions have added are at their defaults; others are errors.
        return cls(**attributes)
    # What later versions have added is as the class says.
    added = {name: getattr(cls, name) for name in parts[cls] if name not in attributes and hasattr(cls, name)}
    attributes = {**added, **attributes}
    if set(attributes) != set(parts[cls]):
        raise ValueError(f"{cls.__name__} has {sorted(attributes)}, where {sorted(parts[cls])} are expected.")
    part = cls.__new__(cls)
    vars(part).update(attributes)
    return part


def _describe_column(column: pd.Series[Any] | pd.Index[Any]) -> Any:
    """Numbers as an array, text as a list, and objects as a list within a list, which pandas keeps as objects."""
    if column.dtype == object:
        return [column.tolist()]
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.tolist()


def _restore_column(plain: Any) -> Any:
    is_object = type(plain) is list and len(plain) == 1 and type(plain[0]) is list
    return pd.Series(plain[0], dtype=object) if is_object else plain


def _arrow_bytes(values: pa.Array) -> np.ndarray:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([values], [_COLUMN])
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return np.frombuffer(sink.getvalue(), np.uint8)


def _arrow_array(bytes_of_file: np.ndarray) -> pa.Array:
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(bytes_of_file)[len(_ARROW_MAGIC) :])
    schema = pa.ipc.read_schema(messages.read_next_message())
    _arrow_type(str(schema.field(0).type))
    message = messages.read_next_message()
    if _is_compressed(message.metadata.to_pybytes()):
        raise ValueError("An Arrow array in it is compressed, so that it may unpack to any size. We write none.")
    batch = pa.ipc.read_record_batch(message, schema)
    batch.validate(full=True)
    if len(batch) > 8 * len(bytes_of_file):
        raise ValueError(f"An Arrow array in it has {len(batch):,} values in {len(bytes_of_file):,} bytes.")
    return batch.column(0)


def _is_compressed(message: bytes) -> bool:
    """Whether a record batch has compressed buffers, which Arrow would unpack at once; pyarrow doesn't tell."""
    (root,) = struct.unpack_from("<I", message)
    header = _field_of_table(message, root, _HEADER_OF_MESSAGE)
    (offset,) = struct.unpack_from("<I", message, header)
    return _field_of_table(message, header + offset, _COMPRESSION_OF_BATCH) > 0


def _field_of_table(data: bytes, table: int, field: int) -> int:
    """Return the place of a field in a table of FlatBuffers; 0 if it isn't there."""
    (distance,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - distance)
    entry = 4 + 2 * field
    (offset,) = struct.unpack_from("<H", data, table - distance + entry) if entry < size else (0,)
    return table + offset if offset else 0


def _arrow_type(name: str) -> pa.DataType:
    if match := _INSTANT.fullmatch(name):
        return pa.timestamp("us", match[1])
    if name not in _TYPES:
        raise ValueError(f"There is no type {name!r}; there are {sorted(_TYPES)}.")
    return _TYPES[name]


class VersionedState:
    """Mixin that saves an estimator as plain data, which need no pickle, with its version, and warns of another."""

    #: The parts that fitted attributes may hold.
    _parts: ClassVar[Parts]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        if _REQUESTS in state:
            state = {**state, _REQUESTS: _describe_requests(state[_REQUESTS])}
        return {**{name: self._describe(name, value) for name, value in state.items()}, VERSION_KEY: __version__}

    def _describe(self, name: str, value: Any) -> Any:
        return describe(value, self._parts)

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved_by = state.get(VERSION_KEY, "an unknown version")
        if saved_by != __version__:
            warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"{__version__} of sk_finalmlp",
                    original_sklearn_version=f"{saved_by} of sk_finalmlp",
                )
            )
        try:
            self._restore({key: value for key, value in state.items() if key != VERSION_KEY})
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            if saved_by == __version__:
                raise
            raise ValueError(
                f"This {type(self).__name__} was saved by version {saved_by} of sk_finalmlp, and version {__version__} "
                f"can't read it. Install version {saved_by} to load it, or fit it again."
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        requests = state.pop(_REQUESTS, {})
        super().__setstate__({name: restore(value, self._parts) for name, value in state.items()})  # type: ignore[misc]
        _restore_requests(self, requests)


def _describe_requests(requests: Any) -> dict[str, dict[str, Any]]:
    by_method = {method: getattr(request, "requests", None) for method, request in vars(requests).items()}
    return {method: dict(asked) for method, asked in by_method.items() if asked}


def _restore_requests(estimator: Any, requests: dict[str, dict[str, Any]]) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            getattr(estimator, f"set_{method}_request")(**asked)
