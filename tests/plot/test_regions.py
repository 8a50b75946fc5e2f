"""Decision regions and probability surfaces."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier
from tests.plot.networks import hand_made
from tests.plot.pictures import check_differs, check_picture

from pellucid import Sequential, data, plot
from pellucid.classic import McCullochPitts, Perceptron, binary_inputs
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense, Input, losses

IRIS = data.load("iris")
PETALS = ("petal length (cm)", "petal width (cm)")
NAMES: dict[str, Any] = {"feature_names": IRIS.feature_names, "class_names": IRIS.target_names}


@pytest.fixture(scope="module")
def forest():
    return LogisticRegression(C=0.5, max_iter=1000).fit(IRIS.x_train, IRIS.y_train)


def regions(model, **settings):
    return plot.decision_regions(model, IRIS.x_train, IRIS.y_train, features=PETALS, **{**NAMES, **settings})


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def shades(ax):
    """The colour at each point of the grid."""
    (mesh,) = (c for c in ax.collections if type(c).__name__ == "QuadMesh")
    return np.asarray(mesh.get_array())


def drawn(ax):
    """The grid's coordinates and the number of the class at each point."""
    mesh = ax.collections[0]
    return np.asarray(mesh.get_array()).reshape(-1)


def test_the_regions_are_the_estimators_decisions_with_the_other_features_at_their_median(forest):
    ax = regions(forest, resolution=40)
    low, high = IRIS.x_train[:, 2:].min(axis=0), IRIS.x_train[:, 2:].max(axis=0)
    room = 0.08 * (high - low)
    across, up = np.meshgrid(*(np.linspace(low[i] - room[i], high[i] + room[i], 40) for i in range(2)))
    full = np.repeat(np.median(IRIS.x_train, axis=0)[None], 1600, axis=0)
    full[:, 2:] = np.c_[across.ravel(), up.ravel()]
    assert (drawn(ax) == forest.predict(full)).mean() > 0.999  # float32 and float64 grids may round at the border
    assert (ax.get_xlabel(), ax.get_ylabel()) == PETALS
    assert legend(ax) == list(IRIS.target_names)
    assert ax.get_xlim() == pytest.approx((across.min(), across.max()))


def test_every_example_and_every_border_is_drawn(forest):
    ax = regions(forest, resolution=40)
    points = [c for c in ax.collections if type(c).__name__ == "PathCollection"]
    assert [len(c.get_offsets()) for c in points] == np.bincount(IRIS.y_train).tolist()
    assert sum(type(c).__name__ == "QuadContourSet" for c in ax.collections) == 2


def test_the_picture_is_the_stored_one(forest, tmp_path):
    check_picture(regions(forest).figure, "decision_regions", tmp_path)


def test_the_picture_of_other_regions_differs(tmp_path):
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(IRIS.x_train, IRIS.y_train)
    check_differs(regions(tree).figure, "decision_regions", tmp_path)


def test_the_shaded_picture_is_the_stored_one(forest, tmp_path):
    check_picture(regions(forest, shading="probability").figure, "decision_regions_shaded", tmp_path)


def test_the_shaded_picture_of_a_surer_classifier_differs(tmp_path):
    surer = LogisticRegression(C=100, max_iter=1000).fit(IRIS.x_train, IRIS.y_train)
    check_differs(regions(surer, shading="probability").figure, "decision_regions_shaded", tmp_path)


def test_a_model_of_one_unit_decides_at_its_threshold(xor, corners):
    x, y = corners
    ax = plot.decision_regions(xor, x, y, resolution=21)
    assert len(ax.collections) > 3
    outputs = xor.predict(x)[:, 0]
    for threshold in (0.5, float(outputs.max()) + 0.01):
        ax = plot.decision_regions(xor, x, y, resolution=21, threshold=threshold)
        assert drawn(ax).any() == (threshold == 0.5)


def test_labels_of_minus_and_plus_one_are_the_models_two_classes(xor, corners):
    x, y = corners
    assert legend(plot.decision_regions(xor, x, 2 * y - 1, resolution=5)) == ["-1", "1"]
    assert legend(plot.decision_regions(xor, x, resolution=5)) == ["0", "1"]


@pytest.mark.parametrize("loss", [losses.BinaryCrossentropy(from_logits=True), "hinge"])
def test_logits_and_margins_are_compared_with_zero(loss):
    model = hand_made([([[1.0], [0.0]], [0.0])], ["linear"])
    x = np.array([[-1.0, 0.0], [1.0, 1.0]])
    model.compile(loss)
    grid = drawn(plot.decision_regions(model, x, resolution=10)).reshape(10, 10)
    assert grid[:, :5].max() == 0
    assert grid[:, 5:].min() == 1


