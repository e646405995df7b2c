"""From a raw table of impressions to the codes and floats that the network reads. Needs no torch."""

from ._add_history import add_history
from ._add_recency import add_recency
from ._ctr_encoder import CTREncoder

__all__ = ["CTREncoder", "add_history", "add_recency"]
