"""Images with their predictions."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from tests.plot.pictures import check_differs, check_picture

from pellucid import data, plot
from pellucid.errors import ConfigurationError, DataError

DIGITS = data.load("digits")
X, Y = DIGITS.x_test[:12], DIGITS.y_test[:12]
PREDICTED = np.where(np.arange(12) % 5 == 2, (Y + 1) % 10, Y)


def grid(predicted=PREDICTED, **settings):
    return plot.image_grid(X, Y, predicted, columns=6, **settings)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_every_image_is_drawn_in_its_place_with_its_class():
    ax = grid()
    assert len(ax.collections) == 12
    for drawn, image in zip(ax.collections, X, strict=True):
        np.testing.assert_allclose(drawn.get_array(), image[..., 0] / X.max(), atol=1e-6)
    places = [tuple(drawn.get_coordinates()[0, 0]) for drawn in ax.collections]  # left and top
    assert places == sorted(places, key=lambda place: (place[1], place[0]))
    assert len(set(places)) == 12
    right = [str(label) for label in Y]
    assert texts(ax) == [
        right[i] if i % 5 != 2 else f"\N{MULTIPLICATION SIGN} {PREDICTED[i]} for {Y[i]}" for i in range(12)
    ]
    assert ax.get_title() == "10 of 12 right"


def test_wrong_ones_are_marked_by_frame_and_text_too():
    frames = grid().patches
    widths = [frame.get_linewidth() for frame in frames]
    assert [i for i, width in enumerate(widths) if width > 2] == [2, 7]
    assert to_hex(frames[2].get_edgecolor()) != to_hex(frames[0].get_edgecolor())


def test_only_the_wrong_ones_can_be_drawn():
    ax = grid(wrong_only=True)
    assert texts(ax) == [f"\N{MULTIPLICATION SIGN} {PREDICTED[i]} for {Y[i]}" for i in (2, 7)]
    assert ax.get_title() == "10 of 12 right"
    assert not grid(Y, wrong_only=True).collections


def test_the_picture_is_the_stored_one(tmp_path):
    check_picture(grid().figure, "image_grid", tmp_path)


def test_other_mistakes_are_another_picture(tmp_path):
    check_differs(grid(np.roll(Y, 1)).figure, "image_grid", tmp_path)


def test_rows_of_pixels_and_outputs_and_names_are_taken():
    ax = plot.image_grid(X[:2].reshape(2, 64), [0, 1], [[0.9, 0.1], [0.7, 0.3]], class_names=["no", "yes"])
    assert texts(ax) == ["no", "\N{MULTIPLICATION SIGN} no for yes"]
    assert ax.collections[0].get_array().shape == (8, 8)


def test_images_alone_and_predictions_alone_are_drawn():
    assert texts(plot.image_grid(X, count=2)) == ["", ""]
    assert texts(plot.image_grid(X, y_pred=Y, count=2)) == [str(Y[0]), str(Y[1])]


def test_colours_stay_as_they_are():
    red = np.zeros((1, 4, 6, 3), np.uint8)
    red[..., 0] = 255
    ax = plot.image_grid(red)
    assert ax.collections[0].get_array()[0, 0].tolist() == [1, 0, 0]
    assert ax.get_aspect() == pytest.approx(4 / 6)


def test_large_images_are_scaled():
    image = np.arange(100.0 * 90).reshape(1, 100, 90)
    (drawn,) = plot.image_grid(image).images
    np.testing.assert_allclose(drawn.get_array(), image[0] / image.max())


def test_a_blank_image_is_paper():
    assert not plot.image_grid(np.ones((1, 4, 4))).collections[0].get_array().any()


def test_it_draws_on_the_given_axes():
    ax = Figure().add_subplot()
    assert grid(ax=ax) is ax


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "text"),
    [
        (
            (np.zeros((2, 10)),), {}, DataError,
            "image_grid: images must be [N, height, width], with 1 or 3 channels, or square rows, not [2, 10].",
        ),
        ((["a"],), {}, DataError, "image_grid: images must be numbers, not <U1."),
        (([[[np.nan]]],), {}, DataError, "image_grid: the images hold numbers that are not finite."),
        (
            (X[0],), {}, DataError,
            "image_grid: images [8, 8, 1] are one image with its channels, not several.\n"
            "Hint: images[np.newaxis] is a batch of one",
        ),
        ((X, Y), {"class_names": ["zero"]}, DataError, f"image_grid: the label {Y[Y > 0][0]} has no name among 1."),
        (
            (X[:2], ["a", "b"]), {"class_names": ["a", "b"]}, ConfigurationError,
            "image_grid: class_names must be the names of the labels 0, 1, ..., not of labels that are str32.",
        ),
        ((X[:2], [0, np.nan]), {}, DataError, "image_grid: y_true holds labels that are no finite numbers."),
        ((X, [1]), {}, DataError, "image_grid: 12 examples, but 1 labels in y_true."),
        ((X, Y), {"wrong_only": True}, ConfigurationError, "image_grid: wrong_only needs both y_true and y_pred."),
        ((X,), {"count": 0}, ConfigurationError, "image_grid: count must be a whole number of at least 1, not 0."),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(arguments, settings, error, text):
    with pytest.raises(error) as caught:
        plot.image_grid(*arguments, **settings)
    assert str(caught.value) == text


def test_long_names_stand_in_two_lines_and_do_not_overlap():
    names = [f"class {number}" for number in range(10)]
    ax = plot.image_grid(X, Y, (Y + 1) % 10, class_names=names)
    assert texts(ax)[0] == f"\N{MULTIPLICATION SIGN} {names[(Y[0] + 1) % 10]}\nfor {names[Y[0]]}"
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
