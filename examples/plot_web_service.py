"""
A web service that scores candidates
====================================

A fitted pipeline goes into one ONNX file, and a web service reads it from there and answers requests in JSON with click
probabilities: a user and the hour once, and a list of items. This example writes such a file, calls a small FastAPI
service around it, and measures how long an answer takes. It needs ``pip install "sk-finalmlp[service,plot]"``.
"""

import json
from pathlib import Path
from pprint import pformat
from tempfile import TemporaryDirectory
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from fastapi.testclient import TestClient
from service.app import create_app
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import to_onnx

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
# ``examples/service`` is all of it. What the columns of a request may hold follows from the file: pydantic checks it,
# and an answer of 422 names the column. What is lacking counts as missing, and what the model has never seen as
# unknown: both get a probability. When another file takes the place of the first, later requests are answered by it.
#
# .. literalinclude:: ../../examples/service/app.py
#    :language: python

# %%
# Requests
# --------
#
# The client of FastAPI's tests calls the service as one over the network would.

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
# What Prometheus reads of it:

print(
    "\n".join(
        line
        for line in client.get("/metrics").text.splitlines()
        if not line.startswith("#")
    )
)

# %%
# How long does an answer take?
# -----------------------------
#
# Requests of the service and calls of the pipeline take turns. The line is the median, the area the range from the 5th
# to the 95th percentile.

SIZES = [1, 3, 10, 30, 100, 300]


def milliseconds(*calls, n_times=40):
    """Of each call in each of n_times turns, after a first one to warm up."""
    times = np.empty((n_times + 1, len(calls)))
    for turn in times:
        for position, call in enumerate(calls):
            start = perf_counter()
            call()
            turn[position] = 1_000 * (perf_counter() - start)
    return times[1:]


def measure(size):
    body = {"context": context, "candidates": candidates[:size]}
    rows = X[10_000 : 10_000 + size]
    return milliseconds(
        lambda: client.post("/score", json=body), lambda: model.predict_proba(rows)
    )


measured = np.stack([measure(size) for size in SIZES])

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, times in zip(
    ["service", "pipeline, without service"], np.moveaxis(measured, 2, 0), strict=True
):
    low, median, high = np.percentile(times, [5, 50, 95], axis=1)
    ax.plot(SIZES, median, "o-", label=name)
    ax.fill_between(SIZES, low, high, alpha=0.2)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="candidates per request",
    ylabel="milliseconds per request",
    ylim=(1, None),
    title="Median, and 5th to 95th percentile, on one thread",
)
ax.grid(alpha=0.3)
_ = ax.legend()
folder.cleanup()

# %%
# Send all candidates for a page in one request: a hundred of them take hardly longer than one. A server has a process
# per core (``uvicorn --workers``), each on one thread. ``n_members=1`` and ``CTREncoder(statistics=None)`` are quicker
# still, as there are fewer networks and fewer columns. ``examples/benchmarks/service`` measures it under load.
