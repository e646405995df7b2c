"""Fitted models in files that run no code: `save` and `load`, by skops.

skops writes plain data and names of types. `load` trusts the types that skops trusts (scikit-learn's, NumPy's) and the
public estimators of this library, and no other.
"""

from __future__ import annotations

import codecs
import importlib
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import skops.io
from sklearn.base import BaseEstimator

from ._warnings import shown

__all__ = ["ModelFileError", "load", "save"]

_PACKAGES: Final = ("sk_finalmlp.preprocessing", "sk_finalmlp.estimators", "sk_finalmlp.streams")
#: Most times that contents may be larger than the file, which `save` doesn't compress, and a size always allowed.
_LARGEST_RATIO: Final = 20
_FREE_BYTES: Final = 2**26
#: Other kinds of files by how they begin, and what reads them. An ONNX model begins with the number of its version.
_OTHER_KINDS: Final = {
    (b"\x80", b"x\x01", b"x^", b"x\x9c", b"x\xda"): "a pickle: joblib.load reads it, and runs any code that it holds",
    (b"\x08",): "an ONNX model: sk_finalmlp.serving.make_predictor reads it",
    (b"PAR1",): "a Parquet file, which holds a table",
}
#: Length of the state of the Mersenne Twister; NumPy reads beyond it from a position that is larger.
_TWISTER: Final = 624


class ModelFileError(ValueError):
    """A file can't be read as a model: it is damaged, from another version, or holds types that aren't trusted.

    Examples
    --------
    >>> import sk_finalmlp
    >>> try:
    ...     sk_finalmlp.load(sk_finalmlp.__file__)
    ... except sk_finalmlp.ModelFileError:
    ...     print("fetch the file again")
    fetch the file again
    """


def save(model: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file that runs no code when it is loaded; pickle and joblib do.

    skops writes it (``skops.io.dump`` and ``skops.io.load`` write and read the same files). An interrupted call
    leaves the file that was there before.

    Parameters
    ----------
    model : estimator
        `CTREncoder`, a classifier of this library, an estimator of scikit-learn, or a pipeline of these.
    path : str or path-like
        Where to write it.

    Raises
    ------
    TypeError
        If `model` is no estimator, or holds objects of other types, such as a function as a parameter; the message
        names them.
    ValueError
        If a pipeline has a cache, which is a folder of pickles.
    FileNotFoundError
        If there is no such folder.

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
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"The model comes first, sk_finalmlp.save(model, path), and it is a {type(model).__name__}.")
    _check_parameters(model)
    contents = skops.io.dumps(model)
    others = [name for name in skops.io.get_untrusted_types(data=contents) if not _is_ours(name)]
    if others:
        raise TypeError(
            f"The {type(model).__name__} holds objects of other types than a model file can: {', '.join(others)}. Set "
            "parameters to plain values before fit, or use skops.io, which asks which types to trust, or joblib.dump: "
            "its files run code when they are loaded."
        )
    replace_file(path, contents)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that :func:`save` wrote. No code of the file is run.

    A stranger's file can still take time and memory, or predict what the stranger wants. One that unpacks to more than
    20 times its size and more than 64 MiB is refused before it is unpacked.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        The model. It predicts the same as the saved one, bit for bit on the same machine.

    Raises
    ------
    ModelFileError
        If the file is damaged or of another kind, which the message names, was written by a version of this library or
        of skops that these can't read, or holds objects of types that aren't trusted.

    See Also
    --------
    save : Write the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> import sk_finalmlp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sk_finalmlp.save(
    ...         sk_finalmlp.CTREncoder(min_frequency=5), Path(folder) / "encoder.model"
    ...     )
    ...     sk_finalmlp.load(Path(folder) / "encoder.model")
    CTREncoder(min_frequency=5)
    """
    Path(path).open("rb").close()  # a file that isn't there is no damaged one
    try:
        _check_contents(Path(path))
        ours = [name for name in skops.io.get_untrusted_types(file=Path(path)) if _is_ours(name)]
        model = skops.io.load(Path(path), trusted=ours)
        _check_parameters(model)
    except Exception as error:
        raise ModelFileError(
            f"{os.fspath(path)!r} can't be read as a model: {error or type(error).__name__}"
        ) from error
    return model


def _is_ours(name: str) -> bool:
    """Whether a type is a public estimator of this library, or a device."""
    module, _, attribute = name.rpartition(".")
    package = ".".join(module.split(".")[:2])
    if package not in _PACKAGES:
        return name == "torch.device"
    public = vars(importlib.import_module(package))
    cls = public.get(attribute) if attribute in public["__all__"] else None
    return isinstance(cls, type) and issubclass(cls, BaseEstimator) and cls.__module__ == module


def _check_contents(path: Path) -> None:
    """Refuse other kinds of files, and one that unpacks to far more than its size."""
    with path.open("rb") as file:
        if not (head := file.read(1024)).startswith(b"PK"):
            raise ValueError(f"sk_finalmlp.save didn't write it. It is {_kind(head)}.")
    with zipfile.ZipFile(path) as archive:
        names, n_bytes = archive.namelist(), sum(entry.file_size for entry in archive.infolist())
    if "schema.json" not in names:
        is_of_torch = any(name.endswith("/data.pkl") for name in names)
        kind = "a file of torch.save" if is_of_torch else f"a zip archive of other files: {shown(names)}"
        raise ValueError(f"sk_finalmlp.save didn't write it. It is {kind}.")
    if n_bytes > max(_LARGEST_RATIO * path.stat().st_size, _FREE_BYTES):
        raise ValueError(f"Its contents take {n_bytes:,} bytes, {_LARGEST_RATIO} times as much as the file or more.")


def _kind(head: bytes) -> str:
    """Name the kind of a file by how it begins."""
    if not head:
        return "empty"
    if known := next((kind for start, kind in _OTHER_KINDS.items() if head.startswith(start)), None):
        return known
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "of an unknown kind"
    return "text, such as a CSV file"


def _check_parameters(model: Any) -> None:
    """Refuse a cache of pickles, which the next fit would read, a random state that isn't one, and methods as data."""
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"It holds a {type(model).__name__}, not an estimator.")
    parameters = model.get_params()
    for estimator in (model, *parameters.values()):
        if isinstance(estimator, BaseEstimator):
            _check_attributes(estimator)
    for name, value in parameters.items():
        if name.rpartition("__")[2] == "memory" and value is not None:
            raise ValueError(f"{name} is a folder of pickles, which run code. Set it to None.")
        if isinstance(value, np.random.RandomState):
            state = value.get_state(legacy=False)["state"]
            if not 0 <= state["pos"] <= _TWISTER:
                raise ValueError(f"{name} has the position {state['pos']} in a state of {_TWISTER} numbers.")


def _check_attributes(estimator: BaseEstimator) -> None:
    """Refuse attributes in place of methods and other attributes of the class."""
    for name in vars(estimator):
        of_class = getattr(type(estimator), name, None)
        if callable(of_class) or isinstance(of_class, Mapping):
            raise ValueError(f"A {type(estimator).__name__} has an attribute {name!r} in place of its class's.")


def replace_file(path: str | os.PathLike[str], contents: bytes) -> None:
    """Write a file whole or not at all: an interruption leaves the one that was there before."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r}. Make it first.")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        # That of a full disk names no file.
        raise OSError(error.errno, f"{error.strerror}; nothing was changed", str(path)) from error
    finally:
        part.unlink(missing_ok=True)
