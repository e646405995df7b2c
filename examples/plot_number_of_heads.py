"""
How many heads?
===============

FinalMLP multiplies the outputs of its two streams. One head is the full bilinear form: each number of one stream times
each number of the other. More heads cut both outputs into slices and multiply only matching slices, with fewer weights.
With as many heads as units, each number is multiplied by a single one. The data are synthetic impressions, in which
clicks depend on pairs of columns.
"""

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.streams import MLP

X, y, probability = make_click_data(
    30_000,
    n_users=100,
    n_items=50,
    n_contexts=1,
    n_numeric=0,
    click_rate=0.3,
    logit_scale=2.5,
    random_state=0,
)
print(f"AUC of the true probabilities: {roc_auc_score(y, probability):.4f}")

# %%
# From one head to as many as the streams are wide
# ------------------------------------------------
#
# ``num_heads`` must divide the widths of both streams. DualMLP, which only adds the streams, has no bilinear form. Each
# model is trained with five seeds; each seed has its own 10,000 training rows, the same for all models.

width = 64
one_network = {"stream1": MLP((width,)), "stream2": MLP((width,)), "n_members": 1}
models = {
    "none": FinalMLPClassifier(fusion="sum", feature_selection=False, **one_network)
}
models |= {
    heads: FinalMLPClassifier(num_heads=heads, **one_network)
    for heads in [1, 2, 4, 8, 16, 32, 64]
}

records = []
for seed in range(5):
    training = X.sample(10_000, random_state=seed).index
    encoder = CTREncoder(statistics=None)
    codes = encoder.fit_transform(X.loc[training], y[training])
    test_codes, y_test = encoder.transform(X.drop(training)), y.drop(training)
    for heads, model in models.items():
        model.set_params(random_state=seed).fit(codes, y[training])
        auc = roc_auc_score(y_test, model.predict_proba(test_codes)[:, 1])
        records.append({"heads": heads, "seed": seed, "auc": auc})

auc = pd.DataFrame(records).pivot(index="seed", columns="heads", values="auc")[
    list(models)
]
auc.round(4)

# %%
# FinalMLP minus DualMLP
# ----------------------
#
# The difference in AUC to DualMLP with the same seed, with its 95% confidence interval. Below it, the number of
# weights of the bilinear form.

difference = auc.drop(columns="none").sub(auc["none"], axis=0)
half_width = difference.sem() * t.ppf(0.975, df=len(difference) - 1)
pd.DataFrame({"mean difference": difference.mean(), "+/-": half_width}).round(4)

# %%

positions = range(len(difference.columns))
figure, (difference_ax, weights_ax) = plt.subplots(
    nrows=2, figsize=(7, 5), sharex=True, height_ratios=[3, 1], layout="constrained"
)
for _, of_seed in difference.iterrows():
    difference_ax.plot(positions, of_seed, "o", color="tab:blue", alpha=0.25)
difference_ax.errorbar(
    positions, difference.mean(), yerr=half_width, fmt="o-", color="tab:blue", capsize=4
)
difference_ax.axhline(0, color="grey", linestyle=":")
difference_ax.set(
    title="AUC of FinalMLP minus AUC of DualMLP, five seeds and mean",
    ylabel="difference of the AUC",
)
bars = weights_ax.bar(
    positions, [width**2 // heads for heads in difference.columns], color="tab:gray"
)
weights_ax.bar_label(bars, fmt="{:,.0f}")
weights_ax.set(
    yscale="log",
    ylim=(10, 20_000),
    ylabel="weights\nof the form",
    xlabel="number of heads",
)
_ = weights_ax.set_xticks(positions, difference.columns)

# %%
# All intervals contain zero: five seeds show no significant gain of the bilinear form on these rows, with any number
# of heads. The seeds differ more than the means do. So the number of heads is no parameter to tune early: take the
# default, or more heads for wide streams, since the full form of two streams of 1,000 units has a million weights.
