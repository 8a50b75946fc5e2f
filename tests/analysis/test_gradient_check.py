import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Model, Sequential, ops, set_seed
from pellucid.analysis import check_gradients
from pellucid.errors import ConfigurationError, DataError, DifferentiationError, NotBuiltError
from pellucid.nn import LSTM, Activation, BatchNorm, Concatenate, Conv2D, Dense, Dropout, Flatten, MaxPool2D
from pellucid.nn.regularizers import L2
from pellucid.op import REGISTRY, Op

R = np.random.default_rng(0)
X, Y = R.normal(size=(24, 4)), R.integers(0, 3, 24)


def net(*hidden, loss="categorical_crossentropy", out=None, shape=(4,)):
    set_seed(0)
    model = Sequential([Input(shape), *hidden, out or Dense(3, "softmax")])
    model.compile(loss)
    return model


@pytest.mark.parametrize(
    "hidden",
    [
        [Dense(5, "sigmoid", kernel_regularizer=L2(0.1))],
        [Dense(5, "tanh"), BatchNorm(), Dropout(0.4), Dense(4, "softplus")],
    ],
    ids=["regularised", "normalised and dropped"],
)
def test_right_derivatives_pass_in_float64_whatever_the_models_type(hidden):
    model = net(*hidden)
    before = model.get_weights()
    check = check_gradients(model, X, Y)
    assert check.passed
    assert bool(check)
    assert check.max_relative_error < 1e-6
    assert len(check.entries) == sum(p.size for p in model.trainable_parameters)
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())
    assert model.parameters[0].dtype == np.float32


def test_a_composite_whose_derivative_is_wrong_is_found_and_named():
    def slip(x):
        return x * ops.stop_gradient(ops.sigmoid(x))

    check = check_gradients(net(Dense(6, "tanh"), Dense(5, slip, name="faulty")), X, Y)
    assert not check.passed
    assert check.suspect == "faulty.bias"
    assert {entry.parameter for entry in check.wrong} == {
        "dense.kernel", "dense.bias", "faulty.kernel", "faulty.bias",
    }  # fmt: skip
    assert "dense_1.kernel" not in str(check).split("wrong:")[1]
    assert "The fault lies where the loss depends on faulty.bias" in str(check)
    with pytest.raises(DifferentiationError, match=r"derivatives differ from central differences"):
        check.require()


def test_an_operation_whose_vjp_is_wrong_is_found_though_the_engine_does_not_know_it():
    name = "slipped_square"
    op = Op(name, infer=lambda x: x, forward=np.square, vjp=(lambda ct, out, x: ct * x,))  # 2 is missing
    try:
        check = check_gradients(net(Dense(5), Activation(lambda x: op(x))), X, Y)
        worst = check.worst(1)[0]
        assert worst.verdict == "wrong"
        assert worst.parameter in ("dense.kernel", "dense.bias")
        assert worst.backprop == pytest.approx(worst.numerical / 2, rel=1e-6)
        assert not any(entry.parameter.startswith("dense_1") for entry in check.wrong)
        check_of_function = check_gradients(lambda w: ops.sum(op(w)), np.array([1.0, 2.0, 0.0]))
        assert [entry.verdict for entry in check_of_function.entries] == ["wrong", "wrong", "right"]
    finally:
        del REGISTRY[name]


