"""Section A of the lectures' canon: single units and linear models, with the numbers of the decks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from pellucid import Sequential, data, set_seed
from pellucid.classic import (
    AND,
    NAND,
    NOT,
    OR,
    XOR,
    AdalineGD,
    AdalineSGD,
    LinearRegressionGD,
    LogisticRegressionGD,
    McCullochPitts,
    Perceptron,
    binary_inputs,
    compare_dot,
    separate,
)
from pellucid.data import Dataset, standardize
from pellucid.nn import Dense
from pellucid.optim import Adam


@pytest.fixture(scope="module")
def flowers() -> tuple[np.ndarray, np.ndarray]:
    """Setosa (-1) and versicolor (+1): sepal length and petal length, in the order of the file."""
    iris = load_iris()
    return iris.data[:100, [0, 2]], np.where(iris.target[:100] == 0, -1, 1)


# ---- McCulloch-Pitts and the gates --------------------------------------------------------------------------------


def test_gates_by_hand_weights() -> None:
    pairs = binary_inputs(2)
    assert AND(pairs).tolist() == [0, 0, 0, 1]
    assert OR(pairs).tolist() == [0, 1, 1, 1]
    assert NAND(pairs).tolist() == [1, 1, 1, 0]
    assert NOT([[0], [1]]).tolist() == [1, 0]


def test_the_threshold_moves_into_the_bias() -> None:
    assert AND.threshold == 2
    assert AND.bias == -2
    assert McCullochPitts.from_bias((1, 1), -2)(binary_inputs(2)).tolist() == [0, 0, 0, 1]


def test_xor_is_impossible_for_one_unit_and_possible_with_a_hidden_layer() -> None:
    pairs, xor = binary_inputs(2), [0, 1, 1, 0]
    proof = separate(pairs, xor)
    assert proof.unit is None
    # One point is in the hull of both classes: half (0, 0) + half (1, 1), and half (0, 1) + half (1, 0).
    assert proof.common_point == pytest.approx([0.5, 0.5])
    assert len(XOR.layers) == 2
    assert XOR(pairs).tolist() == xor


# ---- the perceptron -----------------------------------------------------------------------------------------------


def test_the_perceptron_on_iris_makes_the_decks_errors_and_weights(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    model = Perceptron(learning_rate=0.1, epochs=10).fit(*flowers)
    assert model.errors_ == [2, 2, 3, 2, 1, 0]
    assert model.converged_
    assert model.n_iter_ == 6
    assert [model.intercept_[0], *model.coef_[0]] == pytest.approx([-0.4, -0.68, 1.82])
    assert model.score(*flowers) == 1.0


def test_the_perceptron_does_not_converge_where_no_line_separates() -> None:
    iris = load_iris()
    x, y = iris.data[50:, [0, 2]], iris.target[50:]  # versicolor and virginica
    assert not separate(x, y).separable
    model = Perceptron(learning_rate=0.1, epochs=300).fit(x, y)
    assert not model.converged_
    assert min(model.errors_) > 0


# ---- Adaline ------------------------------------------------------------------------------------------------------


def test_adaline_diverges_at_a_hundredth_on_the_raw_lengths(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    cost = AdalineGD(learning_rate=0.01, epochs=10).fit(*flowers).cost_
    logs = [math.log10(each) for each in cost]
    assert cost[0] == 50.0  # half of the hundred squared targets
    assert np.diff(logs).min() > 1  # every epoch multiplies the error by more than ten
    assert logs[-1] > 25


def test_adaline_descends_at_a_ten_thousandth(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    cost = AdalineGD(learning_rate=0.0001, epochs=10).fit(*flowers).cost_
    assert np.diff(cost).max() < 0


def test_adaline_converges_in_fifteen_epochs_on_standardised_lengths(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = flowers
    model = AdalineGD(learning_rate=0.01, epochs=15).fit(standardize(x), y)
    assert np.diff(model.cost_).max() < 0
    design = np.column_stack([standardize(x), np.ones(100)])
    least = 0.5 * float(np.linalg.lstsq(design, y, rcond=None)[1][0])
    assert model.cost_[-1] - least < 0.01 * (model.cost_[0] - least)
    assert model.score(standardize(x), y) == 1.0


def test_online_adaline_falls_faster_per_pass_than_batch(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = standardize(flowers[0]), flowers[1]
    # The batch form notes its cost before each step, the online form after each pass.
    batch = AdalineGD(learning_rate=0.01, epochs=16).fit(x, y).cost_[1:]
    for shuffle in (False, True):
        online = AdalineSGD(learning_rate=0.01, epochs=15, shuffle=shuffle).fit(x, y).cost_
        assert (np.array(online) < np.array(batch)).all()
        assert online[0] < 0.3 * batch[0]


def test_online_adaline_is_initialised_again_by_fit_and_continued_by_partial_fit(
    flowers: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = standardize(flowers[0]), flowers[1]
    model = AdalineSGD(learning_rate=0.001, epochs=2).fit(x, y)
    reached = model.cost_[-1]
    assert model.fit(x, y).cost_[-1] == reached
    assert model.partial_fit(x, y).cost_[-1] < reached


def test_linear_regression_beside_adaline(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = standardize(flowers[0]), flowers[1]
    unit, line = AdalineGD(0.01, 15).fit(x, y), LinearRegressionGD(0.01, 15).fit(x, y)
    assert np.array_equal(unit.coef_[0], line.coef_)
    assert set(unit.predict(x)) == {-1, 1}
    assert len(set(line.predict(x))) > 2


def test_standardisation_subtracts_the_mean_and_divides_by_the_deviation(
    flowers: tuple[np.ndarray, np.ndarray],
) -> None:
    x = flowers[0]
    assert standardize(x) == pytest.approx((x - x.mean(axis=0)) / x.std(axis=0))


# ---- logistic regression ------------------------------------------------------------------------------------------


def test_logistic_regression_as_a_loop_and_as_matrices_are_equal(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = standardize(flowers[0]), flowers[1]
    fast = LogisticRegressionGD(learning_rate=0.5, epochs=20).fit(x, y)
    slow = LogisticRegressionGD(learning_rate=0.5, epochs=20, form="loop").fit(x, y)
    assert slow.coef_ == pytest.approx(fast.coef_, rel=1e-12)
    assert slow.cost_ == pytest.approx(fast.cost_, rel=1e-12)
    assert fast.cost_[0] == pytest.approx(math.log(2))
    assert np.diff(fast.cost_).max() < 0
    assert fast.score(x, y) > 0.95


def test_the_first_step_is_dz_equal_a_minus_y(flowers: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = flowers
    model = LogisticRegressionGD(learning_rate=1.0, epochs=1).fit(x, y)
    dz = 0.5 - (y == 1)  # a = σ(0)
    assert model.coef_[0] == pytest.approx(-(dz @ x) / 100)
    assert model.intercept_[0] == pytest.approx(-dz.mean())


def test_a_vectorised_product_of_a_million_elements_beats_the_loop() -> None:
    times = compare_dot(1_000_000)
    assert times.vectorised == pytest.approx(times.loop, rel=1e-9)
    assert times.speedup > 10


# ---- the three data sets of deck 002 ------------------------------------------------------------------------------

THREE = ["linearly_separable", "non_linearly_separable", "circles"]


def write_table(path: Path, name: str) -> None:
    """The data set as the deck's kind of table: three columns with blanks between them."""
    drawn = data.load(name)
    x, y = np.concatenate([drawn.x_train, drawn.x_test]), np.concatenate([drawn.y_train, drawn.y_test])
    rows = [f"{a:<12.6f} {b:<12.6f} {label}" for (a, b), label in zip(x, y, strict=True)]
    path.write_text("\n".join(["Input_A      Input_B      Label", *rows]) + "\n", encoding="utf-8")


