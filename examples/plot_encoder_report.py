"""
What the encoder found in your table
====================================

:class:`~sk_finalmlp.CTREncoder` decides by the values what each column is. A minute spent on its findings saves hours
with a model: an id taken for a quantity, a title that never comes again, or users of whom the model knows nothing are
seen here. The table is MovieLens-100K: ratings as impressions, 4 and 5 stars as clicks.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from sk_finalmlp import CTREncoder
from sk_finalmlp.datasets import fetch_movielens_100k

X, y = fetch_movielens_100k(return_X_y=True)
X.head(3)

# %%
# A model is used on days after those that it learned from. So the encoder sees the first four fifths of the ratings,
# and the rest shows what it will meet later.

order = X["time"].argsort(kind="stable")
early, late = order[:80_000], order[80_000:]
encoder = CTREncoder()
codes = encoder.fit_transform(X.iloc[early], y.iloc[early])

# %%
# What is each column, and why?
# -----------------------------
#
# ``n_codes`` counts the known values, and code 0 for all that is unknown.

encoder.feature_kinds_

# %%
# Ids, strings, lists and dates are what they should be. Two columns deserve a thought. Integers that repeat are taken
# for ids unless their size tells of the labels: so `release_year` has a vector for each year, which is right where
# taste follows no line; and `age` too, for which the opposite can be said by hand:

by_hand = CTREncoder(numeric=["age"])
by_hand.fit(X.iloc[early], y.iloc[early])
by_hand.feature_kinds_.loc[["age"]]

# %%
# In a notebook, and on this page, the fitted encoder shows its findings by itself:

encoder

# %%
# What do the codes stand for?
# ----------------------------
#
# Known values have codes 1, 2, ... by descending frequency. Each element of a list has a code, and the codes of one
# list stand side by side, filled up with 0. Of a date, the hour and the weekday are kept.

codes.filter(regex=r"^(item|genres|time)").head(3)

# %%
# The most frequent values, in the order of their codes:

pd.DataFrame(
    {
        field: encoder.categories_[field][:5]
        for field in ["item", "genres", "time_hour"]
    },
    index=range(1, 6),
)

# %%
# Codes can be read back, but for dates:

encoder.inverse_transform(codes.head(3))

# %%
# How much of it comes again?
# ---------------------------
#
# On the left, how many values each field has. On the right, how many rows of the later ratings hold a value that the
# encoder doesn't know: where `user` is unknown, only what else the row says can help. Here that is most rows, since
# half of the people rated films for less than an hour and never came back. A test on randomly drawn rows would know
# nearly all users, and promise too much.

kinds = {
    "categorical": "tab:blue",
    "multi-valued": "tab:green",
    "datetime": "tab:orange",
}
kind_of_field = {
    field: encoder.feature_kinds_["kind"].get(field, "datetime")
    for field in encoder.cardinalities_
}
fields = pd.DataFrame(
    {"values": encoder.cardinalities_, "kind": kind_of_field}
).sort_values("values")
fields["values"] -= 1
# The warning says what the picture shows.
warnings.filterwarnings("ignore", message=".* come after the training rows")
late_codes = encoder.transform(X.iloc[late]).rename(columns={"genres@0": "genres"})
fields["unknown"] = (late_codes[fields.index] == 0).mean()

figure, (values_ax, unknown_ax) = plt.subplots(
    ncols=2, figsize=(9, 4.8), sharey=True, layout="constrained"
)
color = fields["kind"].map(kinds)
bars = values_ax.barh(fields.index, fields["values"], color=color)
values_ax.bar_label(bars, fmt="{:,.0f}", padding=3)
values_ax.set(
    xscale="log", xlim=(1, 6_000), title="Known values", xlabel="number of values"
)
values_ax.legend(
    handles=[Patch(color=color, label=kind) for kind, color in kinds.items()],
    loc="lower right",
)
bars = unknown_ax.barh(fields.index, 100 * fields["unknown"], color=color)
unknown_ax.bar_label(bars, fmt="{:.0f}%", padding=3)
_ = unknown_ax.set(
    xlim=(0, 100), title="Unknown later", xlabel="% of the rows of later days"
)

# %%
# Which statistics predict?
# -------------------------
#
# Behind the codes stand click rates and counts, of fields and of pairs of them. ``statistics_`` says about each
# candidate by how much its rate lowers the log-loss, whether it was taken, and why.

encoder.statistics_.sort_values("gain", ascending=False).head(8)

# %%
# Films and users differ most in how often they are liked. What was left out, and why:

encoder.statistics_.query("not rate")["why"].str.split(";").str[0].value_counts()

# %%
# The twenty largest gains, of one field or of two together. Genres are left out because the item tells them.

best = encoder.statistics_.nlargest(20, "gain").iloc[::-1]
figure, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
ax.barh(best.index, best["gain"], color=np.where(best["rate"], "tab:blue", "lightgrey"))
ax.set(title="What a click rate adds to the prediction", xlabel="fall of the log-loss")
legend = {"chosen": "tab:blue", "left out": "lightgrey"}
_ = ax.legend(
    handles=[Patch(color=color, label=label) for label, color in legend.items()],
    loc="lower right",
)
