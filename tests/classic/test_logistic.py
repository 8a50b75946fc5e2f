from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pellucid import Input, Sequential, Tensor, value_and_grad
from pellucid.classic import LogisticRegressionGD
from pellucid.classic.logistic import loop_gradient, vectorised_gradient
from pellucid.errors import ConfigurationError, NonFiniteError
from pellucid.nn import Dense
from pellucid.nn.losses import BinaryCrossentropy
from pellucid.optim import SGD, Adam, Momentum


def draw(seed: int, rows: int, features: int, units: int, scale: float) -> tuple[np.ndarray, ...]:
    r = np.random.default_rng(seed)
    W, b = scale * r.normal(size=(units, features)), r.normal(size=units)
    return W, b, r.normal(size=(rows, features)), r.integers(0, 2, (rows, units)).astype(float)


@given(
    st.integers(0, 1000), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.1, 1.0, 300.0])
)
def test_the_loop_and_the_matrices_give_the_same_numbers(
    seed: int, rows: int, features: int, units: int, scale: float
) -> None:
    W, b, X, Y = draw(seed, rows, features, units, scale)
    for slow, fast in zip(loop_gradient(W, b, X, Y), vectorised_gradient(W, b, X, Y), strict=True):
        assert slow == pytest.approx(fast, rel=1e-12, abs=1e-12)


@given(st.integers(0, 1000))
def test_the_gradient_is_that_of_automatic_differentiation(seed: int) -> None:
    W, b, X, Y = draw(seed, 6, 3, 1, 1.0)
    bce = BinaryCrossentropy(from_logits=True)

    def cost(parameters: tuple[Tensor, Tensor]) -> Tensor:
        w, bias = parameters
        return bce(Tensor(Y), Tensor(X) @ w.T + bias)

    value, (dW, db) = value_and_grad(cost)((Tensor(W), Tensor(b)))
    J, by_hand_W, by_hand_b = vectorised_gradient(W, b, X, Y)
    assert float(value) == pytest.approx(J, rel=1e-6)
    assert by_hand_W == pytest.approx(np.asarray(dW), rel=1e-5, abs=1e-7)
    assert by_hand_b == pytest.approx(np.asarray(db), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("optimizer", "engine"), [(None, SGD(0.5)), ("adam", Adam(0.5)), (Momentum(0.1, 0.8), Momentum(0.1, 0.8))]
)
def test_its_steps_are_those_of_a_model_of_one_unit(optimizer: object, engine: object) -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(28, 3)), r.permutation([0, 1] * 14)
    unit = LogisticRegressionGD(0.5, 6, batch_size=7, optimizer=optimizer, shuffle=False).fit(x, y)
    layers = [Input((3,)), Dense(1, activation="sigmoid", kernel_initializer="zeros")]
    model = Sequential(layers, dtype="float64")
    model.compile("binary_crossentropy", engine)
    history = model.fit(x, y, batch_size=7, epochs=6, shuffle=False, verbose=0)
    assert unit.coef_[0] == pytest.approx(model.get_weights()["dense.kernel"][:, 0], rel=1e-9)
    assert unit.intercept_ == pytest.approx(model.get_weights()["dense.bias"], rel=1e-9)
    assert unit.cost_ == pytest.approx(history.history["loss"], rel=1e-9)


def test_an_optimiser_keeps_no_state_and_is_checked() -> None:
    x, y = np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10
    adam = Adam(0.1)
    first, second = (LogisticRegressionGD(epochs=5, optimizer=adam).fit(x, y) for _ in range(2))
    assert np.array_equal(first.coef_, second.coef_)
    assert adam.iterations == 0
    assert first.cost_[-1] < LogisticRegressionGD(epochs=5, learning_rate=0.01, optimizer="sgd").fit(x, y).cost_[-1]
    with pytest.raises(ConfigurationError, match="LogisticRegressionGD: optimizer must be None, an Optimizer or one"):
        LogisticRegressionGD(optimizer="adm").fit(x, y)


def test_both_forms_train_alike() -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(30, 3)), r.permutation([0, 1] * 15)
    for size in (None, 1, 7):
        fast = LogisticRegressionGD(0.5, 5, batch_size=size, l2=0.1).fit(x, y)
        slow = LogisticRegressionGD(0.5, 5, batch_size=size, l2=0.1, form="loop").fit(x, y)
        assert slow.coef_history_ == pytest.approx(fast.coef_history_, rel=1e-10)
        assert slow.cost_ == pytest.approx(fast.cost_, rel=1e-10)


