"""
Are the probabilities right?
============================

A bid, a forecast, a threshold by cost: each takes the click probability at its word. A model is calibrated if of
all impressions with a probability of .3, three in ten are clicked. This example looks at the calibration of FinalMLP,
spoils it, and mends it with scikit-learn's :class:`~sklearn.calibration.CalibratedClassifierCV`. The impressions are
synthetic, so that the true probabilities are known.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.inspection import ReliabilityDisplay
from sk_finalmlp.metrics import expected_calibration_error

# %%
# Three parts of a table
# ----------------------
#
# One to learn from, one to calibrate with, one to test on. What a model says of rows that it has learned from tells
# nothing about its calibration.

X, y, true_probability = make_click_data(50_000, click_rate=0.2, random_state=0)
X_train, X_rest, y_train, y_rest, _, true_rest = train_test_split(
    X, y, true_probability, train_size=20_000, random_state=0
)
X_calibrate, X_test, y_calibrate, y_test, _, true_test = train_test_split(
    X_rest, y_rest, true_rest, test_size=20_000, random_state=0
)

# %%
# Stopped in time, and trained too long
# -------------------------------------
#
# With its defaults the training stops where the log-loss of held-out rows is best, which keeps probabilities near what
# happens. Without early stopping and with a weak penalty the network learns its rows by heart, and becomes too certain.

stopped = make_pipeline(CTREncoder(), FinalMLPClassifier(random_state=0)).fit(
    X_train, y_train
)
overtrained = make_pipeline(
    CTREncoder(statistics=None),
    FinalMLPClassifier(
        early_stopping=False,
        max_epochs=5,
        embedding_regularizer=0.01,
        n_members=1,
        random_state=0,
    ),
).fit(X_train, y_train)

# %%
# Calibrated afterwards
# ---------------------
#
# :class:`~sklearn.frozen.FrozenEstimator` keeps the model as it is; a sigmoid on top of it is fitted to the rows that
# were set aside. ``method="isotonic"`` can follow any rising curve, but needs more rows.

calibrated = CalibratedClassifierCV(FrozenEstimator(overtrained), method="sigmoid").fit(
    X_calibrate, y_calibrate
)

# %%
# The diagram
# -----------
#
# :class:`~sk_finalmlp.inspection.ReliabilityDisplay` sorts the test rows into bins by their probability, and draws the
# click rate of each bin, a tenth of the rows, with its confidence interval. The overtrained network is too certain at
# both ends; the sigmoid mends that.

models = {
    "early stopping": stopped,
    "overtrained": overtrained,
    "overtrained, calibrated": calibrated,
}
figure, ax = plt.subplots(figsize=(7, 6), layout="constrained")
for name, model in models.items():
    ReliabilityDisplay.from_estimator(model, X_test, y_test, name=name, ax=ax)

# %%
# The numbers
# -----------
#
# The calibration error is the mean distance of the points from the diagonal. It is above zero even for the true
# probabilities, as clicks are random; compare it on the same rows only. A calibrated model needn't be good: the click
# rate as the probability of all rows is calibrated, too. The log-loss judges both, order and calibration. The AUC knows
# order alone, and a sigmoid doesn't change it.

probability = {
    name: model.predict_proba(X_test)[:, 1] for name, model in models.items()
}
probability["true probabilities"] = true_test
scores = {
    name: {
        "calibration error": expected_calibration_error(y_test, p),
        "log-loss": log_loss(y_test, p),
        "AUC": roc_auc_score(y_test, p),
    }
    for name, p in probability.items()
}
print(pd.DataFrame(scores).T.round(4).to_string())

# %%
# What the probabilities look like beside the true ones
# -----------------------------------------------------
#
# Here they are known. The network that stopped in time keeps closer to them, but it can't know all: of users and items
# with few rows it says what is true of most. Darker cells hold more rows.

figure, axes = plt.subplots(
    1, 3, figsize=(10, 3.6), sharex=True, sharey=True, layout="constrained"
)
for ax, name in zip(axes, models, strict=True):
    ax.hexbin(
        true_test,
        probability[name],
        gridsize=30,
        extent=(0, 1, 0, 1),
        bins="log",
        cmap="Blues",
    )
    ax.plot([0, 1], [0, 1], ":", color="0.4")
    ax.set(title=name, xlabel="true probability")
_ = axes[0].set_ylabel("predicted probability")