def test_a_softmax_model_has_a_class_per_output_and_takes_one_hot_labels():
    model = hand_made([(np.eye(2, 3), [0, 0, 0.4])], ["softmax"])
    x = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 0.1]])
    ax = plot.decision_regions(model, x, np.eye(3), shading="probability", resolution=20)
    assert legend(ax) == ["0", "1", "2"]
    assert shades(ax).shape == (20, 20, 3)


def test_logits_of_several_classes_become_probabilities():
    model = hand_made([([[500.0, 0.0, -500.0], [0.0, 1.0, 0.0]], [0, 0, 0])], ["linear"])
    model.compile(losses.CategoricalCrossentropy(from_logits=True))
    ax = plot.decision_regions(model, np.array([[-1.0, 0.0], [1.0, 1.0]]), shading="probability", resolution=9)
    assert np.isfinite(shades(ax)).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_estimators_of_data_frames_are_given_data_frames_with_their_columns(frame):
    columns = {"a": [0.0, 1.0, 0.2, 0.9], "b": [5.0, 6.0, 7.0, 8.0], "c": [0.0, 0.1, 1.0, 0.8]}
    x, y = frame(columns), ["no", "no", "yes", "yes"]
    model = LogisticRegression().fit(x, y)
    ax = plot.decision_regions(model, x, y, features=("c", "a"), resolution=10)  # a warning about names would fail
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("c", "a")
    assert legend(ax) == ["no", "yes"]


def test_a_model_takes_a_data_frames_numbers(xor, corners):
    x, y = corners
    ax = plot.decision_regions(xor, pd.DataFrame({"first": x[:, 0], "second": x[:, 1]}), y, resolution=9)
    assert ax.get_xlabel() == "first"
    np.testing.assert_array_equal(drawn(ax), drawn(plot.decision_regions(xor, x, y, resolution=9)))


def test_the_lectures_perceptron_and_clusters_have_regions():
    x, y = IRIS.x_train[:, 2:], np.where(IRIS.y_train == 0, -1, 1)
    assert legend(plot.decision_regions(Perceptron().fit(x, y), x, y, resolution=10)) == ["-1", "1"]
    clusters = KMeans(3, random_state=0).fit(x)
    assert legend(plot.decision_regions(clusters, x, resolution=10)) == ["0", "1", "2"]


def test_it_draws_on_the_given_axes_and_leaves_no_figure_open(forest):
    from matplotlib import pyplot

    ax = Figure().add_subplot()
    assert regions(forest, ax=ax, resolution=10) is ax
    solid = Figure().add_subplot(projection="3d")
    assert plot.probability_surface(forest, IRIS.x_train, ax=solid, resolution=5) is solid
    assert pyplot.get_fignums() == []


def surface(model, of):
    settings: dict[str, Any] = {"features": PETALS, "of": of, "resolution": 30}
    return plot.probability_surface(model, IRIS.x_train, IRIS.y_train, **settings, **NAMES)


def test_the_surface_is_the_stored_one(forest, tmp_path):
    check_picture(surface(forest, "versicolor").figure, "probability_surface", tmp_path)


def test_the_surface_of_another_class_differs(forest, tmp_path):
    check_differs(surface(forest, "virginica").figure, "probability_surface", tmp_path)


def test_the_surface_is_the_probability_of_the_class_and_examples_stand_at_their_truth(forest):
    ax = surface(forest, 1)
    assert ax.get_zlabel() == "probability of versicolor"
    assert ax.get_zlim() == (0, 1)
    assert legend(ax) == list(IRIS.target_names)
    points = [c for c in ax.collections if c.get_label() in IRIS.target_names]
    heights = {c.get_label(): set(np.asarray(c._offsets3d[2])) for c in points}
    assert heights == {"setosa": {0.0}, "versicolor": {1.0}, "virginica": {0.0}}


def test_of_two_classes_the_second_is_drawn(xor, corners):
    ax = plot.probability_surface(xor, *corners, class_names=("same", "different"), resolution=9)
    assert ax.get_zlabel() == "probability of different"


X = np.array([[0.0, 0.0], [1.0, 1.0]])


def two_outputs():
    from pellucid import Model

    x = Input((2,))
    return Model(x, [Dense(1)(x), Dense(1)(x)])


