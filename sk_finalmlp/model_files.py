"""Fitted models in files from which no code is ever run: `save` and `load`.

A file is a zip of `model.json`, `arrays.safetensors` and Arrow files. Its last 64 bytes, the comment of the zip, are
the SHA-256 of all bytes before them, so that a damaged file is noticed before anything in it is read.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import secrets
import zipfile
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import safetensors
import safetensors.numpy
import sklearn
from sklearn.base import BaseEstimator

from . import __version__
from ._description import ARROW, VERSION_KEY

__all__ = ["ModelFileError", "load", "save"]

#: Goes up whenever older versions of this library could not read a file.
FORMAT: Final = 1

_MODULE_OF: Final = {
    "CTREncoder": "sk_finalmlp.preprocessing",
    "FinalMLPClassifier": "sk_finalmlp.estimators",
    "FunnelClassifier": "sk_finalmlp.estimators",
    "CIN": "sk_finalmlp.streams",
    "CrossNet": "sk_finalmlp.streams",
    "FM": "sk_finalmlp.streams",
    "Final": "sk_finalmlp.streams",
    "GatedCrossNet": "sk_finalmlp.streams",
    "MLP": "sk_finalmlp.streams",
    "MaskNet": "sk_finalmlp.streams",
    "Product": "sk_finalmlp.streams",
    "QNN": "sk_finalmlp.streams",
    "SelfAttention": "sk_finalmlp.streams",
    "FrozenEstimator": "sklearn.frozen",
    "Pipeline": "sklearn.pipeline",
}
_REQUESTS = "_metadata_request"
#: That of a pipeline, which would be read in the next fit.
_CACHE: Final = "memory"
_LENGTH_OF_CHECKSUM: Final = 64
_TREE, _ARRAYS, _ARROW_FILE = "model.json", "arrays.safetensors", "{}.arrow"
_EPOCH_OF_ZIP: Final = (1980, 1, 1, 0, 0, 0)
_UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    pa.ArrowException,
    safetensors.SafetensorError,
    zipfile.BadZipFile,
)


class ModelFileError(ValueError):
    """A file is no model that `save` wrote, or it is damaged, or from a later version.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> import sk_finalmlp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.model"
    ...     _ = path.write_bytes(b"no model")
    ...     try:
    ...         sk_finalmlp.load(path)
    ...     except sk_finalmlp.ModelFileError:
    ...         print("fetch the file again")
    fetch the file again
    """


def save(model: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file that is safe to load, even from an untrusted source.

    The file holds data alone, and :func:`load` runs no code of it; pickle and joblib do. An interrupted call leaves the
    file that was there before.

    Parameters
    ----------
    model : estimator
        `CTREncoder`, a classifier of this library, a :class:`~sklearn.frozen.FrozenEstimator` of either, or a
        :class:`~sklearn.pipeline.Pipeline` of these.
    path : str or path-like
        Where to write it.

    Raises
    ------
    TypeError
        If the model holds anything else, such as another step or a function as a parameter; the message says where.

    See Also
    --------
    load : Read the file.
    sk_finalmlp.serving.to_onnx : A file for servers without this library.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> import sk_finalmlp
    >>> from sk_finalmlp.datasets import make_click_data
    >>> X, y, _ = make_click_data(1000, random_state=0)
    >>> encoder = sk_finalmlp.CTREncoder().fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sk_finalmlp.save(encoder, Path(folder) / "encoder.model")
    ...     loaded = sk_finalmlp.load(Path(folder) / "encoder.model")
    >>> loaded.transform(X).equals(encoder.transform(X))
    True
    """
    writer = _Writer()
    tree = writer.encode(model, type(model).__name__)
    versions = {"sk_finalmlp": __version__, "scikit-learn": sklearn.__version__}
    header = {"format": FORMAT, "versions": versions, "model": tree}
    entries = {_TREE: json.dumps(header).encode(), _ARRAYS: safetensors.numpy.save(writer.arrays), **writer.arrow_files}
    replace_file(path, _with_checksum(_zip(entries)))


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that :func:`save` wrote. No code of the file is run.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        The model. Its predictions are those of the saved one, bit for bit on the same machine.

    Raises
    ------
    ModelFileError
        If the file isn't one that `save` wrote, or has been damaged since, or was written by a later version of this
        library whose files this one can't read.

    See Also
    --------
    save : Write the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> import sk_finalmlp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sk_finalmlp.save(sk_finalmlp.CTREncoder(min_frequency=5), Path(folder) / "encoder.model")
    ...     sk_finalmlp.load(Path(folder) / "encoder.model")
    CTREncoder(min_frequency=5)
    """
    contents = Path(path).read_bytes()
    _check(contents, path)
    try:
        return _decode_file(contents)
    except _UNREADABLE as error:
        raise ModelFileError(f"{os.fspath(path)!r} can't be read as a model: {error}") from error


def replace_file(path: str | os.PathLike[str], contents: bytes) -> None:
    """Write a file whole or not at all: an interruption leaves the one that was there before."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Writer:
    """Turns a model into a tree for JSON, and collects what has files of its own."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.arrow_files: dict[str, bytes] = {}
        # What two steps share is written once. A number stands for an array as long as that lives.
        self._written: dict[int, tuple[str, np.ndarray]] = {}

    def encode(self, value: Any, where: str) -> Any:
        """A node of the tree; each that isn't a scalar or a list is a dict with its kind as first key."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, PurePath):
            # Where a fit puts its files; it takes text as well.
            return str(value)
        if type(value) is list:
            return self._encode_all(value, where)
        if type(value) is tuple:
            return {"tuple": self._encode_all(value, where)}
        if type(value) is dict:
            return self._encode_dict(value, where)
        if isinstance(value, np.ndarray):
            return self._encode_array(value, where)
        if type(value) is pd.DataFrame:
            parts = [value.index.to_numpy(), list(value.columns), value.to_numpy()]
            return {"frame": self._encode_all(parts, where)}
        if type(value) is pd.Series:
            return {"series": self._encode_all([value.index.to_numpy(), value.to_numpy()], where)}
        if type(value) is slice:
            return {"slice": self._encode_all([value.start, value.stop, value.step], where)}
        if type(value) is np.random.RandomState:
            return {"random_state": self.encode(value.get_state(legacy=False), where)}
        if isinstance(value, BaseEstimator):
            return self._encode_estimator(value, where)
        if f"{type(value).__module__}.{type(value).__qualname__}" == "torch.device":
            return {"device": str(value)}
        raise TypeError(
            f"{where} is {value!r} of type {type(value).__name__}, which a model file can't hold. Set it "
            "to plain values before fit, or use joblib.dump, whose files run code when they are loaded."
        )

    def _encode_all(self, values: list[Any] | tuple[Any, ...], where: str) -> list[Any]:
        return [self.encode(value, f"{where}[{position}]") for position, value in enumerate(values)]

    def _encode_dict(self, value: dict[Any, Any], where: str) -> dict[str, Any]:
        if value.keys() == {ARROW}:
            name = _ARROW_FILE.format(len(self.arrow_files))
            self.arrow_files[name] = value[ARROW].tobytes()
            return {"arrow": name}
        return {
            "dict": [[self.encode(key, where), self.encode(item, f"{where}[{key!r}]")] for key, item in value.items()]
        }

    def _encode_array(self, value: np.ndarray, where: str) -> dict[str, Any]:
        if value.dtype.kind == "O" and value.ndim == 1:
            return {"objects": self._encode_all(value.tolist(), where)}
        if value.dtype.kind == "U":
            return {"texts": value.tolist()}
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise TypeError(f"{where} is an array of {value.dtype}, which a model file can't hold; use joblib.dump.")
        if id(value) not in self._written:
            name = str(len(self.arrays))
            # Whatever its order in memory and that of its bytes.
            self.arrays[name] = np.array(value, value.dtype.newbyteorder("="), order="C")
            self._written[id(value)] = name, value
        return {"array": self._written[id(value)][0]}

    def _encode_estimator(self, estimator: BaseEstimator, where: str) -> dict[str, Any]:
        name = type(estimator).__name__
        if name not in _MODULE_OF or type(estimator) is not _class(name):
            raise TypeError(
                f"{where} is a {name} of {type(estimator).__module__}, and a model file can hold {sorted(_MODULE_OF)}. "
                "Use skops.io.dump, which knows the estimators of scikit-learn, or joblib.dump."
            )
        state = estimator.__getstate__()
        requests = state.pop(_REQUESTS, None)
        state = {key: value for key, value in state.items() if key not in (VERSION_KEY, "_sklearn_version")}
        if state.pop(_CACHE, None) is not None:
            raise TypeError(f"{where}.{_CACHE} is a folder of pickles, which run code. Set it to None to save.")
        if strange := state.keys() - _attributes(type(estimator)):
            raise TypeError(f"{where}.{min(strange)} is neither a parameter nor learned by fit; delete it to save.")
        return {
            "estimator": name,
            "state": {key: self.encode(value, f"{where}.{key}") for key, value in state.items()},
            "requests": {} if requests is None else _encode_requests(requests),
        }


