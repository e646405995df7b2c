"""What tests that ask nothing of a model's quality fit: a classifier of narrow streams, and a short training."""

import torch

from sk_finalmlp.streams import MLP
from sk_finalmlp.training import TrainingSettings

SMALL = {"stream1": MLP((8,)), "stream2": MLP((8,)), "num_heads": 1, "n_members": 1, "max_epochs": 1, "random_state": 0}
SETTINGS = TrainingSettings(
    schedule="plateau",
    precision="float32",
    learning_rate=1e-2,
    batch_size=64,
    max_epochs=2,
    n_iter_no_change=2,
    embedding_regularizer=0.0,
    net_regularizer=0.0,
    device=torch.device("cpu"),
    scoring="neg_log_loss",
    final_epoch=False,
    verbose=0,
)
