import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import WeightTrajectory, loss_line, loss_plane, loss_surface
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import BatchNorm, Dense

R = np.random.default_rng(0)
X, Y = R.normal(size=(60, 4)), R.integers(0, 3, 60)


def two_weights(w):
    return (1 - w[0] * w[1]) ** 2


def net(seed=0, norm=False, epochs=0, callbacks=()):
    set_seed(seed)
    layers = [Dense(6, "tanh"), *([BatchNorm(momentum=0.5)] if norm else []), Dense(3, "softmax")]
    model = Sequential([Input((4,)), *layers])
    model.compile("categorical_crossentropy", "adam")
    if epochs:
        model.fit(X, Y, epochs=epochs, verbose=0, seed=seed, callbacks=list(callbacks))
    return model


def test_a_line_between_two_models_has_their_losses_at_its_ends_and_mixtures_between():
    one, other, mixed = net(0), net(1), net(0)
    line = loss_line(one, X, Y, to=other, positions=[0.0, 0.25, 1.0])
    assert line.losses[[0, 2]] == pytest.approx([one.evaluate(X, Y), other.evaluate(X, Y)], rel=1e-5)
    weights = [model.get_weights() for model in (one, other)]
    mixed.set_weights({name: 0.75 * weights[0][name] + 0.25 * weights[1][name] for name in weights[0]})
    assert line.losses[1] == pytest.approx(mixed.evaluate(X, Y), rel=1e-5)
    assert line.between


def test_layers_of_other_names_do_not_matter_but_another_architecture_does():
    one, other = net(0), net(1)
    set_seed(1)
    renamed = Sequential([Input((4,)), Dense(6, "tanh", name="a"), Dense(3, "softmax", name="b")])
    lines = [loss_line(one, X, Y, to=each, count=3).losses for each in (other, renamed)]
    np.testing.assert_array_equal(*lines)
    wide = Sequential([Input((4,)), Dense(7, "tanh"), Dense(3, "softmax")])
    with pytest.raises(ConfigurationError, match=r"has another architecture: the parameter .* is \[4, 6\]"):
        loss_line(one, X, Y, to=wide)


def test_validation_losses_come_along():
    one, other = net(0), net(1)
    x, y = R.normal(size=(20, 4)), R.integers(0, 3, 20)
    line = loss_line(one, X, Y, to=other, positions=[0.0, 1.0], validation_data=(x, y))
    assert line.validation_losses == pytest.approx([one.evaluate(x, y), other.evaluate(x, y)], rel=1e-5)
    assert list(line.columns()) == ["position", "loss", "val_loss"]


def test_batch_statistics_are_those_of_the_data_at_each_point_unless_they_are_to_be_kept():
    one, other = net(0, norm=True, epochs=20), net(1, norm=True, epochs=20)
    recomputed = loss_line(one, X, Y, to=other, positions=[0.0, 1.0])
    own = [loss_surface(model, X, Y, batch_norm="recomputed").value() for model in (one, other)]
    assert recomputed.losses == pytest.approx(own, rel=1e-6)
    assert own == pytest.approx([one.evaluate(X, Y), other.evaluate(X, Y)], rel=0.1)
    kept = loss_line(one, X, Y, to=other, positions=[0.0, 1.0], batch_norm="kept")
    assert kept.losses[0] == pytest.approx(one.evaluate(X, Y), rel=1e-5)
    assert kept.losses[1] != pytest.approx(own[1], rel=1e-3)  # with the statistics of the first
    held_out = loss_line(one, X, Y, to=other, positions=[0.0, 1.0], validation_data=(X, Y))
    np.testing.assert_allclose(held_out.validation_losses, recomputed.losses, rtol=1e-6)


def test_a_barrier_is_what_lies_above_the_chord():
    assert loss_line(two_weights, [1.0, 1.0], to=[-1.0, -1.0], count=9).barrier == pytest.approx(1)
    assert loss_line(lambda w: ops.sum(w**2), [1.0], to=[-1.0], count=9).barrier == 0


def test_a_random_line_is_the_same_for_the_same_seed():
    one = net()
    lines = [loss_line(one, X, Y, seed=seed, count=5).losses for seed in (3, 3, 4)]
    np.testing.assert_array_equal(lines[0], lines[1])
    assert not np.array_equal(lines[0], lines[2])
    assert lines[0][2] == pytest.approx(one.evaluate(X, Y), rel=1e-5)


def test_a_plane_of_given_directions_holds_the_function():
    plane = loss_plane(two_weights, [0.0, 0.0], directions=([1, 0], [0, 1]), span=((-1, 1), (0, 3)), count=4)
    a, b = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(0, 3, 4))
    np.testing.assert_allclose(plane.losses, (1 - a * b) ** 2)
    np.testing.assert_array_equal(plane.columns()["a"], a.reshape(-1))


