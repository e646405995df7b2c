"""Train in two processes: `torchrun --nproc-per-node=2 train_with_torchrun.py SOURCE TARGET`."""

import os
import sys

from pyarrow.dataset import dataset
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier


def main(source: str, target: str) -> None:
    """Fit to the same rows in every process, and save the model in the first."""
    model = make_pipeline(
        CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0, verbose=1)
    )
    model.fit(dataset(source), "click")
    if os.environ["RANK"] == "0":
        sk_finalmlp.save(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
