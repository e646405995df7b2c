"""
A user's history: what comes next
=================================

A user who came an hour ago has an id that the model has never seen. What they have liked since then tells more. Here
each rating of MovieLens-100K gets two histories, the films that the user has liked and disliked before it, and the
network compares them with the film at hand.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.preprocessing import add_history

# %%
# The column
# ----------
#
# :func:`~sk_finalmlp.preprocessing.add_history` collects, for each row, what the same user did at a strictly earlier
# time. `where` says which rows enter. The histories hold labels of earlier rows, so the rows are split by time.

movielens = fetch_movielens_100k()
order = movielens.data["time"].argsort(kind="stable")
X, y = (
    movielens.data.iloc[order][["user", "item", "time"]],
    movielens.target.iloc[order],
)
for name, label in {"liked": 1, "disliked": 0}.items():
    X = add_history(X, user="user", item={name: "item"}, time="time", where=y == label)
train, test = slice(0, 80_000, 2), slice(80_000, None)
X[["user", "item", "liked"]].iloc[[50, 100]]

# %%
# With and without
# ----------------
#
# In the last fifth of the rows most users are new. `histories` gives both columns the codes and the vectors of `item`;
# `history_pooling="attention"` lets the film at hand say which films of the past count. Every other row of training
# does for a picture, and so do two MLPs without gates, whose logits are added.


def fit(columns, **parameters):
    histories = dict.fromkeys(columns, "item")
    encoder = CTREncoder(
        histories=histories,
        drop=["time", *{"liked", "disliked"}.difference(columns)],
        hold_out="time",
    )
    classifier = FinalMLPClassifier(
        fusion="sum",
        feature_selection=False,
        n_members=1,
        max_epochs=4,
        random_state=0,
        **parameters,
    )
    return make_pipeline(encoder, classifier).fit(X[train], y[train])


both = ["liked", "disliked"]
models = {
    "without": fit([]),
    "mean": fit(both, history_pooling="mean"),
    "attention": fit(both, history_pooling="attention"),
}
scores = {name: model.predict_proba(X[test])[:, 1] for name, model in models.items()}
pd.Series({name: roc_auc_score(y[test], p) for name, p in scores.items()}).round(3)

# %%
# By the length of the history
# ----------------------------
#
# What the model knows of a user grows with the number of films that they have rated before; without histories, it only
# knows the ids of users who are in the rows of training.

n_before = X[test][both].map(len).sum(axis=1)
edges = [0, 1, 11, 31, 61, np.inf]
groups = pd.cut(
    n_before,
    edges,
    right=False,
    labels=["none", "1 to 10", "11 to 30", "31 to 60", "more"],
)
table = pd.DataFrame(
    {
        name: {
            group: roc_auc_score(y[test][rows], p[rows])
            for group in groups.cat.categories
            if (rows := (groups == group).to_numpy()).any()
        }
        for name, p in scores.items()
    }
)
ax = table.plot(marker="o", xlabel="films rated before", ylabel="AUC of the test rows")
ax.set_xticks(range(len(table)), table.index)
ax.legend(title="histories")
ax.grid(alpha=0.3)
plt.tight_layout()

# %%
# When it is in use, a server has a store with the last films of each user, and gives the list with the request:
# :func:`~sk_finalmlp.serving.make_predictor` takes it as it is. :ref:`histories` says more.
