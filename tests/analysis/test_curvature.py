import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Sequential, data, ops, set_seed
from pellucid.analysis import Curvature
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense

R = np.random.default_rng(0)


def quadratic(eigenvalues, seed=0):
    """w^T A w / 2 with these eigenvalues, and A."""
    n = len(eigenvalues)
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    a = (basis * eigenvalues) @ basis.T
    return (lambda w: 0.5 * ops.sum(w * (a @ w))), a


def digits_net():
    set_seed(0)
    digits = data.load("digits").flat()
    model = Sequential([Input((64,)), Dense(8, "tanh"), Dense(10, "softmax")])
    model.compile("categorical_crossentropy", "adam")
    model.fit(*digits.train, epochs=3, verbose=0, seed=0)
    return model, digits.x_train[:300], digits.y_train[:300]


@given(st.integers(1, 7), st.integers(0, 100))
def test_the_hessian_of_a_quadratic_is_its_matrix(n, seed):
    values = np.random.default_rng(seed).normal(size=n)
    f, a = quadratic(values, seed)
    curvature = Curvature(f, R.normal(size=n))
    np.testing.assert_allclose(curvature.hessian(), a, atol=1e-12)
    v = R.normal(size=n)
    np.testing.assert_allclose(curvature.hvp(v), a @ v, atol=1e-12)
    np.testing.assert_allclose(curvature.eigenpairs(n).values, np.sort(values)[::-1], atol=1e-12)


def test_the_hessian_of_logistic_regression_is_its_closed_form():
    x, y = R.normal(size=(80, 5)), R.integers(0, 2, 80)
    set_seed(1)
    model = Sequential([Input((5,)), Dense(1, "sigmoid", kernel_initializer="random_normal")], dtype="float64")
    model.compile("binary_crossentropy")
    weights = model.get_weights()
    p = 1 / (1 + np.exp(-(x @ weights["dense.kernel"] + weights["dense.bias"])[:, 0]))
    design = np.hstack([x, np.ones((80, 1))])
    wanted = design.T @ np.diag(p * (1 - p)) @ design / 80
    np.testing.assert_allclose(Curvature(model, x, y).hessian(), wanted, atol=1e-12)
    np.testing.assert_allclose(Curvature(model, x, y, batch_size=17).hessian(), wanted, atol=1e-12)


def test_the_hessian_of_softmax_regression_is_its_closed_form():
    x, y = R.normal(size=(30, 4)), R.integers(0, 3, 30)
    set_seed(1)
    model = Sequential([Input((4,)), Dense(3, "softmax", use_bias=False)], dtype="float64")
    model.compile("categorical_crossentropy")
    z = x @ model.get_weights()["dense.kernel"]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    blocks = np.einsum("nk,kl->nkl", p, np.eye(3)) - np.einsum("nk,nl->nkl", p, p)
    wanted = np.einsum("na,nb,nkl->akbl", x, x, blocks).reshape(12, 12) / 30
    np.testing.assert_allclose(Curvature(model, x, y).hessian(), wanted, atol=1e-12)


def test_hessian_and_extreme_eigenvalues_of_a_net_equal_those_of_jax():
    jax = pytest.importorskip("jax")
    from jax.flatten_util import ravel_pytree

    jax.config.update("jax_enable_x64", True)
    try:
        model, x, y = digits_net()
        curvature = Curvature(model, x, y, batch_size=128)
        numpy, weights = jax.numpy, curvature.surface.split(curvature.surface.point)
        start, unravel = ravel_pytree(list(weights.values()))

        def loss(flat):
            k1, b1, k2, b2 = unravel(flat)
            logs = jax.nn.log_softmax(numpy.tanh(x.astype("float64") @ k1 + b1) @ k2 + b2)
            return -logs[numpy.arange(len(y)), y].mean()

        np.testing.assert_allclose(curvature.gradient(), jax.jit(jax.grad(loss))(start), atol=1e-12)
        wanted = np.asarray(jax.jit(jax.hessian(loss))(start))
        np.testing.assert_allclose(curvature.hessian(), wanted, atol=1e-12)
        v = R.normal(size=curvature.size)
        np.testing.assert_allclose(curvature.hvp(v), wanted @ v, atol=1e-11)
        exact = np.linalg.eigvalsh(wanted)
        np.testing.assert_allclose(curvature.eigenpairs(3).values, exact[::-1][:3], rtol=1e-6)
        smallest = curvature.eigenpairs(3, "smallest").values
        np.testing.assert_allclose(smallest, exact[:3], atol=1e-6 * exact[-1])
    finally:
        jax.config.update("jax_enable_x64", False)


