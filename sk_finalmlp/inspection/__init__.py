"""What a fitted model learned and how well it predicts, as numbers and as pictures."""

from ._embeddings import embeddings
from ._gate_weights import GateWeightsDisplay, gate_weights
from ._interactions import InteractionDisplay, field_interactions, head_strengths, pair_interactions
from ._reliability import ReliabilityDisplay, reliability_bins
from ._row_contributions import RowContributionsDisplay, row_contributions
from ._slice_scores import SliceScoresDisplay, slice_scores
from ._training_history import TrainingHistoryDisplay

__all__ = [
    "GateWeightsDisplay",
    "InteractionDisplay",
    "ReliabilityDisplay",
    "RowContributionsDisplay",
    "SliceScoresDisplay",
    "TrainingHistoryDisplay",
    "embeddings",
    "field_interactions",
    "gate_weights",
    "head_strengths",
    "pair_interactions",
    "reliability_bins",
    "row_contributions",
    "slice_scores",
]
