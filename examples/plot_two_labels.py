"""
Clicks and conversions
======================

A shop wants to predict purchases, which are rare. This example predicts clicks and purchases with one network, and
compares it with a network for each label. The impressions are synthetic, so the true probabilities are known.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier
from sk_finalmlp.datasets import make_funnel_data

# %%
# A funnel
# --------
#
# A tenth of the impressions are clicked, and a fifth of the clicks are followed by a purchase: one row in fifty.

X, Y, true_probability = make_funnel_data(
    12_000, n_users=200, n_items=100, conversion_rate=0.2, random_state=0
)
X_train, X_test, Y_train, Y_test, _, true_test = train_test_split(
    X, Y, true_probability, test_size=0.4, random_state=0, stratify=Y.sum(axis=1)
)
Y_train.sum()

# %%
# One network for both
# --------------------
#
# The encoder makes rates of both labels. The probability of a purchase is the product of the probabilities of a click
# and of a purchase after a click.

funnel = make_pipeline(
    CTREncoder(), FunnelClassifier(FinalMLPClassifier(random_state=0), tasks=Y.columns)
)
probability = pd.DataFrame(
    funnel.fit(X_train, Y_train).predict_proba(X_test), columns=Y.columns
)
pd.DataFrame({"mean prediction": probability.mean(), "rate": Y_test.mean()}).round(4)

# %%
# A network for each
# ------------------

separate = pd.DataFrame(
    {
        task: make_pipeline(CTREncoder(), FinalMLPClassifier(random_state=0))
        .fit(X_train, Y_train[task])
        .predict_proba(X_test)[:, 1]
        for task in Y
    }
)
print(
    "more purchases than clicks:",
    f"{(separate['conversion'] > separate['click']).mean():.2%} of the rows",
)

# %%
# AUC, and the expected log-loss minus the log-loss of the true probabilities ("excess"):


def excess(true, predicted):
    return float(
        (
            true * np.log(true / predicted)
            + (1 - true) * np.log((1 - true) / (1 - predicted))
        ).mean()
    )


scores = {
    (name, task): {
        "AUC": roc_auc_score(Y_test[task], predicted[task]),
        "excess": excess(true_test[task].to_numpy(), predicted[task].to_numpy()),
    }
    for name, predicted in {
        "one network": probability,
        "two networks": separate,
    }.items()
    for task in Y
}
pd.DataFrame(scores).T.round(4)

# %%
# Purchases after a click
# -----------------------
#
# The quotient of both columns is the probability of a purchase after a click, for all impressions, clicked or not.

predicted, true = (
    table["conversion"] / table["click"]
    for table in (probability, true_test.reset_index(drop=True))
)
bins = pd.qcut(predicted, 10, labels=False)
_, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
ax.axline((0, 0), slope=1, color="0.6", linestyle=":", label="predicted = true")
ax.plot(
    predicted.groupby(bins).mean(),
    true.groupby(bins).mean(),
    "o-",
    label="means of a tenth of the rows",
)
ax.set(
    xlabel="predicted probability",
    ylabel="true probability",
    title="A purchase after a click",
    xlim=(0, 0.5),
    ylim=(0, 0.5),
)
_ = ax.legend()

# %%
# The ranking is right, but the quotient is overconfident at both ends: it is learned from some 700 clicks with some 130
# purchases. For bids, use the probability of the purchase itself, whose error is the "excess" above.