def test_kinks_are_named_and_are_no_errors():
    check = check_gradients(lambda w: ops.sum(ops.relu(w)), np.array([0.0, 1.0, -1.0]))
    assert check.passed
    assert [entry.verdict for entry in check.entries] == ["kink", "right", "right"]
    assert check.kinks[0].name == "w[0]"
    assert check.kinks[0].numerical == pytest.approx(0.5)

    model = net(Conv2D(3, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(5, "relu"), shape=(8, 8, 1))
    images = R.normal(size=(6, 8, 8, 1))
    images[0] = 0  # every pre-activation of this one is 0, and every pool is a tie
    check = check_gradients(model, images, R.integers(0, 3, 6), samples=30)
    assert check.passed
    assert {entry.parameter for entry in check.kinks} == {"conv2d.bias", "dense.bias"}


def test_a_wrong_slope_at_a_kink_is_an_error():
    def slip(x):
        return ops.relu(x) + 3 * (x - ops.stop_gradient(x))

    check = check_gradients(lambda w: ops.sum(slip(w)), np.array([0.0, 1.0]))
    assert [entry.verdict for entry in check.entries] == ["wrong", "wrong"]


@given(st.floats(-3, 3), st.floats(-8, -1))
def test_a_kink_close_to_the_place_does_not_hide_the_derivative(place, distance):
    near = 10.0**distance
    check = check_gradients(lambda w: ops.sum(ops.abs(w - place)), np.array([place + near]), tolerance=1e-4)
    assert check.entries[0].verdict in ("right", "kink")
    assert check.passed


def test_the_step_is_chosen_where_truncation_and_rounding_balance():
    check = check_gradients(net(Dense(5, "tanh")), X, Y)
    errors = list(check.step_errors.values())
    best = int(np.argmin(errors))
    assert check.step == list(check.step_errors)[best]
    assert 0 < best < len(errors) - 1
    assert all(np.diff(errors[: best + 1]) < 0)
    assert all(np.diff(errors[best:]) > 0)


def test_the_decks_cube_at_one():
    entry = check_gradients(lambda theta: theta**3, 1.0, step=0.01).entries[0]
    assert entry.numerical == pytest.approx(3.0001, abs=1e-9)
    assert (entry.backprop, entry.verdict) == (3.0, "right")


def test_entries_of_large_parameters_are_sampled_the_same_way_each_time():
    model = net(Dense(40, "tanh"))
    one, other = (check_gradients(model, X, Y, samples=10, seed=3) for _ in range(2))
    assert one.entries == other.entries
    assert len(one.entries) == 10 + 10 + 10 + 3
    assert one.sizes["dense.kernel"] == 160
    assert "10 of 160" in one.table()
    assert check_gradients(model, X, Y, samples=10, seed=4).entries != one.entries


def test_several_inputs_outputs_and_recurrent_layers():
    set_seed(0)
    a, b = Input((3, 2), name="a"), Input((2,), name="b")
    joined = Concatenate()(LSTM(3)(a), Dense(2, "tanh")(b))
    model = Model([a, b], [Dense(1, name="price")(joined), Dense(3, "softmax", name="kind")(joined)])
    model.compile(["mse", "categorical_crossentropy"], loss_weights=[0.5, 2.0])
    data = [R.normal(size=(7, 3, 2)), R.normal(size=(7, 2))]
    check = check_gradients(model, data, [R.normal(size=7), R.integers(0, 3, 7)])
    assert check.passed
    assert {entry.parameter for entry in check.entries} >= {"lstm.kernel", "price.kernel", "kind.bias"}


def test_nested_parameters_of_a_function_have_names():
    w = {"W": R.normal(size=(3, 2)), "b": [np.zeros(2), np.array(1.0)]}
    check = check_gradients(lambda p: ops.sum(ops.tanh(X[:, :3] @ p["W"] + p["b"][0])) * p["b"][1], w)
    assert check.passed
    assert list(check.sizes) == ["W", "b[0]", "b[1]"]
    assert [entry.name for entry in check.entries][-2:] == ["b[0][1]", "b[1]"]
    assert len(check.columns()["index"]) == 9


def test_arguments_are_checked():
    with pytest.raises(ConfigurationError, match=r"check_gradients: samples must be a whole number"):
        check_gradients(lambda w: w, 1.0, samples=0)
    with pytest.raises(ConfigurationError, match=r"a model needs data x and y, but was given 1 argument\."):
        check_gradients(net(), X)
    with pytest.raises(ConfigurationError, match=r"takes a model or a function of its parameters, not 3"):
        check_gradients(3, X)
    with pytest.raises(NotBuiltError, match="is not compiled"):
        check_gradients(Sequential([Input((4,)), Dense(1)]), X, Y)


def test_a_step_of_the_loss_is_no_right_derivative():
    check = check_gradients(lambda w: ops.sum(ops.where(w > 0, w * 0 + 1.0, w * 0)), [0.0, 1.0])
    assert [entry.name for entry in check.kinks] == ["w[0]"]
    assert check.max_relative_error < 1e-9


def test_the_step_suits_the_entries_that_bend():
    set_seed(0)
    r = np.random.default_rng(0)
    model = Sequential([Input((5,)), Dense(6), BatchNorm(), Activation("relu"), Dense(2)])
    model.compile("mse")
    check = check_gradients(model, r.normal(size=(20, 5)), r.normal(size=(20, 2)))
    judged = [entry for entry in check.entries if abs(entry.backprop) > 1e-6]
    assert max(entry.relative_error for entry in judged) < 1e-6


def test_the_parameter_that_is_no_number_is_named():
    model = Sequential([Input((2,)), Dense(3), Dense(1)])
    model.compile("mse")
    weights = model.get_weights()
    weights["dense_1.kernel"][1, 0] = np.nan
    model.set_weights(weights)
    with pytest.raises(DataError, match=r"holds NaN or infinity: dense_1\.kernel\[1, 0\] is nan"):
        check_gradients(model, np.ones((4, 2)), np.ones(4))


@pytest.mark.parametrize(("function", "slope"), [(ops.log, 1e4), (ops.sqrt, 50.0)])
def test_steps_that_leave_where_the_loss_is_defined_are_passed_over(function, slope):
    check = check_gradients(lambda w: ops.sum(function(w)), [1e-4, 1.0])
    assert check.passed
    assert check.step < 1e-4
    assert check.entries[0].backprop == pytest.approx(slope)
    assert check.entries[0].numerical == pytest.approx(slope, rel=1e-5)
    asked = check_gradients(lambda w: ops.sum(function(w)), [1e-4, 1.0], step=0.01)
    assert asked.passed
    assert asked.entries[0].numerical == pytest.approx(slope, rel=1e-5)


def test_at_the_edge_of_where_a_loss_is_defined_it_has_no_derivative():
    entry = check_gradients(lambda w: ops.sum(w * ops.sqrt(ops.abs(w)) + ops.log(1e-30 + w)), [0.5, 1e-20]).entries[1]
    assert entry.verdict == "kink"
    assert entry.name == "w[1]"


@pytest.mark.parametrize(("slip", "passed"), [(1e-4, False), (3e-5, False), (-3e-5, False), (3e-6, True)])
def test_a_derivative_that_is_wrong_in_its_fifth_digit_is_wrong(slip, passed):
    def f(w):  # stop_gradient's numbers move with w, its derivative does not
        return 2.0 + ops.sum(ops.sin(w + slip * (w - ops.stop_gradient(w))))

    assert check_gradients(f, np.linspace(-1, 1, 7)).passed is passed


def test_a_model_is_checked_in_training_unless_it_is_not_wanted():
    model = net(Dense(6, "tanh"), BatchNorm())
    model.set_weights({name: value + np.float32(0.2) for name, value in model.get_weights().items()})
    at_inference = check_gradients(model, X, Y, training=False)
    in_training = check_gradients(model, X, Y)
    assert at_inference.passed
    assert at_inference.loss == pytest.approx(model.evaluate(X, Y, return_dict=True)["loss"], rel=1e-5)
    assert in_training.loss == pytest.approx(model.train_on_batch(X, Y)["loss"], rel=1e-5)
    assert abs(in_training.loss - at_inference.loss) > 1e-3
