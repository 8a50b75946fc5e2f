import numpy as np
import pytest

from pellucid import Input, Sequential
from pellucid.analysis import critical_point, minimum_ratios
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense
from pellucid.nn.initializers import Constant
from pellucid.optim import SGD, Adam

X = np.linspace(-1, 1, 24)[:, None]
Y = np.sin(4 * X)


def net(optimizer=None):
    model = Sequential([Input((1,)), Dense(3, "tanh"), Dense(1)])
    model.compile("mse", optimizer or Adam(0.02))
    return model


def test_every_run_is_judged_where_its_search_ended():
    model = net()
    before = model.get_weights()
    ratios = minimum_ratios(model, X, Y, runs=4, epochs=[1, 20, 60, 120], search_steps=100, seed=7)
    assert ratios.seeds == (7, 8, 9, 10)
    assert (ratios.gradient_norm < 2e-3).all()
    assert ratios.gradient_norm.min() <= 1e-4
    assert ((ratios.minimum_ratio >= 0) & (ratios.minimum_ratio + ratios.negative_ratio <= 1)).all()
    assert (ratios.smallest <= ratios.largest).all()
    assert ratios.trained_loss[3] < ratios.trained_loss[0]
    assert sum(ratios.counts().values()) == len(ratios) == 4
    assert {len(column) for column in ratios.columns().values()} == {4}
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())


def test_without_a_search_the_trained_weights_are_judged():
    model = net()
    ratios = minimum_ratios(model, X, Y, runs=2, epochs=5, search=None, seed=3)
    np.testing.assert_array_equal(ratios.loss, ratios.trained_loss)
    alone = model.clone(4)
    alone.fit(X, Y, epochs=5, verbose=0, seed=4)
    point = critical_point(alone, X, Y, tolerance=1e-4)
    assert (ratios.loss[1], ratios.minimum_ratio[1]) == pytest.approx((point.loss, point.minimum_ratio))
    assert ratios.gradient_norm[1] == pytest.approx(point.gradient_norm)
    assert ratios.hessian_gradient_ratio[1] == pytest.approx(point.hessian_gradient_ratio)
    assert ratios.kinds[1] == point.kind


def test_runs_that_diverge_are_left_out_and_named():
    ratios = minimum_ratios(
        net(SGD(0.1)), X, 1e3 * Y, runs=3, epochs=40, search=None, learning_rate=[1e-6, 10.0, 1e-6]
    )  # fmt: skip
    assert ratios.failures == (1,)
    assert ratios.seeds == (0, 2)


def test_arguments_are_checked():
    with pytest.raises(ConfigurationError, match="epochs has 2 numbers for 3 runs"):
        minimum_ratios(net(), X, Y, runs=3, epochs=[1, 2])
    with pytest.raises(ConfigurationError, match="the network has 10 parameters, the limit of full Hessians is 9"):
        minimum_ratios(net(), X, Y, runs=1, limit=9)


def test_the_plot_has_a_point_per_run_and_a_marker_per_kind():
    ratios = minimum_ratios(net(), X, Y, runs=3, epochs=3, search=None)
    ax = ratios.plot()
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == 3
    assert ax.get_ylabel() == "minimum ratio"


def test_eigenvalues_of_0_are_neither_positive_nor_negative():
    model = Sequential([Input((1,)), Dense(3, "relu", bias_initializer=Constant(-50.0)), Dense(1)])
    model.compile("mse", SGD(0.01))
    ratios = minimum_ratios(model, X, Y, runs=2, epochs=1, search=None)
    assert ratios.minimum_ratio.tolist() == [0.1, 0.1]  # of ten parameters the last bias alone bends the loss
    assert ratios.negative_ratio.tolist() == [0, 0]


def test_every_run_has_its_own_epochs():
    model = net()
    ratios = minimum_ratios(model, X, Y, runs=2, epochs=[2, 5], search=None, seed=3)
    for run, epochs in enumerate((2, 5)):
        alone = model.clone(3 + run)
        alone.fit(X, Y, epochs=epochs, verbose=0, seed=3 + run)
        assert ratios.loss[run] == pytest.approx(alone.evaluate(X, Y, return_dict=True)["loss"], rel=1e-5)
