import numpy as np
import pytest

from pellucid import ops
from pellucid.analysis import Curvature, SpectralDensity

VALUES = np.concatenate([np.full(100, -1.0), np.full(250, 0.5), np.full(150, 4.0)])


def spectrum(runs=20):
    """An estimate: fewer products than there are parameters."""
    return Curvature(lambda w: 0.5 * ops.sum(VALUES * w * w), np.zeros(500)).spectrum(runs=runs, steps=10)


def test_the_masses_of_a_known_spectrum_lie_on_its_eigenvalues():
    found = spectrum()
    assert found.weights.sum() == pytest.approx(1)
    assert found.share(-1.01, -0.99) == pytest.approx(0.2, abs=0.03)
    assert found.share(0.49, 0.51) == pytest.approx(0.5, abs=0.03)
    assert found.minimum_ratio == pytest.approx(0.8, abs=0.03)
    assert found.trace == pytest.approx(VALUES.sum(), rel=0.05)
    assert found.nodes[[0, -1]] == pytest.approx([-1, 4])


def test_the_density_has_area_one_and_its_mass_where_the_eigenvalues_are():
    across, curve = spectrum().density(2000, width=0.05)
    step = across[1] - across[0]
    assert curve.sum() * step == pytest.approx(1, rel=1e-3)
    assert across[np.argmax(curve)] == pytest.approx(0.5, abs=0.02)


def test_one_eigenvalue_has_a_density_too():
    across, curve = SpectralDensity(np.array([2.0]), np.array([1.0]), 3).density()
    assert across[np.argmax(curve)] == pytest.approx(2, abs=0.01)


def test_the_plot_shows_the_curve_on_the_axes_given():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert spectrum(2).plot(ax) is ax
    assert ax.get_yscale() == "log"
    assert ax.get_title() == "500 eigenvalues from -1 to 4"
    assert spectrum(2).plot().get_xlabel() == "eigenvalue of the Hessian"


def test_the_spectrum_of_few_parameters_is_exact_where_that_takes_no_more_products():
    matrix = np.random.default_rng(0).normal(size=(12, 12))
    matrix = matrix + matrix.T
    curvature = Curvature(lambda w: 0.5 * w @ matrix @ w, np.zeros(12))
    found = curvature.spectrum(runs=1, steps=12)
    np.testing.assert_allclose(found.nodes, np.linalg.eigvalsh(matrix), atol=1e-12)
    assert found.trace == pytest.approx(np.trace(matrix))
    assert found.minimum_ratio == pytest.approx((np.linalg.eigvalsh(matrix) > 0).mean())
    assert len(curvature.spectrum(runs=2, steps=5).nodes) == 10  # an estimate


def test_an_eigenvalue_that_is_0_but_for_rounding_is_not_positive():
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    matrix = turned @ np.diag([3.0, 2.0, 1.0, 0.0, 0.0, 0.0]) @ turned.T
    assert (np.linalg.eigvalsh(matrix) > 0).sum() > 3
    assert Curvature(lambda w: w @ matrix @ w, np.zeros(6)).spectrum().minimum_ratio == pytest.approx(0.5)
