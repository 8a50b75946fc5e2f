import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import (
    check_gradients,
    critical,
    critical_point,
    escape_saddle,
    find_critical_point,
    loss_surface,
    taylor_check,
)
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense


def two_weights(w):
    """The deck's network y = w1 w2 x at x = 1, y = 1."""
    return (1 - w[0] * w[1]) ** 2


def test_the_decks_saddle():
    point = critical_point(two_weights, [0.0, 0.0])
    assert point.kind == "saddle"
    np.testing.assert_allclose(point.eigenvalues, [-2, 2], atol=1e-6)
    np.testing.assert_allclose(point.eigenvectors[:, 0], [0.5**0.5, 0.5**0.5], atol=1e-6)
    assert (point.minimum_ratio, point.gradient_norm, point.loss, point.negative) == (0.5, 0.0, 1.0, 1)
    escape = escape_saddle(two_weights, [0.0, 0.0])
    np.testing.assert_allclose(escape.direction, [0.5**0.5, 0.5**0.5], atol=1e-6)
    assert escape.eigenvalue == pytest.approx(-2, abs=1e-6)
    assert escape.loss < escape.loss_before == 1
    assert escape.loss == pytest.approx(two_weights(escape.point))
    assert escape.weights is None


@pytest.mark.parametrize(
    ("function", "place", "kind", "ratio"),
    [
        (lambda w: ops.sum(w**2), [0.0, 0.0], "minimum", 1),
        (lambda w: -ops.sum(w**2), [0.0, 0.0], "maximum", 0),
        (lambda w: w[0] ** 2 - w[1] ** 2, [0.0, 0.0], "saddle", 0.5),
        (lambda w: w[0] ** 2 + w[1] ** 4, [0.0, 0.0], "degenerate minimum", 0.5),
        (lambda w: -(w[0] ** 2) + w[1] ** 3, [0.0, 0.0], "degenerate maximum", 0),
        (lambda w: ops.sum(w**3), [0.0, 0.0], "flat", 0),
        (lambda w: w[0] ** 2 + w[1], [0.0, 1.0], "gradient-flat", 0.5),
        (lambda w: ops.sum(w**2), [1.0, 1.0], "not critical", 1),
    ],
)
def test_every_kind_of_place_has_its_name(function, place, kind, ratio):
    point = critical_point(function, place)
    assert (point.kind, point.minimum_ratio) == (kind, ratio)
    assert point.is_critical == (kind not in ("gradient-flat", "not critical"))
    assert str(point).startswith(f"{kind}: loss ")


def test_the_ratio_of_hg_to_g_is_that_of_their_norms():
    point = critical_point(lambda w: w[0] ** 2 + 3 * w[1] ** 2, [1.0, 1.0])
    gradient, hessian = np.array([2.0, 6.0]), np.diag([2.0, 6.0])
    assert point.gradient_norm == pytest.approx(np.linalg.norm(gradient))
    wanted = np.linalg.norm(hessian @ gradient) / np.linalg.norm(gradient)
    assert point.hessian_gradient_ratio == pytest.approx(wanted)


@given(st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.7, 3.0]), min_size=1, max_size=6))
def test_signs_of_any_quadratic_are_counted(values):
    n = len(values)
    basis = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0]
    a = (basis * values) @ basis.T
    point = critical_point(lambda w: 0.5 * ops.sum(w * (a @ w)), np.zeros(n))
    assert (point.positive, point.negative) == (sum(v > 0 for v in values), sum(v < 0 for v in values))
    np.testing.assert_allclose(point.eigenvalues, np.sort(values), atol=1e-12)
    np.testing.assert_allclose(a @ point.eigenvectors, point.eigenvectors * point.eigenvalues, atol=1e-9)


def linear_net(**weights):
    """y = w2 w1 x as a model."""
    model = Sequential([Input((1,)), Dense(1, use_bias=False), Dense(1, use_bias=False)])
    model.compile("mse")
    model.set_weights({"dense.kernel": np.zeros((1, 1)), "dense_1.kernel": np.zeros((1, 1))} | weights)
    return model


def test_a_model_at_the_decks_saddle_and_its_way_out():
    model = linear_net()
    x, y = np.ones((3, 1)), np.ones(3)
    point = critical_point(model, x, y)
    assert point.kind == "saddle"
    np.testing.assert_allclose(point.eigenvalues, [-2, 2], atol=1e-6)
    escape = escape_saddle(model, x, y)
    assert model.evaluate(x, y) == 1
    model.set_weights(escape.weights)
    assert model.evaluate(x, y) == pytest.approx(escape.loss, rel=1e-6)
    assert escape.loss < 1


def test_the_way_out_goes_down_the_slope_if_there_is_one():
    def f(w):
        return -(w[0] ** 2) + w[1] ** 2 + 0.1 * w[0] + 0.05 * w[0] ** 4

    escape = escape_saddle(f, [0.0, 0.0])
    assert escape.direction[0] == pytest.approx(-1)


def test_a_saddle_of_many_parameters_is_left_without_its_hessian():
    set_seed(0)
    model = Sequential([Input((20,)), Dense(20, kernel_initializer="zeros"), Dense(10, kernel_initializer="zeros")])
    model.compile("mse")
    r = np.random.default_rng(0)
    x, y = r.normal(size=(40, 20)), r.normal(size=(40, 10))
    model.set_weights(model.get_weights() | {"dense_1.bias": y.mean(0)})
    assert model.count_parameters() == 630
    escape = escape_saddle(model, x, y)
    exact = critical_point(model, x, y)
    assert exact.kind == "saddle"
    assert escape.eigenvalue == pytest.approx(exact.eigenvalues[0], abs=1e-6)
    assert escape.loss < escape.loss_before


