"""
Quickstart: who will like which film?
=====================================

FinalMLP and a boosted-tree model, both with their defaults, learn the ratings of MovieLens-100K: 4 and 5 stars are
clicks. Both hold out a tenth of what they are given to stop in time; another tenth of the ratings is kept back to
compare them.
"""

from time import perf_counter

from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k

# %%
# A row is an impression: strings, numbers, a date and a list of genres.

X, y = fetch_movielens_100k(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
print(X.iloc[0], end="\n\n")

# %%
# FinalMLP takes the table as it is.

final_mlp = Pipeline([("enc", CTREncoder()), ("clf", FinalMLPClassifier(random_state=0, verbose=1))])

# %%
# Boosted trees need numbers: lists and dates are flattened, strings become ordinal codes.


def flatten(X):
    """Genres as one string and time as seconds, for a model that knows neither lists nor dates."""
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
# AUC is better the higher, log-loss the lower.


def evaluate(model):
    """AUC and log-loss on the test rows, and the seconds that fitting took."""
    start = perf_counter()
    model.fit(X_train, y_train)
    seconds = perf_counter() - start
    probability = model.predict_proba(X_test)[:, 1]
    return roc_auc_score(y_test, probability), log_loss(y_test, probability), seconds


models = {"CTREncoder + FinalMLPClassifier": final_mlp, "OrdinalEncoder + HistGradientBoosting": boosted_trees}
scores = {name: evaluate(model) for name, model in models.items()}

print(f"\n{'test rows of MovieLens-100K':<40}{'AUC':>8}{'log-loss':>11}{'fit [s]':>10}")
for name, (auc, loss, seconds) in scores.items():
    print(f"{name:<40}{auc:>8.4f}{loss:>11.4f}{seconds:>10.1f}")
