"""Peak memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pandas as pd


def peak_bytes() -> int:
    """The most memory that this process has held so far; it never falls, so each measurement needs a new process."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux `ru_maxrss` begins at the size of the process that started this one; the high-water mark doesn't.
        mark = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(mark.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def table_bytes(*tables: pd.DataFrame) -> int:
    """Memory of tables, strings included."""
    return sum(int(table.memory_usage(deep=True).sum()) for table in tables)
