import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.classic.haar import HaarFeature, HaarFeatures, Rectangle, Windows, grey_levels, integral_image
from pellucid.errors import ConfigurationError, DataError, ShapeError


@given(st.integers(0, 3), st.integers(0, 9), st.integers(0, 9), st.integers(0, 999))
def test_any_rectangle_is_four_looks_into_the_summed_area_table(batch, height, width, seed):
    r = np.random.default_rng(seed)
    images = r.integers(0, 256, (batch, height, width)).astype("uint8")
    table = integral_image(images)
    assert table.dtype == np.int64
    assert table.shape == (batch, height + 1, width + 1)
    top, bottom = sorted(r.integers(0, height + 1, 2))
    left, right = sorted(r.integers(0, width + 1, 2))
    found = table[:, bottom, right] - table[:, top, right] - table[:, bottom, left] + table[:, top, left]
    np.testing.assert_array_equal(found, images[:, top:bottom, left:right].sum(axis=(1, 2)))


def test_sums_of_whole_numbers_do_not_overflow():
    assert integral_image(np.full((3000, 3000), 255, "uint8"))[-1, -1] == 255 * 9_000_000


def test_a_table_of_floats_is_float64():
    assert integral_image(np.ones((2, 2), "float32")).dtype == np.float64


def test_an_image_has_two_axes():
    with pytest.raises(ShapeError) as error:
        integral_image(np.ones(3))
    assert str(error.value) == "integral_image takes images [..., height, width], not [3]."


def test_a_window_of_24_has_as_many_features_as_in_the_literature():
    assert len(HaarFeatures((24, 24))) == 162_336


@pytest.mark.parametrize("window", [(1, 1), (4, 7), (9, 6)])
def test_the_features_are_those_of_scikit_image(window):
    feature = pytest.importorskip("skimage.feature")
    names = {"two-x": "type-2-x", "two-y": "type-2-y", "three-x": "type-3-x", "three-y": "type-3-y", "four": "type-4"}
    for kind, name in names.items():
        coordinates, _ = feature.haar_like_feature_coord(window[1], window[0], name)
        expected = {frozenset((*first, *last) for first, last in rectangles) for rectangles in coordinates}
        found = {
            frozenset((r.top, r.left, r.top + r.height - 1, r.left + r.width - 1) for r in haar.rectangles)
            for haar in HaarFeatures(window, [kind])
        }
        assert found == expected


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 3), st.integers(0, 99))
def test_a_feature_is_the_sum_of_the_pixels_under_its_mask_over_the_contrast(height, width, step, seed):
    images = np.random.default_rng(seed).integers(0, 256, (5, height, width)).astype("uint8")
    features, windows = HaarFeatures((height, width), step=step), Windows(images)
    contrast = np.maximum(images.std(axis=(1, 2)), 1)
    values = features.values(windows)
    assert values.shape == (len(features), 5)
    for feature, column in zip(features, values, strict=True):
        expected = (feature.mask((height, width)) * images.astype(int)).sum(axis=(1, 2)) / contrast
        np.testing.assert_allclose(column, expected, rtol=1e-6)


def test_features_do_not_change_with_light_and_contrast():
    image = np.random.default_rng(0).integers(0, 60, (1, 12, 12)).astype("uint8")
    features = HaarFeatures((12, 12))
    plain, brighter = (features.values(Windows(i)) for i in (image, image * np.uint8(3) + np.uint8(70)))
    np.testing.assert_allclose(plain, brighter, rtol=1e-6, atol=1e-6)


def test_noise_of_a_flat_window_is_not_amplified():
    flat = np.full((1, 6, 6), 100, "uint8")
    flat[0, 0, 0] = 101
    assert np.abs(HaarFeatures((6, 6)).values(Windows(flat))).max() == 1  # one grey level, as it is


def test_every_mask_sums_to_zero_and_shows_its_rectangles():
    for feature in HaarFeatures((7, 6)):
        assert feature.mask((7, 6)).sum() == 0
    three = HaarFeature("three-y", 1, 2, 1, 2)
    assert three.rectangles == (Rectangle(1, 2, 1, 2, 1), Rectangle(2, 2, 1, 2, -2), Rectangle(3, 2, 1, 2, 1))


def test_features_are_a_sequence_in_a_fixed_order():
    features = HaarFeatures((6, 6), ["four", "two-x"])
    assert features[0].kind == "four"
    assert features[-1] == list(features)[-1] == features[len(features) - 1]
    assert features[1:3] == [features[1], features[2]]
    assert repr(features) == f"HaarFeatures({len(features):,} features of windows [6, 6])"


def test_a_sample_of_features_is_in_order_and_the_same_for_the_same_seed():
    features = HaarFeatures((8, 8))
    a, b = (features.sample(50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a.table, b.table)
    places = [np.flatnonzero((features.table == row).all(axis=1))[0] for row in a.table]
    assert len(a) == 50
    assert places == sorted(places)
    assert len(features.sample(10**9, np.random.default_rng(0))) == len(features)


def test_wrong_settings_are_named():
    with pytest.raises(ConfigurationError, match="HaarFeatures: the width must be a whole number of at least 1, not 0"):
        HaarFeatures((4, 0))
    with pytest.raises(ConfigurationError, match="did you mean 'two-x'"):
        HaarFeatures((4, 4), ["two_x"])
    with pytest.raises(ConfigurationError, match="Unknown kind of Haar-like feature 'five'"):
        HaarFeature("five", 0, 0, 1, 1)


def test_colours_become_grey_levels_as_the_eye_weighs_them():
    colours = np.eye(3)[None]  # red, green, blue
    assert grey_levels(colours).tolist() == [[76, 150, 29]]
    assert grey_levels((colours * 255).astype("uint8")).tolist() == [[76, 150, 29]]
    assert grey_levels(np.ones((1, 2, 1))).tolist() == [[255, 255]]
    assert grey_levels(np.array([[True, False]])).tolist() == [[255, 0]]


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.ones((2, 2, 5)), "An image must be [height, width] or [height, width, channel]"),
        (np.ones((2, 2), "int64"), "An image must be uint8, bool, or floats from 0 to 1, not int64."),
        (np.full((2, 2), 7.0), "An image of floats must lie in [0, 1], not [7, 7]."),
        (np.full((2, 2), np.nan), "An image of floats must lie in [0, 1], not [nan, nan]."),
    ],
)
def test_images_of_other_kinds_are_refused(image, text):
    with pytest.raises(DataError) as error:
        grey_levels(image)
    assert str(error.value).startswith(text)


def test_windows_have_three_axes():
    with pytest.raises(DataError, match=r"Windows must be grey images \[N, height, width\], not \[2, 2\]"):
        Windows(np.ones((2, 2)))