class _Reader:
    """Makes a model of a tree and the arrays beside it."""

    def __init__(self, arrays: dict[str, np.ndarray], arrow_files: dict[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._arrow_files = arrow_files

    def decode(self, node: Any) -> Any:
        """What a node of the tree stands for."""
        if type(node) is list:
            return [self.decode(item) for item in node]
        if type(node) is not dict:
            return node
        kind, value = next(iter(node.items()))
        if kind == "estimator":
            return self._decode_estimator(**node)
        if len(node) > 1:
            raise ValueError(f"fields {sorted(node)} are not known together")
        return self._decode_kind(kind, value)

    def _decode_kind(self, kind: str, value: Any) -> Any:
        if kind == "tuple":
            return tuple(self.decode(value))
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in value}
        if kind == "arrow":
            return {ARROW: self._arrow_files[value]}
        if kind == "array":
            return self._arrays[value]
        if kind == "texts":
            return np.array(value, dtype=str)
        if kind == "objects":
            objects = np.empty(len(value), dtype=object)
            objects[:] = self.decode(value)
            return objects
        if kind == "frame":
            index, columns, values = self.decode(value)
            return pd.DataFrame(values, index=index, columns=columns)
        if kind == "series":
            index, values = self.decode(value)
            return pd.Series(values, index=index)
        if kind == "slice":
            return slice(*self.decode(value))
        if kind == "random_state":
            random_state = np.random.RandomState()
            random_state.set_state(self.decode(value))
            return random_state
        if kind == "device":
            return importlib.import_module("torch").device(value)
        raise ValueError(f"a field {kind!r} isn't known")

    def _decode_estimator(self, estimator: str, state: dict[str, Any], requests: dict[str, Any]) -> BaseEstimator:
        if estimator not in _MODULE_OF:
            raise ValueError(f"a class {estimator!r} isn't known")
        cls = _class(estimator)
        if strange := state.keys() - _attributes(cls):
            raise ValueError(f"{estimator} has no {min(strange)!r}")
        decoded = {key: self.decode(value) for key, value in state.items()}
        # Parameters that the version of the file did not have yet are at their defaults.
        made: BaseEstimator = cls(**{key: decoded.pop(key) for key in cls._get_param_names() if key in decoded})
        if decoded:
            made.__setstate__({**made.__getstate__(), **decoded})
        _decode_requests(made, requests)
        return made


def _decode_file(contents: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(contents)) as file:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in file.infolist()):
            raise ValueError("its entries are compressed")
        header = json.loads(file.read(_TREE))
        if header["format"] != FORMAT:
            raise ValueError(
                f"it has format {header['format']}, and version {__version__} of sk_finalmlp reads format {FORMAT}. "
                f"Version {header['versions']['sk_finalmlp']} wrote it: install that, or a later one"
            )
        if strange := header.keys() - {"format", "versions", "model"}:
            raise ValueError(f"a field {min(strange)!r} isn't known")
        arrow_names = [name for name in file.namelist() if name.endswith(_ARROW_FILE.format(""))]
        arrow_files = {name: np.frombuffer(file.read(name), np.uint8) for name in arrow_names}
        return _Reader(safetensors.numpy.load(file.read(_ARRAYS)), arrow_files).decode(header["model"])


