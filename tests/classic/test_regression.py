from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from pellucid.classic import AdalineGD, LinearRegressionGD


def test_on_targets_of_one_and_minus_one_it_is_adaline_bit_for_bit() -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(30, 4)), r.permutation([-1, 1] * 15)
    line, unit = LinearRegressionGD(0.01, 20).fit(x, y), AdalineGD(0.01, 20).fit(x, y)
    assert np.array_equal(line.coef_history_, unit.coef_history_[:, 0])
    assert np.array_equal(line.intercept_history_, unit.intercept_history_[:, 0])
    assert line.cost_ == unit.cost_
    assert np.array_equal(np.where(line.predict(x) >= 0, 1, -1), unit.predict(x))


def test_enough_epochs_reach_the_least_squares_solution() -> None:
    r = np.random.default_rng(1)
    x = r.normal(size=(50, 3))
    y = x @ [1.0, -2.0, 3.0] + 4 + 0.1 * r.normal(size=50)
    ours, theirs = LinearRegressionGD(0.01, 2000).fit(x, y), LinearRegression().fit(x, y)
    assert ours.coef_ == pytest.approx(theirs.coef_, abs=1e-8)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=1e-8)
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y))


def test_the_cost_is_half_the_sum_of_squares_at_the_start_of_each_epoch() -> None:
    x, y = np.array([[1.0], [2.0]]), np.array([3.0, 5.0])
    model = LinearRegressionGD(0.1, 2).fit(x, y)
    assert model.cost_[0] == 0.5 * (9 + 25)
    w, b = model.coef_history_[0, 0], model.intercept_history_[0]
    assert (w, b) == pytest.approx((0.1 * (3 + 10), 0.1 * 8))
    assert model.cost_[1] == pytest.approx(0.5 * float(((y - w * x[:, 0] - b) ** 2).sum()))
