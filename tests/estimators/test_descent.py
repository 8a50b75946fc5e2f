import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.estimators.descent import Descent, Samples, training_arrays
from pellucid.estimators.network import Architecture, Network, initial_parameters
from pellucid.nn.losses import MeanSquaredError
from pellucid.optim import SGD


def made(x, y, batch, alpha=0.0, weights=None, rows=None):
    """A linear model from 0, w -> mean (x w - y)^2 + alpha / 2 w^2 / n."""
    architecture = Architecture((x.shape[1], 1), "identity", "identity", 0.0, np.dtype("float64"))
    network = Network(architecture, MeanSquaredError(), 1.0, SGD(), alpha > 0)
    parameters = [0 * p for p in initial_parameters(architecture.units, "identity", np.random, x.dtype)]
    rows = np.arange(len(x)) if rows is None else rows
    samples = Samples.weighed(x, y, weights)
    arrays = training_arrays(network, parameters, [])
    return Descent(network, samples, arrays, rows=rows, batch=batch, alpha=alpha), parameters


def by_hand(x, y, order, batch, rate, alpha, weights):
    """The same in NumPy; the mean loss and penalty of the epoch."""
    w, b, mean = np.zeros((x.shape[1], 1)), np.zeros(1), weights.mean()
    losses = penalties = 0.0
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        own, n = weights[rows, None] / mean, len(rows)
        error = x[rows] @ w + b - y[rows]
        losses += (own * error**2).sum()
        penalties += alpha / 2 * (w**2).sum() / mean
        strength = alpha / (n * mean)
        w, b = w - rate * (2 * x[rows].T @ (own * error) / n + strength * w), b - rate * 2 * (own * error).sum() / n
    return w, b, losses / len(order), penalties / len(order)


@given(st.integers(2, 30), st.integers(1, 30), st.booleans(), st.sampled_from([0.0, 3.0]))
def test_an_epoch_is_the_one_by_hand(n, batch, weighted, alpha):
    random = np.random.default_rng(n * 31 + batch)
    x, y = random.normal(size=(n, 3)), random.normal(size=(n, 1))
    weights = random.uniform(0.5, 2, n) if weighted else np.ones(n)
    batch, order = min(batch, n), random.permutation(n)
    descent, (w, b) = made(x, y, batch, alpha, weights if weighted else None)
    block = descent.block(order[None], np.full((1, descent.steps), 0.05), 0)
    block.advance(1)
    loss, penalty = block.losses()
    expected = by_hand(x, y, order, batch, 0.05, alpha, weights)
    for found, wanted in zip((w, b, loss[0], penalty[0]), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_some_epochs_at_once_or_one_by_one_are_the_same_bits():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(23, 4)), random.normal(size=(23, 1))
    orders, found = np.stack([random.permutation(23) for _ in range(6)]), []
    for portions in ((6,), (1,) * 6, (2, 4)):
        descent, (w, _) = made(x, y, 5, alpha=0.1)
        block = descent.block(orders, np.full((6, descent.steps), 0.01), 0)
        for epochs in portions:
            block.advance(epochs)
        found.append((w.tobytes(), block.losses()[0].tobytes()))
    assert found[0] == found[1] == found[2]


def test_each_update_has_a_rate_of_its_own():
    x, y = np.ones((2, 1)), np.ones((2, 1))
    descent, (w, b) = made(x, y, 1)
    block = descent.block(np.array([[0, 1]]), np.array([[0.25, 0.0]]), 0)
    block.advance(1)
    assert (w[0, 0], b[0]) == (0.5, 0.5)
    assert block.losses()[0][0] == pytest.approx(0.5)  # 1 before the update, 0 after it


def test_only_its_rows_are_seen():
    x, y = np.array([[1.0], [np.nan], [1.0]]), np.array([[1.0], [np.nan], [1.0]])
    descent, (w, _) = made(x, y, 2, rows=np.array([0, 2]))
    block = descent.block(np.array([[2, 0]]), np.full((1, 1), 0.25), 0)
    block.advance(1)
    assert w[0, 0] == 0.5


def test_a_block_is_short_where_an_epoch_is_long():
    descent, _ = made(np.zeros((10, 2)), np.zeros((10, 1)), 10)
    assert descent.affordable > 1000
    long, _ = made(np.zeros((30_000, 200)), np.zeros((30_000, 1)), 100)
    assert 1 <= long.affordable < 100