def power_iteration(product, n, count, steps=400):
    """The top eigenvalues as PyHessian finds them: power iteration, each vector kept orthogonal to those before."""
    found, vectors, draws = [], [], np.random.default_rng(0)
    for _ in range(count):
        v = draws.normal(size=n)
        for _ in range(steps):
            for u in vectors:
                v = v - (u @ v) * u
            v = v / np.linalg.norm(v)
            w = product(v)
            value, v = v @ w, w
        vectors.append(v / np.linalg.norm(v))
        found.append(value)
    return found


def test_top_eigenvalues_and_trace_equal_a_pyhessian_style_reference():
    model, x, y = digits_net()
    curvature = Curvature(model, x, y)
    pairs = curvature.eigenpairs(2)
    np.testing.assert_allclose(pairs.values, power_iteration(curvature.hvp, curvature.size, 2), rtol=1e-4)
    assert (pairs.residuals < 1e-4 * pairs.values[0]).all()
    np.testing.assert_allclose(np.linalg.norm(pairs.vectors, axis=0), 1, rtol=1e-9)
    estimate, exact = curvature.trace(400), np.trace(curvature.hessian())
    assert abs(float(estimate) - exact) < 4 * estimate.standard_error
    assert estimate.standard_error < 0.05 * exact


def test_the_smallest_eigenvalue_is_found_beside_a_cluster_near_zero():
    values = np.concatenate([[-0.5], np.random.default_rng(0).normal(scale=1e-9, size=297), [3.0, 40.0]])
    f, _ = quadratic(values)
    pairs = Curvature(f, np.zeros(300)).eigenpairs(1, "smallest")
    assert pairs.values[0] == pytest.approx(-0.5, abs=1e-6)
    none = np.concatenate([np.zeros(298), [3.0, 40.0]])
    lowest = Curvature(quadratic(none)[0], np.zeros(300)).eigenpairs(1, "smallest").values[0]
    assert lowest == pytest.approx(0.0, abs=1e-5)


def test_equal_seeds_give_equal_bits():
    model, x, y = digits_net()
    one, other = (Curvature(model, x, y) for _ in range(2))
    np.testing.assert_array_equal(one.eigenpairs(2, seed=5).vectors, other.eigenpairs(2, seed=5).vectors)
    np.testing.assert_array_equal(one.spectrum(runs=2, steps=10).nodes, other.spectrum(runs=2, steps=10).nodes)
    assert one.trace(10, seed=1) == other.trace(10, seed=1) != one.trace(10, seed=2)


def test_float32_is_close_to_float64():
    model, x, y = digits_net()
    v = R.normal(size=Curvature(model, x, y).size)
    single, double = (Curvature(model, x, y, dtype=kind).hvp(v) for kind in ("float32", "float64"))
    assert 0 < np.abs(single - double).max() < 1e-4 * np.abs(double).max()


def test_directions_by_name_give_products_by_name():
    model, x, y = digits_net()
    curvature = Curvature(model, x, y)
    parts = curvature.surface.split(R.normal(size=curvature.size))
    found = curvature.hvp(parts)
    assert found["dense.kernel"].shape == (64, 8)
    np.testing.assert_array_equal(curvature.surface.join(found), curvature.hvp(curvature.surface.join(parts)))


def test_arguments_are_checked():
    curvature = Curvature(quadratic([1.0, 2.0])[0], [0.0, 0.0])
    with pytest.raises(ConfigurationError, match="Unknown end of the spectrum 'larges'"):
        curvature.eigenpairs(1, "larges")
    with pytest.raises(ConfigurationError, match="3 eigenvalues were asked for, but there are 2"):
        curvature.eigenpairs(3)
    with pytest.raises(ConfigurationError, match="trace: samples must be a whole number of at least 2"):
        curvature.trace(1)


def test_the_trace_of_few_parameters_is_exact():
    found = Curvature(lambda w: w[0] ** 2 * w[1] + 3 * w[1] ** 2, [1.0, 2.0]).trace()
    assert (found.value, found.standard_error, found.samples) == (pytest.approx(4 + 6, abs=1e-12), 0.0, 2)


def test_residuals_tell_how_far_lanczos_is_from_an_eigenpair():
    f, a = quadratic(np.linspace(1, 2, 300))
    for tolerance in (0.1, 1e-8):
        found = Curvature(f, np.zeros(300)).eigenpairs(2, tolerance=tolerance)
        own = np.linalg.norm(a @ found.vectors - found.vectors * found.values, axis=0)
        np.testing.assert_allclose(found.residuals, own, atol=1e-12)
        assert (own.max() > 1e-5) == (tolerance == 0.1)
