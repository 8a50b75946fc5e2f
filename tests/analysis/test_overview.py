import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Model, Sequential
from pellucid.analysis import feature_overview
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import LSTM, Conv1D, Conv2D, Dense, Flatten, Lambda


def test_the_overview_goes_from_low_to_high_and_ends_with_why():
    model, x = lenet(), images(20)
    y = model.predict(x).argmax(axis=1)
    y[1] = (y[1] + 1) % 5
    pages = feature_overview(model, x, y, samples=3, class_names=list("abcde"))
    assert [title for title, _ in pages] == [
        "Filters of conv2d",
        "Feature maps of conv2d",
        "Top patches of conv2d",
        "Filters of conv2d_1",
        "Feature maps of conv2d_1",
        "Top patches of conv2d_1",
        "Images that excite the classes most",
        "Why: what speaks for the predicted class",
    ]
    for title, figure in pages:
        assert type(figure) is Figure
        figure.savefig(picture := io.BytesIO(), format="png")
        assert picture.getvalue().startswith(b"\x89PNG"), title
    names = [text.get_text() for text in pages[-1][1].axes[0].texts]
    right, wrong = "abcde"[y[0]], f"{'abcde'[(y[1] - 1) % 5]}, not {'abcde'[y[1]]}"
    assert names[:2] == [right, wrong]
    assert names[3:] == ["input", "saliency", "guided", "integrated", "occlusion", "deconvnet", "Grad-CAM"]


def test_the_same_seed_draws_the_same_pictures():
    model, x = lenet(), images(5)
    for (_, one), (_, same) in zip(feature_overview(model, x), feature_overview(model, x), strict=True):
        for a, b in zip(one.axes[0].images, same.axes[0].images, strict=True):
            np.testing.assert_array_equal(a.get_array(), b.get_array())


def test_sound_and_one_hot_labels():
    model = Sequential([Input((30, 1)), Conv1D(3, 5, activation="relu"), Flatten(), Dense(2, activation="softmax")])
    x = np.random.default_rng(0).normal(size=(6, 30, 1))
    pages = feature_overview(model, x, np.eye(2)[[0, 1, 0, 1, 0, 1]], samples=2)
    assert len(pages) == 5
    assert pages[0][1].axes[0].lines


def test_where_the_receptive_field_is_not_known_that_picture_is_left_out():
    model = Sequential(
        [Input((8, 8, 1)), Lambda(lambda x: x * 2), Conv2D(2, 3, activation="relu"), Flatten(), Dense(3)]
    )
    titles = [title for title, _ in feature_overview(model, images(3, size=8))]
    assert titles == [
        "Filters of conv2d", "Feature maps of conv2d", "Images that excite the classes most",
        "Why: what speaks for the predicted class",
    ]  # fmt: skip


def test_what_has_no_convolution_or_not_one_image_is_refused():
    with pytest.raises(ConfigurationError, match="has no convolution; its layers are: LSTM, Dense"):
        feature_overview(Sequential([Input((4, 2)), LSTM(3), Dense(2)]), np.ones((1, 4, 2)))
    a, b = Input((4, 1)), Input((4, 1))
    with pytest.raises(ConfigurationError, match="the model must have one input with positions"):
        feature_overview(Model([a, b], Conv1D(1, 2)(a + b)), [np.ones((1, 4, 1))] * 2)
    with pytest.raises(DataError):
        feature_overview(lenet(), images(2, size=9))


def test_of_many_convolutions_the_first_the_middle_and_the_last_are_drawn_or_those_asked_for():
    layers = [Conv2D(2, 3, padding="same", activation="relu") for _ in range(5)]
    model = Sequential([Input((8, 8, 1)), *layers, Flatten(), Dense(3)])
    titles = [title for title, _ in feature_overview(model, images(3, size=8))]
    assert [title for title in titles if "Filters" in title] == [
        "Filters of conv2d", "Filters of conv2d_2", "Filters of conv2d_4"
    ]  # fmt: skip
    titles = [title for title, _ in feature_overview(model, images(3, size=8), layers=["conv2d_3"])]
    assert titles[0] == "Filters of conv2d_3"
    assert len(titles) == 5


def test_with_labels_every_class_is_explained_before_one_is_twice():
    model, x = lenet(), images(8)
    labels = np.array([0, 0, 0, 2, 0, 1, 2, 1])
    title, figure = feature_overview(model, x, labels, samples=4)[-1]
    assert title.startswith("Why")
    axes = figure.axes[0]
    own = [im for im in axes.images if im.get_extent()[0] == 0][::1]
    rows = sorted({im.get_extent()[3] for im in own})
    shown = [next(im for im in own if im.get_extent()[3] == top).get_array() for top in rows]
    for picture, row in zip(shown, [0, 1, 3, 5], strict=True):
        np.testing.assert_allclose(picture, x[row, ..., 0], atol=1e-6)


def test_fewer_labels_than_samples_are_refused():
    with pytest.raises(DataError, match="feature_overview: there are 8 samples but only 3 labels"):
        feature_overview(lenet(), images(8), [0, 1, 2])


def test_one_output_is_shown_as_the_number_that_it_is():
    model, x = Sequential([Input((6, 6, 1)), Conv2D(2, 3), Flatten(), Dense(1, "sigmoid")]), images(4)[:, :6, :6]
    outputs = model.predict(x)[:, 0]
    for labels, names, told in ((None, None, ""), ([0, 1, 1, 0], None, " for {}"), ([0, 1, 1, 0], "ab", " for {}")):
        title, figure = feature_overview(model, x, labels, class_names=names)[-1]
        assert title == "Why: what makes the output larger"
        texts = [text.get_text() for text in figure.axes[0].texts]
        shown = ["ab"[k] if names else k for k in (0, 1, 1, 0)]
        assert texts[:4] == [f"{value:.3g}" + told.format(k) for value, k in zip(outputs, shown, strict=True)]
