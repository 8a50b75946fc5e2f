import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import WeightTrajectory, loss_surface, random_direction
from pellucid.analysis.directions import points_of, principal_directions
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Conv2D, Dense, Flatten

R = np.random.default_rng(0)
X, Y = R.normal(size=(10, 6, 6, 2)), R.normal(size=10)


def net():
    set_seed(0)
    model = Sequential([Input((6, 6, 2)), Conv2D(3, 3), Flatten(), Dense(4, "relu"), Dense(1)])
    model.compile("mse")
    return model


def norms(array, axes):
    return np.sqrt(np.sum(array**2, axis=axes))


def test_each_filter_of_a_direction_is_as_long_as_the_models():
    surface = loss_surface(net(), X, Y)
    parts, weights = surface.split(random_direction(surface)), surface.split(surface.point)
    for name, axes in (("conv2d.kernel", (0, 1, 2)), ("dense.kernel", (0,)), ("dense_1.kernel", (0,))):
        np.testing.assert_allclose(norms(parts[name], axes), norms(weights[name], axes))
    assert not parts["conv2d.bias"].any()


def test_each_layer_of_a_direction_is_as_long_as_the_models_or_the_whole_has_length_one():
    surface = loss_surface(net(), X, Y)
    parts = surface.split(random_direction(surface, "layer"))
    for name, weights in surface.split(surface.point).items():
        assert np.linalg.norm(parts[name]) == pytest.approx(np.linalg.norm(weights) if weights.ndim > 1 else 0)
    assert np.linalg.norm(random_direction(surface, "none")) == pytest.approx(1)


def test_directions_follow_from_the_seed():
    surface = loss_surface(net(), X, Y)
    np.testing.assert_array_equal(random_direction(surface, seed=1), random_direction(surface, seed=1))
    assert not np.array_equal(random_direction(surface, seed=1), random_direction(surface, seed=2))


def test_a_direction_of_which_nothing_is_left_is_refused():
    surface = loss_surface(lambda w: ops.sum(w**2), [1.0, 2.0])
    with pytest.raises(ConfigurationError, match="No parameter has two axes"):
        random_direction(surface)
    with pytest.raises(ConfigurationError, match="Unknown normalisation 'filters'"):
        random_direction(surface, "filters")


def test_a_trajectory_keeps_every_so_many_epochs_and_the_last():
    model, way = net(), WeightTrajectory(every=2)
    before = model.get_weights()
    model.fit(X, Y, epochs=5, verbose=0, seed=0, callbacks=[way])
    assert way.epochs == [0, 2, 4, 5]
    np.testing.assert_array_equal(way.weights[0]["dense.kernel"], before["dense.kernel"])
    np.testing.assert_array_equal(way.weights[-1]["dense.kernel"], model.get_weights()["dense.kernel"])
    model.fit(X, Y, epochs=7, initial_epoch=5, verbose=0, seed=0, callbacks=[way])
    assert way.epochs == [0, 2, 4, 5, 6, 7]
    surface = loss_surface(model, X, Y)
    points = points_of(surface, way)
    assert points.shape == (6, surface.point.size)
    np.testing.assert_allclose(points[-1], surface.point)


def test_principal_directions_hold_points_of_a_plane_exactly():
    u, v = np.linalg.qr(R.normal(size=(7, 2)))[0].T
    places = R.normal(size=(9, 2)) * [3, 1]
    center = R.normal(size=7)
    points = center + places @ np.stack([u, v])
    axes, shares = principal_directions(points, center)
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(center + (points - center) @ axes.T @ axes, points, atol=1e-12)
    assert (axes @ (points[0] - center) >= 0).all()


def test_trajectories_that_span_no_plane_are_refused():
    points = np.arange(4.0)[:, None] * np.ones(3)
    with pytest.raises(DataError, match="The trajectory is a line"):
        principal_directions(points, points[-1])
    surface = loss_surface(lambda w: ops.sum(w**2), [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="needs two points or more, but has 1"):
        points_of(surface, [[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match="must be a WeightTrajectory or a list of points, not 3"):
        points_of(surface, 3)


def test_the_shares_of_principal_directions_are_those_of_the_variance():
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    points = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 0]]) @ turned[:3]
    axes, shares = principal_directions(points, points[-1])
    np.testing.assert_allclose(shares, [0.9, 0.1])
    np.testing.assert_allclose(np.abs(np.sum(axes * turned[:2], axis=1)), 1)
