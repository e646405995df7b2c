"""
A web service that scores impressions
=====================================

A fitted pipeline is one object: it goes into a file, and a web service reads it from there and answers requests in JSON
with click probabilities. This example writes such a file, calls a small FastAPI service around it, and measures how
long an answer takes. It needs ``pip install "sk-finalmlp[service,plot]"``.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import joblib
import matplotlib.pyplot as plt
import numpy as np
from fastapi.testclient import TestClient
from service.app import create_app
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

# %%
# A model in a file
# -----------------

X, y, _ = make_click_data(20_000, random_state=0)
model = make_pipeline(CTREncoder(), FinalMLPClassifier(random_state=0)).fit(X[:10_000], y[:10_000])

with TemporaryDirectory() as folder:
    path = Path(folder) / "model.joblib"
    joblib.dump(model, path)
    print(f"{path.stat().st_size / 1e6:.1f} MB")
    loaded = joblib.load(path)

# %%
# The service
# -----------
#
# ``examples/service/app.py`` is all of it. It makes a table of the impressions of a request, in the columns that the
# model was trained with. What an impression lacks is missing, and what the model has never seen is unknown: both get a
# probability. Refused are fields that aren't columns of the model, and values that can't be read; the message of the
# encoder names column and value.
#
# .. literalinclude:: ../../examples/service/app.py
#    :language: python

# %%
# Requests
# --------
#
# The client of FastAPI's tests calls the service as one over the network would.

client = TestClient(create_app(loaded))
impressions = json.loads(X[10_000:10_002].to_json(orient="records", date_format="iso"))
print("impression: ", impressions[0])
requests = {
    "two impressions": impressions,
    "a new user, no item": [{"user": "somebody", "time": "2024-02-01T12:00:00"}],
    "a misspelt field": [{"usr": "user_0"}],
    "no number": [{"numeric_0": "cheap"}],
}
for name, request in requests.items():
    answer = client.post("/score", json={"impressions": request})
    print(f"\n{name}: {answer.status_code}\n{answer.text}")

# %%
# How long does an answer take?
# -----------------------------
#
# Requests of the service and calls of the pipeline alone take turns. The line is the median, the area the range from
# the 5th to the 95th percentile. The difference of both lines is the price of JSON and HTTP.

SIZES = [1, 3, 10, 30, 100, 300, 1_000]


def milliseconds(*calls, n_times=40):
    """Of each call in each of so many turns, after a first one to warm up; shape (n_times, n_calls)."""
    times = np.empty((n_times + 1, len(calls)))
    for turn in times:
        for position, call in enumerate(calls):
            start = perf_counter()
            call()
            turn[position] = 1_000 * (perf_counter() - start)
    return times[1:]


def measure(size):
    rows = X[10_000 : 10_000 + size]
    body = {"impressions": json.loads(rows.to_json(orient="records", date_format="iso"))}
    return milliseconds(lambda: client.post("/score", json=body), lambda: loaded.predict_proba(rows))


measured = np.stack([measure(size) for size in SIZES])

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, times in zip(["service", "pipeline alone"], np.moveaxis(measured, 2, 0), strict=True):
    low, median, high = np.percentile(times, [5, 50, 95], axis=1)
    ax.plot(SIZES, median, "o-", label=name)
    ax.fill_between(SIZES, low, high, alpha=0.2)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="impressions per request",
    ylabel="milliseconds per request",
    ylim=(1, None),
    title="One thread",
)
ax.grid(alpha=0.3)
_ = ax.legend()

# %%
# Ten impressions take hardly longer than one: send all candidates for a page in one request. For a real service, start
# a server with a process per core, each on one thread. ``n_members=1`` and ``CTREncoder(statistics=None)`` are quicker
# still, as there are fewer networks and fewer columns.
