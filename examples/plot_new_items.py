"""
New items: what their texts are worth
=====================================

An item that nobody has clicked yet has no embedding, and no click rate. But it has a title, a category, a description:
any text encoder makes a vector of these, and `CTREncoder(vectors=...)` looks it up by the id. Here a tenth of the
films of MovieLens-100K are kept from the model altogether, and the rows about them show what it knows of new films.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k

# %%
# A vector for each film
# ----------------------
#
# The text of a film is its title, its genres and its year. TF-IDF and a singular value decomposition make 32 numbers of
# it; a sentence encoder would do the same, and better. The table is indexed by the id of the film.

movielens = fetch_movielens_100k()
X, y = movielens.data, movielens.target
films = X.drop_duplicates("item").set_index("item")
texts = (
    movielens.titles.loc[films.index].str.replace(r"\(\d{4}\)", "", regex=True)
    + films["genres"].map(
        lambda genres: (
            " " + " ".join(f"genre{genre.replace('-', '')}" for genre in genres)
        )
    )
    + films["release_year"].map(lambda year: f" year{year:.0f} decade{year // 10:.0f}")
)
to_vectors = make_pipeline(TfidfVectorizer(min_df=2), TruncatedSVD(32, random_state=0))
vectors = pd.DataFrame(to_vectors.fit_transform(texts), index=films.index)
vectors.iloc[:3, :5].round(2)

# %%
# Films that the model doesn't know
# ---------------------------------
#
# All rows of a tenth of the films are for the test. What the vectors are made of is no column of the table, so that the
# difference is theirs.

X = X.drop(columns=["genres", "release_year"])
is_new = X["item"].isin(
    np.random.default_rng(0).choice(films.index, len(films) // 10, replace=False)
)


def score(**parameters):
    encoder = CTREncoder(unknown_dropout=0.1, **parameters)
    model = make_pipeline(encoder, FinalMLPClassifier(n_members=1, random_state=0)).fit(
        X[~is_new], y[~is_new]
    )
    return roc_auc_score(y[is_new], model.predict_proba(X[is_new])[:, 1])


# %%
# With and without
# ----------------
#
# In training, each film has click rates, and the network learns to trust them; a new film has none. `unknown_dropout`
# hides those of a tenth of the rows, so that the network learns what to do then. Without it, vectors are worth half as
# much.

scores = pd.Series(
    {"without vectors": score(), "with vectors": score(vectors={"item": vectors})}
)
scores.round(3)

# %%

ax = scores.plot.barh(figsize=(6.4, 1.8), color=["0.7", "C0"])
ax.bar_label(ax.containers[0], fmt="%.3f", padding=4)
ax.set_xlim(0.5, 0.8)
ax.set_xlabel("AUC on rows of new films")
ax.invert_yaxis()
plt.tight_layout()
