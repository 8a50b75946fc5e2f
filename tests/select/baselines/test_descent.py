import numpy as np
import pytest
from tests.select.baselines.problems import bowl, iris, run

from pellucid import Input, Sequential
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Dropout
from pellucid.optim import SGD, Momentum
from pellucid.select import GradientDescent
from pellucid.select.baselines.loss import LossFunction


def test_on_a_bowl_its_losses_are_those_of_the_formula():
    model, x, y = bowl(size=4)
    model.compile("mse", SGD(0.2))
    found = run(GradientDescent(), model, x, y, limit=20)
    factor = 1 - 0.2 * 2 / 4  # w ← w - rate · 2 (w - 3) / 4
    assert found.losses == pytest.approx(9 * factor ** (2 * np.arange(20)), rel=1e-4)
    assert np.allclose(found.best, 3 * (1 - factor**19))
    assert found.gradients.tolist() == list(range(20))
    assert (np.diff(found.seconds) > 0).all()


def test_where_the_loss_rises_again_the_best_weights_are_found_again():
    model, x, y = bowl()
    model.compile("mse", Momentum(0.2, momentum=0.9))
    found = run(GradientDescent(), model, x, y, limit=60)
    best = found.losses.argmin()
    assert 0 < best < 59
    assert LossFunction(model, x, y)(found.best[None])[0] == pytest.approx(found.losses[best], rel=1e-5, abs=1e-9)


def test_a_step_too_many_leaves_the_start_as_the_best():
    model, x, y = bowl()
    model.compile("mse", SGD(8.0))
    found = run(GradientDescent(), model, x, y, limit=5)
    assert found.losses.argmin() == 0
    assert not found.best.any()


def test_two_evaluations_are_the_least():
    found = run(GradientDescent(), *iris(), limit=1)
    assert len(found.losses) == 1
    assert found.gradients.tolist() == [0]


def test_a_loss_that_differs_in_training_is_refused():
    model = Sequential([Input((4,)), Dense(8, activation="relu"), Dropout(0.5), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", "sgd")
    with pytest.raises(ConfigurationError, match=r"in training but .* at inference") as caught:
        run(GradientDescent(), model, *iris()[1:], limit=5)
    assert "without dropout" in caught.value.hint