@pytest.fixture(params=THREE)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """A data set written as a whitespace table and read with the table loader."""
    path = tmp_path / f"{request.param}.txt"
    write_table(path, request.param)
    return data.load(path, target="Label")


def test_the_whitespace_tables_are_read(table: Dataset) -> None:
    assert table.feature_names == ("Input_A", "Input_B")
    assert table.target_names == ("0", "1")
    assert table.task == "classification"
    drawn = data.load(table.name)
    assert len(table.x_train) + len(table.x_test) == len(drawn.x_train) + len(drawn.x_test)
    found = np.concatenate([table.x_train, table.x_test])
    away = np.abs(drawn.x_test[:, None] - found[None]).max(axis=2).min(axis=1)
    assert away.max() < 1e-6  # of the six digits that were written


def test_the_perceptron_solves_the_first_only(table: Dataset) -> None:
    model = Perceptron(learning_rate=0.1, epochs=500).fit(*table.train)
    if table.name == "linearly_separable":
        assert model.converged_
        assert model.score(*table.test) > 0.98
    else:
        assert not model.converged_
        assert not separate(*table.train).separable  # no other line does better than fail
        assert model.score(*table.train) < 0.9


def test_one_hidden_layer_solves_all_three(table: Dataset) -> None:
    set_seed(0)
    model = Sequential([Dense(16, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=Adam(0.02), metrics=["accuracy"])
    model.fit(table.x_train, table.y_train, batch_size=16, epochs=200, seed=0, verbose=0)
    assert model.evaluate(table.x_train, table.y_train)[1] == 1.0
    assert model.evaluate(table.x_test, table.y_test)[1] > 0.95
