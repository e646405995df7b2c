"""
Embeddings as features: a map of films
======================================

To predict clicks, the network learns a vector for each user and each item: its embedding. These vectors are useful
beyond the network. Items with similar vectors are liked by the same people, and the vectors are features for any other
model. :func:`~sk_finalmlp.inspection.embeddings` gives them as a table.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.inspection import embeddings

# %%
# Learn the vectors
# -----------------
#
# The network sees only the ids of MovieLens-100K: all it knows of a film is who liked it. A penalty a little weaker
# than the default leaves more in the vectors of films with few ratings. The two networks of the ensemble have ten
# numbers each for a film, which are concatenated.

movielens = fetch_movielens_100k()
X, y = movielens.data, movielens.target


def make_model():
    return make_pipeline(
        CTREncoder(statistics=None),
        FinalMLPClassifier(
            embedding_regularizer=0.1, final_epoch=False, random_state=0
        ),
    )


films = embeddings(make_model().fit(X[["user", "item"]], y), "item")
print(films.shape)
films.iloc[:3, :5].round(3)

# %%
# A map
# -----
#
# The two directions in which the vectors of well-known films differ most, their principal components, have a meaning.
# The first is how much a film is liked. The second is taste: films for everybody at the bottom, black humour at the
# top.

id_of = pd.Series(movielens.titles.index, index=movielens.titles)
n_ratings, click_rate = X["item"].value_counts(), y.groupby(X["item"]).mean()
known = films[n_ratings[films.index] >= 100]
places = pd.DataFrame(PCA().fit_transform(known), index=known.index)
# A principal component has no sign of its own: good films to the right, black humour above.
places[0] *= np.sign(places[0].corr(click_rate))
places[1] *= np.sign(places.loc[id_of["Clockwork Orange, A (1971)"], 1])

LABELLED = [
    "Star Wars (1977)",
    "Titanic (1997)",
    "Forrest Gump (1994)",
    "Vertigo (1958)",
    "Pulp Fiction (1994)",
    "Clockwork Orange, A (1971)",
    "Natural Born Killers (1994)",
    "Mars Attacks! (1996)",
    "Lion King, The (1994)",
    "Dante's Peak (1997)",
    "Twister (1996)",
    "Citizen Kane (1941)",
    "Mrs. Doubtfire (1993)",
]
figure, ax = plt.subplots(figsize=(9, 6), layout="constrained")
points = ax.scatter(
    places[0], places[1], c=click_rate[places.index], cmap="viridis", s=25
)
for title in LABELLED:
    ax.annotate(
        title[:-7],
        places.loc[id_of[title], [0, 1]],
        (5, 4),
        textcoords="offset points",
        fontsize=9,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )
figure.colorbar(points, label="share of ratings of 4 and 5 stars")
_ = ax.set(
    title="Films with 100 ratings or more, by their embeddings",
    xlabel="first principal component: liked more to the right",
    ylabel="second principal component: taste",
    xticks=[],
    yticks=[],
)

# %%
# Neighbours
# ----------
#
# The cosine of two vectors says how similar two films are. Without the first direction, how much a film is liked no
# longer counts, and only taste is left.

taste = places.drop(columns=0)
taste = taste.div(np.linalg.norm(taste, axis=1), axis=0)


def neighbours(title, n=4):
    """Cosines and titles of the most similar films."""
    item = id_of[title]
    similarity = (taste @ taste.loc[item]).drop(item).nlargest(n)
    return [
        f"{x:.2f} {movielens.titles[other][:-7]}" for other, x in similarity.items()
    ]


for title in [
    "Star Wars (1977)",
    "Raiders of the Lost Ark (1981)",
    "Pulp Fiction (1994)",
    "Lion King, The (1994)",
]:
    print(title[:-7], *neighbours(title), sep="\n  ")

# %%
# Features of another model
# -------------------------
#
# Boosted trees learn little from an id: its number says nothing. With the vectors of user and film they do as well as
# the network.
#
# The network learns from three fifths of the ratings, the trees from another fifth: the vectors contain the labels of
# the rows that the network has seen, and trees trained on these would trust the vectors too much.

X_first, X_rest, y_first, y_rest = train_test_split(
    X, y, train_size=0.6, random_state=0
)
X_second, X_test, y_second, y_test = train_test_split(
    X_rest, y_rest, test_size=0.5, random_state=0
)
model = make_model().fit(X_first[["user", "item"]], y_first)
vectors_of_users = embeddings(model, "user")
vectors_of_films = embeddings(model, "item")


def describe(X):
    """Numbers about user and film."""
    return X[["user", "item", "age", "release_year"]].assign(
        is_female=X["gender"] == "F"
    )


def describe_with_vectors(X):
    """The same, and the vectors; where user or film is new, they are missing."""
    return (
        describe(X).join(vectors_of_users, on="user").join(vectors_of_films, on="item")
    )


def test_auc(features):
    trees = HistGradientBoostingClassifier(random_state=0).fit(
        features(X_second), y_second
    )
    return roc_auc_score(y_test, trees.predict_proba(features(X_test))[:, 1])


aucs = {
    "trees on plain columns": test_auc(describe),
    "trees with vectors": test_auc(describe_with_vectors),
    "the network itself": roc_auc_score(
        y_test, model.predict_proba(X_test[["user", "item"]])[:, 1]
    ),
}
figure, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
bars = ax.barh(
    list(aucs), list(aucs.values()), color=["tab:gray", "tab:green", "tab:blue"]
)
ax.bar_label(bars, fmt="%.3f", padding=4)
ax.set(xlim=(0.5, 0.83), xlabel="AUC on test rows")
ax.invert_yaxis()
print(pd.Series(aucs).round(4).to_string())
