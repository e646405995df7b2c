"""The rows that encoder and classifier hold out, by the rule of the package."""

import numpy as np

from sk_finalmlp._hold_out import HoldOut, places, share_held_out


def held_out_rows(y, fraction="auto", place=places):
    """Return which rows are held out; `place` gives the places of rows by their numbers."""
    classes, labels = np.unique(y, return_inverse=True)
    share = share_held_out(fraction, len(y), at_random=place is places)
    return HoldOut.among([labels], len(classes), place, share).chooses(0, labels)
