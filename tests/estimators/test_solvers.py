from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

from pellucid import Tensor
from pellucid.estimators.solvers import KeepGradient, PaperAdam, Rates, optimizer_of
from pellucid.optim import SGD, Adadelta, StepDecay

PARAMETERS = {
    "solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.9, "nesterovs_momentum": True, "beta_1": 0.9,
    "beta_2": 0.999, "epsilon": 1e-8,
}  # fmt: skip


def test_adam_compares_epsilon_with_the_root_as_it_is():
    random = np.random.default_rng(0)
    ours, theirs = Tensor(random.normal(size=5), requires_grad=True), random.normal(size=5)
    theirs = ours.numpy().copy()
    own, other = PaperAdam(0.1, epsilon=0.5), AdamOptimizer([theirs], 0.1, epsilon=0.5)
    for _ in range(5):
        g = random.normal(size=5)
        own.apply([ours], [g])
        other.update_params([theirs], [g])
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12)


def test_a_gradient_is_kept_and_nothing_changes():
    w = Tensor([1.0, 2.0], requires_grad=True)
    optimizer = KeepGradient()
    optimizer.apply([w], [np.array([3.0, 4.0], "float32")])
    assert w.tolist() == [1, 2]
    assert optimizer.slots_of(w)["g"].tolist() == [3, 4]


def test_optimisers_of_solvers():
    def of(**changed):
        return optimizer_of(SimpleNamespace(**(PARAMETERS | changed)))

    assert of().config()["nesterov"]
    assert not of(momentum=0.0).config()["nesterov"]
    assert of(solver="adam", beta_1=0.5).beta_1 == 0.5
    by_name = of(solver="AdaDelta")
    assert isinstance(by_name, Adadelta)
    assert by_name.learning_rate == 0.1
    given = SGD(0.3)
    assert of(solver=given) is not given
    assert of(solver=given).learning_rate == 0.3


def test_constant_rates_are_those_of_the_optimiser():
    rates = Rates(SGD(StepDecay(1.0, factor=0.5, every=2)), "constant", 0.5)
    np.testing.assert_allclose(rates.of(1, 2, 2, 0, 10), [[1.0, 0.5], [0.5, 0.25]])
    assert rates.stands_still()


def test_rates_that_fall_with_the_samples_seen():
    rates = Rates(SGD(0.4), "invscaling", 0.5)
    first = rates.of(0, 1, 2, 0, 3)
    np.testing.assert_allclose(first, [[0.4], [0.4 / 2]])
    np.testing.assert_allclose(rates.of(2, 1, 1, 6, 3), [[0.4 / np.sqrt(7)]])
    assert rates.present == pytest.approx(0.4 / np.sqrt(10))


def test_an_adaptive_rate_ends_when_it_is_small():
    rates = Rates(SGD(1e-5), "adaptive", 0.5, present=6e-6)
    assert not rates.stands_still()
    assert rates.of(0, 3, 1, 0, 9).tolist() == [[1.2e-6] * 3]
    assert not rates.stands_still()
    assert rates.stands_still()
