"""
Two streams: alike or different?
================================

The first experiment of the `FinalMLP paper <https://arxiv.org/abs/2304.00902>`__ asks what two plain perceptrons that
read the same embeddings can do, and whether they should be alike. Without gates and fusion, the two are the paper's
DualMLP. Here it meets a part of MovieLens-100K with streams of equal and of different widths and depths, several times
each, because one run says little: initial weights and the choice of test rows move the score, too.
"""

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.streams import MLP

X, y = fetch_movielens_100k(return_X_y=True)
X = X.sample(25_000, random_state=0)
y = y[X.index]

# %%
# The contestants
# ---------------
#
# Each stream is a tuple of layer widths; "128 x 3" are three layers.

streams = {
    "128 | 128": ((128,), (128,)),
    "32 | 32": ((32,), (32,)),
    "512 | 512": ((512,), (512,)),
    "128 x 3 | 128 x 3": ((128, 128, 128), (128, 128, 128)),
    "512 | 32": ((512,), (32,)),
    "128 x 3 | 128": ((128, 128, 128), (128,)),
}

# %%
# Five times over
# ---------------
#
# A seed decides which rows are test rows, and about the initial weights. All contestants share both, so that their
# differences can be compared within a seed. Plain codes and a single network (``n_members=1``) leave the streams to
# themselves.


def encoded_split(seed):
    """Training and test rows of a seed, as codes, and their labels."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=seed
    )
    encoder = CTREncoder(statistics=None)
    return (
        encoder.fit_transform(X_train, y_train),
        encoder.transform(X_test),
        y_train,
        y_test,
    )


def fit_and_score(widths1, widths2, seed, X_train, X_test, y_train, y_test):
    """AUC on the test rows and number of epochs."""
    model = FinalMLPClassifier(
        stream1=MLP(widths1),
        stream2=MLP(widths2),
        fusion="sum",
        feature_selection=False,
        n_members=1,
        random_state=seed,
    )
    model.fit(X_train, y_train)
    return {
        "auc": roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]),
        "epochs": model.n_iter_,
    }


records = []
for seed in range(5):
    split = encoded_split(seed)
    for name, (widths1, widths2) in streams.items():
        records.append(
            {
                "streams": name,
                "seed": seed,
                **fit_and_score(widths1, widths2, seed, *split),
            }
        )

runs = pd.DataFrame(records)
auc = runs.pivot(index="seed", columns="streams", values="auc")[list(streams)]
auc.round(4)

# %%
# Is there a difference?
# ----------------------
#
# The AUC of a contestant varies from seed to seed (left). What matters is the difference to two streams of 128 with
# the same seed (right), and whether its 95% confidence interval leaves out zero.

difference = auc.sub(auc["128 | 128"], axis=0)
half_width = difference.sem() * t.ppf(0.975, df=len(difference) - 1)
pd.DataFrame({"mean difference": difference.mean(), "+/-": half_width}).round(4)

# %%

figure, (auc_ax, difference_ax) = plt.subplots(
    ncols=2, figsize=(9, 4), sharey=True, layout="constrained"
)
for position, name in enumerate(streams):
    auc_ax.plot(auc[name], [position] * len(auc), "o", color="tab:blue", alpha=0.4)
    auc_ax.plot(
        auc[name].mean(), position, "|", color="black", markersize=20, markeredgewidth=2
    )
auc_ax.set(title="AUC of each seed, and mean", xlabel="AUC on the test rows")
auc_ax.set_yticks(range(len(streams)), streams)
auc_ax.invert_yaxis()

difference_ax.axvline(0, color="grey", linestyle=":")
difference_ax.errorbar(
    difference.mean(),
    range(len(streams)),
    xerr=half_width,
    fmt="o",
    color="tab:blue",
    capsize=4,
    elinewidth=2,
)
difference_ax.locator_params(axis="x", nbins=5)
_ = difference_ax.set(
    title="Difference to 128 | 128", xlabel="AUC, mean and 95% interval"
)

# %%
# No: each interval holds zero. Wide or narrow, alike or different, two streams do about as well on these rows, and
# what five seeds leave open is a difference of some thousandths. Deep streams have the widest spread and, if anything,
# a lower mean. Look at the table before you believe a comparison of single runs: the five seeds don't agree on a
# winner.
#
# For a table of this size, then, leave the streams as they are and search over what matters more, such as
# ``embedding_regularizer``. On millions of rows, where wide and deep streams have something to learn from, the
# question is worth asking again.
