import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Sequential
from pellucid.analysis import (
    feature_maps,
    filters,
    maximise_activation,
    plot_attribution,
    plot_feature_maps,
    plot_filters,
    plot_maximised,
    plot_top_patches,
    top_patches,
)
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Conv1D, Conv2D


def test_filters_of_one_channel_are_signed_tiles_on_one_scale():
    model = lenet()
    ax = plot_filters(model)
    assert ax.get_title() == "3 filters of conv2d, 3 x 3 on 1 channel"
    kernel = filters(model)
    for k, image in enumerate(ax.images):
        np.testing.assert_array_equal(image.get_array(), kernel[:, :, 0, k])
        assert image.get_clim() == (-np.abs(kernel).max(), np.abs(kernel).max())


def test_filters_of_several_channels_have_a_row_for_each():
    ax = plot_filters(lenet(), "conv2d_1", most=2)
    assert ax.get_title() == "The first 2 of 4 filters of conv2d_1, 3 x 3 on 3 channels"
    assert len(ax.images) == 4
    assert [text.get_text() for text in ax.texts] == ["channel 0", "channel 1"]


def test_filters_on_colours_are_coloured_and_those_along_time_lines():
    ax = plot_filters(lenet(channels=3))
    assert [image.get_array().shape for image in ax.images] == [(3, 3, 3)] * 3
    ax = plot_filters(Sequential([Input((20, 1)), Conv1D(4, 5)]))
    assert len([line for line in ax.lines if len(line.get_xdata()) == 5]) == 4
    assert ax.get_title() == "4 filters of conv1d, 5 on 1 channel"


def test_feature_maps_of_one_sample_are_on_one_scale():
    model, x = lenet(), images(1)
    maps = feature_maps(model, x, "conv2d_1")[0]
    for sample in (x, x[0]):
        ax = plot_feature_maps(model, sample, "conv2d_1", most=3)
        assert ax.get_title() == "The first 3 of 4 feature maps of conv2d_1, 4 x 4"
        for k, image in enumerate(ax.images):
            np.testing.assert_array_equal(image.get_array(), maps[..., k])
            assert image.get_clim() == (0, maps.max())
    signed = plot_feature_maps(model, x, before_activation=True)
    assert signed.images[0].get_clim()[0] < 0


def test_feature_maps_of_several_samples_or_without_positions_are_refused():
    with pytest.raises(DataError, match=r"the sample must be \[12, 12, 1\], not \[2, 12, 12, 1\]"):
        plot_feature_maps(lenet(), images(2))
    with pytest.raises(ConfigurationError, match=r'the layer "dense" makes \[6\], which has no positions'):
        plot_feature_maps(lenet(), images(1), "dense")


def test_top_patches_have_a_row_per_channel_with_its_largest_value():
    top = top_patches(lenet(), images(9), "conv2d_1", count=5)
    ax = plot_top_patches(top, most=3)
    assert ax.get_title() == "What excites 3 channels of conv2d_1, windows of 8 x 8"
    assert [text.get_text() for text in ax.texts] == [f"{k}: {top.values[k, 0]:.2g}" for k in range(3)]
    np.testing.assert_array_equal(ax.images[5].get_array(), top.patches[1, 0, :, :, 0])
    assert len(ax.images) == 15


def test_an_attribution_lies_over_its_sample():
    sample, found = images(1)[0], np.linspace(-2, 1, 144).reshape(12, 12)
    ax = Figure().add_subplot()
    assert plot_attribution(sample, found, title="why", ax=ax) is ax
    under, over = ax.images
    np.testing.assert_array_equal(under.get_array(), sample[..., 0])
    np.testing.assert_array_equal(over.get_array(), found)
    assert over.get_clim() == (-2, 2)
    ax = plot_attribution(sample, np.abs(found), scale=4.0)
    assert ax.images[1].get_clim() == (0, 4)


def test_contributions_of_channels_are_added_up_and_sequences_have_stripes():
    sample = np.arange(8.0).reshape(4, 2)
    ax = plot_attribution(sample, sample)
    assert ax.images[0].get_array().tolist() == [[1, 5, 9, 13]]
    assert len(ax.lines) == 1


def test_an_attribution_of_a_batch_gets_a_hint():
    with pytest.raises(DataError) as error:
        plot_attribution(images(1)[0], np.zeros((2, 12, 12)))
    assert str(error.value) == (
        "plot_attribution: an attribution [2, 12, 12] does not lie on a sample [12, 12, 1].\n"
        "Hint: take one of each batch: sample = x[0], attribution = found[0]"
    )


def test_maximised_images_have_names_and_scores():
    found = maximise_activation(Sequential([Input((6, 6, 1)), Conv2D(3, 3)]), [2, 0], layer=0, steps=4)
    ax = plot_maximised(found, names=["low", "mid", "high"])
    assert [text.get_text() for text in ax.texts] == [
        f"high: {found.scores[-1, 0]:.2g}", f"low: {found.scores[-1, 1]:.2g}"
    ]  # fmt: skip


def test_a_channel_that_nothing_excites_is_called_silent():
    model = lenet()
    model.layers[0].bias.assign(np.full(model.layers[0].bias.shape, -1e6, np.float32))
    ax = plot_top_patches(top_patches(model, images(3), model.layers[0], count=2), most=2)
    assert [text.get_text() for text in ax.texts] == ["0: silent", "1: silent"]


def test_filters_over_many_channels_of_a_sound_are_pictures_of_time_and_channel():
    model = Sequential([Input((20, 24)), Conv1D(5, 4, name="sound")])
    ax = plot_filters(model)
    assert ax.get_title() == "5 filters of sound, 4 on 24 channels (upwards)"
    kernel = model.get_weights()["sound.kernel"]
    assert len(ax.images) == 5
    np.testing.assert_array_equal(ax.images[2].get_array()[:, ::6], kernel[..., 2].T[::-1])
    assert plot_feature_maps(model, np.ones((20, 24))).get_title() == "5 feature maps of sound, 17 positions"
