"""
A network of your own from the parts
====================================

FinalMLP is put together from parts: an embedding, streams, gates, a fusion. In ``sk_finalmlp.nn`` each of them is a
plain torch module, for networks that nobody has thought of yet. This example builds one with two towers, of which the
first reads what is known of the user and the second what is known of the item, and tries three ways to fuse them.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from skorch import NeuralNetBinaryClassifier
from skorch.callbacks import EarlyStopping
from torch import nn

from sk_finalmlp import CTREncoder
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.nn import (
    FieldEmbedding,
    FieldSelection,
    Gate,
    MultiHeadBilinearFusion,
    Stream,
)
from sk_finalmlp.schema import by_kind, column_names

# %%
# From the table to tensors
# -------------------------
#
# :class:`~sk_finalmlp.CTREncoder` says in ``fields_`` what its columns are. The parts take a batch as two matrices: the
# codes, those of multi-valued fields last, and the values.

X, y, _ = make_click_data(
    40_000, n_users=500, n_items=200, click_rate=0.3, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
encoder = CTREncoder(statistics=None).fit(X_train, y_train)


def tensors(X):
    fields = by_kind(encoder.fields_)
    encoded = encoder.transform(X)
    codes = column_names(field for field in fields if field.has_codes)
    values = column_names(field for field in fields if not field.has_codes)
    return {
        "codes": torch.from_numpy(encoded[codes].to_numpy()),
        "values": torch.from_numpy(encoded[values].to_numpy()),
    }


batch = tensors(X_train)
print({name: tuple(matrix.shape) for name, matrix in batch.items()})

# %%
# Three fusions
# -------------
#
# A fusion is any module that makes a logit of the outputs of both towers. The sum is that of DualMLP, the bilinear form
# that of FinalMLP. In the third, which is new, the item decides by a gate what of the user counts.

WIDTH = 64


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2 * WIDTH, 1)

    def forward(self, user, item):
        return self.linear(torch.cat([user, item], dim=1))


class GatedByTheOther(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate(context_dim=WIDTH, n_features=WIDTH, hidden_units=[WIDTH])
        self.linear = nn.Linear(WIDTH, 1)

    def forward(self, user, item):
        return self.linear(user * self.gate(item))


def bilinear():
    return MultiHeadBilinearFusion(WIDTH, WIDTH, num_heads=4)


# %%
# The network
# -----------
#
# What remains is to plug the parts together. The context of the impression belongs to both towers.

CONTEXT = [
    "context_0",
    "context_1",
    "numeric_0",
    "numeric_1",
    "time_hour",
    "time_weekday",
]


class TwoTowers(nn.Module):
    def __init__(self, fusion, fields=encoder.fields_, embedding_dim=10):
        super().__init__()
        self.embedding = FieldEmbedding(fields, embedding_dim)
        self.of_user = FieldSelection(
            fields, embedding_dim, ["user", "segment", *CONTEXT]
        )
        self.of_item = FieldSelection(
            fields, embedding_dim, ["item", "category", "tags", *CONTEXT]
        )
        self.user_tower = Stream(
            self.of_user.n_features, [WIDTH], dropout=0.2, batch_norm=True
        )
        self.item_tower = Stream(
            self.of_item.n_features, [WIDTH], dropout=0.2, batch_norm=True
        )
        self.fusion = fusion()

    def forward(self, codes, values):
        e = self.embedding.features(codes, values)
        return self.fusion(
            self.user_tower(self.of_user(e)), self.item_tower(self.of_item(e))
        )


# %%
# The training
# ------------
#
# skorch makes a classifier of any torch module. Embeddings need a strong penalty, as in the paper: with it, the
# training can go on until the held-out fifth of the rows says that it is enough.


def train(fusion):
    torch.manual_seed(0)
    net = NeuralNetBinaryClassifier(
        TwoTowers,
        module__fusion=fusion,
        optimizer=torch.optim.Adam,
        optimizer__param_groups=[("embedding.*", {"weight_decay": 0.2})],
        lr=2e-3,
        batch_size=256,
        iterator_train__shuffle=True,
        max_epochs=15,
        callbacks=[EarlyStopping(patience=3, load_best=True)],
        verbose=0,
    )
    return net.fit(batch, y_train.to_numpy(np.float32))


nets = {
    "sum": train(Sum),
    "gated by the other": train(GatedByTheOther),
    "bilinear": train(bilinear),
}

# %%
# The comparison
# --------------
#
# Each curve is the log-loss of the held-out rows after each epoch. If all that joins user and item is a sum, their
# interactions are beyond the network, however wide its towers are. A product of both, by a gate or a bilinear form,
# finds some of them. The gate and the bilinear form are too close to choose between by one training each: other seeds
# would tell.

test_batch = tensors(X_test)
auc = pd.Series(
    {
        name: roc_auc_score(y_test, net.predict_proba(test_batch)[:, 1])
        for name, net in nets.items()
    }
)
print(auc.round(4).to_string())

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), width_ratios=(3, 2), layout="constrained"
)
for name, net in nets.items():
    left.plot(net.history[:, "epoch"], net.history[:, "valid_loss"], "o-", label=name)
left.set(xlabel="epoch", ylabel="log-loss of held-out rows")
left.legend()
bars = right.barh(auc.index, auc, color=["tab:blue", "tab:orange", "tab:green"])
right.bar_label(bars, fmt="%.3f", padding=3)
right.set(xlabel="AUC on test rows", xlim=(0.5, auc.max() + 0.06))
right.invert_yaxis()
