"""From a raw table of impressions to the codes and floats that the network reads. Needs no torch."""

from ._ctr_encoder import CTREncoder
from ._past import add_history, add_recency

__all__ = ["CTREncoder", "add_history", "add_recency"]
