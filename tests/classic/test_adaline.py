from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import SGDRegressor

from pellucid import Input, Sequential
from pellucid.classic import AdalineGD, AdalineSGD
from pellucid.classic.adaline import squared_error_step
from pellucid.errors import DataError
from pellucid.nn import Dense
from pellucid.nn.losses import SumSquaredError
from pellucid.optim import SGD


def data(seed: int = 0, rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    r = np.random.default_rng(seed)
    x = r.normal(size=(rows, 3))
    return x, np.where(x @ [1.0, -2.0, 0.5] + 0.3 * r.normal(size=rows) > 0, "yes", "no")


@given(st.integers(0, 1000), st.integers(1, 3))
def test_the_step_follows_the_numerical_gradient(seed: int, units: int) -> None:
    r = np.random.default_rng(seed)
    W, b, X, Y = r.normal(size=(units, 2)), r.normal(size=units), r.normal(size=(5, 2)), r.normal(size=(5, units))

    def cost(W: np.ndarray, b: np.ndarray) -> float:
        return 0.5 * float(((Y - X @ W.T - b) ** 2).sum())

    moved_W, moved_b = W.copy(), b.copy()
    assert squared_error_step(moved_W, moved_b, X, Y, 0.1) == pytest.approx(cost(W, b))
    eps = 1e-6
    for k in range(units):
        for j in range(2):
            up, down = W.copy(), W.copy()
            up[k, j] += eps
            down[k, j] -= eps
            slope = (cost(up, b) - cost(down, b)) / (2 * eps)
            assert moved_W[k, j] == pytest.approx(W[k, j] - 0.1 * slope, abs=1e-6)
        shift = eps * np.eye(units)[k]
        slope = (cost(W, b + shift) - cost(W, b - shift)) / (2 * eps)
        assert moved_b[k] == pytest.approx(b[k] - 0.1 * slope, abs=1e-6)


def test_enough_batch_epochs_reach_the_least_squares_solution() -> None:
    x, y = data()
    model = AdalineGD(0.02, 3000).fit(x, y)
    design = np.column_stack([x, np.ones(len(x))])
    best, *_ = np.linalg.lstsq(design, np.where(y == "yes", 1.0, -1.0), rcond=None)
    assert np.append(model.coef_[0], model.intercept_) == pytest.approx(best, abs=1e-8)
    assert np.diff(model.cost_).max() <= 1e-12


def test_the_online_form_makes_the_steps_of_scikit_learns_sgd_regressor() -> None:
    x, y = data(1)
    ours = AdalineSGD(0.01, 3, shuffle=False).fit(x, y)
    theirs = SGDRegressor(
        loss="squared_error", penalty=None, alpha=0.0, learning_rate="constant", eta0=0.01, shuffle=False
    )
    targets = np.where(y == "yes", 1.0, -1.0)
    for epoch in range(3):
        theirs.partial_fit(x, targets)
        assert ours.coef_history_[epoch][0] == pytest.approx(theirs.coef_)
        assert ours.intercept_history_[epoch] == pytest.approx(theirs.intercept_)
    assert ours.cost_[-1] == pytest.approx(0.5 * ((theirs.predict(x) - targets) ** 2).sum())


@pytest.mark.parametrize("shuffle", [False, True])
def test_partial_fit_continues_where_fit_would_have_gone(shuffle: bool) -> None:
    x, y = data(2)
    whole = AdalineSGD(0.01, 5, shuffle=shuffle, seed=4).fit(x, y)
    pieces = AdalineSGD(0.01, 3, shuffle=shuffle, seed=4).fit(x, y)
    pieces.partial_fit(x, y).partial_fit(x, y)
    assert np.array_equal(whole.coef_history_, pieces.coef_history_)
    assert whole.cost_ == pieces.cost_
    assert pieces.n_iter_ == 5
    assert np.array_equal(pieces.fit(x, y).coef_, AdalineSGD(0.01, 3, shuffle=shuffle, seed=4).fit(x, y).coef_)


def test_partial_fit_learns_from_a_stream_that_begins_with_one_class() -> None:
    x, y = data(3, 40)
    order = np.argsort(y, kind="stable")
    model = AdalineSGD(0.01)
    for start in range(0, 40, 10):
        rows = order[start : start + 10]
        model.partial_fit(x[rows], y[rows], classes=["yes", "no"])
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.n_iter_ == 4
    with pytest.raises(DataError, match="y must have at least two classes, but has one class"):
        AdalineSGD().partial_fit(x[:1], y[:1])


def test_partial_fit_refuses_other_classes() -> None:
    x, y = data()
    model = AdalineSGD().partial_fit(x, y)
    with pytest.raises(DataError) as caught:
        model.partial_fit(x[:1], ["perhaps"])
    assert str(caught.value) == "AdalineSGD: the label 'perhaps' is not among the classes ['no', 'yes']."
    with pytest.raises(DataError) as caught:
        model.partial_fit(x, y, classes=["a", "b"])
    assert str(caught.value) == "AdalineSGD: classes=['a', 'b'] differ from those of the first call, ['no', 'yes']."


def test_shuffling_follows_the_seed() -> None:
    x, y = data()
    models = [AdalineSGD(0.01, 4, seed=seed).fit(x, y) for seed in (0, 0, 1)]
    assert np.array_equal(models[0].coef_history_, models[1].coef_history_)
    assert not np.array_equal(models[0].coef_history_, models[2].coef_history_)


def test_both_forms_make_the_steps_of_a_model_of_one_linear_unit() -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(30, 3)), r.permutation([-1.0, 1.0] * 15)
    for unit, size in ((AdalineGD(0.01, 5), 30), (AdalineSGD(0.01, 5, shuffle=False), 1)):
        unit.fit(x, y)
        layers = [Input((3,)), Dense(1, kernel_initializer="zeros")]
        model = Sequential(layers, dtype="float64")
        model.compile(SumSquaredError(half=True), SGD(0.01))
        model.fit(x, y, batch_size=size, epochs=5, shuffle=False, verbose=0)
        assert unit.coef_[0] == pytest.approx(model.get_weights()["dense.kernel"][:, 0], rel=1e-9)
        assert unit.intercept_ == pytest.approx(model.get_weights()["dense.bias"], rel=1e-9)
