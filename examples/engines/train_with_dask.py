"""Train in two processes with Dask: `python train_with_dask.py SOURCE TARGET`."""

import socket
import sys

import torch.distributed
from dask.distributed import Client, LocalCluster
from pyarrow.dataset import dataset
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def train(rank: int, size: int, first: str, source: str, target: str) -> None:
    """Join the others, fit to the same rows, and save the model in the first process."""
    torch.distributed.init_process_group(
        "gloo", init_method=first, rank=rank, world_size=size
    )
    try:
        model = make_pipeline(
            CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0, verbose=1)
        )
        model.fit(dataset(source), "click")
        if rank == 0:
            sk_finalmlp.save(model, target)
    finally:
        torch.distributed.destroy_process_group()


def main(source: str, target: str) -> None:
    """Let each worker of the cluster train, with one thread each."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        workers = sorted(client.scheduler_info()["workers"])
        port = client.submit(free_port, workers=workers[0], pure=False).result()
        first = f"{workers[0].rsplit(':', 1)[0]}:{port}"
        tasks = [
            client.submit(
                train,
                rank,
                len(workers),
                first,
                source,
                target,
                workers=worker,
                pure=False,
            )
            for rank, worker in enumerate(workers)
        ]
        client.gather(tasks)


if __name__ == "__main__":
    main(*sys.argv[1:])
