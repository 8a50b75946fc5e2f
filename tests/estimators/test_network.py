import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neural_network import MLPRegressor

from pellucid.backends.loop import LoopData
from pellucid.estimators.network import Architecture, Network, initial_parameters, repeated
from pellucid.nn.losses import MeanSquaredError
from pellucid.optim import SGD
from pellucid.train.feed import Segment


def network(units, activation="tanh", out="identity", dtype="float64"):
    made = Architecture(units, activation, out, 0.0, np.dtype(dtype))
    return Network(made, MeanSquaredError(), 1.0, SGD(), penalised=False)


@given(st.integers(1, 700), st.sampled_from(["relu", "logistic", "identity"]))
def test_outputs_for_any_number_of_samples(n, activation):
    random = np.random.default_rng(n)
    x = random.normal(size=(n, 3))
    w, b, v, c = (random.normal(size=shape) for shape in ((3, 4), 4, (4, 2), 2))
    f = {"relu": lambda z: np.maximum(z, 0), "logistic": lambda z: 1 / (1 + np.exp(-z)), "identity": lambda z: z}
    found = network((3, 4, 2), activation).outputs(x, [w, b, v, c])
    np.testing.assert_allclose(found, f[activation](x @ w + b) @ v + c, rtol=1e-10, atol=1e-12)


def test_the_arrays_are_read_and_not_kept():
    shell, x = network((2, 1)), np.eye(2)
    w = np.array([[1.0], [2.0]])
    w.flags.writeable = False
    assert shell.outputs(x, [w, np.zeros(1)]).tolist() == [[1], [2]]
    assert shell.outputs(x, [3 * w, np.ones(1)]).tolist() == [[4], [7]]


def test_exponential_outputs():
    assert network((1, 1), out="exp").outputs(np.ones((1, 1)), [np.ones((1, 1)), np.zeros(1)])[0, 0] == pytest.approx(
        np.e
    )


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_initial_numbers_are_scikit_learns(activation):
    theirs = MLPRegressor(hidden_layer_sizes=(5, 4), activation=activation, random_state=7, learning_rate_init=1e-300)
    theirs.partial_fit(np.zeros((3, 2)), np.zeros(3))
    ours = initial_parameters([2, 5, 4, 1], activation, np.random.RandomState(7), np.dtype("float64"))
    for kernel, bias, coef, intercept in zip(ours[::2], ours[1::2], theirs.coefs_, theirs.intercepts_, strict=True):
        assert np.array_equal(kernel, coef)
        assert np.array_equal(bias, intercept)


@pytest.mark.parametrize("n", [10, 40_000])
def test_a_step_again_and_again_follows_the_arrays(n):
    shell, x = network((25, 1)), np.ones((n, 25))
    w, b = np.zeros((25, 1)), np.zeros(1)
    segment = Segment((x,), (), (), shell.model.input_dtypes, np.arange(n), n)
    step = repeated(
        shell.model.programs.prediction(segment).loop, LoopData(segment.arrays, segment.order, state=[w, b])
    )
    assert not step()[0].any()
    w[...] = 2.0
    assert (step()[0] == 50.0).all()
