"""
Which columns matter, and to whom?
==================================

Permutation importance asks the whole pipeline: how much worse are the predictions if the values of one column of the
raw table are shuffled? Gate weights ask the network: how strongly does it let each field through? They answer
different questions, and this example puts them side by side, for all users and for each segment of them.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.inspection import GateWeightsDisplay

# %%
# A table with a column that means nothing
# ----------------------------------------
#
# In these synthetic impressions, a click depends on user and item, on what the user's segment thinks of category and
# tags, on the hour, and on numbers whose effect depends on a context. The campaign is added at random.

X, y, _ = make_click_data(
    45_000, n_users=200, n_items=100, click_rate=0.3, random_state=0
)
X["campaign"] = np.random.default_rng(1).choice(["red", "green", "blue"], len(X))
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=40_000, random_state=0
)

# %%
# The gate of the first stream depends on the segment, that of the second on nothing. The penalty on embeddings holds
# for the gates' contexts, too; it is a tenth of the default here, to leave the gates free.

model = make_pipeline(
    CTREncoder(statistics=None),
    FinalMLPClassifier(
        fs1_context=["segment"], embedding_regularizer=0.02, random_state=0
    ),
).fit(X_train, y_train)

# %%
# Permutation importance
# ----------------------
#
# The log-loss of test rows says how good the predictions are. A column of the raw table is shuffled before it goes
# through the pipeline, so that all that is made of it is shuffled with it: hour and weekday of the time, each tag.


def importance(X, y, n_repeats):
    """By how much the log-loss rises for each shuffled column; mean and standard deviation."""
    result = permutation_importance(
        model, X, y, scoring="neg_log_loss", n_repeats=n_repeats, random_state=0
    )
    return pd.DataFrame(
        {"mean": result.importances_mean, "std": result.importances_std},
        index=X.columns,
    )


of_all = importance(X_test, y_test, n_repeats=3).sort_values("mean")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
left.barh(of_all.index, of_all["mean"], xerr=of_all["std"], color="tab:blue")
left.set(
    title="Permutation importance of columns", xlabel="rise of the log-loss if shuffled"
)
GateWeightsDisplay.from_estimator(model, X_test, ax=right)
_ = right.set_title("Gates of fields", loc="left")

# %%
# Shuffled campaigns change nothing: the model has learned that they mean nothing. What the segment means is more than
# its bar tells: whoever knows the user knows the segment, and only one of the two is shuffled. Where columns say the
# same, shuffle them together, or leave one out and fit again.
#
# The gates have turned down what means nothing: campaign and weekday. But they do so by a few parts
# in a hundred, and beyond that they tell little of what matters: the layers behind a gate can shut out a field as well.

# %%
# Segment by segment
# ------------------
#
# Shuffled among the users of a segment, a column shows what matters to them. Items matter most by far in the first
# segment: the most frequent user is in it, of whose taste most is known.

segments = sorted(X_test["segment"].unique())
rows_of = {name: X_test["segment"] == name for name in segments}
by_segment = pd.DataFrame(
    {
        name: importance(X_test[rows], y_test[rows], n_repeats=2)["mean"]
        for name, rows in rows_of.items()
    }
)
figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
cells = ax.imshow(by_segment.drop("segment").clip(lower=0), cmap="Blues", aspect="auto")
ax.set_xticks(range(len(segments)), segments, rotation=30)
ax.set_yticks(range(len(by_segment) - 1), by_segment.index.drop("segment"))
ax.set_title("Rise of the log-loss if shuffled within a segment")
_ = figure.colorbar(cells)

# %%
# The gates of the first stream know the segment, and yet they hardly differ between segments: the streams read user and
# segment themselves, and have found there what the gates could tell. Know that before you read a meaning into gates;
# :ref:`sphx_glr_auto_examples_plot_gate_context.py` shows a table where they do differ, and when a context pays.

_ = GateWeightsDisplay.from_estimator(model, X_test, by="segment")
