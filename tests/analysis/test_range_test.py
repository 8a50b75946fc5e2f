import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Sequential, data
from pellucid.analysis import LearningRateRange, learning_rate_range
from pellucid.analysis.range_test import smoothed
from pellucid.errors import ConfigurationError, NotBuiltError
from pellucid.nn import Dense
from pellucid.optim import SGD, Adam


def quadratic(curvature):
    """One weight w on inputs of one size, from 0 to the target 1: the loss is (w s - 1)^2 with s^2 = curvature / 2."""
    size = math.sqrt(curvature / 2)
    model = Sequential([Input((1,)), Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile("mse", SGD(0.5))
    return model, np.full((8, 1), size, np.float32), np.ones(8, np.float32)


@pytest.mark.parametrize("curvature", [0.5, 2.0, 50.0])
def test_descent_on_a_quadratic_is_lost_beyond_two_over_its_curvature(curvature):
    found = learning_rate_range(*quadratic(curvature), low=1e-4 / curvature, high=1e3 / curvature)
    assert found.learns
    # Descent diverges from 2 / curvature on; the loss, 0 by then, takes some updates to show it.
    assert 2 < found.best * curvature < found.limit * curvature < 50
    assert 0.1 < found.suggested * curvature < 2


def digits_model(optimizer):
    digits = data.load("digits").flat()
    model = Sequential([Input((64,)), Dense(32, activation="relu"), Dense(10, activation="softmax")])
    model.compile("categorical_crossentropy", optimizer, ["accuracy"])
    return model.clone(0), digits


@pytest.mark.parametrize("optimizer", [SGD(1e-5), Adam(1e-5)])
def test_the_suggested_rate_trains_the_digits(optimizer):
    model, digits = digits_model(optimizer)
    found = learning_rate_range(model, *digits.train)
    model.optimizer.learning_rate = found.suggested
    model.fit(*digits.train, epochs=10, seed=0, verbose=0)
    assert model.evaluate(*digits.test)[1] > 0.93


def test_the_model_is_not_changed_and_the_same_seed_gives_the_same_losses():
    model, digits = digits_model(SGD(0.1))
    before = model.get_weights()
    first, again = (learning_rate_range(model, *digits.train, seed=3) for _ in range(2))
    assert np.array_equal(first.losses, again.losses)
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())
    assert (model.optimizer.learning_rate, model.history, first.current) == (0.1, None, 0.1)


def test_the_rates_grow_geometrically_between_the_bounds():
    model, digits = digits_model(Adam(0.001))
    found = learning_rate_range(model, *digits.train, low=1e-5, high=1e-3, steps=50)
    assert not found.diverged
    assert found.limit == math.inf
    assert found.rates == pytest.approx(np.geomspace(1e-5, 1e-3, 50))


def test_where_nothing_can_be_learned_no_rate_is_suggested():
    model, digits = digits_model(SGD(0.1))
    model.get_layer("dense").trainable = model.get_layer("dense_1").trainable = False
    found = learning_rate_range(model, *digits.train)
    assert found.suggested is None
    assert repr(found) == "LearningRateRange(the loss falls at no learning rate)"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_the_smoothed_losses_lie_between_the_smallest_and_the_largest(losses):
    smooth = smoothed(losses)
    assert smooth[0] == pytest.approx(losses[0])
    assert min(losses) - 1e-9 <= smooth.min()
    assert smooth.max() <= max(losses) + 1e-9


def test_the_picture_has_both_rates():
    model, digits = digits_model(SGD(0.1))
    ax = learning_rate_range(model, *digits.train).plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:2] == ["loss of each batch", "smoothed"]
    assert labels[2].startswith("suggested: ")
    assert labels[3] == "the model's: 0.1"
    assert ax.get_xscale() == "log"
    same = LearningRateRange(np.geomspace(1e-3, 1, 20), np.linspace(2, 1, 20), False, 0.1).plot(ax)
    assert same is ax


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 1.0, "high": 0.1}, "learning_rate_range: low must be smaller than high, but 1 is not below 0.1."),
        ({"steps": 5}, "learning_rate_range: steps must be a whole number of at least 10, not 5."),
        ({"low": 0.0}, "learning_rate_range: low must be a finite number above 0, not 0.0."),
    ],
)
def test_a_range_that_is_none_is_refused(settings, message):
    model, digits = digits_model(SGD(0.1))
    with pytest.raises(ConfigurationError) as error:
        learning_rate_range(model, *digits.train, **settings)
    assert error.value.message == message


def test_a_model_that_is_not_compiled_is_refused():
    with pytest.raises(NotBuiltError, match="is not compiled"):
        learning_rate_range(Sequential([Dense(1)]), np.ones((4, 2)), np.ones(4))


def test_nine_tenths_of_the_smoothed_loss_are_the_past():
    assert smoothed([1.0, 0.0, 0.0])[1:] == pytest.approx([0.09 / 0.19, 0.081 / 0.271])


def test_it_ends_as_soon_as_the_smoothed_loss_is_four_times_its_smallest():
    r = np.random.default_rng(0)
    x = r.normal(size=(64, 3))
    y = x @ np.ones((3, 1)) + r.normal(size=(64, 1))  # with noise, so that the smallest loss is not nearly 0
    model = Sequential([Input((3,)), Dense(1, kernel_initializer="zeros")])
    model.compile("mse", SGD())
    found = learning_rate_range(model, x, y, low=1e-2, high=3.0, batch_size=64)
    smooth = found.smooth
    assert found.diverged
    assert smooth[-1] > 4 * smooth.min() > 0
    assert smooth[-2] <= 4 * smooth[:-1].min()


@pytest.mark.parametrize(("lowest", "learns"), [(0.97, False), (0.9, True)])
def test_a_loss_that_falls_by_less_than_a_twentieth_says_nothing(lowest, learns):
    losses = np.concatenate([np.ones(20), np.linspace(1, lowest, 40), np.full(40, lowest)])
    found = LearningRateRange(np.geomspace(1e-6, 1, 100), losses, False, 0.01)
    assert found.learns is learns
    assert (found.suggested is not None) == learns
