"""Memory and speed of boosted trees on the rows of `larger_than_memory.py`, beside which they stand.

LightGBM reads batches of a `Sequence` over codes in a mapped file, and so never holds the table; strings have to be
codes before, which takes a vocabulary that this script makes by pyarrow. CatBoost holds the table as a DataFrame.

    python examples/benchmarks/trees_larger_than_memory.py lightgbm --rows 10000000 --folder clicks
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from larger_than_memory import AnonymousMemory, write_clicks

_STRINGS = ("user", "item", "category", "device")
_LABEL = "click"


def lightgbm(folder: Path, n_trees: int) -> None:
    """Fit LightGBM to codes of a mapped file, batch by batch."""
    import lightgbm

    class Rows(lightgbm.Sequence):
        """Rows of a matrix on disk."""

        batch_size = 65_536

        def __init__(self, matrix: Any) -> None:
            self.matrix = matrix

        def __getitem__(self, index: Any) -> Any:
            return np.asarray(self.matrix[index], dtype=np.float64)

        def __len__(self) -> int:
            return len(self.matrix)

    path = folder.with_suffix(".codes")
    matrix, label, names = _codes(folder, path)
    try:
        data = lightgbm.Dataset(Rows(matrix), label, feature_name=names, categorical_feature=list(_STRINGS))
        lightgbm.train({"objective": "binary", "num_threads": 1, "verbose": -1}, data, num_boost_round=n_trees)
    finally:
        path.unlink()


def _codes(folder: Path, path: Path) -> tuple[Any, Any, list[str]]:
    """All columns as float32 in a mapped file, strings as codes in the order of their first rows."""
    data = ds.dataset(folder)
    names = [name for name in data.schema.names if name != _LABEL]
    matrix = np.memmap(path, np.float32, "w+", shape=(data.count_rows(), len(names)))
    label = np.empty(len(matrix), np.float32)
    vocabularies: dict[str, Any] = dict.fromkeys(_STRINGS, pa.array([], pa.string()))
    start = 0
    for fragment in data.get_fragments():
        table = fragment.to_table()
        rows = slice(start, start + len(table))
        for number, name in enumerate(names):
            column = table[name].combine_chunks()
            if name in vocabularies:
                new = pc.unique(column).filter(pc.is_null(pc.index_in(pc.unique(column), vocabularies[name])))
                vocabularies[name] = pa.concat_arrays([vocabularies[name], new])
                column = pc.index_in(column, vocabularies[name])
            matrix[rows, number] = column.cast(pa.int64() if name == "time" else pa.float64(), safe=False).to_numpy(
                zero_copy_only=False
            )
        label[rows] = table[_LABEL].to_numpy()
        start = rows.stop
    return matrix, label, names


def catboost(folder: Path, n_trees: int) -> None:
    """Fit CatBoost to a DataFrame of all rows."""
    from catboost import CatBoostClassifier, Pool

    frame = ds.dataset(folder).to_table().to_pandas()
    label = frame.pop(_LABEL)
    frame["time"] = frame["time"].astype("int64")
    pool = Pool(frame, label, cat_features=list(_STRINGS))
    del frame
    CatBoostClassifier(iterations=n_trees, thread_count=1, allow_writing_files=False, verbose=0).fit(pool)


def main(arguments: list[str]) -> None:
    """Fit one kind of trees, print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trees", choices=["lightgbm", "catboost"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--n-trees", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    folder = chosen.folder / f"clicks-{chosen.rows}"
    write_clicks(folder, chosen.rows)
    memory = AnonymousMemory()
    memory.start()
    start, processor = time.perf_counter(), time.process_time()
    {"lightgbm": lightgbm, "catboost": catboost}[chosen.trees](folder, chosen.n_trees)
    result = {
        "trees": chosen.trees,
        "n_trees": chosen.n_trees,
        "rows": chosen.rows,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - processor, 1),
        "rss_anon_mb": round(memory.largest),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