@pytest.mark.parametrize(
    ("model", "settings", "text"),
    [
        (
            LinearRegression().fit(X, [0.0, 1.0]), {},
            "decision_regions: LinearRegression predicts numbers, not classes.",
        ),
        (
            "model", {},
            "decision_regions: the model must be a Model, a fitted estimator with predict, or a function from "
            "examples to labels, not str.",
        ),
        (
            RidgeClassifier, {},
            "decision_regions: the model must be a Model, a fitted estimator with predict, or a function from "
            "examples to labels, not the class RidgeClassifier.",
        ),
        (
            RidgeClassifier().fit(X, [0, 1]), {"shading": "probability"},
            "decision_regions: RidgeClassifier gives no probabilities.\n"
            "Hint: an estimator gives them by predict_proba, a Model by a last layer of sigmoid or softmax",
        ),
        (
            RidgeClassifier().fit(X, [0, 1]), {"threshold": 0.3},
            "decision_regions: threshold is for a Model; RidgeClassifier decides by itself.",
        ),
        (
            Sequential([Input((2,)), Dense(3)]), {"threshold": 0.3},
            "decision_regions: threshold is for one unit, but the model has 3 classes.",
        ),
        (
            RidgeClassifier().fit(X, [0, 1]), {"shading": "depth"},
            "decision_regions: shading must be one of 'class', 'probability', not 'depth'.",
        ),
        (
            RidgeClassifier().fit(X, [0, 1]), {"resolution": 1},
            "decision_regions: resolution must be a whole number of at least 2, not 1.",
        ),
        (
            RidgeClassifier().fit(X, [0, 1]), {"ax": Figure().add_subplot(projection="3d")},
            "decision_regions: ax must have two dimensions, but it has three.\nHint: figure.add_subplot() has two",
        ),
    ],
)  # fmt: skip
def test_what_has_no_regions_is_told(model, settings, text):
    with pytest.raises(ConfigurationError) as caught:
        plot.decision_regions(model, X, **settings)
    assert str(caught.value) == text


def test_a_model_of_several_outputs_is_refused():
    with pytest.raises(ConfigurationError, match=r"has 2 outputs; classes need one row an example\.$"):
        plot.decision_regions(two_outputs(), X)


def test_strange_labels_and_classes_are_named(forest):
    with pytest.raises(DataError) as caught:
        plot.decision_regions(forest, IRIS.x_train[:2], [0, 7])
    assert str(caught.value) == "decision_regions: the label 7 in y is not among the classes [0, 1, 2]."
    with pytest.raises(ConfigurationError) as caught:
        plot.probability_surface(forest, IRIS.x_train, of="rose", class_names=IRIS.target_names)
    assert str(caught.value) == (
        "probability_surface: there is no class 'rose' among 'setosa', 'versicolor', 'virginica'."
    )


def test_gates_and_functions_have_regions():
    corners = binary_inputs(2)
    gate = McCullochPitts((1, 1), 1.5)
    grid = drawn(plot.decision_regions(gate, corners, gate(corners), resolution=9)).reshape(9, 9)
    assert grid.tolist() == [[int(i + j >= 12) for j in range(9)] for i in range(9)]
    ax = plot.decision_regions(lambda x: np.where(x[:, 0] > 0.5, "right", "left"), corners, resolution=9)
    assert legend(ax) == ["left", "right"]


def test_one_feature_spans_no_plane():
    with pytest.raises(DataError) as caught:
        plot.decision_regions(RidgeClassifier().fit(X[:, :1], [0, 1]), X[:, :1])
    assert str(caught.value) == "decision_regions: x has one feature, 'feature 1', but the picture needs two."


def test_a_function_of_measurements_has_no_classes():
    with pytest.raises(DataError, match=r"there are 80 different labels, from .*; a picture shows at most 70 classes"):
        plot.decision_regions(lambda x: x[:, 0] + x[:, 1], np.random.default_rng(0).normal(size=(80, 2)))


def test_the_legend_stands_where_no_example_is():
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.9, 0.9], [0.5, 0.5]])
    ax = plot.decision_regions(RidgeClassifier().fit(x, [0, 1, 1, 0, 1]), x, [0, 1, 1, 0, 1], resolution=9)
    ax.figure.draw_without_rendering()
    right, top = ax.transAxes.inverted().transform(ax.get_legend().get_window_extent().get_points()[1])
    assert right > 0.9
    assert top < 0.5


def test_a_legend_hides_no_corner_of_the_square():
    corners = binary_inputs(2)
    ax = plot.decision_regions(McCullochPitts((1, 1), 1.5), corners, [0, 0, 0, 1], resolution=9)
    ax.figure.draw_without_rendering()
    box = ax.get_legend().get_window_extent()
    assert not any(box.contains(*place) for place in ax.transData.transform(corners))
