"""The first cause of NaN and infinity: operation, layer, stage, rows, and the last finite numbers."""

import copy
import inspect

import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.errors import NonFiniteCause, NonFiniteError
from pellucid.nn import BatchNorm, Conv2D, Dense, Flatten, Lambda, Layer
from pellucid.optim import SGD, Adam, Schedule
from pellucid.optim.optimizer import Optimizer
from pellucid.train import Population, loop
from pellucid.train.failure import advice, told
from pellucid.train.feed import Segment
from pellucid.train.running import NonFiniteStepError

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
R = np.random.default_rng(0)
X, Y = R.normal(size=(40, 3)).astype("float32"), R.normal(size=(40, 1)).astype("float32")


def failure(layers, backend, *, loss="mse", optimizer=None, x=X, y=Y, epochs=5, **arguments):
    """The error of a fit, with the model; the parameters must be finite."""
    set_seed(1)
    model = Sequential([Input(x.shape[1:]), *layers])
    model.compile(loss, optimizer or SGD(0.01), backend=backend)
    with pytest.raises(NonFiniteError) as error:
        model.fit(x, y, batch_size=8, epochs=epochs, seed=0, verbose=0, **arguments)
    assert all(np.isfinite(value).all() for value in model.get_weights().values())
    assert "the model keeps the parameters from before this update" in error.value.details
    return error.value


