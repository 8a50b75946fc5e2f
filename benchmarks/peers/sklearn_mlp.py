"""scikit-learn's MLPClassifier: ``fit`` for so many epochs, without regularisation or early end, inputs trusted."""

from __future__ import annotations

import warnings
from functools import partial

import sklearn
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.peers.estimating import fits
from benchmarks.serving import Run, Variants
from benchmarks.work import MOMENTUM, RATES, Estimation, Training, Work


def candidate(work: Work) -> Variants:
    """``MLPClassifier.fit``."""
    if isinstance(work, Estimation):
        return {"fit": lambda: fits(work, neural_network)}
    assert isinstance(work, Training)
    return {"fit": partial(_fit, work)}


def _fit(work: Training) -> Run:
    x, y = work.data()
    hidden = work.net.hidden

    def run(count: int) -> None:
        epochs = count * work.steps if work.whole else count
        model = MLPClassifier(
            tuple(layer.units for layer in hidden),
            activation={"relu": "relu", "sigmoid": "logistic"}[hidden[0].activation],
            solver="adam" if work.optimizer == "adam" else "sgd",
            learning_rate_init=RATES[work.optimizer],
            momentum=MOMENTUM if work.optimizer == "momentum" else 0.0,
            nesterovs_momentum=False,
            alpha=0.0,
            batch_size=work.batch,  # type: ignore[arg-type]
            max_iter=epochs,
            tol=0.0,
            n_iter_no_change=epochs + 1,
            shuffle=not work.whole,
            random_state=0,
        )
        with sklearn.config_context(assume_finite=True), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)

    return run
