"""The public export, and the packages of the extra `onnx`."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any


def to_onnx(model: Any, path: str | os.PathLike[str], *, check: bool = True) -> None:
    """Write a fitted pipeline as one ONNX file, from raw values to probabilities.

    Any server that runs ONNX can use the file, without Python or this library. Each column of the raw table that isn't
    dropped is an input tensor of shape (n, 1), named like the column (`x0`, `x1`, ... if columns have no names). A
    tensor of a single row applies to all rows, such as the user's columns next to many items. The type of a tensor
    depends on what `fit` saw:

    - strings: string; "" is a missing value.
    - integers and bools, as categories: int64; the smallest, -2**63, is a missing value.
    - numbers: double; NaN is a missing value. Durations are in seconds.
    - dates and times: int64, microseconds since 1970, in UTC if the column has a time zone and in local time otherwise;
      -2**63 is a missing value.
    - lists and multi-valued strings: string, the elements joined by "|" or by the column's own separator. In a
      multi-valued string, an element may have at most one space on each side. In a history there is nothing between
      the separators where an element is missing.
    - vectors: double, of shape (n, length); a row of NaN is a missing vector.

    The outputs are `label`, shape (n,), and `probabilities`, float of shape (n, n_classes). An encoder alone outputs
    its columns, each of shape (n, 1), with ":encoded" appended to the name. A classifier alone takes columns of codes
    (int64) and numbers (float).

    Parameters
    ----------
    model : Pipeline, CTREncoder or classifier
        A fitted encoder, a fitted classifier of this library, or a pipeline of both.
    path : str or path-like
        Path of the file to write.
    check : bool, default=True
        Whether to compare the graph with the model before writing it, on rows with known, missing, unseen and extreme
        values.

    Raises
    ------
    ValueError
        If part of the model can't be expressed in ONNX; the message names the column and the remedy.
    RuntimeError
        If graph and model differ in a label, by more than 1e-5, or by more than 1e-4 times a probability; then nothing
        is written.
    ImportError
        If the extra `onnx` isn't installed.

    See Also
    --------
    make_predictor : Run the graph in Python, on rows given as plain dicts.
    sk_finalmlp.save : Save the model itself.

    Notes
    -----
    Files use opset 20, `ai.onnx.ml` 4 and IR version 9.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> from sk_finalmlp import CTREncoder
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.serving import to_onnx
    >>> X, y, _ = make_click_data(1000, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(CTREncoder().fit(X, y), Path(folder) / "encoder.onnx")
    """
    require_extra("onnx", "onnxruntime")
    from ._check import check as check_graph
    from ._export import export, write

    exported = export(model)
    if check:
        check_graph(exported, model)
    write(exported, path)


def require_extra(*names: str) -> None:
    """Raise an ImportError that says how to install the missing package."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"sk_finalmlp.serving needs the package {name!r}. Install the extra: pip install 'sk-finalmlp[onnx]'."
            ) from error


def make_session(model: bytes | str) -> Any:
    """Make a session of one thread, the fastest for a few rows, of a model or a path."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if isinstance(model, str):
        Path(model).open("rb").close()  # the error of a file that isn't there
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except InvalidProtobuf as error:
        raise ValueError(f"{model!r} is no ONNX model, or a damaged one: write it again by to_onnx.") from error
