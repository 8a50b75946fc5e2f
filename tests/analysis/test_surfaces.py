import numpy as np
import pytest

from pellucid import Input, Sequential, ops
from pellucid.analysis import Curvature, critical_point, loss_surface, taylor_check
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense


def test_one_surface_serves_every_function():
    surface = loss_surface(lambda w: ops.sum(w**2), [1.0, 2.0])
    assert loss_surface(surface) is surface
    assert Curvature(surface).surface is surface
    assert critical_point(surface).loss == 5
    assert taylor_check(surface).passed


def test_a_function_needs_one_argument_and_a_model_two():
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("mse")
    for target, at, text in (
        (model, (), "a model needs data x and y, but was given 0 arguments"),
        (np.sum, (), "a function needs its parameters w, but was given 0 arguments"),
        (np.sum, (1, 2), "a function needs its parameters w, but was given 2 arguments"),
        ("loss", (1,), "takes a model or a function of its parameters, not 'loss'"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            loss_surface(target, *at)