def _class(name: str) -> Any:
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def _attributes(cls: Any) -> set[str]:
    """Parameters, and what `fit` learns as the class and its bases of this library declare it."""
    declared = {name for base in cls.__mro__ for name in vars(base).get("__annotations__", {})}
    return {*cls._get_param_names(), *declared} - {_CACHE}


def _encode_requests(requests: Any) -> dict[str, Any]:
    """Which metadata are requested of a pipeline, by method."""
    by_method = {
        method: dict(request.requests) for method, request in vars(requests).items() if hasattr(request, "requests")
    }
    return {method: asked for method, asked in by_method.items() if asked}


def _decode_requests(estimator: Any, requests: dict[str, Any]) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            getattr(estimator, f"set_{method}_request")(**asked)


def _zip(entries: dict[str, bytes]) -> bytes:
    """A zip of uncompressed entries, the same bytes for the same entries, with an empty checksum as comment."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, contents in entries.items():
            file.writestr(zipfile.ZipInfo(name, _EPOCH_OF_ZIP), contents)
        file.comment = b"0" * _LENGTH_OF_CHECKSUM
    return buffer.getvalue()


def _with_checksum(contents: bytes) -> bytes:
    contents = contents[:-_LENGTH_OF_CHECKSUM]
    return contents + hashlib.sha256(contents).hexdigest().encode()


def _check(contents: bytes, path: str | os.PathLike[str]) -> None:
    if len(contents) < _LENGTH_OF_CHECKSUM or _with_checksum(contents) != contents:
        raise ModelFileError(
            f"{os.fspath(path)!r} is not a file that sk_finalmlp.save wrote, or it was damaged since: its checksum is "
            "wrong. Copy it again."
        )
