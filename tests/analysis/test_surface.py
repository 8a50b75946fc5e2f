import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.analysis import loss_surface
from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.nn import Dense, Dropout
from pellucid.nn.regularizers import L2

R = np.random.default_rng(0)
X, Y = R.normal(size=(50, 4)), R.integers(0, 3, 50)


def net(loss="categorical_crossentropy", metrics=(), **settings):
    set_seed(0)
    layers = [Dense(5, "tanh", kernel_regularizer=L2(0.02)), Dropout(0.5), Dense(3, "softmax", name="head")]
    model = Sequential([Input((4,)), *layers], **settings)
    model.compile(loss, metrics=metrics)
    return model


def test_vectors_come_apart_by_name_and_go_together_again():
    surface = loss_surface(net(), X, Y)
    parts = surface.split(surface.point)
    np.testing.assert_array_equal(surface.join(parts), surface.point)
    assert surface.place(0) == ("dense.kernel", (0, 0))
    assert surface.place(surface.point.size - 1) == ("head.bias", (2,))
    assert surface.split(np.zeros((7, surface.point.size)))["head.kernel"].shape == (7, 5, 3)


def test_errors_name_what_does_not_fit():
    surface = loss_surface(net(), X, Y)
    with pytest.raises(ShapeError, match=r"the direction has shape \[3\], but there are 43 parameters"):
        surface.hvp(np.ones(3))
    with pytest.raises(DataError, match="the point holds NaN"):
        surface.value(np.full(43, np.nan))
    with pytest.raises(ConfigurationError, match=r"The parameters are \['dense.kernel'"):
        surface.vector("a direction", {"dense.kernel": np.zeros((4, 5))})
    with pytest.raises(ShapeError, match=r'the parameter "head.bias" is \[3\], not \[2\]'):
        surface.vector("a direction", {**surface.split(surface.point), "head.bias": np.zeros(2)})
    with pytest.raises(ConfigurationError, match="The full Hessian of 43 parameters has 1,849 numbers"):
        surface.hessian(limit=40)
    with pytest.raises(ConfigurationError, match="give nothing beside it"):
        loss_surface(surface, X)
    with pytest.raises(ConfigurationError, match=r"\['batch_size'\] are settings of models"):
        loss_surface(lambda w: w, 1.0, batch_size=3)
    with pytest.raises(DataError, match="the parameters must be numbers"):
        loss_surface(lambda w: w, "w")
    with pytest.raises(ShapeError, match="loss_surface: grad: the function's result has shape"):
        loss_surface(lambda w: w, np.ones(2))
