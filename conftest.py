"""Tests and doctests run in one thread: threads that share cores with other work wait for each other at every step."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
