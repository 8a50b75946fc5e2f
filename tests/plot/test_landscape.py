"""Surfaces, and the paths of optimisers on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pellucid import ops, optim, plot
from pellucid.errors import ConfigurationError, DataError
from pellucid.plot.landscape import Landscape, bounds_of


@given(st.floats(0.01, 0.9), st.floats(-5, 5))
def test_gradient_descent_on_a_parabola_is_a_geometric_sequence(rate, start):
    path = plot.descend(lambda w: w**2, start, optim.SGD(rate), steps=6)
    np.testing.assert_allclose(path.points, start * (1 - 2 * rate) ** np.arange(7), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path.losses, path.points**2, rtol=1e-9, atol=1e-12)
    assert path.points.dtype == np.float64
    assert not path.diverged


@pytest.mark.parametrize("name", sorted(plot.SURFACES))
def test_known_minima_are_where_scipy_finds_them(name):
    surface = plot.SURFACES[name]
    for minimum in surface.minima:
        found = minimize(lambda w: surface(w).item(), np.array(minimum) + 0.05, tol=1e-12)
        np.testing.assert_allclose(surface(found.x).item(), surface(minimum).item(), atol=1e-9)
        assert surface(minimum).item() == pytest.approx(0, abs=1e-12)
        assert all(low <= w <= high for w, (low, high) in zip(minimum, surface.bounds, strict=True))
    assert all(low <= w <= high for w, (low, high) in zip(surface.start, surface.bounds, strict=True))


@pytest.mark.parametrize("name", sorted(optim.OPTIMIZERS))
def test_every_optimiser_steps_as_it_does_by_hand(name):
    from pellucid import Tensor, grad

    optimizer = optim.OPTIMIZERS[name]()
    path = plot.descend("beale", [1.0, 0.5], optimizer, steps=5)
    own, w = optimizer.copy(), Tensor(np.array([1.0, 0.5]))
    for point in path.points:
        np.testing.assert_allclose(point, w.numpy(), rtol=1e-12)
        own.apply([w], [grad(plot.SURFACES["beale"])(w)])
    assert optimizer.iterations == 0  # the one given is left alone


def test_a_function_may_take_two_numbers_or_a_vector_or_decide_on_its_values():
    as_two = plot.descend(lambda a, b: a**2 + 3 * b, (1, 2), steps=4)
    as_one = plot.descend(lambda w: w[0] ** 2 + 3 * w[1], (1, 2), steps=4)
    np.testing.assert_array_equal(as_two.points, as_one.points)

    def kinked(w):
        return w**2 if w > 0 else -w

    assert plot.descend(kinked, -1.0, optim.SGD(0.5), steps=3).points.tolist() == [-1.0, -0.5, 0.0, 0.5]
    assert plot.descend(lambda w, scale=2.0: scale * w.sum(), (1, 2), optim.SGD(1.0), steps=1).points.tolist() == [
        [1, 2],
        [-1, 0],
    ]


def test_a_path_that_leaves_the_numbers_ends_there():
    path = plot.descend(lambda w: w**4, 3.0, optim.SGD(1.0), steps=50)
    assert path.diverged
    assert path.steps < 10
    assert path.grown
    assert not plot.descend(lambda w: w**2, 3.0, steps=5).grown
    assert plot.descend(lambda w: ops.exp(-w) ** 200 * 1e300, -4.0, steps=5).diverged


def test_heights_are_the_functions_values():
    landscape = Landscape("f", plot.SURFACES["valley"], (0.0, 0.0))
    across, up = np.meshgrid([0.0, 2.0, 4.0], [1.0, 3.0])
    np.testing.assert_allclose(landscape.heights(across, up), 0.5 * (across**2 + 100 * up**2))


def test_bounds_show_the_paths_but_not_how_far_one_diverges():
    paths = [plot.descend(lambda w: w**2, 1.0, optim.SGD(rate), steps=20) for rate in (0.3, 1.1)]
    ((low, high),) = bounds_of("f", lambda w: w**2, None, paths)
    assert low < paths[0].points.min() < 1 < high < 10 < np.abs(paths[1].points).max()
    assert bounds_of("f", "beale", None, [plot.descend("beale", steps=1)]) == ((-1, 4), (-2, 2))
    assert bounds_of("f", lambda w: w, (-1, 2), paths) == ((-1, 2),)


@pytest.mark.parametrize(
    ("draw", "error", "text"),
    [
        (
            lambda: plot.descend("bowl"), ConfigurationError,
            "Unknown surface 'bowl'; known are: beale, rosenbrock, saddle, two_weights, valley.",
        ),
        (
            lambda: plot.descend(3, 1.0), ConfigurationError,
            "A surface must be a name or a function of the parameters, not 3.",
        ),
        (lambda: plot.descend(abs), ConfigurationError, "descend: a function needs a start, one number or two."),
        (
            lambda: plot.descend(abs, [1, 2, 3]), DataError,
            "descend: start must be one finite number or two, not [1, 2, 3].",
        ),
        (
            lambda: plot.descend("beale", steps=0), ConfigurationError,
            "descend: steps must be a whole number of at least 1, not 0.",
        ),
        (
            lambda: plot.optimizer_race("beale", steps=1, bounds=[(2, 1), (0, 1)]), ConfigurationError,
            "optimizer_race: bounds must be (low, high) of each of 2 parameters, not [(2, 1), (0, 1)].",
        ),
    ],
)  # fmt: skip
def test_what_has_no_path_is_told(draw, error, text):
    with pytest.raises(error) as caught:
        draw()
    assert str(caught.value) == text
