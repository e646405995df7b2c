"""
Quickstart: who will like which film?
=====================================

FinalMLP and a boosted-tree model, both with their defaults, learn the ratings of MovieLens-100K: 4 and 5 stars are
clicks. Both hold out a tenth of what they are given to stop in time; another tenth of the ratings is kept back to
compare them.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import RocCurveDisplay, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.metrics import roc_auc_interval

# %%
# The table
# ---------
#
# A row is an impression: who saw what, and when. There are ids, strings, numbers, a date and a list of genres.

X, y = fetch_movielens_100k(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
print(X.iloc[0])

# %%
# FinalMLP
# --------
#
# :class:`~sk_finalmlp.CTREncoder` takes the table as it is and finds out what each column is;
# :class:`~sk_finalmlp.FinalMLPClassifier` learns from its codes. ``verbose=1`` prints a line per epoch.

final_mlp = Pipeline(
    [("enc", CTREncoder()), ("clf", FinalMLPClassifier(random_state=0, verbose=1))]
)

# %%
# Boosted trees
# -------------
#
# They need numbers: lists and dates are flattened, strings become ordinal codes.


def flatten(X):
    """Genres as one string and time as seconds, as trees need them."""
    return X.assign(genres=X["genres"].map("|".join), time=X["time"].astype("int64"))


boosted_trees = make_pipeline(
    FunctionTransformer(flatten),
    make_column_transformer(
        (
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            ["gender", "occupation", "zip_code", "genres"],
        ),
        remainder="passthrough",
    ),
    HistGradientBoostingClassifier(random_state=0),
)

# %%
# Fit both
# --------


def fit_and_predict(model):
    """Click probabilities of the test rows, and the seconds that fitting took."""
    start = perf_counter()
    model.fit(X_train, y_train)
    seconds = perf_counter() - start
    return model.predict_proba(X_test)[:, 1], seconds


models = {"FinalMLP": final_mlp, "Boosted trees": boosted_trees}
results = {name: fit_and_predict(model) for name, model in models.items()}

# %%
# Compare
# -------
#
# AUC is better the higher, log-loss the lower; `low` and `high` are the 95% confidence interval of the AUC.

scores = {}
for name, (probability, seconds) in results.items():
    auc, low, high, _ = roc_auc_interval(y_test, probability)
    loss = log_loss(y_test, probability)
    scores[name] = {"AUC": auc, "low": low, "high": high, "log-loss": loss}
    scores[name]["fit [s]"] = round(seconds, 1)
print(pd.DataFrame(scores).T.round(4).to_string())

# %%
# On the left, the share of clicks that is found against the share of the rest that is taken for a click, for each
# threshold. On the right, what FinalMLP says about films that were liked and films that weren't.

figure, (roc_ax, probability_ax) = plt.subplots(
    ncols=2, figsize=(10, 4.5), layout="constrained"
)

for name, (probability, _) in results.items():
    RocCurveDisplay.from_predictions(y_test, probability, name=name, ax=roc_ax)
roc_ax.set(title="Ranking", xlabel="False positive rate", ylabel="True positive rate")
roc_ax.plot([0, 1], [0, 1], color="grey", linestyle=":")
roc_ax.legend(loc="lower right")

probability, _ = results["FinalMLP"]
for label, liked, color in [("not liked", 0, "tab:gray"), ("liked", 1, "tab:green")]:
    of_label = probability[y_test == liked]
    probability_ax.hist(
        of_label, bins=25, range=(0, 1), alpha=0.6, color=color, label=label
    )
probability_ax.set(
    title="Probabilities of FinalMLP",
    xlabel="Predicted probability of a click",
    ylabel="Test rows",
)
_ = probability_ax.legend()
