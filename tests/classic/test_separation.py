from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.classic import McCullochPitts, binary_inputs, separate
from pellucid.errors import DataError

CORNERS = binary_inputs(2)


def test_fourteen_of_the_sixteen_gates_of_two_inputs_have_a_unit() -> None:
    alone = []
    for outputs in product((0, 1), repeat=4):
        if len(set(outputs)) == 1:
            continue  # constant: one class only, a unit of weights 0 computes it
        found = separate(CORNERS, outputs)
        if found.unit is not None:
            assert found.unit(CORNERS).tolist() == list(outputs)
        else:
            alone.append(outputs)
    assert alone == [(0, 1, 1, 0), (1, 0, 0, 1)]  # XOR and its negation


def test_no_unit_of_a_fine_grid_of_weights_computes_xor() -> None:
    """Exhaustive beside the proof: all weights and thresholds from -3 to 3 in quarters."""
    grid = np.arange(-3, 3.01, 0.25)
    w1, w2, threshold = (axis.ravel() for axis in np.meshgrid(grid, grid, grid))
    fires = CORNERS @ np.stack([w1, w2]) >= threshold
    assert fires.shape == (4, 25**3)
    assert not (fires == np.array([0, 1, 1, 0], bool)[:, None]).all(axis=0).any()
    assert (fires == np.array([0, 0, 0, 1], bool)[:, None]).all(axis=0).any()


def test_the_proof_for_xor_is_the_middle_of_both_diagonals() -> None:
    found = separate(CORNERS, [0, 1, 1, 0])
    assert not found.separable
    assert found.common_point is not None
    assert found.shares is not None
    assert found.common_point == pytest.approx([0.5, 0.5])
    assert found.shares == pytest.approx([0.5, 0.5, 0.5, 0.5])


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_points_cut_by_a_unit_are_separated_by_the_one_found(seed: int, features: int) -> None:
    r = np.random.default_rng(seed)
    x = r.normal(3, 10, (12, features))
    w = r.normal(size=features)
    unit = McCullochPitts.from_bias(w, float(-np.median(x @ w)) + 1e-3)
    y = unit(x)
    found = separate(x, y)
    assert found.unit is not None
    assert np.array_equal(found.unit(x), y)


@given(st.integers(0, 10_000))
def test_either_a_unit_or_a_common_point_is_given_and_both_hold(seed: int) -> None:
    r = np.random.default_rng(seed)
    x, y = r.normal(size=(10, 2)), r.permutation([0, 1] * 5)
    found = separate(x, y)
    if found.unit is not None:
        assert np.array_equal(found.unit(x), y)
        return
    assert found.shares is not None
    assert (found.shares >= 0).all()
    for label in (0, 1):
        assert found.shares[y == label].sum() == pytest.approx(1)
        assert found.shares[y == label] @ x[y == label] == pytest.approx(found.common_point)


def test_unsuitable_data_are_refused() -> None:
    with pytest.raises(DataError, match=r"^separate takes x \[N, features\] and y \[N\], not \[4, 2\] and \[3\]\.$"):
        separate(CORNERS, [0, 1, 1])
    with pytest.raises(DataError, match=r"^separate: y must have two classes, not 3\.$"):
        separate(CORNERS, [0, 1, 2, 0])
    with pytest.raises(DataError, match=r"^separate: x has values that are not finite\.$"):
        separate([[0.0], [float("nan")]], [0, 1])
