from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.classic import separate
from pellucid.data import Dataset, load
from pellucid.data.synthetic import CURVES, MARGIN
from pellucid.errors import ConfigurationError

PLANE = ["linearly_separable", "non_linearly_separable", "circles", "xor"]


def together(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])


def side(name: str, x: np.ndarray) -> np.ndarray:
    """Positive in class 1: the rules as the documentation words them."""
    a, b = x.T
    rules: dict[str, Any] = {
        "linearly_separable": lambda: 0.6 * a + 0.8 * b - 0.1,
        "non_linearly_separable": lambda: b - 0.6 * np.cos(np.pi * a),
        "circles": lambda: 0.6 - np.hypot(a, b),
        "xor": lambda: -a * b,
    }
    return rules[name]()


@pytest.mark.parametrize("name", PLANE)
@pytest.mark.parametrize("samples", [4, 101, 300])
def test_every_point_is_on_the_side_of_its_class(name: str, samples: int) -> None:
    x, y = together(load(name, samples=samples, seed=samples))
    assert x.shape == (samples, 2)
    assert np.array_equal(side(name, x) > 0, y == 1)
    assert np.bincount(y).tolist() == [samples - samples // 2, samples // 2]
    assert np.abs(x).max() <= 1


@pytest.mark.parametrize("name", [*PLANE, "spirals", "curve"])
def test_equal_seeds_give_equal_bits_and_others_do_not(name: str) -> None:
    first, again, other = load(name, seed=3), load(name, seed=3), load(name, seed=4)
    for part, same in zip((*first.train, *first.test), (*again.train, *again.test), strict=True):
        assert np.array_equal(part, same)
    assert not np.array_equal(first.x_train, other.x_train)


def test_only_the_first_can_be_separated_by_one_unit() -> None:
    separable = [name for name in [*PLANE, "spirals"] if separate(*together(load(name))).separable]
    assert separable == ["linearly_separable"]


def test_the_classes_of_the_line_keep_their_margin() -> None:
    x, _ = together(load("linearly_separable", samples=1000))
    assert np.abs(side("linearly_separable", x)).min() > MARGIN - 1e-6


def test_the_ring_ends_at_radius_one() -> None:
    x, y = together(load("circles", samples=1000))
    radius = np.hypot(*x.T)
    assert radius.max() <= 1
    assert radius[y == 1].max() < 0.6 - MARGIN + 1e-6
    assert radius[y == 0].min() > 0.6 + MARGIN - 1e-6


def test_noise_moves_the_points_by_its_deviation() -> None:
    clean, noisy = load("circles", samples=2000, seed=1), load("circles", samples=2000, seed=1, noise=0.1)
    shift = together(noisy)[0] - together(clean)[0]
    assert shift.std() == pytest.approx(0.1, rel=0.05)
    assert np.array_equal(together(noisy)[1], together(clean)[1])


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_a_spiral_turned_back_by_its_class_is_the_first_arm(arms: int) -> None:
    x, y = together(load("spirals", samples=200, arms=arms, turns=1.25, noise=0.0))
    assert set(y.tolist()) == set(range(arms))
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    expected = 2 * np.pi * (1.25 * radius + y / arms)
    assert np.cos(angle - expected) == pytest.approx(np.ones(200), abs=1e-5)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_without_noise_is_its_function(name: str) -> None:
    data = load("curve", function=name, noise=0.0, samples=50)
    assert data.task == "regression"
    assert data.y_train == pytest.approx(CURVES[name](data.x_train[:, 0]), abs=1e-5)


def test_the_noise_of_a_curve_has_its_deviation() -> None:
    data = load("curve", samples=5000, noise=0.25)
    assert (data.y_train - np.sin(np.pi * data.x_train[:, 0])).std() == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("circles", {"samples": 3}, "circles: samples must be a whole number of at least 4, not 3."),
        ("xor", {"noise": -0.1}, "xor: noise must be a finite number of at least 0, not -0.1."),
        ("xor", {"seed": 1.5}, "xor: seed must be a whole number of at least 0, not 1.5."),
        ("spirals", {"arms": 1}, "spirals: arms must be a whole number of at least 2, not 1."),
        ("spirals", {"arms": 4, "samples": 7}, "spirals: samples must be a whole number of at least 8, not 7."),
        ("curve", {"function": "sin"}, "curve: function must be one of 'sine', 'cubic', 'bump', 'kink', 'step'"),
        ("circles", {"test_fraction": 1.0}, "The held-out fraction must be a number in (0, 1), not 1.0."),
    ],
)
def test_arguments_outside_their_range_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(name, **options)
    assert str(caught.value).startswith(message)
