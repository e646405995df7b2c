"""The rows that are held out, and blocks in time, by the rules of the package."""

import numpy as np

from sk_finalmlp._hold_out import HoldOut, places, share_held_out

N_BLOCKS = 5


def held_out_rows(y, fraction="auto", place=places):
    """Return which rows are held out; `place` gives the places of rows by their numbers."""
    classes, labels = np.unique(y, return_inverse=True)
    share = share_held_out(fraction, len(y), at_random=place is places)
    return HoldOut.among([(np.arange(len(y)), labels)], len(classes), place, share).chooses(0, labels)


def blocks_of(times):
    """Blocks of about as many rows; rows of one time are in one block."""
    times = np.asarray(times)
    n_earlier = np.searchsorted(np.sort(times), times)
    blocks = N_BLOCKS - 1 - N_BLOCKS * (len(times) - 1 - n_earlier) // len(times)
    return np.unique(blocks, return_inverse=True)[1]
