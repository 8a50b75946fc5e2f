"""How many epochs are trained at once, and that nothing more is trained than scikit-learn would train."""

import numpy as np
import pytest

from pellucid.estimators import MLPClassifier
from pellucid.estimators.descent import Block

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def calls(monkeypatch):
    """The epochs of every native call."""
    seen, advance = [], Block.advance

    def counted(self, epochs):
        seen.append(epochs)
        advance(self, epochs)

    monkeypatch.setattr(Block, "advance", counted)
    return seen


def test_as_many_epochs_at_once_as_must_be_trained_anyhow(data, calls):
    x, y = data["iris"]
    found = MLPClassifier(max_iter=100, tol=0.0, n_iter_no_change=24, random_state=0).fit(x, y)
    assert calls == [25, 25, 25, 25]
    assert found.n_iter_ == 100


def test_training_ends_with_the_very_epoch_that_the_rule_names(data, calls):
    x, y = data["iris"]
    found = MLPClassifier(tol=0.05, n_iter_no_change=5, max_iter=500, random_state=0).fit(x, y)
    assert sum(calls) == found.n_iter_ < 500
    best, stood, ends = np.inf, 0, []
    for loss in found.loss_curve_:
        stood = stood + 1 if loss > best - 0.05 else 0
        best = min(best, loss)
        ends.append(stood > 5)
    assert ends.index(True) == len(ends) - 1


def test_with_early_stopping_every_epoch_is_looked_at(data, calls):
    found = MLPClassifier(max_iter=9, early_stopping=True, random_state=0).fit(*data["iris"])
    assert calls == [1] * 9
    assert len(found.validation_scores_) == 9


def test_long_epochs_are_trained_one_by_one(data, calls, monkeypatch):
    from pellucid.estimators.descent import Descent

    x, y = data["iris"]
    quick = MLPClassifier(max_iter=4, random_state=0).fit(x, y)
    monkeypatch.setattr(Descent, "affordable", 1)
    slow = MLPClassifier(max_iter=4, random_state=0).fit(x, y)
    assert calls == [4, 1, 1, 1, 1]
    assert slow.loss_curve_ == quick.loss_curve_
