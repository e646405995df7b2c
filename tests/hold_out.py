"""The rows that are held out, and blocks in time, by the rules of the package."""

import numpy as np

from sk_finalmlp._hold_out import HoldOut, places, share_held_out

N_BLOCKS = 5


def held_out_rows(y, fraction="auto", place=places):
    """Return which rows are held out; `place` gives the places of rows by their numbers."""
    classes, labels = np.unique(y, return_inverse=True)
    share = share_held_out(fraction, len(y), at_random=place is places)
    return HoldOut.among([labels], len(classes), place, share).chooses(0, labels)


def blocks_of(times):
    """Blocks of about as many rows; rows of one time are in one block."""
    firsts = np.unique(np.quantile(times, np.arange(1, N_BLOCKS) / N_BLOCKS, method="lower"))
    return np.searchsorted(firsts[firsts > times.min()], times, side="right")
