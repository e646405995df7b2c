"""
Which interactions does a stream find?
======================================

FinalMLP has two MLPs as its streams. Any stream can stand behind the same gates and in the same fusion: a cross
network, a factorization machine, self-attention, ... Here the second stream is swapped, on synthetic impressions of
which we know which pairs of columns matter, and how much.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.inspection import pair_interactions

# %%
# Impressions with three interactions
# -----------------------------------
#
# Six columns of 12 values each. The log-odds of a click are an effect of each value, and an effect of each combination
# of three pairs: `user` with `item`, `hour` with `device`, and, half as strong, `item` with `hour`.

rng = np.random.default_rng(0)
COLUMNS = ["user", "item", "hour", "device", "country", "channel"]
PAIRS = {("user", "item"): 1.0, ("hour", "device"): 1.0, ("item", "hour"): 0.5}

X = pd.DataFrame(rng.integers(0, 12, (30_000, len(COLUMNS))), columns=COLUMNS)
EFFECTS = {name: 0.4 * rng.standard_normal(12) for name in COLUMNS}
COMBINATIONS = {
    pair: strength * rng.standard_normal((12, 12)) for pair, strength in PAIRS.items()
}


def log_odds(X):
    alone = sum(effect[X[name]] for name, effect in EFFECTS.items())
    return alone + sum(
        effect[X[first], X[second]] for (first, second), effect in COMBINATIONS.items()
    )


probability = expit(log_odds(X))
y = (rng.random(len(X)) < probability).astype(int)
train, test = X[:20_000], X[20_000:]
y_train, y_test = y[:20_000], y[20_000:]
print(
    f"AUC of the true probabilities: {roc_auc_score(y_test, probability[20_000:]):.4f}"
)

# %%
# What is to be found
# -------------------
#
# :func:`~sk_finalmlp.inspection.pair_interactions` gives a row the value of one column from another row, then that of a
# second column, then both, and says how far the logit moves beyond the sum of what each does alone. Of the true
# log-odds this is easily computed; it is what a perfect model would show.

sample, others = test[:2_000], test[2_000:4_000].reset_index(drop=True)
truth = pd.DataFrame(np.nan, index=COLUMNS, columns=COLUMNS)
for first in COLUMNS:
    for second in set(COLUMNS) - {first}:
        rows = sample.reset_index(drop=True)
        one, two = (
            rows.assign(**{first: others[first]}),
            rows.assign(**{second: others[second]}),
        )
        both = one.assign(**{second: others[second]})
        effect = log_odds(rows) - log_odds(one) - log_odds(two) + log_odds(both)
        truth.loc[first, second] = np.sqrt((effect**2).mean())
truth.round(2)

# %%
# Five networks
# -------------
#
# The first stream is an MLP four times, and both are fused by a bilinear form. The last network is a factorization
# machine alone, with a weight for each value beside it. What is made of products alone needs a weaker penalty on its
# vectors: with that of the others, they shrink to nothing. Single networks (``n_members=1``) train faster, and show
# more of their streams.

models = {
    "MLP and MLP": FinalMLPClassifier(),
    "MLP and cross network": FinalMLPClassifier(stream2="crossnet"),
    "MLP and attention": FinalMLPClassifier(stream2="selfattention"),
    "MLP and FM": FinalMLPClassifier(stream2="fm"),
    "FM alone": FinalMLPClassifier(
        stream1="fm", stream2=None, linear_term=True, feature_selection=False
    ),
}
found, auc = {}, {}
for name, model in models.items():
    penalty = 0.001 if name == "FM alone" else 0.2
    model.set_params(n_members=1, embedding_regularizer=penalty, random_state=0).fit(
        train, y_train
    )
    auc[name] = roc_auc_score(y_test, model.predict_proba(test)[:, 1])
    found[name] = pair_interactions(model, sample, random_state=0)

pairs = [*PAIRS, ("user", "channel")]
table = pd.DataFrame(
    {f"{a} and {b}": {name: f.loc[a, b] for name, f in found.items()} for a, b in pairs}
)
table.loc["the truth"] = [truth.loc[pair] for pair in pairs]
table.assign(auc=pd.Series(auc)).round(3)

# %%

figure, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained")
panels = {"the truth": truth, **found}
for ax, (name, strengths) in zip(axes.ravel(), panels.items(), strict=True):
    image = ax.imshow(strengths, vmin=0, vmax=np.nanmax(truth), cmap="viridis")
    ax.set_title(
        name if name not in auc else f"{name}\nAUC {auc[name]:.3f}", fontsize=10
    )
    ax.set_xticks(range(len(COLUMNS)), COLUMNS, rotation=90)
    ax.set_yticks(range(len(COLUMNS)), COLUMNS)
    ax.set_facecolor("0.85")
_ = figure.colorbar(image, ax=axes, label="interaction in the logit")

# %%
# All five find the three pairs, in the right order and weaker than they are; what they find where there is nothing is
# noise of 20,000 rows. The factorization machine has products of vectors and nothing else, and sees the same pairs.
# Which stream is best can't be told by one training each: other seeds move the AUC, too. What can be seen is that each
# of them learns interactions, so that a choice between them is for validation rows to make: :ref:`which_streams`.
