from typing import NamedTuple

import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import LossSurface, loss_surface
from pellucid.errors import DataError
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


def test_functions_that_decide_on_numbers_run_step_by_step():
    def f(w):
        return ops.sum(w**2) if float(ops.sum(w).detach()) > 0 else ops.sum(w**4)

    assert loss_surface(f, [1.0, 1.0]).hessian().tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert loss_surface(f, [-1.0, -1.0]).hessian().tolist() == [[12.0, 0.0], [0.0, 12.0]]
    assert isinstance(loss_surface(f, [1.0, 1.0]), LossSurface)


def test_names_follow_the_nest_and_lists_of_numbers_are_one_parameter():
    def f(p):
        return ops.sum(p["a"][0]) * p["a"][1] + ops.sum(p["b"])

    surface = loss_surface(f, {"b": np.ones(2), "a": (np.ones((1, 2)), np.array(3.0))})
    assert surface.names == ("a[0]", "a[1]", "b")
    assert surface.shapes == ((1, 2), (), (2,))
    assert surface.value() == 8
    np.testing.assert_array_equal(surface.gradient(), [3, 3, 2, 1, 1])
    assert loss_surface(lambda w: ops.sum(w), [[1.0, 2.0], [3.0, 4.0]]).shapes == ((2, 2),)


def test_it_computes_in_float64_even_for_whole_numbers():
    surface = loss_surface(lambda w: ops.sum(w**3) / 3, [1, 2])
    np.testing.assert_array_equal(surface.hessian(), np.diag([2.0, 4.0]))
    assert surface.value(surface.point + 1e-9) > surface.value()


def test_a_function_of_parameters_that_hold_nan_is_refused():
    with pytest.raises(DataError, match=r"loss_surface: the parameters \[2\] hold NaN"):
        loss_surface(lambda w: ops.sum(w), [1.0, np.nan])


def test_what_is_wrong_with_a_function_is_said_at_once():
    def slip(w):
        return w.nothing()

    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nothing'"):
        loss_surface(slip, [1.0])


def test_lists_of_numbers_are_one_parameter_inside_of_a_nest_too():
    surface = loss_surface(
        lambda p: ops.sum(p["a"] ** 2) + ops.sum(p["b"][0]), {"a": [1.0, 2.0], "b": (np.ones((1, 2)), [3.0])}
    )
    assert surface.names == ("a", "b[0]", "b[1]")
    assert surface.shapes == ((2,), (1, 2), (1,))
    np.testing.assert_array_equal(surface.gradient(), [2, 4, 1, 1, 0])


class Line(NamedTuple):
    slope: float
    height: float


def test_a_named_tuple_stays_one():
    surface = loss_surface(lambda line: (line.slope - line.height) ** 2, Line(3.0, 1.0))
    assert surface.names == ("w[0]", "w[1]")
    np.testing.assert_array_equal(surface.gradient(), [4, -4])
