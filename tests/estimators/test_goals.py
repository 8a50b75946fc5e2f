import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pellucid.errors import ConfigurationError
from pellucid.estimators import goals
from pellucid.estimators.labels import Labels
from pellucid.nn import losses


def values(goal, y, outputs, weights=None):
    return goal.values(y, outputs, weights)


def test_the_reported_losses_are_those_of_the_metrics():
    random = np.random.default_rng(0)
    codes, p = random.integers(0, 3, 20), random.dirichlet(np.ones(3), 20)
    w = random.uniform(0.1, 2, 20)
    several = goals.classification(Labels.of(np.array([0, 1, 2])), "log_loss")
    (found,) = values(several, codes.astype(np.int32), p[None], w)
    assert found == pytest.approx(metrics.log_loss(codes, p, sample_weight=w))
    y, positive = random.normal(size=(20, 2)), random.uniform(0.5, 2, (20, 2))
    (found,) = values(goals.regression(2, "squared_error"), y, positive[None], w)
    assert found == pytest.approx(metrics.mean_squared_error(y, positive, sample_weight=w) / 2)
    counts = random.poisson(2, (20, 1)).astype(float)
    (found,) = values(goals.regression(1, "poisson"), counts, positive[None, :, :1])
    assert found == pytest.approx(metrics.mean_poisson_deviance(counts[:, 0], positive[:, 0]) / 2)


def test_several_outputs_for_the_same_targets_at_once():
    goal = goals.regression(1, "mae")
    y = np.array([[1.0], [2.0]])
    assert values(goal, y, np.array([[[1.0], [2.0]], [[2.0], [4.0]]])) == [0.0, 1.5]
    whole_batch = goals.regression(1, lambda y, p: ((y - p) ** 2).mean())
    assert values(whole_batch, y, np.array([[[1.0], [2.0]], [[2.0], [4.0]]])) == [0.0, 2.5]


@given(st.integers(2, 12), st.integers(1, 3), st.booleans(), st.booleans())
def test_r2_is_scikit_learns(n, outputs, weighted, constant):
    random = np.random.default_rng(n)
    y, found = random.normal(size=(n, outputs)), random.normal(size=(n, outputs))
    if constant:
        y[:, 0] = 1.0
    weights = random.uniform(0.1, 1, n) if weighted else None
    expected = metrics.r2_score(y, found, sample_weight=weights)
    assert goals.score_r2(y, found, weights) == pytest.approx(expected, rel=1e-9)
    found[0, 0] = np.nan
    assert np.isnan(goals.score_r2(y, found, weights))


def test_accuracy_counts_a_sample_when_all_its_labels_are_right():
    several = Labels.of(np.array([[0, 1], [1, 1]]))
    encoded, outputs = np.array([[0, 1], [1, 1]]), np.array([[0.1, 0.9], [0.9, 0.1]])
    assert goals.score_accuracy(several, encoded, outputs, None) == 0.5
    three = Labels.of(np.array([0, 1, 2]))
    p = np.array([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8]])
    assert goals.score_accuracy(three, np.array([0, 1]), p, np.array([3.0, 1.0])) == 0.75
    assert np.isnan(goals.score_accuracy(three, np.array([0, 1]), p * np.inf, None))


def test_targets_follow_the_loss():
    labels = Labels.of(np.array([0, 1, 2]))
    codes = np.array([2, 0], np.int32)
    assert goals.class_targets(labels, codes, losses.CategoricalCrossentropy()).tolist() == [2, 0]
    assert goals.class_targets(labels, codes, losses.MeanSquaredError()).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_losses_that_take_no_probabilities_are_refused():
    labels = Labels.of(np.array([0, 1]))
    for loss in ("hinge", "poisson", losses.BinaryCrossentropy(from_logits=True)):
        with pytest.raises(ConfigurationError, match="computed from probabilities"):
            goals.classification(labels, loss)
    with pytest.raises(ConfigurationError, match="did you mean 'squared_error'"):
        goals.regression(1, "squared_eror")
