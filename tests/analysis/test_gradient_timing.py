import numpy as np
import pytest

from pellucid import Input, Sequential, data, ops
from pellucid.analysis import time_gradients
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense


def two_mlp():
    model = Sequential([Input((4,)), Dense(2, "sigmoid"), Dense(3, "softmax")])
    model.compile("categorical_crossentropy")
    return model


@pytest.mark.parametrize("compiled", [True, False])
def test_numerical_gradients_of_the_decks_two_mlp_take_several_times_longer(compiled):
    iris = data.load("iris").standardized()
    timing = time_gradients(two_mlp(), *iris.train, compiled=compiled, repeats=3)
    assert timing.parameters == 19
    assert timing.ratio > 4  # 10 in the deck; 7 to 12 step by step and 31 to 37 compiled, as measured here
    assert timing.difference < 1e-6
    assert "19 parameters: numerical" in str(timing)


def test_the_ratio_grows_with_the_number_of_parameters():
    few, many = (time_gradients(lambda w: ops.sum(ops.tanh(w) ** 2), np.ones(n), repeats=3).ratio for n in (4, 64))
    assert many > 3 * few


def test_only_models_have_a_form_that_is_not_compiled():
    with pytest.raises(ConfigurationError, match="compiled=False is for models"):
        time_gradients(lambda w: w, 1.0, compiled=False)
