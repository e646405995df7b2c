"""Train in two processes with Ray Train: `python train_with_ray.py SOURCE TARGET`."""

import sys

import ray.train
from pyarrow.dataset import dataset
from ray.train.torch import TorchConfig, TorchTrainer
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier


def train(paths: dict[str, str]) -> None:
    """Fit to the same rows in every process, and save the model in the first."""
    model = make_pipeline(
        CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0, verbose=1)
    )
    model.fit(dataset(paths["source"]), "click")
    if ray.train.get_context().get_world_rank() == 0:
        sk_finalmlp.save(model, paths["target"])


def main(source: str, target: str) -> None:
    """Let Ray start the processes and their process group."""
    trainer = TorchTrainer(
        train,
        train_loop_config={"source": source, "target": target},
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ray.train.ScalingConfig(num_workers=2),
    )
    trainer.fit()


if __name__ == "__main__":
    main(*sys.argv[1:])
