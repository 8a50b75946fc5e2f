import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import TaylorCheck, taylor_check
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense

R = np.random.default_rng(0)


def test_the_error_of_a_networks_second_order_model_is_of_third_order():
    set_seed(0)
    model = Sequential([Input((3,)), Dense(5, "tanh"), Dense(2, "softmax")])
    model.compile("categorical_crossentropy")
    check = taylor_check(model, R.normal(size=(30, 3)), R.integers(0, 2, 30))
    assert check.passed
    np.testing.assert_allclose(check.orders, 3, atol=0.15)
    assert check.true.shape == check.predicted.shape == check.errors.shape == (3, len(check.steps))


def test_a_quadratic_is_its_own_model():
    check = taylor_check(lambda w: ops.sum(w**2) + 3 * w[0], [1.0, 2.0])
    assert check.passed
    assert check.errors.max() < 1e-13


def test_a_wrong_gradient_shows_in_the_order():
    right = taylor_check(lambda w: ops.sum(ops.exp(w)), [0.1, 0.2])
    wrong = taylor_check(lambda w: ops.sum(w * ops.stop_gradient(w)), [0.1, 0.2])
    assert right.passed
    assert not wrong.passed
    np.testing.assert_allclose(wrong.orders, 1, atol=0.2)


def test_directions_and_steps_can_be_given():
    check = taylor_check(lambda w: ops.sum(w**3), [1.0, 2.0], directions=[[1.0, 0.0]], steps=[0.1, 0.01, 0.2])
    assert check.steps.tolist() == [0.01, 0.1, 0.2]
    np.testing.assert_allclose(check.slopes, [3])
    np.testing.assert_allclose(check.curvatures, [6])
    np.testing.assert_allclose(check.errors, [[1e-6, 1e-3, 8e-3]], rtol=1e-6)


def test_arguments_are_checked():
    with pytest.raises(DataError, match="steps must be three or more"):
        taylor_check(lambda w: ops.sum(w), [1.0], steps=[0.1])
    with pytest.raises(ConfigurationError, match="a direction is 0 everywhere"):
        taylor_check(lambda w: ops.sum(w), [1.0], directions=[[0.0]])


def test_the_plot_names_the_order_of_each_direction():
    ax = taylor_check(lambda w: ops.sum(ops.exp(w)), [0.1, 0.2], directions=2).plot()
    labels = ax.get_legend_handles_labels()[1]
    assert labels[:2] == ["direction 1: order 3.00", "direction 2: order 3.00"]


@pytest.mark.parametrize("scale", [1.0, 1e8, 1e-8])
def test_a_quadratic_loss_passes_where_it_is_0(scale):
    found = taylor_check(lambda w: scale * (w[0] ** 2 - 3 * w[1] ** 2 + w[0] * w[1]), [0.0, 0.0])
    assert found.passed
    assert "gradient and Hessian belong to the loss" in str(found)


def test_a_kink_is_told():
    found = taylor_check(lambda w: ops.abs(w[0]) + w[1] ** 2, [0.0, 0.0])
    assert not found.passed
    np.testing.assert_allclose(found.orders, 1.0, atol=0.01)
    assert "do NOT belong" in str(found)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_second_derivatives_that_are_no_numbers_do_not_pass():
    found = taylor_check(lambda w: ops.sum((w**2 + 1e-300) ** 0.5), [0.0, 0.0])
    assert not found.passed
    assert np.isnan(found.orders).all()


@pytest.mark.parametrize(("order", "passed"), [(1, False), (2, False), (3, True), (4, True)])
def test_an_error_that_falls_like_the_square_of_the_step_does_not_pass(order, passed):
    t = np.geomspace(1e-4, 1, 25)
    check = TaylorCheck(t, (0.1 * t**order)[None], np.zeros((1, 25)), np.zeros(1), np.zeros(1), np.full(25, 1e-20))
    assert check.orders[0] == pytest.approx(order, abs=0.01)
    assert check.passed is passed
