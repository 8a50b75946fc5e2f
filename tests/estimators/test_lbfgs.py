from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.exceptions import ConvergenceWarning

from pellucid.estimators.descent import Samples
from pellucid.estimators.lbfgs import Surface, minimise
from pellucid.estimators.listening import Listeners
from pellucid.estimators.network import Architecture, Network, initial_parameters
from pellucid.estimators.solvers import KeepGradient
from pellucid.nn.losses import CategoricalCrossentropy, MeanSquaredError

NOBODY = Listeners("nobody", (), None, ())


def sum_of(loss, penalty):
    """The loss that callbacks would be told."""
    return loss + penalty


def surface(x, y, loss, units, alpha, weights=None, out="softmax"):
    architecture = Architecture(units, "tanh", out, 0.0, np.dtype("float64"))
    network = Network(architecture, loss, 1.0, KeepGradient(), alpha > 0)
    parameters = initial_parameters(units, "tanh", np.random.RandomState(0), np.dtype("float64"))
    return Surface(network, Samples.weighed(x, y, weights), parameters, alpha, 0), parameters


def test_the_gradient_is_that_of_differences():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 3)), random.integers(0, 3, 12).astype(np.int32)
    weights = random.uniform(0.5, 2, 12)
    f, parameters = surface(x, y, CategoricalCrossentropy(), (3, 5, 3), alpha=2.0, weights=weights)
    point = random.normal(size=sum(p.size for p in parameters))
    assert check_grad(lambda w: f(w)[0], lambda w: f(w)[1], point) < 1e-6


def test_the_minimum_of_least_squares_is_found():
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 3))
    y = x @ [[1.0], [-2.0], [0.5]] + 4.0
    f, parameters = surface(x, y, MeanSquaredError(), (3, 1), alpha=0.0, out="identity")
    estimator = SimpleNamespace(max_fun=1000, max_iter=100, tol=1e-9, verbose=False)
    loss, penalty = minimise(estimator, f, [p.copy() for p in parameters], NOBODY, sum_of)
    np.testing.assert_allclose(parameters[0][:, 0], [1.0, -2.0, 0.5], atol=1e-5)
    assert loss == pytest.approx(0, abs=1e-9)
    assert penalty == 0
    assert 1 < estimator.n_iter_ < 30


def test_an_end_before_the_minimum_is_said(capsys):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 3)), random.integers(0, 2, 40).astype(np.int32)
    f, parameters = surface(x, y, CategoricalCrossentropy(), (3, 4, 2), alpha=0.0)
    estimator = SimpleNamespace(max_fun=1000, max_iter=2, tol=1e-9, verbose=True)
    with pytest.warns(ConvergenceWarning, match="raise max_iter or max_fun"):
        minimise(estimator, f, [p.copy() for p in parameters], NOBODY, sum_of)
    assert capsys.readouterr().out.startswith("L-BFGS: 2 iterations")
