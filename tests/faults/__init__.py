"""Faults from outside: signals, a full disk, and many threads and processes, and what a model loses by them."""
