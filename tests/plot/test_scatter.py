"""Two features of labelled examples."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_iris
from tests.plot.pictures import check_differs, check_picture

from pellucid import data, plot
from pellucid.errors import ConfigurationError, DataError

IRIS = data.load("iris")


def iris(y=IRIS.y_train, **settings):
    names = {"feature_names": IRIS.feature_names, "class_names": IRIS.target_names}
    return plot.scatter(IRIS.x_train, y, features=(0, 2), **{**names, **settings})


def test_each_class_has_its_points_a_marker_and_a_colour():
    ax = iris()
    assert len(ax.collections) == 3
    for number, points in enumerate(ax.collections):
        np.testing.assert_allclose(points.get_offsets(), IRIS.x_train[IRIS.y_train == number][:, [0, 2]])
        assert points.get_label() == IRIS.target_names[number]
    assert len({tuple(points.get_facecolor()[0]) for points in ax.collections}) == 3
    assert len({points.get_paths()[0].vertices.shape for points in ax.collections}) > 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("sepal length (cm)", "petal length (cm)")


def test_the_picture_is_the_stored_one(tmp_path):
    check_picture(iris().figure, "scatter", tmp_path)


def test_another_labelling_is_another_picture(tmp_path):
    check_differs(iris(np.roll(IRIS.y_train, 7)).figure, "scatter", tmp_path)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_data_frame_names_its_columns_and_labels_may_be_text(frame):
    table = frame({"height": [1.0, 2.0, 3.0], "count": [4, 5, 6], "width": [7.0, 8.0, 9.0]})
    ax = plot.scatter(table, ["no", "yes", "no"], features=("width", "height"))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no", "yes"]
    assert ax.collections[0].get_offsets().tolist() == [[7.0, 1.0], [9.0, 3.0]]


def test_one_hot_rows_are_labels():
    ax = plot.scatter(np.eye(2), np.eye(2))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]


def test_it_draws_on_the_given_axes():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert iris(ax=ax) is ax


@pytest.mark.parametrize(
    ("x", "y", "settings", "error", "text"),
    [
        ([1.0, 2.0], [0, 1], {}, DataError, "scatter: x must be a table of numbers [N, features], not [2] float64."),
        (np.eye(2), [0], {}, DataError, "scatter: 2 examples, but 1 labels in y."),
        (np.eye(2), np.zeros((2, 2)), {}, DataError, "scatter: y must be one label an example, [N], not [2, 2]."),
        ([[np.nan, 1.0]], [0], {}, DataError, "scatter: x holds nan in row 0, column 0."),
        (np.zeros((0, 2)), [], {}, DataError, "scatter: x must have at least one row and one column, not [0, 2]."),
        (
            np.eye(2), [0, 1], {"features": (0, 2)}, ConfigurationError,
            "scatter: there is no column 2 among 2, which are counted from 0.",
        ),
        (
            np.eye(2), [0, 1], {"features": (1, 1)}, ConfigurationError,
            "scatter: features must be two different columns, not (1, 1).",
        ),
        (
            np.eye(2), [0, 1], {"features": "ab"}, ConfigurationError,
            "scatter: features must be two columns, not 'ab'.",
        ),
        (
            np.eye(2), [0, 1], {"features": ("a", "bb"), "feature_names": ["a", "b"]}, ConfigurationError,
            "Unknown feature 'bb'; known are: a, b.\nHint: did you mean 'b'?",
        ),
        (
            np.eye(2), [0, 1], {"class_names": ["only"]}, ConfigurationError,
            "scatter: class_names must be 2 names, not 1 names.",
        ),
        (
            np.eye(2), [0, 1], {"features": (0, 1.5)}, ConfigurationError,
            "scatter: a column is given by its number or its name, not 1.5.",
        ),
        (np.eye(2), [0.0, np.nan], {}, DataError, "scatter: y holds labels that are no finite numbers."),
        (
            np.eye(2), np.array([1, "one"], object), {}, DataError,
            "scatter: the labels are of several kinds: int, str.",
        ),
        (
            np.ones((99, 2)), np.arange(99) / 8, {}, DataError,
            "scatter: there are 99 different labels, from 0.0 to 12.25; a picture shows at most 70 classes.\n"
            "Hint: labels are names or whole numbers, not measurements",
        ),
        (
            np.eye(2), [0, 1], {"ax": 3}, ConfigurationError,
            "scatter: ax must be Matplotlib axes, not int.\n"
            "Hint: figure, ax = matplotlib.pyplot.subplots() makes them",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(x, y, settings, error, text):
    with pytest.raises(error) as caught:
        plot.scatter(x, y, **settings)
    assert str(caught.value) == text


def test_scikit_learns_bunches_can_be_drawn():
    bunch: Any = load_iris(as_frame=True)
    ax = plot.scatter(bunch.data, bunch.target, features=("petal length (cm)", "petal width (cm)"))
    assert ax.get_xlabel() == "petal length (cm)"
    assert sum(len(points.get_offsets()) for points in ax.collections) == 150


def test_examples_without_labels_are_drawn_alike_and_need_no_legend():
    ax = plot.scatter(np.eye(2))
    assert [len(points.get_offsets()) for points in ax.collections] == [2]
    assert ax.get_legend() is None


def test_a_class_without_examples_keeps_its_place_among_the_names():
    ax = plot.scatter(np.eye(2), [0, 2], class_names=("red", "green", "blue"))
    whole = plot.scatter(np.eye(3)[:, :2], [0, 1, 2], class_names=("red", "green", "blue"))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["red", "blue"]
    assert (ax.collections[1].get_facecolor() == whole.collections[2].get_facecolor()).all()


def test_the_legend_of_many_classes_fits(tmp_path):
    ax = plot.scatter(np.random.default_rng(0).normal(size=(70, 2)), np.arange(70))
    ax.figure.savefig(tmp_path / "many.png", dpi=30)  # a layout that does not fit warns
    assert ax.get_legend().get_window_extent().x1 < ax.figure.bbox.x1
    looks = {(tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes()) for points in ax.collections}
    assert len(looks) == 70
