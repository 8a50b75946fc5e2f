"""What all optimisers share: clipping, decay, state, eager and compiled updates, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import draws

from pellucid import Sequential, Tensor, ops, optim
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import BatchNorm, Dense, Input, losses, phase
from pellucid.nn.regularizers import L2
from pellucid.optim import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    ExponentialDecay,
    Momentum,
    Nadam,
    RMSProp,
)

EVERY = [
    SGD(0.1),
    SGD(0.1, 0.9),
    SGD(0.1, 0.9, nesterov=True),
    Momentum(0.1),
    Momentum(0.1, form="ema"),
    Momentum(0.1, form="ema", nesterov=True),
    Adagrad(0.1),
    Adagrad(0.1, form="mean"),
    RMSProp(0.01),
    RMSProp(0.01, centered=True, momentum=0.5),
    RMSProp(0.01, start="gradient"),
    Adadelta(),
    Adam(0.01),
    AdamW(0.01, weight_decay=0.1),
    Nadam(0.01),
    Adam(ExponentialDecay(0.1, 2, 0.5)),
    SGD(0.1, weight_decay=0.1),
    Adam(0.01, clip_norm=0.1, clip_value=0.05),
]

X, Y = draws(12, 3), draws(12, 2, seed=1)


def again(optimizer: Any) -> Any:
    """The same optimiser without state."""
    return type(optimizer)(**optimizer.config())


def network() -> Sequential:
    """The same small network every time."""
    model = Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(2)], dtype="float64")
    for number, parameter in enumerate(model.parameters):
        parameter.assign(draws(*parameter.shape, seed=10 + number))
    return model


def fitted(optimizer: Any, model: Sequential | None = None, epochs: int = 3) -> Sequential:
    model = model or network()
    model.compile(loss="mse", optimizer=optimizer)
    model.fit(X, Y, batch_size=4, epochs=epochs, seed=3, verbose=0)
    return model


def assert_equal_weights(first: Any, second: Any, rtol: float = 0, atol: float = 0) -> None:
    weights = second.get_weights()
    for name, value in first.get_weights().items():
        np.testing.assert_allclose(value, weights[name], rtol=rtol, atol=atol, err_msg=name)


def moved(optimizer: Any, w: np.ndarray, *gradients: np.ndarray) -> np.ndarray:
    """A parameter after eager updates by these gradients."""
    parameter = Tensor(w)
    for g in gradients:
        optimizer.apply([parameter], [Tensor(g)])
    return parameter.numpy()


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_the_compiled_step_is_the_eager_one(optimizer: Any) -> None:
    compiled, eager = network(), network()
    first, second = again(optimizer), again(optimizer)
    compiled.compile(loss="mse", optimizer=first)
    loss = losses.get("mse")
    for _ in range(6):
        compiled.train_on_batch(X, Y)
        for parameter in eager.parameters:
            parameter.grad = None
        with phase(training=True):
            loss(Tensor(Y), eager(X)).backward()
        second.apply(eager.trainable_parameters)
    assert first.iterations == second.iterations == 6
    # Adadelta and the like start from tiny states, in which rounding shows early.
    assert_equal_weights(compiled, eager, rtol=1e-9, atol=1e-12)
    for name, slots in second.state.items():
        assert set(first.state[name]) == set(slots)
        for slot, value in slots.items():
            np.testing.assert_allclose(first.state[name][slot], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_every_optimiser_makes_a_quadratic_small(optimizer: Any) -> None:
    optimizer, w = again(optimizer), Tensor(np.array([[1.0, -2.0], [0.5, 3.0]]), requires_grad=True)
    start = (w * w).sum().item()
    for _ in range(300):
        w.grad = None
        (w * w).sum().backward()
        optimizer.apply([w])
    assert (w * w).sum().item() < 0.98 * start


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_a_learning_rate_of_zero_moves_nothing(optimizer: Any) -> None:
    still = type(optimizer)(**{**optimizer.config(), "learning_rate": 0.0})
    w = draws(2, 3)
    np.testing.assert_array_equal(moved(still, w, draws(2, 3, seed=1), draws(2, 3, seed=2)), w)


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_reset_forgets_everything_for_compiled_training_too(optimizer: Any) -> None:
    optimizer = again(optimizer)
    model = fitted(optimizer)
    expected = model.get_weights()
    optimizer.reset()
    assert (optimizer.iterations, optimizer.state) == (0, {})
    model.set_weights(network().get_weights())
    model.fit(X, Y, batch_size=4, epochs=3, seed=3, verbose=0)
    for name, value in model.get_weights().items():
        np.testing.assert_array_equal(value, expected[name])


def test_state_is_shown_by_parameter_and_slot() -> None:
    optimizer = Adam(0.01)
    fitted(optimizer)
    assert list(optimizer.state) == ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    slots = optimizer.state["dense.kernel"]
    assert {name: value.shape for name, value in slots.items()} == {"m": (3, 4), "v": (3, 4)}
    assert (slots["v"] > 0).all()
    assert optimizer.iterations == 9
    assert SGD(0.1).state == {}


def test_state_is_the_formulas_after_one_update() -> None:
    g = draws(2, 3)
    for optimizer, expected in (
        (Adam(0.1), {"m": 0.1 * g, "v": 0.001 * g * g}),
        (Momentum(0.1), {"m": -0.1 * g}),
        (Momentum(0.1, form="ema"), {"m": 0.1 * g}),
        (Adagrad(0.1), {"s": g * g}),
        (RMSProp(0.1), {"v": 0.1 * g * g}),
        (RMSProp(0.1, start="gradient"), {"v": g * g}),
        (RMSProp(0.1, centered=True), {"v": 0.1 * g * g, "mean": 0.1 * g}),
    ):
        moved(optimizer, np.zeros((2, 3)), g)
        (state,) = optimizer.state.values()
        assert set(state) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(state[name], value, rtol=1e-10)


def test_unnamed_parameters_have_state_too() -> None:
    optimizer = Momentum(0.1)
    optimizer.apply([Tensor([1.0]), Tensor([2.0], name="w")], [Tensor([1.0]), Tensor([1.0])])
    assert list(optimizer.state) == ["parameter 0", "w"]


# Clipping.


def torch_clipped(clip: str, limit: float, gradients: list[np.ndarray]) -> list[np.ndarray]:
    torch = pytest.importorskip("torch")
    parameters = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
    for parameter, g in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(g)
    getattr(torch.nn.utils, f"clip_grad_{clip}_")(parameters, limit)
    return [p.grad.numpy() for p in parameters]


@pytest.mark.parametrize("limit", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("clip", ["norm", "value"])
def test_clipping_is_torchs(clip: str, limit: float) -> None:
    gradients = [draws(3, 4) * 5, draws(4, seed=1), np.zeros((2, 2))]
    parameters = [Tensor(np.zeros(g.shape)) for g in gradients]
    SGD(1.0, **{f"clip_{clip}": limit}).apply(parameters, [Tensor(g) for g in gradients])
    for parameter, expected in zip(parameters, torch_clipped(clip, limit, gradients), strict=True):
        np.testing.assert_allclose(parameter, -expected, rtol=1e-12)


def test_clipping_keeps_the_direction_and_leaves_short_gradients_alone() -> None:
    g = np.array([[3.0, 4.0]])
    np.testing.assert_allclose(moved(SGD(1.0, clip_norm=1.0), np.zeros((1, 2)), g), -g / 5, rtol=1e-6)
    np.testing.assert_array_equal(moved(SGD(1.0, clip_norm=6.0), np.zeros((1, 2)), g), -g)
    np.testing.assert_array_equal(moved(SGD(1.0, clip_norm=6.0), np.zeros((1, 2)), 0 * g), 0 * g)
    np.testing.assert_array_equal(moved(SGD(1.0, clip_value=3.5), np.zeros((1, 2)), g), [[-3.0, -3.5]])


def test_elements_are_clipped_before_the_norm_and_decay_comes_last() -> None:
    optimizer = SGD(1.0, clip_value=1.0, clip_norm=0.5, weight_decay=0.1)
    w, g = np.full((1, 2), 10.0), np.array([[3.0, 0.0]])
    np.testing.assert_allclose(moved(optimizer, w, g), [[10 - 0.5 - 1, 10 - 1]], rtol=1e-5)


# Weight decay.


def test_decay_shrinks_the_weights_before_a_plain_gradient_step() -> None:
    w, g = draws(2, 3), draws(2, 3, seed=1)
    np.testing.assert_allclose(moved(SGD(0.1, weight_decay=0.5), w, g), (1 - 0.1 * 0.5) * w - 0.1 * g, rtol=1e-12)


def test_biases_do_not_decay_unless_asked() -> None:
    b, zero = draws(3), np.zeros(3)
    np.testing.assert_array_equal(moved(SGD(0.1, weight_decay=0.5), b, zero), b)
    np.testing.assert_allclose(moved(SGD(0.1, weight_decay=0.5, decay_biases=True), b, zero), 0.95 * b)
    np.testing.assert_array_equal(moved(AdamW(0.1, weight_decay=0.5), b, zero), b)
    np.testing.assert_allclose(moved(AdamW(0.1, weight_decay=0.5, decay_biases=True), b, zero), 0.95 * b)


def test_decay_is_the_l2_cost_for_plain_gradient_descent() -> None:
    decayed = fitted(SGD(0.1, weight_decay=0.2))
    layers = [Dense(4, "tanh", kernel_regularizer=L2(0.2)), Dense(2, kernel_regularizer=L2(0.2))]
    cost = Sequential([Input((3,)), *layers], dtype="float64")
    cost.set_weights(network().get_weights())
    fitted(SGD(0.1), cost)
    assert_equal_weights(decayed, cost, rtol=1e-10)
    plain = fitted(SGD(0.1))
    assert not np.allclose(plain.layers[0].kernel, decayed.layers[0].kernel)


def test_adamw_decays_apart_from_the_gradient_and_adam_with_it() -> None:
    w, g = np.full((1, 1), 2.0), np.full((1, 1), 1e3)
    apart, within = moved(AdamW(0.1, weight_decay=0.5), w, g), moved(Adam(0.1, weight_decay=0.5), w, g)
    np.testing.assert_allclose(apart, (1 - 0.1 * 0.5) * w - 0.1, rtol=1e-9)
    np.testing.assert_allclose(within, w - 0.1, rtol=1e-9)  # Adam's first step has the size eta, whatever the decay


def test_statistics_are_not_updated_by_optimisers() -> None:
    layer = BatchNorm(momentum=1.0)
    model = Sequential([Input((3,)), layer, Dense(2)], dtype="float64")
    fitted(SGD(0.1, weight_decay=0.1, decay_biases=True), model)
    assert layer.moving_variance.tolist() == [1, 1, 1]
    assert not np.array_equal(layer.gamma.numpy(), np.ones(3))


# Eager use.


def test_apply_takes_what_backward_left() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    SGD(0.1).apply([w])
    assert w.tolist() == pytest.approx([0.8, 1.6])
    assert w.record is None


def test_gradients_may_be_plain_arrays() -> None:
    w = Tensor(np.zeros((1, 2)))
    SGD(0.5).apply([w], [np.ones((1, 2))])
    assert w.tolist() == [[-0.5, -0.5]]


def test_the_precision_of_a_parameter_is_kept() -> None:
    for dtype in ("float32", "float64"):
        for optimizer in EVERY:
            w = Tensor(np.ones((2, 2), dtype))
            fresh = again(optimizer)
            fresh.apply([w], [Tensor(np.ones((2, 2), dtype))])
            assert w.dtype == dtype
            (state,) = fresh.state.values() or [{}]
            assert {str(v.dtype) for k, v in state.items() if k != "product"} <= {dtype}


def test_an_optimiser_of_ones_own_is_used_in_compiled_training() -> None:
    class SignDescent(optim.Optimizer):
        def update(self, w: Any, g: Any, slots: Any, t: Any, learning_rate: Any) -> Any:
            return w - ops.cast(learning_rate, w.spec.dtype) * ops.sign(g), slots

    model = network()
    before = model.get_weights()
    model.compile(loss="mse", optimizer=SignDescent(0.25))
    model.train_on_batch(X, Y)
    for name, value in model.get_weights().items():
        np.testing.assert_allclose(np.abs(value - before[name]), 0.25, rtol=1e-12)


# Names and errors.


def test_names_are_the_classes_names_in_small_letters() -> None:
    for name, cls in OPTIMIZERS.items():
        assert type(optim.get(name.lower())) is cls
    own = SGD(0.3)
    assert optim.get(own) is own


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: optim.get("adm"),
            "Unknown optimizer 'adm'; known are: adadelta, adagrad, adam, adamw, momentum, nadam, rmsprop, sgd.\n"
            "Hint: did you mean 'adam'?",
        ),
        (
            lambda: SGD(-1),
            "SGD: learning_rate must be a finite number of at least 0 or a schedule, not -1.",
        ),
        (
            lambda: Adam(float("nan")),
            "Adam: learning_rate must be a finite number of at least 0 or a schedule, not nan.",
        ),
        (lambda: Adam(beta_1=1.0), "Adam: beta_1 must be a number in [0, 1), not 1.0."),
        (lambda: SGD(0.1, nesterov=True), "SGD: nesterov needs a momentum above 0."),
        (lambda: Momentum(form="polyak"), "Momentum: form must be one of 'heavy_ball', 'ema', not 'polyak'."),
        (lambda: Adagrad(form="max"), "Adagrad: form must be one of 'sum', 'mean', not 'max'."),
        (lambda: RMSProp(start="one"), "RMSProp: start must be one of 'zero', 'gradient', not 'one'."),
        (lambda: SGD(0.1, clip_norm=0), "SGD: clip_norm must be a finite number above 0, or None, not 0."),
        (lambda: SGD(0.1, weight_decay=-1), "SGD: weight_decay must be a finite number of at least 0, not -1."),
        (lambda: Adadelta(epsilon=0), "Adadelta: epsilon must be a finite number above 0, not 0."),
        (
            lambda: SGD(lr=0.1),  # type: ignore[call-arg]
            "SGD has no argument 'lr'; it takes: learning_rate, momentum, nesterov, weight_decay, decay_biases, "
            "clip_norm, clip_value.",
        ),
        (
            lambda: SGD(0.1).apply([Tensor([1.0], requires_grad=True, name="w")]),
            "SGD: the parameter w has no gradient.\nHint: call backward() first, or pass gradients=",
        ),
        (
            lambda: SGD(0.1).apply([Tensor([1.0])], []),
            "SGD: 1 parameters, but 0 gradients were given.",
        ),
    ],
)
def test_wrong_settings_and_calls_are_explained(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()
    assert str(error.value) == message


def test_a_gradient_of_another_shape_changes_nothing() -> None:
    w, optimizer = Tensor([1.0], name="w"), Momentum(0.1)
    with pytest.raises(ShapeError) as error:
        optimizer.apply([w], [Tensor([1.0, 2.0])])
    assert str(error.value) == "Momentum: the gradient of w is float32[2], but the parameter float32[1]"
    assert (w.tolist(), optimizer.iterations) == ([1.0], 0)
