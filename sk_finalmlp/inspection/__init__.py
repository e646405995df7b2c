"""What a fitted model learned and how well it predicts, as numbers and as pictures."""

from ._training_history import TrainingHistoryDisplay

__all__ = ["TrainingHistoryDisplay"]
