"""What a fitted model learned and how well it predicts, as numbers and as pictures."""

from ._reliability import ReliabilityDisplay, reliability_bins
from ._slice_scores import SliceScoresDisplay, slice_scores
from ._training_history import TrainingHistoryDisplay

__all__ = [
    "ReliabilityDisplay",
    "SliceScoresDisplay",
    "TrainingHistoryDisplay",
    "reliability_bins",
    "slice_scores",
]
