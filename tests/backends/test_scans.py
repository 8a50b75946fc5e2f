import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.backends import scans
from pellucid.backends.scans import Reference, order_of

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 30))


def some(shape, seed, levels=5):
    """Columns with ties, negative numbers and both zeros."""
    r = np.random.default_rng(seed)
    return (r.integers(-levels, levels + 1, shape) / 4).astype("float32") * r.choice([-1, 1], shape).astype("float32")


@given(SHAPES, st.integers(0, 999))
def test_orders_are_stable_and_mark_where_a_threshold_fits(shape, seed):
    columns = some(shape, seed)
    order = order_of(columns)
    np.testing.assert_array_equal(order >> 1, np.argsort(columns, axis=1, kind="stable"))
    values = np.take_along_axis(columns, (order >> 1).astype(int), axis=1)
    np.testing.assert_array_equal(order[:, :-1] & 1, values[:, :-1] < values[:, 1:])
    assert not (order[:, -1] & 1).any()


def test_both_zeros_are_one_value_and_infinities_come_last():
    column = np.array([[0.0, -0.0, np.inf, -np.inf, -1e-45, 1e-45]], "float32")
    assert order_of(column).tolist() == [[2 * 3 + 1, 2 * 4 + 1, 2 * 0, 2 * 1 + 1, 2 * 5 + 1, 2 * 2]]


def cuts(column):
    """Every cut of a column: its position in the order, and the samples on its left."""
    order = np.argsort(column, kind="stable")
    yield -1, order[:0]
    for i in range(len(column) - 1):
        if column[order[i]] < column[order[i + 1]]:
            yield i, order[: i + 1]


@given(SHAPES, st.integers(0, 999))
def test_error_cuts_are_the_lowest_and_highest_of_all(shape, seed):
    columns = some(shape, seed)
    signed = np.random.default_rng(seed).integers(-8, 9, shape[1]) / 8.0  # sums are exact
    found = Reference.error_cuts(order_of(columns), shape[0], signed)
    for column, lowest, at_lowest, highest, at_highest in zip(columns, *found, strict=True):
        sums = {at: signed[left].sum() for at, left in cuts(column)}
        assert (lowest, highest) == (min(sums.values()), max(sums.values()))
        assert at_lowest == min(at for at, value in sums.items() if value == lowest)
        assert at_highest == min(at for at, value in sums.items() if value == highest)


@given(SHAPES, st.integers(0, 999))
def test_gini_cuts_have_the_least_impurity_of_all(shape, seed):
    columns = some(shape, seed)
    signed = np.random.default_rng(seed).choice([-3, -2, -1, 1, 2, 3], shape[1]) / 4.0
    found = Reference.gini_cuts(order_of(columns), shape[0], signed)
    for column, _, at, left in zip(columns, *found, strict=True):
        impurities, sums = {}, {}
        for place, samples in cuts(column):
            sides = samples, np.setdiff1d(np.arange(shape[1]), samples)
            impurities[place] = sum(impurity(signed[side]) for side in sides)
            sums[place] = signed[samples].sum()
        assert impurities[at] == pytest.approx(min(impurities.values()), abs=1e-12)
        assert left == sums[at]


def impurity(signed):
    """The weight of a side times its Gini impurity."""
    weight = np.abs(signed).sum()
    share = signed[signed > 0].sum() / weight if len(signed) else 0.0
    return 2 * weight * share * (1 - share)


def test_the_setting_of_the_backend_chooses(monkeypatch):
    monkeypatch.setenv("PELLUCID_BACKEND", "reference")
    assert scans.chosen() is Reference
    monkeypatch.setenv("PELLUCID_BACKEND", "cpu")
    assert scans.chosen().__name__ == "Engine"
