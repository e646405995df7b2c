"""
Rare clicks, down-sampled tables and weights
============================================

Clicks are rare, and logs are often thinned out before anybody learns from them: all clicks are kept, and a part of the
rest. A model of such a table gives too high probabilities. This example draws how much too high, and mends it in two
ways. The impressions are synthetic, so that the true probability of each click is known.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.inspection import reliability_bins
from sk_finalmlp.metrics import expected_calibration_error, normalized_entropy

# %%
# Three clicks in a hundred impressions
# -------------------------------------
#
# Half of the rows are for the test, and stay as they are: scores of a thinned-out table say nothing about the real one.

X, y, true_probability = make_click_data(
    60_000, n_users=500, n_items=200, click_rate=0.03, random_state=0
)
X_train, X_test, y_train, y_test, _, true_test = train_test_split(
    X, y, true_probability, test_size=0.5, random_state=0
)
print(f"click rate: {y_train.mean():.4f}")

# %%
# A tenth of the rest
# -------------------
#
# All clicks are kept, and a tenth of the other rows.

KEPT = 0.1
is_kept = (y_train == 1) | (np.random.default_rng(1).random(len(y_train)) < KEPT)
X_kept, y_kept = X_train[is_kept], y_train[is_kept]
print(
    f"{len(X_train)} rows before, {len(X_kept)} after; click rate now {y_kept.mean():.3f}"
)

# %%
# Five models
# -----------
#
# A network learns well from rare clicks as they are: it starts at the click rate. ``class_weight="balanced"`` and
# down-sampling both shift its probabilities. For a known share :math:`s` of kept rows the shift is known, too: the
# log-odds are too high by :math:`\ln 1/s`. Or each kept row without a click stands for :math:`1/s` of them: as a weight
# for both steps of the pipeline, since the encoder counts, too.


def make_model(**parameters):
    return Pipeline(
        [
            ("enc", CTREncoder()),
            ("clf", FinalMLPClassifier(random_state=0, **parameters)),
        ]
    )


def click_probability(model):
    return model.predict_proba(X_test)[:, 1]


sampled = make_model().fit(X_kept, y_kept)
weight = np.where(y_kept == 1, 1, 1 / KEPT)
probability = {
    "all rows": click_probability(make_model().fit(X_train, y_train)),
    "all rows, balanced": click_probability(
        make_model(class_weight="balanced").fit(X_train, y_train)
    ),
    "down-sampled": click_probability(sampled),
    "down-sampled, corrected": expit(sampled.decision_function(X_test) + np.log(KEPT)),
    "down-sampled, weighted": click_probability(
        make_model().fit(
            X_kept, y_kept, enc__sample_weight=weight, clf__sample_weight=weight
        )
    ),
}

# %%
# The order and the numbers
# -------------------------
#
# Correction leaves the order of the rows as it is, and with it the AUC; what it mends are the numbers. A normalised
# entropy above 1 is worse than to predict the click rate for all. The last line is the best that can be reached.

scores = {
    name: {
        "AUC": roc_auc_score(y_test, p),
        "normalised entropy": normalized_entropy(y_test, p),
        "calibration error": expected_calibration_error(y_test, p),
        "mean probability": p.mean(),
    }
    for name, p in [*probability.items(), ("true probabilities", true_test)]
}
print(pd.DataFrame(scores).T.round(4).to_string())

# %%
# What shifts and what mends
# --------------------------
#
# Each point is a tenth of the test rows, with the 95% interval of its click rate. On the diagonal, probabilities are
# what happens. Balanced weights and a thinned-out table give probabilities several times too high. Correction and
# weights bring back the level. They can't bring back what the missing rows would have taught: the highest probabilities
# are still too high, and the AUC is lower than with all rows. So thin out only what would take too long.

STYLES = {
    "all rows": ("tab:blue", "o-"),
    "all rows, balanced": ("tab:red", "s--"),
    "down-sampled": ("tab:orange", "s--"),
    "down-sampled, corrected": ("tab:orange", "o-"),
    "down-sampled, weighted": ("tab:green", "o-"),
}
figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
ax.plot([0.002, 1], [0.002, 1], ":", color="0.6", label="perfectly calibrated")
for name, (color, line) in STYLES.items():
    bins = reliability_bins(y_test, probability[name])
    margins = [
        bins["click_rate"] - bins["click_rate_low"],
        bins["click_rate_high"] - bins["click_rate"],
    ]
    ax.errorbar(
        bins["mean_probability"],
        bins["click_rate"],
        margins,
        fmt=line,
        color=color,
        capsize=3,
        label=name,
    )
ax.set(
    title="Rare clicks",
    xlabel="predicted probability",
    ylabel="click rate",
    xscale="log",
    yscale="log",
    xlim=(0.001, 1),
    ylim=(0.001, 0.3),
)
_ = ax.legend()