@pytest.mark.parametrize("l2", [0.01, 0.3])
def test_the_minimum_is_that_of_scikit_learn(l2: float) -> None:
    r = np.random.default_rng(1)
    x = r.normal(size=(60, 3))
    y = (x @ [1.0, -1.0, 2.0] + r.normal(size=60) > 0).astype(int)
    ours = LogisticRegressionGD(1.0, 4000, l2=l2).fit(x, y)
    theirs = LogisticRegression(C=1 / (60 * l2), tol=1e-10, max_iter=10_000).fit(x, y)
    assert ours.coef_ == pytest.approx(theirs.coef_, abs=1e-5)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=1e-5)
    assert ours.predict_proba(x) == pytest.approx(theirs.predict_proba(x), abs=1e-5)


def test_l2_is_weight_decay_and_spares_the_bias() -> None:
    x, y = np.array([[1.0], [-1.0], [2.0]]), [0, 1, 1]
    plain, decayed = LogisticRegressionGD(0.5, 2).fit(x, y), LogisticRegressionGD(0.5, 2, l2=0.2).fit(x, y)
    assert np.array_equal(plain.coef_history_[0], decayed.coef_history_[0])  # from zero there is nothing to decay
    w, b = plain.coef_history_[0], plain.intercept_history_[0]
    dz = expit(x @ w.T + b)[:, 0] - y
    assert decayed.coef_[0, 0] == pytest.approx((1 - 0.5 * 0.2) * w[0, 0] - 0.5 * float((dz * x[:, 0]).mean()))
    assert decayed.intercept_[0] == pytest.approx(b[0] - 0.5 * dz.mean())
    assert decayed.cost_[1] == pytest.approx(plain.cost_[1] + 0.1 * w[0, 0] ** 2)


def test_a_decay_of_more_than_twice_the_weights_is_reported() -> None:
    with pytest.raises(NonFiniteError, match=r"^LogisticRegressionGD: the cost left the range of float64 in epoch "):
        LogisticRegressionGD(10.0, 2000, l2=1.0).fit([[1.0], [2.0]], [0, 1])


def test_ninety_nine_examples_in_batches_of_three_are_thirty_three_updates_an_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    r = np.random.default_rng(2)
    x, y = r.normal(size=(99, 2)), r.integers(0, 2, 99)
    steps: list[int] = []
    step = LogisticRegressionGD._step

    def counted(self: LogisticRegressionGD, X: np.ndarray, *rest: Any) -> float:
        steps.append(len(X))
        return step(self, X, *rest)

    monkeypatch.setattr(LogisticRegressionGD, "_step", counted)
    LogisticRegressionGD(0.1, 10, batch_size=3).fit(x, y)
    assert steps == [3] * 330


def test_smaller_batches_get_further_in_one_epoch() -> None:
    r = np.random.default_rng(3)
    x = r.normal(size=(200, 2))
    y = (x.sum(axis=1) > 0).astype(int)
    last = [LogisticRegressionGD(0.1, 5, batch_size=size).fit(x, y).cost_[-1] for size in (1, 20, None)]
    assert last[0] < last[1] < last[2]


def test_shuffling_follows_the_seed_and_a_full_batch_needs_none() -> None:
    r = np.random.default_rng(4)
    x, y = r.normal(size=(30, 2)), r.permutation([0, 1] * 15)

    def history(**settings: object) -> np.ndarray:
        return LogisticRegressionGD(0.1, 3, **settings).fit(x, y).coef_history_  # type: ignore[arg-type]

    assert np.array_equal(history(batch_size=4, seed=1), history(batch_size=4, seed=1))
    assert not np.array_equal(history(batch_size=4, seed=1), history(batch_size=4, seed=2))
    assert np.array_equal(history(seed=1), history(seed=2))
    assert np.array_equal(history(batch_size=30), history(batch_size=None))


def test_probabilities_sum_to_one_even_where_every_unit_is_sure_of_no() -> None:
    r = np.random.default_rng(5)
    model = LogisticRegressionGD(0.5, 50).fit(r.normal(size=(30, 2)), np.repeat([0, 1, 2], 10))
    model.coef_, model.intercept_ = np.zeros((3, 2)), np.array([-900.0, -901.0, -5000.0])
    assert model.predict_proba(np.ones((1, 2)))[0] == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, or None, not 0."),
        ({"l2": -1.0}, "l2 must be a finite number of at least 0, not -1.0."),
        ({"form": "matrix"}, "form must be one of 'vectorised', 'loop', not 'matrix'."),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LogisticRegressionGD(**settings).fit([[0.0], [1.0]], [0, 1])  # type: ignore[arg-type]
    assert str(caught.value) == f"LogisticRegressionGD: {message}"
