"""The plane as a hidden layer sees it."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.plot.networks import hand_made
from tests.plot.pictures import check_differs, check_picture

from pellucid import plot
from pellucid.errors import ConfigurationError, DataError


def picture(model, corners, **settings):
    return plot.feature_space(
        model, *corners, feature_names=("x1", "x2"), class_names=("same", "different"), **settings
    )


def points(ax):
    """The examples of each class."""
    return [np.asarray(c.get_offsets()) for c in ax.collections if type(c).__name__ == "PathCollection"]


def test_the_examples_are_drawn_as_given_and_as_the_hidden_layer_sees_them(xor, corners):
    x, y = corners
    inputs, hidden = picture(xor, corners)
    activations = np.tanh(x @ [[3, 2.4], [2.2, 3.2]] + [-1.5, -4.2])
    for ax, wanted in ((inputs, x), (hidden, activations)):
        for number, drawn in enumerate(points(ax)):
            np.testing.assert_allclose(drawn, wanted[y == number], atol=1e-5)
    assert (inputs.get_xlabel(), inputs.get_ylabel()) == ("x1", "x2")
    assert (hidden.get_xlabel(), hidden.get_ylabel()) == ("unit 1", "unit 2")
    assert hidden.get_title() == 'as the layer "dense" sees them'
    assert [text.get_text() for text in inputs.get_legend().get_texts()] == ["same", "different"]


def test_the_grid_is_straight_on_the_left_and_bent_by_the_layer_on_the_right(xor, corners):
    inputs, hidden = picture(xor, corners, lines=5)
    assert len(inputs.get_lines()) == len(hidden.get_lines()) == 10
    for straight, bent in zip(inputs.get_lines(), hidden.get_lines(), strict=True):
        path = straight.get_xydata()
        assert np.ptp(path, axis=0).min() == 0
        np.testing.assert_allclose(bent.get_xydata(), np.tanh(path @ [[3, 2.4], [2.2, 3.2]] + [-1.5, -4.2]), atol=1e-5)
        assert straight.get_linestyle() == bent.get_linestyle()


def test_the_decision_in_hidden_space_is_the_line_of_the_output_unit(xor, corners):
    _, hidden = picture(xor, corners)
    (border,) = (c for c in hidden.collections if type(c).__name__ == "QuadContourSet")
    line = border.get_paths()[0].vertices
    step = 2 / 240
    np.testing.assert_allclose(4 * line[:, 0] - 4 * line[:, 1], 4, atol=8 * step)


def test_the_picture_is_the_stored_one(xor, corners, tmp_path):
    check_picture(picture(xor, corners)[0].figure, "feature_space", tmp_path)


def test_another_network_is_another_picture(corners, tmp_path):
    other = hand_made([([[3, 2.4], [2.2, 3.2]], [-1.5, -3.0]), ([[4], [-4]], [-4])])
    check_differs(picture(other, corners)[0].figure, "feature_space", tmp_path)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_layer_of_many_units_is_seen_so_that_every_example_is_on_its_side(classes):
    generator = np.random.default_rng(0)
    weights = [(generator.normal(size=(2, 7)), generator.normal(size=7)), (generator.normal(size=(7, 3)), [0, 0, 0])]
    model = hand_made(weights, ["tanh", "softmax"])
    x = generator.normal(size=(50, 2))
    if classes == 2:
        model = hand_made([weights[0], (weights[1][0][:, :1], [0])])
    decided = model.predict(x).argmax(axis=1) if classes == 3 else (model.predict(x)[:, 0] > 0.5).astype(int)
    assert set(decided) == set(range(classes))
    _, hidden = plot.feature_space(model, x, decided)
    ground = hidden.collections[0]
    picture, (left, right, low, high) = np.asarray(ground.get_array()), (*hidden.get_xlim(), *hidden.get_ylim())
    seen = points(hidden)
    kinds = set()
    for own in seen:
        columns = ((own[:, 0] - left) / (right - left) * picture.shape[1]).astype(int)
        rows = ((own[:, 1] - low) / (high - low) * picture.shape[0]).astype(int)
        shades = picture[rows, columns]
        assert (shades == np.median(shades, axis=0)).all(axis=1).mean() > 0.95  # a pixel at the border may differ
        kinds.add(tuple(np.median(shades, axis=0)))
    assert len(kinds) == classes
    assert hidden.get_xlabel().startswith("across the border")


def test_points_keep_the_colour_of_their_region_where_a_class_has_no_example():
    model = hand_made([(np.eye(2), [0, 0]), ([[1.0, 0, 0], [0, 1, 0]], [0, 0, 0.1])], ["linear", "softmax"])
    x = np.array([[1.0, 1.2], [0.0, 0.1], [-0.5, 0.0]])
    labels = model.predict(x).argmax(axis=1)
    assert 0 not in labels
    inputs, _ = plot.feature_space(model, x, labels, class_names=("a", "b", "c"))
    assert [text.get_text() for text in inputs.get_legend().get_texts()] == ["b", "c"]
    ground = np.asarray(inputs.collections[0].get_array())
    (low, high), size = inputs.get_xlim(), ground.shape[0]
    for collection in inputs.collections[1:]:
        if type(collection).__name__ == "PathCollection":
            place = np.asarray(collection.get_offsets())[0]
            column = int((place[0] - low) / (high - low) * size)
            bottom, top = inputs.get_ylim()
            shade = ground[int((place[1] - bottom) / (top - bottom) * size), column]
            strong = collection.get_facecolor()[0, :3]
            np.testing.assert_allclose(1 - shade, 0.2 * (1 - strong), atol=1e-6)


def test_units_can_be_chosen(corners):
    model = hand_made([(np.ones((2, 3)), [0, 1, 2]), (np.ones((3, 1)), [0])])
    _, hidden = plot.feature_space(model, *corners, units=(2, 0))
    assert (hidden.get_xlabel(), hidden.get_ylabel()) == ("unit 3", "unit 1")
    np.testing.assert_allclose(points(hidden)[0][0], np.tanh([2, 0]), atol=1e-5)


def test_it_draws_on_the_given_axes(xor, corners):
    axes = Figure().subplots(1, 2)
    assert list(picture(xor, corners, ax=axes)) == list(axes)
    with pytest.raises(ConfigurationError) as caught:
        picture(xor, corners, ax=axes[0])
    assert str(caught.value) == "feature_space: ax must be 2 Matplotlib axes, but 1 were given."


def test_what_cannot_be_drawn_is_told(xor, corners):
    with pytest.raises(DataError) as caught:
        plot.feature_space(xor, np.zeros((4, 3)), corners[1])
    assert str(caught.value) == "feature_space: x must have two features, not 3: a grid of them is bent."
    with pytest.raises(ConfigurationError) as caught:
        plot.feature_space(xor, *corners, units=(0, 2))
    assert str(caught.value) == "feature_space: units must be two different ones of 0 to 1, not (0, 2)."
    with pytest.raises(ConfigurationError) as caught:
        plot.feature_space(hand_made([([[1.0], [1.0]], [0.0]), ([[1.0]], [0.0])]), *corners)
    assert str(caught.value) == 'feature_space: the layer "dense" has 1 unit; two span a plane.'
