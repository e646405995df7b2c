"""
Thirty days of a stream
=======================

Every day brings new users and new items, and the old items change. A model that was fitted once gets worse day by day.
Is it enough to :func:`~sk_finalmlp.update` it with the rows of each day, or must it be fitted again? This example
compares a frozen model, an updated one, and models refitted to the last seven days, on synthetic clicks.
"""

import warnings
from copy import deepcopy
from importlib.util import find_spec
from time import process_time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier, update
from sk_finalmlp.datasets import make_click_data

# %%
# The stream
# ----------
#
# After each day, 2% of the users and items leave and new ones take their places; an item's effects on two successive
# days have a correlation of 0.98. The column ``day`` numbers the days. It is no feature, since no day recurs.

N_DAYS, WEEK = 30, 7
X, y, probability = make_click_data(
    45_000,
    n_days=N_DAYS,
    n_users=800,
    n_items=200,
    turnover=0.02,
    drift=0.2,
    click_rate=0.2,
    logit_scale=2,
    random_state=0,
)
day_of_row = X.pop("day")


def rows(first, last):
    """The rows of these days, the last one excluded."""
    chosen = day_of_row.between(first, last, inclusive="left")
    return X[chosen], y[chosen]


# %%
# The models
# ----------
#
# All start with one week of rows; the frozen model and the updated one are the same until then. To save time, the
# others are refitted every fourth day only. CatBoost takes part if it is installed (``pip install catboost``).


def fit(first, last):
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(random_state=0))
    return model.fit(*rows(first, last))


def flatten(table):
    """Columns for CatBoost: the hour, and lists as text."""
    return table.drop(columns="time").assign(
        hour=table["time"].dt.hour, tags=table["tags"].str.join(" ")
    )


def fit_catboost(first, last):
    from catboost import CatBoostClassifier

    table, clicks = rows(first, last)
    categorical = [name for name in flatten(table) if not name.startswith("numeric")]
    return CatBoostClassifier(
        300,
        verbose=0,
        random_seed=0,
        cat_features=categorical,
        allow_writing_files=False,
    ).fit(flatten(table), clicks)


# The frozen model warns every day that it doesn't know more and more of the users.
warnings.filterwarnings("ignore", message=".* come after the training rows")

losses = pd.DataFrame(index=pd.RangeIndex(WEEK, N_DAYS, name="day"))
seconds = {"updated": [], "fitted again": []}
frozen = fit(0, WEEK)
updated = deepcopy(frozen)
for day in range(WEEK, N_DAYS):
    today, clicks = rows(day, day + 1)
    losses.loc[day, "frozen"] = log_loss(clicks, frozen.predict_proba(today))
    losses.loc[day, "updated"] = log_loss(clicks, updated.predict_proba(today))
    losses.loc[day, "the truth"] = log_loss(clicks, probability[today.index])
    if (day - WEEK) % 4 == 3:
        start = process_time()
        again = fit(day - WEEK, day)
        seconds["fitted again"].append(process_time() - start)
        losses.loc[day, "fitted again to 7 days"] = log_loss(
            clicks, again.predict_proba(today)
        )
        if find_spec("catboost"):
            trees = fit_catboost(day - WEEK, day)
            losses.loc[day, "CatBoost, to 7 days"] = log_loss(
                clicks, trees.predict_proba(flatten(today))
            )
    start = process_time()
    update(updated, today, clicks)
    seconds["updated"].append(process_time() - start)

# %%
# Log-loss by day
# ---------------
#
# Each day is predicted before any model learns from it. Some days are harder than others, so the figure shows the
# distance to the log-loss of the true probabilities, the best possible.

excess = losses.drop(columns="the truth").sub(losses["the truth"], axis=0)
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, column in excess.items():
    known = column.dropna()
    ax.plot(
        known.index, known, marker="." if len(known) == len(excess) else "o", label=name
    )
ax.set(
    title="Each day, predicted from earlier days; lower is better",
    xlabel="day",
    ylabel="log-loss above the truth",
    ylim=(0, None),
)
_ = ax.legend(frameon=False)

# %%
# Means over the days on which all models were scored:

excess.dropna().mean().rename("log-loss above the truth").to_frame().round(4)

# %%
# What it costs
# -------------
#
# CPU seconds of an update, and of a fit to seven days. The updated model is at least as good as the refitted ones,
# and an update takes less than a tenth of the time:

pd.Series(
    {name: sum(times) / len(times) for name, times in seconds.items()},
    name="CPU seconds",
).to_frame().round(2)
