import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from pellucid import data
from pellucid.analysis.diagnosis.neighbours import nearest, overlap


@given(st.integers(2, 700), st.integers(1, 40), st.integers(1, 5), st.integers(0, 99))
def test_nearest_rows_are_those_of_scikit_learn(n, m, features, seed):
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=(m, features)), draw.normal(size=(n, features))
    distance, place = nearest(a, b)
    expected, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(b).kneighbors(a)
    assert distance == pytest.approx(expected[:, 0])
    assert np.linalg.norm(a - b[place], axis=1) == pytest.approx(expected[:, 0])


@given(st.integers(2, 700), st.integers(0, 99))
def test_no_row_is_its_own_neighbour(n, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    distance, place = nearest(rows, rows, own=True)
    expected, _ = NearestNeighbors(n_neighbors=2).fit(rows).kneighbors(rows)
    assert distance == pytest.approx(expected[:, 1])
    assert (place != np.arange(n)).all()


@pytest.mark.parametrize("name", ["iris", "digits", "breast_cancer", "wine", "spirals", "circles"])
def test_the_splits_of_real_data_do_not_overlap(name):
    examples = data.load(name).flat()
    assert overlap(examples.x_train, examples.x_test) is None


@pytest.mark.parametrize("count", [3, 40])
def test_exactly_the_copies_are_found_with_their_originals(count):
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    held = np.concatenate([x[200:260], x[10 : 10 + count]])
    found = overlap(x[:200], held)
    assert found is not None
    assert np.flatnonzero(found.rows).tolist() == list(range(60, 60 + count))
    assert found.partner[60:].tolist() == list(range(10, 10 + count))
    assert found.nearly == 0


def test_a_single_copy_among_many_rows_may_be_chance():
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    assert overlap(x[:200], np.concatenate([x[200:], x[:1]])) is None


def test_rows_of_few_values_are_equal_by_chance():
    x = np.random.default_rng(0).integers(0, 2, (400, 5)).astype(np.float32)
    assert overlap(x[:300], x[300:]) is None


def test_jittered_copies_are_found_whatever_the_scale_of_the_features():
    draw = np.random.default_rng(0)
    x = (draw.normal(size=(300, 6)) * np.logspace(-3, 3, 6)).astype(np.float32)
    copies = x[:50] * (1 + 1e-3 * draw.normal(size=(50, 6)).astype(np.float32))
    found = overlap(x[:200], np.concatenate([copies, x[200:]]))
    assert found is not None
    assert np.flatnonzero(found.rows).tolist() == list(range(50))
    assert (found.nearly, found.partner[:3].tolist()) == (50, [0, 1, 2])
