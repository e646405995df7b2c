"""
A web service that scores candidates
====================================

A web service ranks items for a user: the request holds the user and the time once, and a list of items; the response
holds a click probability for each. This example exports a pipeline to an ONNX file, calls a small FastAPI service
around the file, and measures the time of a response. It needs ``pip install "sk-finalmlp[service,plot]"``.
"""

import json
from pathlib import Path
from pprint import pformat
from tempfile import TemporaryDirectory
from time import process_time

import matplotlib.pyplot as plt
import numpy as np
from fastapi.testclient import TestClient
from service.app import create_app
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import make_predictor, to_onnx

# %%
# A model in a file
# -----------------

X, y, _ = make_click_data(20_000, random_state=0)
model = make_pipeline(CTREncoder(), FinalMLPClassifier(random_state=0)).fit(
    X[:10_000], y[:10_000]
)

folder = TemporaryDirectory()
path = Path(folder.name) / "clicks.onnx"
to_onnx(model, path)
print(f"{path.stat().st_size / 1e6:.1f} MB")

# %%
# The service
# -----------
#
# The code is in ``examples/service``. The file declares the types of the columns: pydantic checks them, and a
# response of status 422 names the wrong column. Absent columns count as missing, unseen values as unknown: both get a
# probability. If you replace the file, later requests use the new one.
#
# .. literalinclude:: ../../examples/service/app.py
#    :language: python

# %%
# Requests
# --------
#
# FastAPI's test client calls the service like a client over the network.

client = TestClient(create_app(path))
OF_ITEMS = ["item", "category", "tags"]
context = json.loads(
    X[10_000:10_001].drop(columns=OF_ITEMS).to_json(orient="records", date_format="iso")
)[0]
candidates = X[OF_ITEMS].drop_duplicates("item").to_dict("records")
print(pformat({"context": context, "candidates": candidates[:2]}))
requests = {
    "two candidates": {"context": context, "candidates": candidates[:2]},
    "a new user, no time": {
        "context": {"user": "somebody"},
        "candidates": candidates[:2],
    },
    "a misspelt field": {"context": {"usr": "user_0"}, "candidates": candidates[:2]},
    "no number": {"context": {"numeric_0": "cheap"}, "candidates": candidates[:2]},
}
for name, request in requests.items():
    answer = client.post("/score", json=request)
    print(f"\n{name}: {answer.status_code}", pformat(answer.json()), sep="\n")

# %%
# Metrics for Prometheus:

print(
    "\n".join(
        line
        for line in client.get("/metrics").text.splitlines()
        if not line.startswith("#")
    )
)

# %%
# What does a response cost?
# --------------------------
#
# CPU time of a request to the service (with the test client, which takes part of it), of the file alone by
# :func:`~sk_finalmlp.serving.make_predictor`, and of the pipeline. They take turns; the line is the median, the band
# goes from the 5th to the 95th percentile.

SIZES = [1, 3, 10, 30, 100, 300]


def milliseconds(*calls, n_times=40):
    """CPU time of each call in each turn, after a first turn to warm up."""
    times = np.empty((n_times + 1, len(calls)))
    for turn in times:
        for position, call in enumerate(calls):
            start = process_time()
            call()
            turn[position] = 1_000 * (process_time() - start)
    return times[1:]


def measure(size):
    body = {"context": context, "candidates": candidates[:size]}
    rows = X[10_000 : 10_000 + size]
    return milliseconds(
        lambda: client.post("/score", json=body),
        lambda: predict.score_candidates(context, body["candidates"]),
        lambda: model.predict_proba(rows),
    )


predict = make_predictor(path)
measured = np.stack([measure(size) for size in SIZES])

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, times in zip(
    ["service", "file alone", "pipeline"], np.moveaxis(measured, 2, 0), strict=True
):
    low, median, high = np.percentile(times, [5, 50, 95], axis=1)
    ax.plot(SIZES, median, "o-", label=name)
    ax.fill_between(SIZES, low, high, alpha=0.2)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="candidates per request",
    ylabel="CPU milliseconds per request",
    title="Median, and 5th to 95th percentile, on one thread",
)
ax.grid(alpha=0.3)
_ = ax.legend()
folder.cleanup()

# %%
# Send all candidates of a page in one request: a hundred take little longer than one. Start one process per core
# (``uvicorn --workers``), each on one thread. ``n_members=1`` and ``CTREncoder(statistics=None)`` are faster still:
# fewer networks, fewer columns. ``examples/benchmarks/service`` measures the service under load.
