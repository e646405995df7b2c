"""
What should the gates look at?
==============================

Each stream of FinalMLP has a gate that turns each of its fields up or down. What a gate looks at, its context, is a
choice: nothing, so that all rows share one gate, or fields of the row, such as its user. This example shows what a gate
does that sees whom it deals with, and when that is worth having.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.inspection import GateWeightsDisplay

# %%
# People who look at different things
# -----------------------------------
#
# The impressions are made up so that gates have something to do: each user belongs to a segment, and each segment
# looks at a single property of a product. Whether one of them clicks depends on that property alone.

rng = np.random.default_rng(0)
properties = ["brand", "colour", "size", "shop"]
segments = pd.CategoricalDtype([f"looks at {name}" for name in properties])
n_users, n_values, n_rows = 200, 30, 40_000

X = pd.DataFrame({name: rng.integers(n_values, size=n_rows) for name in properties})
X["user"] = rng.integers(n_users, size=n_rows)
looks_at = rng.integers(len(properties), size=n_users)[X["user"]]
X["segment"] = pd.Categorical.from_codes(looks_at, dtype=segments)

what_it_sees = X[properties].to_numpy()[np.arange(n_rows), looks_at]
log_odds = (
    2 * rng.standard_normal((len(properties), n_values))[looks_at, what_it_sees] - 0.5
)
y = (rng.random(n_rows) < expit(log_odds)).astype(int)
X.head(3)

# %%
# Contexts, and two kinds of streams
# ----------------------------------
#
# Both gates get the same context: none, a property, the user, or the segment. And the streams read either the
# properties alone, so that only the gates know who is looking, or all fields. What gates learn of a context begins next
# to zero, so its tables have a small penalty of their own, .001. Models called "tied" have that of the
# embeddings instead, as in the paper's configurations: for so few rows it is a thousand times as large.

contexts = {
    "none": (None, 1e-3),
    "brand": (["brand"], 1e-3),
    "user": (["user"], 1e-3),
    "segment": (["segment"], 1e-3),
    "segment,\ntied": (["segment"], "auto"),
}
read_by_streams = {
    "Streams read properties": properties,
    "Streams read all fields": None,
}

encoder = CTREncoder(statistics=None)
codes = encoder.fit_transform(X[:10_000], y[:10_000])
test_codes, y_test = encoder.transform(X[10_000:]), y[10_000:]


def fit(fields, context, penalty, seed):
    """A single network whose streams read the fields and whose gates look at the context."""
    model = FinalMLPClassifier(
        stream_fields=(fields, fields),
        fs1_context=context,
        fs2_context=context,
        n_members=1,
        embedding_regularizer=("auto", penalty),
        random_state=seed,
    )
    return model.fit(codes, y[:10_000])


models = {
    (kind, name, seed): fit(fields, *context, seed)
    for kind, fields in read_by_streams.items()
    for name, context in contexts.items()
    for seed in range(3)
}
auc = pd.Series(
    {
        key: roc_auc_score(y_test, model.predict_proba(test_codes)[:, 1])
        for key, model in models.items()
    }
).rename_axis(["streams", "context", "seed"])
auc.unstack("seed").round(4)

# %%
# Scores
# ------
#
# Where the streams can't see who is looking, the gates bring it in: with the segment as context nearly all is found
# that can be. With the user it takes longer, as there are fifty times as many contexts to learn, and the three seeds,
# drawn as points, differ more. A context that doesn't tell people apart is worth nothing, nor is one that is tied to
# the penalty of the embeddings: these gates haven't left zero. Where the streams see user and segment themselves, the
# context makes no difference.

best = roc_auc_score(y_test, log_odds[10_000:])
figure, axes = plt.subplots(
    ncols=2, figsize=(9, 3.5), sharex=True, sharey=True, layout="constrained"
)
for ax, kind in zip(axes, read_by_streams, strict=True):
    of_kind = auc[kind].unstack("context")[list(contexts)]
    bars = ax.bar(of_kind.columns, of_kind.mean(), color="tab:blue")
    ax.bar_label(bars, fmt="{:.3f}", label_type="center", color="white")
    ax.plot(of_kind.columns, of_kind.T, "o", color="black", markersize=3)
    ax.axhline(best, color="tab:green", linestyle=":", label="best possible")
    ax.set(title=kind, xlabel="context of both gates", ylim=(0.5, 0.9))
axes[0].set_ylabel("AUC on the test rows")
_ = axes[0].legend(loc="upper left", frameon=False)

# %%
# What the gates do
# -----------------
#
# :class:`~sk_finalmlp.inspection.GateWeightsDisplay` draws what the gates of the model with the segment as context let
# through: 1 lets a field pass as it is, less turns it down, more turns it up. In one of the streams at least, each
# field is most open for the segment that looks at it.

gated = models["Streams read properties", "segment", 0]
display = GateWeightsDisplay.from_estimator(gated, test_codes, by=X["segment"][10_000:])

# %%
# So give the gates a context where what matters depends on someone, and where there are enough rows of each to learn
# it: a segment sooner than a user. It only pays where the streams don't find the same on their own, so compare both on
# rows of yours.

# sphinx_gallery_thumbnail_number = 2