def test_a_plane_through_three_models_has_them_where_it_says():
    models = [net(seed, epochs=2) for seed in range(3)]
    plane = loss_plane(models[0], X, Y, through=models[1:], count=3)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-6)
    for model, (a, b) in zip(models, plane.marks.values(), strict=True):
        near = loss_plane(models[0], X, Y, directions=plane.directions, span=((a, a + 1), (b, b + 1)), count=2)
        assert near.losses[0, 0] == pytest.approx(model.evaluate(X, Y), rel=1e-5)


def test_a_plane_along_the_trajectory_ends_at_the_trained_weights():
    way = WeightTrajectory()
    model = net(epochs=8, callbacks=[way])
    plane = loss_plane(model, X, Y, trajectory=way, count=5)
    assert plane.path.shape == (9, 2)
    np.testing.assert_allclose(plane.path[-1], 0, atol=1e-6)
    assert plane.explained[0] > plane.explained[1] > 0
    assert plane.explained.sum() <= 1 + 1e-9
    assert plane.across[0] < plane.path[:, 0].min() < plane.path[:, 0].max() < plane.across[-1]
    exact = loss_plane(model, X, Y, directions=plane.directions, span=((0, 1), (0, 1)), count=2)
    assert exact.losses[0, 0] == pytest.approx(model.evaluate(X, Y), rel=1e-5)


def test_the_surface_is_the_same_on_any_number_of_threads():
    from pellucid import set_num_threads

    model = net()
    try:
        planes = []
        for threads in (1, 2):
            set_num_threads(threads)
            planes.append(loss_plane(model, X, Y, count=6).losses)
    finally:
        set_num_threads(None)
    np.testing.assert_array_equal(*planes)


def test_arguments_are_checked():
    with pytest.raises(ConfigurationError, match="give to= or direction=, not both"):
        loss_line(two_weights, [0.0, 0.0], to=[1.0, 1.0], direction=[1.0, 0.0])
    with pytest.raises(ConfigurationError, match="give one of directions=, through= and trajectory="):
        loss_plane(two_weights, [0.0, 0.0], directions=1, through=2)
    with pytest.raises(ConfigurationError, match="lie on one line and span no plane"):
        loss_plane(two_weights, [0.0, 0.0], directions=([1, 1], [2, 2]))
    with pytest.raises(ConfigurationError, match=r"span must be \(low, high\)"):
        loss_plane(two_weights, [0.0, 0.0], directions=([1, 0], [0, 1]), span=(1, 0))
    with pytest.raises(DataError, match="the direction is 0 everywhere"):
        loss_line(two_weights, [0.0, 0.0], direction=[0.0, 0.0])
    with pytest.raises(ConfigurationError, match="batch_norm is a setting of models"):
        loss_line(two_weights, [0.0, 0.0], batch_norm="kept")
    with pytest.raises(ConfigurationError, match="did you mean 'recomputed'"):
        loss_line(net(), X, Y, batch_norm="recomputd")
    with pytest.raises(ConfigurationError, match=r"validation_data must be \(x, y\), for a model"):
        loss_line(two_weights, [0.0, 0.0], direction=[1.0, 0.0], validation_data=X)


def test_a_function_of_a_vector_has_random_directions_of_length_1():
    line = loss_line(lambda w: (w**2).sum(), [1.0, 2.0], count=3)
    assert float(np.linalg.norm(line.direction)) == pytest.approx(1)
    plane = loss_plane(lambda w: (w**2).sum(), [1.0, 2.0], count=3)
    np.testing.assert_allclose(np.linalg.norm(plane.directions, axis=1), 1)
    assert str(line).startswith("3 losses for t from -1 to 1: lowest ")
    assert str(plane).startswith("3 x 3 losses: lowest ")


def test_points_that_are_the_same_span_nothing():
    def f(w):
        return ops.sum(w**2)

    with pytest.raises(DataError, match="loss_line: to= has the same weights"):
        loss_line(f, [1.0, 2.0], to=[1.0, 2.0])
    for other in ([0.3, 0.7], [1.0, 2.0]):  # twice the same, and the place itself
        with pytest.raises(ConfigurationError, match="the two directions lie on one line"):
            loss_plane(f, [1.0, 2.0], through=([0.3, 0.7], other))
    place, other = R.normal(size=50), R.normal(size=50)  # of which rounding leaves something that looks like a plane
    for factor in (1.0, 0.7):
        with pytest.raises(ConfigurationError, match="the two directions lie on one line"):
            loss_plane(f, place, through=(other, place + factor * (other - place)))
    with pytest.raises(DataError, match=r"needs two points or more, but has 0\.\nHint: it keeps weights as a callback"):
        loss_plane(f, [1.0, 2.0], trajectory=WeightTrajectory())


def test_positions_may_come_in_any_order_and_a_barrier_needs_both_ends():
    line = loss_line(two_weights, [1.0, 1.0], to=[-1.0, -1.0], positions=[1.0, 0.25, 0.0, 0.5])
    assert line.positions.tolist() == [0, 0.25, 0.5, 1]
    assert line.losses.tolist() == [0, 0.5625, 1, 0]
    assert line.barrier == 1
    assert np.isnan(loss_line(two_weights, [1.0, 1.0], to=[-1.0, -1.0], positions=[0.25, 0.5]).barrier)
