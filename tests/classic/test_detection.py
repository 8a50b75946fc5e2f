import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.classic.detection import Box, Level, iou, non_maximum_suppression, pyramid, resize
from pellucid.errors import ConfigurationError, ShapeError


def some_boxes(seed, count):
    r = np.random.default_rng(seed)
    start = r.integers(0, 10, (count, 2))
    return np.concatenate([start, start + r.integers(1, 8, (count, 2))], axis=1)


@given(st.integers(0, 999))
def test_iou_is_the_share_of_pixels_that_boxes_have_in_common(seed):
    first, second = some_boxes(seed, 2)
    masks = []
    for top, left, bottom, right in (first, second):
        mask = np.zeros((20, 20), bool)
        mask[top:bottom, left:right] = True
        masks.append(mask)
    expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert iou(first, second) == pytest.approx(expected)


def test_boxes_without_area_have_nothing_in_common():
    assert iou([0, 0, 0, 0], [0, 0, 0, 0]) == 0
    assert Box(0, 0, 4, 4).iou(Box(4, 4, 4, 4)) == 0


@given(st.integers(0, 30), st.integers(0, 999), st.sampled_from([0.0, 0.3, 1.0]))
def test_suppression_keeps_the_best_and_what_overlaps_no_kept_box_too_much(count, seed, threshold):
    boxes = some_boxes(seed, count)
    scores = np.random.default_rng(seed).integers(0, 5, count).astype(float)
    expected = []
    for number in sorted(range(count), key=lambda n: (-scores[n], n)):
        if all(iou(boxes[number], boxes[other]) <= threshold for other in expected):
            expected.append(number)
    kept, owner = non_maximum_suppression(boxes, scores, threshold)
    assert kept.tolist() == expected
    for number in range(count):
        best = next(k for k in expected if k == number or iou(boxes[number], boxes[k]) > threshold)
        assert kept[owner[number]] == best


def test_suppression_says_what_it_takes():
    with pytest.raises(ShapeError) as error:
        non_maximum_suppression(np.ones((2, 3)), np.ones(2))
    assert str(error.value) == "non_maximum_suppression takes boxes [N, 4] and scores [N], not [2, 3] and [2]."
    with pytest.raises(ShapeError, match=r"iou takes boxes \[..., 4\] of \(top, left, bottom, right\), not \[3\]"):
        iou([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(ConfigurationError, match=r"threshold must be a number in \[0, 1\], not 2"):
        non_maximum_suppression(np.ones((1, 4)), np.ones(1), 2)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_a_smaller_image_has_the_means_of_areas(height, width, rows, columns, seed):
    rows, columns = min(rows, height), min(columns, width)
    image = np.random.default_rng(seed).integers(0, 256, (height, width)).astype("uint8")
    # So many copies of each pixel that the areas are whole pixels of the copy.
    fine = np.repeat(np.repeat(image, rows, axis=0), columns, axis=1)
    means = fine.reshape(rows, height, columns, width).mean(axis=(1, 3))
    assert np.abs(resize(image, (rows, columns)) - means).max() <= 0.5 + 1e-6


def test_an_image_is_not_made_larger():
    with pytest.raises(ShapeError, match="resize makes an image"):
        resize(np.zeros((3, 3), "uint8"), (4, 2))


def test_levels_shrink_until_no_window_fits():
    levels = list(pyramid(np.zeros((100, 80), "uint8"), (20, 20), factor=2.0))
    assert [level.image.shape for level in levels] == [(100, 80), (50, 40), (25, 20)]
    assert levels[1].scale == (2.0, 2.0)
    assert levels[2].box(5, 0, (20, 20)) == (20.0, 0.0, 100.0, 80.0)


def test_only_sizes_between_the_smallest_and_the_largest_are_looked_for():
    image = np.zeros((100, 100), "uint8")
    found = pyramid(image, (10, 10), factor=2.0, smallest=20, largest=40)
    assert [level.image.shape for level in found] == [(50, 50), (25, 25)]


def test_an_image_smaller_than_the_window_has_no_level():
    assert list(pyramid(np.zeros((5, 30), "uint8"), (6, 6))) == []


def test_the_factor_is_above_one():
    with pytest.raises(ConfigurationError, match=r"pyramid: factor must be a number in \(1, inf\), not 1"):
        next(pyramid(np.zeros((9, 9), "uint8"), (3, 3), factor=1))


def test_a_level_maps_a_window_to_the_whole_image():
    assert Level(np.zeros((2, 2), "uint8"), (1.5, 2.0)).box(2, 3, (4, 4)) == (3.0, 6.0, 9.0, 14.0)