def line_of(function, text):
    """The place of a line of a test, as errors tell it."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


def finish(run):
    while run.done < run.steps:
        run.advance(run.steps)


# The forward stage.


@BACKENDS
def test_the_logarithm_of_0_in_a_loss_of_ones_own(backend):
    def likelihood(y_true, y_pred):
        return -y_true * ops.log(y_pred)

    x = np.abs(X)
    x[[5, 17]] = 0
    positive = Dense(1, activation="relu", use_bias=False, kernel_initializer="ones")
    error = failure([positive], backend, loss=likelihood, x=x, y=np.abs(Y), optimizer=SGD(1e-6))
    assert (error.op, error.layer, error.stage, error.epoch) == ("log", "", "forward", 1)
    assert set(error.rows) <= {5, 17}
    assert error.rows
    (operand,) = error.values
    assert operand.spec == "float32[8, 1]"
    assert (operand.min, operand.elements[0][1]) == (0.0, 0.0)
    place = f"test_failure.py:{line_of(likelihood, 'ops.log')} in likelihood"
    assert f"first cause: log in the loss, forward, at {place}: log(relu(...))" in str(error)
    assert "log needs numbers above 0" in str(error.hint)


class Boltzmann(Layer):
    def call(self, x):
        return ops.exp(x * 60.0)


@BACKENDS
def test_an_exponential_that_overflows_in_a_layer_of_ones_own(backend):
    x = X.copy() / 10
    x[11] = 3.0
    layers = [Dense(2, kernel_initializer="ones", name="first"), Boltzmann(name="weights"), Dense(1)]
    error = failure(layers, backend, x=x, optimizer=SGD(1e-30))
    assert (error.op, error.layer, error.stage, error.rows) == ("exp", "weights", "forward", (11,))
    (operand,) = error.values
    assert operand.max > 88.7
    assert operand.elements[0][1] == operand.max
    assert "exp overflows float32 above 88.7" in str(error.hint)


@BACKENDS
def test_an_exponential_that_only_comes_near_the_overflow_is_told_as_what_made_the_numbers_grow(backend):
    x = np.full_like(X, 0.4)
    layers = [Dense(2, kernel_initializer="ones"), Boltzmann(name="weights"), Dense(1, kernel_initializer="ones")]
    error = failure(layers, backend, x=x)
    assert (error.op, error.stage) == ("mul", "forward")
    assert error.cause is not None
    assert error.cause.growth is not None
    assert error.cause.growth[:2] == ("exp", "weights")
    assert error.cause.growth[2] == pytest.approx(72)
    assert 'by exp in layer "weights"' in str(error)
    assert "exp overflows" in str(error.hint)


@BACKENDS
def test_a_division_by_0(backend):
    x = np.abs(X)
    x[30] = 0
    shares = Lambda(lambda x: x / ops.sum(x, -1, keepdims=True), name="shares")
    error = failure([shares, Dense(1)], backend, x=x)
    assert (error.op, error.layer, error.stage, error.rows) == ("div", "shares", "forward", (30,))
    assert [operand.name for operand in error.values] == ["x", "sum(...)"]
    assert error.values[1].elements[0][1] == 0.0
    assert error.hint == "add a small number to the divisor, so that it cannot be 0"


@BACKENDS
def test_a_dense_layer_in_a_deep_net_that_overflows(backend):
    hidden = [Dense(4, activation="relu", kernel_initializer="ones", name=f"hidden_{k}") for k in range(4)]
    huge = Dense(4, kernel_initializer="ones", name="huge")
    x = np.abs(X)
    x[3] = 1e36
    error = failure([*hidden, huge, Dense(1)], backend, x=x, optimizer=SGD(1e-38))
    assert (error.op, error.layer, error.stage, error.rows) == ("matmul", "huge", "forward", (3,))
    assert "the data reach 1e+36" in str(error.hint)
    assert error.cause is not None
    assert error.cause.largest == ("input", "x", pytest.approx(1e36))


@BACKENDS
def test_a_convolution(backend):
    x = R.random((16, 6, 6, 1), "float32")
    x[9] = 3e38
    layers = [Conv2D(2, 3, kernel_initializer="ones", name="edges"), Flatten(), Dense(1)]
    error = failure(layers, backend, x=x, y=Y[:16], optimizer=SGD(1e-38))
    assert (error.op, error.layer, error.stage, error.rows) == ("conv", "edges", "forward", (9,))


@BACKENDS
def test_nan_in_the_data_that_nobody_has_checked(backend):
    x = X.copy()
    x[21, 2] = np.nan
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("mse", SGD(0.01), backend=backend)
    segment = Segment((x,), (Y,), (), (np.dtype(np.float32),), np.arange(40)[::-1].copy(), 8)
    run = loop.start(model, segment, np.asarray(ops.random_key(0)))
    with pytest.raises(NonFiniteStepError) as caught:
        finish(run)
    error = caught.value.error("The loss became nan.", update=3)
    assert (error.op, error.stage, error.rows, error.step) == ("input", "forward", (21,), 3)
    low, high = np.nanmin(x[16:24]), np.nanmax(x[16:24])
    told = f"x: float32[8, 3], finite elements from {low:.6g} to {high:.6g}; there: nan at [2, 2]"
    assert f"first cause: the data: {told}" in str(error)
    assert error.hint == "look at these rows: NaN, infinity, or numbers too large for the model's type"


@BACKENDS
def test_nan_that_a_parameter_held_before_training(backend):
    def holed(model):
        weights = model.get_weights()
        weights["hidden.kernel"][1, 2] = np.nan
        model.set_weights(weights)

    model = Sequential([Input((3,)), Dense(4, name="hidden"), Dense(1)])
    holed(model)
    model.compile("mse", SGD(0.01), backend=backend)
    with pytest.raises(NonFiniteError) as caught:
        model.fit(X, Y, verbose=0)
    error = caught.value
    assert (error.op, error.step, error.rows) == ("parameter", 1, ())
    assert "first cause: a parameter was not finite before the step: hidden.kernel: float32[3, 4]" in str(error)
    assert "nan at [1, 2]" in str(error)
    assert "set_weights" in str(error.hint)


@BACKENDS
def test_nan_that_a_slot_of_the_optimiser_held_before_the_step(backend):
    model = Sequential([Input((3,)), Dense(4, name="hidden"), Dense(1)])
    model.compile("mse", Adam(0.01), backend=backend)
    model.fit(X, Y, verbose=0)
    slot = model.optimizer.slots_of(model.trainable_parameters[0])["m"]
    numbers = slot.numpy().copy()
    numbers[2, 3] = np.inf
    slot.replace(numbers)
    with pytest.raises(NonFiniteError) as caught:
        model.fit(X, Y, verbose=0)
    error = caught.value
    assert (error.op, error.stage, error.values[0].name) == ("slot", "update", "hidden.kernel.m")
    assert error.values[0].elements == (((2, 3), np.inf),)
    assert str(error.hint) == "optimizer.reset() lets the slots start anew"
    model.optimizer.reset()
    assert np.isfinite(model.fit(X, Y, verbose=0)["loss"]).all()


class Lost(Schedule):
    def rate(self, step):
        return 0.01 if step < 2 else float("nan")


@BACKENDS
def test_a_learning_rate_that_is_not_a_number(backend):
    error = failure([Dense(1, name="out")], backend, optimizer=SGD(Lost()))
    assert (error.op, error.step, error.stage) == ("setting", 3, "update")
    assert "first cause: a setting of the step: learning_rate: float64[] = nan" in str(error)
    assert error.hint is not None
    assert "the learning rate" in error.hint


# The backward stage.


@BACKENDS
def test_the_infinite_slope_of_a_root_at_0(backend):
    x = X.copy()
    x[26] = 0
    length = Lambda(lambda x: ops.sqrt(ops.sum(x * x, -1, keepdims=True)), name="length")
    error = failure([Dense(2, use_bias=False, name="first"), length, Dense(1)], backend, x=x)
    assert (error.op, error.layer, error.stage, error.rows) == ("div", "length", "backward", (26,))
    assert error.cause is not None
    assert error.cause.derivative_of == "sqrt"
    assert 'first cause: div in layer "length", backward, in the derivative of sqrt' in str(error)
    assert "sqrt has an infinite slope at 0" in str(error.hint)


@BACKENDS
def test_a_logarithm_that_where_hides_from_the_forward_stage_only(backend):
    hidden = Lambda(lambda x: ops.where(x > 0, ops.log(x), 0.0), name="safe_log")
    x = X.copy()
    x[7] = 0
    error = failure([Dense(2, use_bias=False, name="first"), hidden, Dense(1)], backend, x=x)
    assert (error.op, error.layer, error.stage, error.rows) == ("div", "safe_log", "backward", (7,))
    assert error.cause is not None
    assert error.cause.derivative_of == "log"


# The update.


class Reciprocal(Optimizer):
    def update(self, w, g, slots, t, learning_rate):
        return w - ops.number_like(learning_rate, w) / g, {}


@BACKENDS
def test_nan_that_is_born_in_the_optimiser(backend):
    dead = Dense(2, activation="relu", kernel_initializer="zeros", bias_initializer="zeros", name="dead")
    error = failure([dead, Dense(1)], backend, optimizer=Reciprocal(0.01))
    assert (error.op, error.stage, error.step, error.epoch) == ("div", "update", 1, 1)
    assert "div in the optimiser, update: cast(...) / gradient of dead.kernel" in str(error)
    assert error.values[1].name == "gradient of dead.kernel"
    assert (error.values[1].min, error.values[1].max) == (0.0, 0.0)


@BACKENDS
def test_a_learning_rate_that_diverges(backend):
    layers = [Dense(8, activation="relu"), Dense(8, activation="relu"), Dense(1)]
    error = failure(layers, backend, optimizer=SGD(2.0), epochs=20)
    assert error.cause is not None
    assert error.cause.losses or error.cause.largest is not None
    assert str(error.hint).startswith("losses or weights grew before, so the learning rate is too high")
    assert error.step == (error.epoch - 1) * 5 + int(str(error).split("batch ")[1].split(" ")[0])


# Wherever training runs.


def test_a_block_of_epochs_gives_the_same_error_as_single_epochs():
    layers = [Dense(6, activation="tanh", name="hidden"), Dense(1, name="out")]
    blocks = failure(copy.deepcopy(layers), "cpu", optimizer=SGD(3.0), epochs=300)
    single = failure(copy.deepcopy(layers), "cpu", optimizer=SGD(3.0), epochs=300, callbacks=lambda epoch, logs: None)
    assert str(blocks) == str(single)
    assert blocks.cause == single.cause


def test_members_of_a_population_have_their_own_causes():
    model = Sequential([Input((3,)), Dense(8, activation="relu"), Dense(1)])
    model.compile("mse", SGD(0.01))
    population = Population(model, 2, seed=0, learning_rate=[0.01, 1e3])
    population.fit(X, Y, epochs=30, batch_size=8)
    assert list(population.failures) == [1]
    error = population.failures[1]
    assert error.op is not None
    assert "learning rate is too high" in str(error.hint)


@BACKENDS
def test_statistics_of_batches_that_overflow_though_the_loss_stays_finite(backend):
    error = failure([BatchNorm(name="norm"), Dense(1)], backend, x=1e25 * R.random(X.shape, "float32"))
    assert str(error).startswith('The parameter "norm.moving_variance" became NaN or infinite in epoch 1, batch 1')
    assert (error.op, error.layer, error.stage) == ("mul", "norm", "forward")


def test_nothing_is_looked_for_until_a_step_fails(monkeypatch):
    monkeypatch.setattr("pellucid.train.running.first_cause", lambda step: pytest.fail("looked for a cause"))
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("mse", "sgd")
    model.fit(X, Y, epochs=3, verbose=0)


# In words.


def test_a_failure_that_numpy_does_not_repeat_is_admitted():
    cause = NonFiniteCause(None, losses=(1.0, 2.5))
    assert told(cause) == [
        "first cause: not found, because the same step stays finite in NumPy, which adds in another order: the numbers "
        "are at the edge of what their type holds",
        "losses of the steps before: 1, 2.5",
    ]
    assert advice(cause) == "a smaller learning rate or clip_norm= in the optimiser usually helps"


def test_many_rows_are_counted():
    cause = NonFiniteCause("log", rows=tuple(range(100)))
    assert "rows of the data: 0, 1, 2, 3, 4 ... (100 rows)" in told(cause)


def test_an_error_without_a_cause_has_empty_attributes():
    error = NonFiniteError("The loss became nan.")
    assert (error.cause, error.op, error.layer, error.stage, error.rows, error.values) == (None, None, "", "", (), ())
    assert (error.step, error.epoch) == (None, None)
