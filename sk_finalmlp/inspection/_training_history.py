"""The epochs of a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from ._model import classifier_of
from ._panels import Display, check_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {"train_loss": "training", "valid_loss": "validation", "valid_auc": "validation"}


class TrainingHistoryDisplay(Display):
    """Losses and validation score per epoch, with the best epoch and the falls of the learning rate.

    The falls are marked where the rate waits for them, as in trainings with `schedule="plateau"`; by "one_cycle" it is
    another in each epoch.

    Make it by :meth:`from_estimator`; the parameters are kept as attributes.

    Parameters
    ----------
    history : iterable of dict
        One record per epoch, such as `FinalMLPClassifier.history_`.
    best_epoch : int, default=None
        The epoch, from 1, of the best score; not marked if None.

    Attributes
    ----------
    axes_ : list of Axes
        The panels: losses and, where there were validation rows, their AUC.
    figure_ : Figure
        The figure that holds them.

    Notes
    -----
    The training loss is the mean over an epoch's batches, each before its step and with dropout; the validation loss
    is taken after the epoch, without dropout. So the training loss may lie above the validation loss, which says
    nothing. Where it goes on falling while the validation loss rises, the network overfits:
    more `embedding_regularizer` or dropout, or a lower `embedding_dim`, may help. Both losses are without penalties.

    Examples
    --------
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.inspection import TrainingHistoryDisplay
    >>> X, y, _ = make_click_data(2000, random_state=0)
    >>> clf = FinalMLPClassifier(max_epochs=3, random_state=0).fit(
    ...     CTREncoder().fit_transform(X, y), y
    ... )
    >>> display = TrainingHistoryDisplay.from_estimator(clf)
    >>> list(display.history)
    ['train_loss', 'valid_loss', 'valid_auc', 'learning_rate', 'seconds', 'method']
    """

    def __init__(self, history: Iterable[Mapping[str, Any]], *, best_epoch: int | None = None) -> None:
        self.history = pd.DataFrame(list(history)).set_index("epoch")
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the training of a fitted model.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier of this library, a pipeline that ends in one, or a search that found one.
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`plot`.

        Returns
        -------
        TrainingHistoryDisplay

        Raises
        ------
        ImportError
            If matplotlib isn't installed.
        TypeError
            If there is no classifier of this library in `estimator`.
        NotFittedError
            If it isn't fitted.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        classifier = classifier_of(estimator, of_several_labels=True)
        return cls(classifier.history_, best_epoch=classifier.best_epoch_).plot(ax=ax)

    @property
    def learning_rate_falls(self) -> list[int]:
        """Epochs with a lower learning rate than the epoch before them."""
        rates = self.history["learning_rate"]
        return rates.index[rates.diff() < 0].tolist()

    def _draw(self, ax: Any) -> None:
        names = [["train_loss", "valid_loss"], ["valid_auc"]] if "valid_loss" in self.history else [["train_loss"]]
        self._make_panels(ax, (len(names), 1), (6.4, 2.4 + 1.8 * len(names)), sharex=True)
        for panel, lines, what in zip(self.axes_, names, ("log-loss", "AUC"), strict=False):
            self._draw_lines(panel, lines, what)
        self.axes_[0].legend()
        self.axes_[-1].set_xlabel("epoch")

    def _marked_falls(self) -> list[int]:
        """The falls, unless the rate is another in each epoch, as in one cycle, where they tell nothing."""
        has_waited = (self.history["learning_rate"].diff() == 0).any()
        return self.learning_rate_falls if has_waited else []

    def _draw_lines(self, panel: Axes, names: list[str], what: str) -> None:
        for name in names:
            color = "C0" if name == "train_loss" else "C1"
            panel.plot(self.history.index, self.history[name], ".-", color=color, label=_LABELS[name])
        for number, epoch in enumerate(self._marked_falls()):
            label = "lower learning rate" if number == 0 else None
            panel.axvline(epoch - 0.5, color="0.6", linestyle=":", label=label)
        if self.best_epoch is not None:
            best = self.history[names[-1]].loc[[self.best_epoch]]
            label = f"best epoch: {self.best_epoch}"
            panel.plot(best, "o", markersize=11, markerfacecolor="none", markeredgecolor="C3", label=label)
        panel.set_ylabel(what)
        panel.locator_params(axis="x", integer=True)
