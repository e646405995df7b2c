"""Train in two processes with Spark: `python train_with_spark.py SOURCE TARGET`."""

import os
import sys

from pyarrow.dataset import dataset
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier


def train(source: str, target: str) -> None:
    """Fit to the same rows in every process, and save the model in the first."""
    model = make_pipeline(
        CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0, verbose=1)
    )
    model.fit(dataset(source), "click")
    if os.environ["RANK"] == "0":
        sk_finalmlp.save(model, target)


def main(source: str, target: str) -> None:
    """Let Spark start the processes; local_mode=False: on its executors' machines."""
    spark = SparkSession.builder.getOrCreate()
    TorchDistributor(num_processes=2, local_mode=True, use_gpu=False).run(
        train, source, target
    )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
