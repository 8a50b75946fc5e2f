"""The kernels of boosting and sliding windows give the reference's bits, at any number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import set_num_threads
from pellucid.backends.cpu.scans import Engine
from pellucid.backends.scans import CascadeTable, Corners, Reference, order_of


@pytest.fixture(params=[1, 2, 5], autouse=True, scope="module")
def number_of_threads(request):
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 999))
def test_best_cuts(features, samples, seed):
    r = np.random.default_rng(seed)
    order = order_of(r.normal(size=(features, samples)).round(1).astype("float32"))
    signed = r.normal(size=samples) * r.choice([0.0, 1.0], samples, p=[0.1, 0.9])
    signed[0] = 1.0  # some weight in all
    arranged = Engine.arranged(order)
    same(Engine.error_cuts(arranged, features, signed), Reference.error_cuts(order, features, signed))
    same(Engine.gini_cuts(arranged, features, signed), Reference.gini_cuts(order, features, signed))


def some_corners(r, features, height, width):
    counts = r.integers(1, 10, features)
    size = counts.sum()
    first = np.cumsum([0, *counts]).astype(np.int64)
    row, column = r.integers(0, height + 1, size), r.integers(0, width + 1, size)
    return Corners(first, row, column, r.integers(-4, 5, size).astype(np.int32))


def some_table(r, height, width):
    """A cascade; thresholds at which about two thirds of the windows pass each stage."""
    stages = r.integers(0, 5)
    first = np.cumsum([0, *r.integers(1, 6, stages)]).astype(np.int64)
    corners = some_corners(r, int(first[-1]), height, width)
    votes = [r.normal(size=first[-1]) for _ in range(3)]
    threshold = r.normal(size=stages) - 1.5
    return CascadeTable(corners, votes[0] * 300, votes[1], votes[2], first, threshold, r.uniform(0, 1, stages))


@given(st.integers(0, 12), st.integers(0, 90), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_sums_of_rectangles_even_where_the_table_wraps_around(features, samples, height, width, seed):
    r = np.random.default_rng(seed)
    integrals = r.integers(-(2**31), 2**31, (samples, height + 1, width + 1)).astype(np.int32)
    corners = some_corners(r, features, height, width)
    inverse = r.uniform(0.01, 1, samples)
    found = Engine.rectangle_sums(integrals, corners, inverse)
    np.testing.assert_array_equal(found, Reference.rectangle_sums(integrals, corners, inverse), strict=True)


@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 3), st.integers(0, 9999))
def test_cascades_on_every_window(rows, columns, step, seed):
    r = np.random.default_rng(seed)
    height, width = (int(n) for n in r.integers(1, 6, 2))
    shape = ((rows - 1) * step + height + 1, (columns - 1) * step + width + 1)
    integral = r.integers(-1000, 1000, shape).astype(np.int32)
    inverse = r.uniform(0.1, 1, (rows, columns)) * r.choice([0, 1], (rows, columns), p=[0.2, 0.8])
    table = some_table(r, height, width)
    found = Engine.scan_windows(integral, inverse, table, step)
    expected = Reference.scan_windows(integral, inverse, table, step)
    same((found.passed, found.features, found.confidence), (expected.passed, expected.features, expected.confidence))
