import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import find_critical_point
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense


def two_weights(w):
    return (1 - w[0] * w[1]) ** 2


@pytest.mark.parametrize("method", ["gradient-norm", "newton"])
def test_searches_for_a_small_gradient_find_the_saddle(method):
    search = find_critical_point(two_weights, [0.3, -0.2], method=method)
    assert search.converged
    assert search.found.kind == "saddle"
    np.testing.assert_allclose(search.point, 0, atol=1e-6)
    assert len(search.losses) == len(search.gradient_norms) == search.steps + 1
    assert search.losses[0] == pytest.approx(two_weights([0.3, -0.2]))


def test_the_saddle_free_search_leaves_it_even_from_the_saddle_itself():
    for start in ([0.3, -0.2], [0.0, 0.0]):
        search = find_critical_point(two_weights, start, method="saddle-free")
        assert search.converged
        assert search.found.kind == "degenerate minimum"
        assert search.point[0] * search.point[1] == pytest.approx(1)
        assert (np.diff(search.losses) < 0).all()


def valley(w):
    """Rosenbrock's."""
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def himmelblau(w):
    return (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2


@pytest.mark.parametrize("method", ["gradient-norm", "newton", "saddle-free"])
def test_every_method_finds_the_minimum_of_rosenbrocks_valley(method):
    search = find_critical_point(valley, [-0.5, 1.0] if method == "saddle-free" else [1.1, 1.3], method=method)
    assert search.found.kind == "minimum"
    np.testing.assert_allclose(search.point, 1, atol=1e-5)


@pytest.mark.parametrize("limit", [1, 2000])
@pytest.mark.parametrize("start", [(-1.2, 1.0), (-0.5, 1.0), (-2.0, 5.0), (0.0, 0.0), (2.0, 2.0), (-3.0, -4.0)])
def test_newtons_method_comes_out_of_rosenbrocks_valley_from_anywhere(start, limit):
    search = find_critical_point(valley, start, limit=limit)
    assert search.converged
    np.testing.assert_allclose(search.point, 1, atol=1e-5)
    assert search.gradient_norms[-1] <= 1e-6
    assert search.losses[-1] == pytest.approx(valley(search.point))
    g = np.array([
        2 * (search.point[0] - 1) - 400 * search.point[0] * (search.point[1] - search.point[0] ** 2),
        200 * (search.point[1] - search.point[0] ** 2),
    ])  # fmt: skip
    assert search.gradient_norms[-1] == pytest.approx(np.linalg.norm(g), rel=1e-3, abs=1e-12)


def test_it_says_from_where_on_the_loss_was_followed():
    search = find_critical_point(valley, [-1.2, 1.0])
    assert 0 < search.left < search.steps
    assert f"steps, down the loss from step {search.left} on: loss 24.2" in str(search)
    after = search.losses[search.left :]
    assert (np.diff(after) < 0).all()  # a trust region only goes down
    stays = find_critical_point(two_weights, [0.3, -0.2])
    assert stays.left is None
    assert "down the loss" not in str(stays)


def test_newtons_method_finds_all_nine_critical_points_of_himmelblaus_function():
    """Four minima, four saddles and a maximum: their coordinates solve g = 0, a pair of cubic equations."""
    known = {
        "minimum": [(3.0, 2.0), (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127)],
        "saddle": [(3.385154, 0.073852), (-3.073026, -0.081353), (-0.127961, -1.953715), (0.086678, 2.884255)],
        "maximum": [(-0.270845, -0.923039)],
    }
    grid = np.linspace(-5, 5, 6)
    found = [find_critical_point(himmelblau, [a, b]) for a in grid for b in grid]
    assert all(search.converged for search in found)
    for kind, places in known.items():
        own = np.array([search.point for search in found if search.found.kind == kind])
        distances = np.linalg.norm(own[:, None] - np.array(places), axis=2)
        assert (distances.min(axis=1) < 1e-4).all()  # there are no others
        assert (distances.min(axis=0) < 1e-4).all()  # and none is missing
    assert {search.found.kind for search in found} == set(known)


def test_a_small_networks_search_ends_where_the_gradient_is_0():
    r = np.random.default_rng(0)
    x = r.normal(size=(40, 2))
    y = np.sin(x[:, :1]) * x[:, 1:]
    set_seed(0)
    model = Sequential([Input((2,)), Dense(3, "tanh"), Dense(1)])
    model.compile("mse")
    search = find_critical_point(model, x, y, tolerance=1e-5, steps=400)
    assert search.converged
    assert search.gradient_norms[-1] <= 1e-5 < search.gradient_norms[0]
    assert search.found.is_critical
    model.set_weights(search.weights)
    assert model.evaluate(x, y) == pytest.approx(search.losses[-1], rel=1e-4)


def test_where_neither_way_ends_the_place_with_the_smallest_gradient_is_given():
    search = find_critical_point(valley, [-1.2, 1.0], steps=35)
    assert not search.converged
    assert search.gradient_norms[-1] == search.gradient_norms.min()
    endless = find_critical_point(lambda w: w[0] ** 2 + ops.exp(w[1]) + w[1], [1.0, 0.0], steps=60)
    assert not endless.converged  # it falls for ever, with a gradient above 1
    assert endless.gradient_norms[-1] == endless.gradient_norms.min() >= 1


@pytest.mark.parametrize("method", ["gradient-norm", "newton"])
@pytest.mark.parametrize("limit", [1, 2000])
def test_logistic_regression_ends_at_its_minimum_with_and_without_a_full_hessian(method, limit):
    r = np.random.default_rng(0)
    x = r.normal(size=(60, 3))
    y = (x @ [1.0, -1.0, 0.5] + r.normal(size=60) > 0).astype(int)
    set_seed(0)
    model = Sequential([Input((3,)), Dense(1, "sigmoid")])
    model.compile("binary_crossentropy")
    before = model.get_weights()
    search = find_critical_point(model, x, y, method=method, limit=limit, steps=500)
    assert search.converged
    assert (search.found is None) == (limit == 1)
    if limit > 1:
        assert search.found.kind == "minimum"
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())
    model.set_weights(search.weights)
    assert model.evaluate(x, y) == pytest.approx(search.losses[-1], rel=1e-5)


def test_a_place_that_is_critical_already_is_found_at_once():
    for method in ("gradient-norm", "newton", "saddle-free"):
        assert find_critical_point(lambda w: ops.sum(w**2), [0.0, 0.0], method=method).steps == 0


def test_a_gradient_flat_slope_is_named_where_no_step_helps():
    search = find_critical_point(lambda w: w[0] ** 2 + w[1], [0.0, 0.0])
    assert not search.converged
    assert search.found.kind == "gradient-flat"


def test_an_unknown_method_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match="did you mean 'newton'"):
        find_critical_point(two_weights, [0.0, 0.0], method="newtn")


@pytest.mark.parametrize("method", ["newton", "gradient-norm"])
def test_a_slope_without_curvature_ends_the_search(method):
    search = find_critical_point(lambda w: 2 * w[0] - w[1], [1.0, 2.0], method=method, steps=5)
    assert not search.converged
    assert search.found is not None
    assert search.found.kind == "gradient-flat"
    assert str(search).startswith("did not converge in ")
