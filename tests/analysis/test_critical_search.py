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


@pytest.mark.parametrize("method", ["gradient-norm", "newton", "saddle-free"])
def test_every_method_finds_the_minimum_of_rosenbrocks_valley(method):
    def valley(w):
        return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2

    search = find_critical_point(valley, [-0.5, 1.0] if method == "saddle-free" else [1.1, 1.3], method=method)
    assert search.found.kind == "minimum"
    np.testing.assert_allclose(search.point, 1, atol=1e-5)


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
