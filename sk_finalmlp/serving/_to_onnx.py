"""The public export."""

from __future__ import annotations

import os
from typing import Any

from ._extra import require_extra


def to_onnx(model: Any, path: str | os.PathLike[str], *, check: bool = True) -> None:
    """Write a fitted pipeline as one ONNX file, from raw values to probabilities.

    Any server that runs ONNX can use it, without Python or this library. Its inputs are one tensor of shape (n, 1) per
    column of the raw table that isn't dropped, by the name of the column (`x0`, `x1`, ... without names). A tensor of a
    single row stands for all rows: what is known of a user, say, where the others are of items. Its type follows from
    what `fit` saw:

    - strings: string; "" stands for a missing one.
    - integers and bools, as categories: int64; the least one, -2**63, stands for a missing one.
    - numbers: double; NaN stands for a missing one. Durations are seconds.
    - dates and times: int64, microseconds since 1970, of UTC where the column has a time zone, and of local time
      otherwise; -2**63 stands for a missing one.
    - lists and multi-valued strings: string, the elements joined by "|" or by the column's own separator. There may be
      one space on each side of an element of a multi-valued string, not more.

    Its outputs are `label`, shape (n,), and `probabilities`, float of shape (n, n_classes). Those of an encoder alone
    are its columns, shape (n, 1), with ":encoded" behind the name. A classifier alone reads columns of codes (int64)
    and numbers (float).

    Parameters
    ----------
    model : Pipeline, CTREncoder or classifier
        A fitted encoder, a fitted classifier of this library, or a pipeline of both.
    path : str or path-like
        Where to write it.
    check : bool, default=True
        Whether to run the graph on rows of the kinds that `fit` saw, with missing, unseen and extreme values among
        them, and to compare it with the model.

    Raises
    ------
    ValueError
        If something in the model has no counterpart in ONNX; the message names the column and what to do.
    RuntimeError
        If graph and model differ by more than 1e-5; nothing is written then.
    ImportError
        If the extra `onnx` isn't installed.

    See Also
    --------
    make_predictor : The graph in Python, for rows as plain dicts.
    sk_finalmlp.save : A file that gives the model back.

    Notes
    -----
    Files have opset 20, `ai.onnx.ml` 4 and IR version 9.

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
