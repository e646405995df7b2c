"""
Grid search, and how to read learning curves
============================================

A pipeline of encoder and classifier is one model, so that one search goes over the parameters of both. When it is done,
the learning curves say why a setting is good or bad, and in which direction to look further.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.inspection import TrainingHistoryDisplay

X, y = fetch_movielens_100k(return_X_y=True)
X = X.sample(20_000, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    X, y[X.index], test_size=0.25, random_state=0
)

# %%
# The search
# ----------
#
# Parameter names start with the name of their step. ``embedding_regularizer``, which matters most, keeps the network
# from memorising rows; ``min_frequency`` gives rare users and films code 0, "unknown". The score is the log-loss,
# since click models have to predict probabilities. A single network, ``n_members=1``, is enough to compare settings.
# With ``n_jobs=-1`` the fits would share the cores; set the environment variable ``OMP_NUM_THREADS=1`` then.

model = Pipeline(
    [("enc", CTREncoder()), ("clf", FinalMLPClassifier(n_members=1, random_state=0))]
)
grid = {
    "enc__min_frequency": [1, 5],
    "clf__embedding_regularizer": [0.2, 2.0, 20.0, 200.0],
}
search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3)
search.fit(X_train, y_train)
search.best_params_

# %%
# Each point is the mean of three folds, the band one standard deviation. Look at the curve before you take the best:
# if the minimum is at the border, widen the grid; settings within the band are equally good. Here a small penalty is
# much too small: a user has some fifteen ratings, too few for an embedding, and click rates predict better.

results = pd.DataFrame(search.cv_results_)
figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for min_frequency, of_frequency in results.groupby("param_enc__min_frequency"):
    regularizer = of_frequency["param_clf__embedding_regularizer"].astype(float)
    loss, spread = -of_frequency["mean_test_score"], of_frequency["std_test_score"]
    ax.plot(regularizer, loss, "o-", label=f"min_frequency={min_frequency}")
    ax.fill_between(regularizer, loss - spread, loss + spread, alpha=0.2)
ax.set(
    xscale="log",
    title="Mean and standard deviation of three folds; lower is better",
    xlabel="embedding_regularizer",
    ylabel="log-loss",
)
_ = ax.legend()

# %%
# Learning curves
# ---------------
#
# Three settings, fitted again with more patience, so the curves continue after the best epoch.
# :class:`~sk_finalmlp.inspection.TrainingHistoryDisplay` takes a pipeline, or a search, and draws its training.

settings = {
    "Too free": {"clf__embedding_regularizer": 0.0},
    "The best of the search": search.best_params_,
    "Too slow": {
        **search.best_params_,
        "clf__learning_rate": 1e-5,
        "clf__max_epochs": 12,
    },
}
figure, axes = plt.subplots(
    2, len(settings), figsize=(12, 6), sharex="col", sharey="row", layout="constrained"
)
for (name, parameters), of_setting in zip(settings.items(), axes.T, strict=True):
    patient = (
        clone(model)
        .set_params(clf__n_iter_no_change=6, **parameters)
        .fit(X_train, y_train)
    )
    TrainingHistoryDisplay.from_estimator(patient, ax=of_setting)
    of_setting[0].set_title(name)

# %%
# - **Too free**: the training loss keeps falling, while the validation loss soon rises. The network memorises its rows.
#   Early stopping keeps the best epoch, but its score is poor: raise the regularizer or the dropouts.
# - **The best of the search**: both losses fall together and level off at the end of the cycle.
# - **Too slow**: the losses are far higher at the end than those of the best setting. Raise ``learning_rate`` or
#   ``max_epochs``.
#
# The final model
# ---------------
#
# The test rows took no part in the search. The best setting is better than the defaults; whether three networks are
# better than one can't be seen on so few rows.

models = {
    "one network, defaults": model,
    "one network, best of the search": search.best_estimator_,
    "three networks, best of the search": clone(search.best_estimator_).set_params(
        clf__n_members=3
    ),
}
for name, candidate in models.items():
    probability = candidate.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    print(
        f"{name:<36}",
        f"log-loss {log_loss(y_test, probability):.4f}",
        f"AUC {roc_auc_score(y_test, probability):.4f}",
    )

# sphinx_gallery_thumbnail_number = 2
