import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.analysis.lanczos import extreme_eigenpairs, oriented, quadrature, tridiagonal
from pellucid.errors import ConfigurationError

R = np.random.default_rng(0)


def matrix_of(eigenvalues, seed=0):
    n = len(eigenvalues)
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    return (basis * eigenvalues) @ basis.T


@given(st.integers(1, 9), st.integers(0, 50))
def test_lanczos_finds_a_tridiagonal_matrix_with_the_same_eigenvalues(n, seed):
    values = np.sort(np.random.default_rng(seed).normal(size=n))
    a = matrix_of(values, seed)
    diagonal, side = tridiagonal(lambda v: a @ v, np.random.default_rng(seed).normal(size=n), n)
    matrix = np.diag(diagonal) + np.diag(side, 1) + np.diag(side, -1)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), values, atol=1e-8)


def test_lanczos_stops_where_its_space_is_exhausted():
    diagonal, side = tridiagonal(lambda v: 2.0 * v, np.ones(5), 5)
    assert diagonal == pytest.approx([2.0])
    assert len(side) == 0


def test_quadrature_is_exact_for_polynomials_below_twice_its_steps():
    a = matrix_of(np.random.default_rng(3).normal(size=20))
    start = R.normal(size=20)
    nodes, weights = quadrature(lambda v: a @ v, start, 5)
    for power in range(10):
        wanted = start @ np.linalg.matrix_power(a, power) @ start / (start @ start)
        assert weights @ nodes**power == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("largest", [True, False])
def test_extreme_eigenpairs_are_those_of_the_matrix_the_extreme_one_first(largest):
    values = np.random.default_rng(1).normal(size=80)
    a = matrix_of(values)
    found, vectors = extreme_eigenpairs(lambda v: a @ v, 80, 4, largest=largest, seed=0, tolerance=1e-10)
    wanted = np.sort(values)[::-1][:4] if largest else np.sort(values)[:4]
    np.testing.assert_allclose(found, wanted, atol=1e-8)
    np.testing.assert_allclose(a @ vectors, vectors * found, atol=1e-7)


def test_too_few_iterations_are_an_error_that_says_what_to_do():
    a = matrix_of(np.linspace(0, 1e-3, 400))
    with pytest.raises(ConfigurationError, match=r"Lanczos found . of 3 eigenvalues to the tolerance 1e-12"):
        extreme_eigenpairs(lambda v: a @ v, 400, 3, largest=True, seed=0, tolerance=1e-12, iterations=1)


def test_the_sign_of_a_vector_makes_its_largest_component_positive():
    vectors = np.array([[0.1, 0.6], [-0.9, -0.8]])
    np.testing.assert_array_equal(oriented(vectors), -vectors)
    equal = np.array([[-1.0], [1.0]])
    np.testing.assert_array_equal(oriented(equal), -equal)
