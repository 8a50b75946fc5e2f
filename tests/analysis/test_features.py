import numpy as np
import pytest
from scipy.signal import correlate2d
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Model, Sequential, set_seed
from pellucid.analysis import feature_maps, filters, has_convolution, receptive_field, top_patches
from pellucid.errors import ConfigurationError
from pellucid.nn import Add, Conv1D, Dense


def test_filters_are_a_copy_of_the_kernel_of_the_first_convolution_or_of_a_chosen_one():
    model = lenet()
    assert filters(model).shape == (3, 3, 1, 3)
    found = filters(model, "conv2d_1")
    np.testing.assert_array_equal(found, model.get_weights()["conv2d_1.kernel"])
    found[:] = 0
    assert model.get_weights()["conv2d_1.kernel"].any()


def test_what_is_no_convolution_has_no_filters():
    with pytest.raises(ConfigurationError) as error:
        filters(lenet(), "dense")
    assert str(error.value) == (
        'filters: the layer "dense" (Dense) is no convolution.\nHint: the convolutions are: conv2d, conv2d_1'
    )
    assert not has_convolution(Sequential([Input((3,)), Dense(2)]))
    assert has_convolution(lenet())


def test_feature_maps_are_the_correlations_with_the_filters():
    model, x = lenet(channels=2), images(2, channels=2)
    w, b = model.get_weights()["conv2d.kernel"], model.get_weights()["conv2d.bias"]
    expected = np.stack(
        [
            sum(correlate2d(x[..., c][n], w[:, :, c, k], mode="same") for c in range(2)) + b[k]
            for n in range(2)
            for k in range(3)
        ]
    ).reshape(2, 3, 12, 12)
    expected = np.moveaxis(expected, 1, -1)
    np.testing.assert_allclose(feature_maps(model, x, before_activation=True), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(feature_maps(model, x), np.maximum(expected, 0), rtol=1e-4, atol=1e-5)
    assert feature_maps(model, x, "dense").shape == (2, 6)


def brute_force(model, x, layer, count):
    """Every window of every image, the strongest of each image, and of these the strongest."""
    maps = feature_maps(model, x, layer)
    field = receptive_field(model, layer)
    for channel in range(maps.shape[-1]):
        found = []
        for row, map_ in enumerate(maps[..., channel]):
            place = max(np.ndindex(map_.shape), key=lambda at, map_=map_: (map_[at], tuple(-n for n in at)))
            found.append((-map_[place], row, place))
        for value, row, place in sorted(found)[:count]:
            patch = np.zeros((*field.size, x.shape[-1]))
            for at in np.ndindex(field.size):
                inside = [start + offset for (start, _), offset in zip(field.window(place), at, strict=True)]
                if all(0 <= n < size for n, size in zip(inside, x.shape[1:-1], strict=True)):
                    patch[at] = x[(row, *inside)]
            yield channel, -value, row, place, patch


@pytest.mark.parametrize("layer", ["conv2d", "conv2d_1", "max_pool2d_1"])
@pytest.mark.parametrize("batch_size", [4, 256])
def test_top_patches_are_those_of_an_exhaustive_search(layer, batch_size):
    model, x = lenet(channels=2), images(11, channels=2)
    top = top_patches(model, x, layer, count=5, batch_size=batch_size)
    expected = list(brute_force(model, x, layer, 5))
    assert top.values.size == len(expected)
    for number, (channel, value, row, place, patch) in enumerate(expected):
        at = channel, number % 5
        assert top.values[at] == pytest.approx(value, rel=1e-5)
        assert top.rows[at] == row
        assert tuple(top.positions[at]) == place
        np.testing.assert_array_equal(top.patches[at], patch.astype("float32"))


def test_of_equal_activations_the_first_sample_and_place_stay():
    model = Sequential([Input((6, 1)), Conv1D(2, 2, kernel_initializer="ones")])
    top = top_patches(model, np.ones((9, 6, 1)), count=3, batch_size=2)
    assert top.rows.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert not top.positions.any()


def test_of_few_samples_there_are_few_patches():
    assert top_patches(lenet(), images(2), count=9).patches.shape == (3, 2, 3, 3, 1)


def test_a_unit_behind_flatten_sees_the_whole_image():
    model, x = lenet(), images(6)
    top = top_patches(model, x, "dense", count=2)
    activations = feature_maps(model, x, "dense")
    np.testing.assert_array_equal(top.rows[:, 0], activations.argmax(axis=0))
    np.testing.assert_array_equal(top.patches[:, 0], x[top.rows[:, 0]])


def test_a_saturated_unit_is_told_apart_before_its_activation():
    set_seed(0)
    model = Sequential([Input((4, 1)), Conv1D(1, 1, kernel_initializer="ones", activation="sigmoid")])
    x = np.array([50.0, 90.0, 70.0])[:, None, None] * np.ones((3, 4, 1))
    assert top_patches(model, x, count=1).rows.tolist() == [[0]]
    assert top_patches(model, x, count=1, before_activation=True).rows.tolist() == [[1]]


def test_patches_are_cut_from_one_input():
    a, b = Input((4, 1), name="a"), Input((4, 1), name="b")
    model = Model([a, b], Conv1D(1, 2)(Add()(a, b)))
    with pytest.raises(ConfigurationError, match="top_patches: the model has 2 inputs; patches are cut from one"):
        top_patches(model, [np.ones((1, 4, 1))] * 2)


def test_chosen_channels_only():
    model, x = lenet(), images(8)
    every, some = top_patches(model, x, "conv2d_1"), top_patches(model, x, "conv2d_1", channels=[3, 0])
    assert some.channels.tolist() == [3, 0]
    np.testing.assert_array_equal(some.patches, every.patches[[3, 0]])
    with pytest.raises(ConfigurationError, match="top_patches: there is no channel 4; there are 4, 0 to 3"):
        top_patches(model, x, "conv2d_1", channels=4)
