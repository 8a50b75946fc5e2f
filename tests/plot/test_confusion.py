"""Confusion matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix
from tests.plot.pictures import check_differs, check_picture

from pellucid import plot
from pellucid.errors import ConfigurationError, DataError

COUNTS = np.array([[30, 3, 0], [2, 25, 8], [0, 1, 12]])


def cells(ax):
    """The text of each cell, in rows."""
    side = round(len(ax.texts) ** 0.5)
    return np.array([text.get_text() for text in ax.texts]).reshape(side, side)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.lists(st.tuples(st.integers(-2, 4), st.integers(-2, 4)), min_size=1, max_size=30))
def test_the_counts_are_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    ax = plot.confusion_matrix(true, predicted, values="counts")
    counts = confusion_matrix(true, predicted, labels=np.unique(pairs))
    assert cells(ax).astype(int).tolist() == counts.tolist()
    assert ax.get_title().startswith(f"{np.trace(counts)} of {len(pairs)} right")
    assert [label.get_text() for label in ax.get_yticklabels()] == [str(k) for k in np.unique(pairs)]


def test_rows_are_true_classes_and_their_shares_are_the_shades():
    ax = plot.confusion_matrix(COUNTS, class_names=["cat", "dog", "bird"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    np.testing.assert_allclose(ax.collections[0].get_array(), COUNTS / COUNTS.sum(axis=1, keepdims=True))
    assert cells(ax)[0].tolist() == ["30\n91 %", "3\n9 %", "0"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog", "bird"]
    assert ax.get_title() == "67 of 81 right (82.7 %)"
    assert cells(plot.confusion_matrix(COUNTS, values="shares"))[1].tolist() == ["6 %", "71 %", "23 %"]


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("share", range(0, 101, 5))
def test_text_can_be_read_on_every_shade(share):
    """Contrast by the formula of WCAG 2.2, whose least for text is 4.5."""
    ax = plot.confusion_matrix([[share, 100 - share], [0, 1]])
    image = ax.collections[0]
    paper = luminance(image.cmap(image.norm(share / 100))[:3])
    ink = luminance(ax.texts[0].get_color())
    assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) > 4.5


def test_the_picture_is_the_stored_one(tmp_path):
    check_picture(plot.confusion_matrix(COUNTS).figure, "confusion_matrix", tmp_path)


def test_the_transposed_matrix_differs(tmp_path):
    check_differs(plot.confusion_matrix(COUNTS.T).figure, "confusion_matrix", tmp_path)


def test_outputs_count_for_their_largest_and_one_hot_rows_for_their_one():
    outputs = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    ax = plot.confusion_matrix(np.eye(2)[[1, 0, 0]], outputs, values="counts")
    assert cells(ax).tolist() == [["1", "1"], ["0", "1"]]


def test_it_draws_on_the_given_axes():
    ax = Figure().add_subplot()
    assert plot.confusion_matrix(COUNTS, ax=ax) is ax


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "text"),
    [
        (
            ([0, 1], [0]), {}, DataError,
            "confusion_matrix: 2 examples, but 1 labels in y_pred.",
        ),
        (([], []), {}, DataError, "confusion_matrix: there are no labels to compare."),
        (
            (["a"], [0]), {}, DataError,
            "confusion_matrix: y_true holds str32 labels, but y_pred int64.",
        ),
        (
            ([[1, -1], [0, 1]],), {}, DataError,
            "confusion_matrix: without y_pred, y_true must be a table of counts [K, K], not [2, 2] int64.\n"
            "Hint: confusion_matrix(y_true, y_pred) counts",
        ),
        (
            (COUNTS,), {"values": "percent"}, ConfigurationError,
            "confusion_matrix: values must be one of 'counts', 'shares', 'both', not 'percent'.",
        ),
        (
            (COUNTS,), {"class_names": "abc"}, ConfigurationError,
            "confusion_matrix: class_names must be 3 names, not one text.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(arguments, settings, error, text):
    with pytest.raises(error) as caught:
        plot.confusion_matrix(*arguments, **settings)
    assert str(caught.value) == text


def test_a_class_that_nobody_has_keeps_its_place_among_the_names():
    ax = plot.confusion_matrix([0, 2], [0, 0], class_names=("red", "green", "blue"), values="counts")
    assert cells(ax).astype(int).tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    with pytest.raises(ConfigurationError, match=r"class_names must be 2 names, not 3 names\.$"):
        plot.confusion_matrix([0, 9], [0, 0], class_names=("red", "green", "blue"))


def test_almost_all_is_not_all_and_almost_none_not_none():
    ax = plot.confusion_matrix([[99_999, 1], [1, 9]])
    assert ax.get_title() == "100,008 of 100,010 right (> 99.9 %)"
    assert cells(ax).tolist() == [["99,999\n> 99 %", "1\n< 1 %"], ["1\n10 %", "9\n90 %"]]


@pytest.mark.parametrize(
    ("true", "predicted", "text"),
    [
        (3, 4, "confusion_matrix: y_true must be labels [N], not 3."),
        ([0.0, np.nan], [0.0, 0.0], "confusion_matrix: y_true holds labels that are no finite numbers."),
    ],
)
def test_what_is_no_label_is_told(true, predicted, text):
    with pytest.raises(DataError) as caught:
        plot.confusion_matrix(true, predicted)
    assert str(caught.value) == text


def test_title_and_names_fit_into_the_picture():
    ax = plot.confusion_matrix([[1234567, 89], [5, 7654321]], class_names=["background", "a rather long name"])
    ax.figure.draw_without_rendering()
    assert ax.figure.bbox.x0 <= ax.title.get_window_extent().x0
    assert ax.title.get_window_extent().x1 <= ax.figure.bbox.x1