def test_a_minimum_has_no_way_out():
    with pytest.raises(ConfigurationError, match=r"the smallest eigenvalue of the Hessian is 2"):
        escape_saddle(lambda w: ops.sum(w**2), [0.0, 0.0])


def test_arguments_are_checked():
    with pytest.raises(ConfigurationError, match="critical_point: tolerance must be a finite number above 0, not 0"):
        critical_point(two_weights, [0.0, 0.0], tolerance=0)
    with pytest.raises(ConfigurationError, match="The full Hessian of 2 parameters has 4 numbers"):
        critical_point(two_weights, [0.0, 0.0], limit=1)


@pytest.mark.parametrize("judge", [critical_point, escape_saddle, find_critical_point, taylor_check, check_gradients])
def test_a_loss_that_is_no_number_is_refused(judge):
    with pytest.raises(DataError, match=f"{judge.__name__}: the loss is nan at these parameters"):
        judge(lambda w: ops.log(w[0]) + w[1], [-1.0, 0.0])
    with pytest.raises(DataError, match=r"but its derivative by w\[0\] is inf"):
        judge(lambda w: ops.sqrt(w[0]) + w[1], [0.0, 0.0])
    with pytest.raises(DataError, match=f"{judge.__name__}: the function has no parameter: w is empty"):
        judge(lambda w: ops.sum(w), [])


def test_rounding_is_no_way_out():
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    matrix = turned @ np.diag([1.0, 2.0, 3.0, 0.0, 0.0]) @ turned.T
    assert np.linalg.eigvalsh(matrix)[0] != 0
    with pytest.raises(ConfigurationError, match="no direction of negative curvature"):
        escape_saddle(lambda w: w @ matrix @ w, np.zeros(5))


@pytest.mark.parametrize(
    ("f", "w", "kind", "eigenvalues"),
    [
        (lambda w: w[0] ** 3 - 3 * w[0] * w[1] ** 2, [0, 0], "flat", [0, 0]),  # the monkey's saddle
        (lambda w: -ops.sum(w * w), [0, 0], "maximum", [-2, -2]),
        (lambda w: w[0] ** 2 + 0 * w[1], [0, 0], "degenerate minimum", [0, 2]),
        (lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2, [1, 1], "minimum", None),  # Rosenbrock
        (lambda w: (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2, [3, 2], "minimum", None),  # Himmelblau
        (lambda w: w**2, 0.0, "minimum", [2]),
        (lambda w: ops.sum(w), [1, 2], "gradient-flat", [0, 0]),
    ],
)
def test_well_known_functions(f, w, kind, eigenvalues):
    point = critical_point(f, w)
    assert point.kind == kind
    if eigenvalues is not None:
        np.testing.assert_allclose(point.eigenvalues, eigenvalues, atol=1e-12)


def test_rounding_is_no_way_out_of_a_large_network_either():
    model = Sequential([Input((30,)), Dense(20, "relu", kernel_initializer="zeros"), Dense(3, "softmax")])
    model.compile("categorical_crossentropy")
    model.set_weights({name: np.zeros_like(value) for name, value in model.get_weights().items()})
    r = np.random.default_rng(0)
    x, y = r.normal(size=(60, 30)), r.integers(0, 3, 60)  # only the last bias bends the loss, and it bends it upwards
    assert model.count_parameters() > 512
    with pytest.raises(ConfigurationError, match="no direction of negative curvature"):
        escape_saddle(model, x, y)


def test_a_way_out_on_which_the_loss_does_not_fall_is_none():
    with pytest.raises(ConfigurationError, match=r"no step up to 1 along its eigenvector lowers the loss of 1e\+06"):
        escape_saddle(lambda w: 1e6 + w[0] ** 2 - 1e-11 * w[1] ** 2, [0.0, 0.0])


def test_the_ratio_is_that_of_the_whole_hessian_not_of_its_diagonal():
    assert critical_point(lambda w: w[0] * w[1], [1.0, 2.0]).hessian_gradient_ratio == pytest.approx(1)


def test_gradient_flat_is_relative_to_the_largest_eigenvalue():
    steep = critical_point(lambda w: 500 * w[0] ** 2 + 0.25 * w[1] ** 2, [0.0, 1.0])
    assert steep.hessian_gradient_ratio == pytest.approx(0.5)
    assert steep.kind == "gradient-flat"  # 0.5 is little beside 1000
    assert critical_point(lambda w: 0.5 * w[0] ** 2 + 0.25 * w[1] ** 2, [0.0, 1.0]).kind == "not critical"


def test_the_way_out_is_as_long_as_lowers_the_loss_most():
    escape = escape_saddle(lambda w: 4 * w[0] ** 4 - w[0] ** 2 + w[1] ** 2, [0.0, 0.0])
    assert escape.step == 0.25  # a step of 1 leads uphill, one of 1/2 as high as before
    assert escape.loss == pytest.approx(4 / 256 - 1 / 16)


@pytest.mark.parametrize(("smallest", "refused"), [(-1e-17, True), (-1e-3, False)])
def test_lanczos_number_below_0_is_judged_beside_the_other_end(monkeypatch, smallest, refused):
    def ends(product, n, k, *, largest, seed, tolerance):
        return np.array([2.0 if largest else smallest]), np.eye(n, 1)

    monkeypatch.setattr(critical, "extreme_eigenpairs", ends)
    values = np.concatenate([[-1e-3], np.full(299, 2.0)])
    surface = loss_surface(lambda w: 0.5 * ops.sum(values * w * w), np.zeros(300))
    if refused:
        with pytest.raises(ConfigurationError, match="no direction of negative curvature"):
            escape_saddle(surface)
    else:
        assert escape_saddle(surface).loss < 0
