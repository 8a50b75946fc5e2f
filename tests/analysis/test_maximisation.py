import numpy as np
import pytest
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Model, Sequential, data, set_seed
from pellucid.analysis import feature_maps, maximise_activation
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Add, Conv1D, Conv2D, Dense, Embedding, Flatten, MaxPool2D
from pellucid.optim import Adam

PLAIN = {"decay": 0.0, "blur": 0.0, "jitter": 0}


def test_of_a_linear_unit_the_best_image_has_the_signs_of_its_weights():
    model = Sequential([Input((4, 4, 1)), Flatten(), Dense(3)])
    found = maximise_activation(model, value_range=(-1, 1), steps=600, **PLAIN)
    kernel = model.get_weights()["dense.kernel"]
    for image, channel in zip(found.images, found.channels, strict=True):
        np.testing.assert_array_equal(image.ravel(), np.sign(kernel[:, channel]))
    np.testing.assert_allclose(found.scores[-1], np.abs(kernel).sum(axis=0), rtol=1e-5)


def test_every_channel_rises_and_the_images_stay_in_the_range():
    model = lenet()
    found = maximise_activation(model, layer="conv2d_1", steps=64, value_range=(0, 2))
    assert found.images.shape == (4, 12, 12, 1)
    assert found.images.min() >= 0
    assert found.images.max() <= 2
    assert (found.scores[-1] > 2 * found.scores[0]).all()
    mean = feature_maps(model, found.images, "conv2d_1").mean(axis=(1, 2))
    np.testing.assert_allclose(np.diag(mean), found.scores[-1], rtol=1e-5)


def test_the_image_of_a_digit_is_taken_for_that_digit():
    set_seed(0)
    digits = data.load("digits")
    model = Sequential(
        [Input((8, 8, 1)), Conv2D(16, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10, activation="softmax")]
    )
    model.compile("categorical_crossentropy", Adam(0.01), ["accuracy"])
    model.fit(digits.x_train, digits.y_train, epochs=5, seed=0, verbose=0)
    found = maximise_activation(model, steps=64)
    assert model.predict(found.images).argmax(axis=1).tolist() == list(range(10))


def test_the_seed_fixes_the_image():
    model = lenet()
    one, same, other = (maximise_activation(model, 2, steps=8, seed=seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_it_starts_where_it_is_told():
    model, x = lenet(), images(1)
    found = maximise_activation(model, [0, 3], start=x[0], steps=1, learning_rate=1e-9, value_range=(-5, 5), **PLAIN)
    np.testing.assert_allclose(found.images, np.concatenate([x, x]), atol=1e-6)


def test_one_step_is_eta_times_the_slope_over_its_root_mean_square():
    model = Sequential([Input((2,)), Dense(1)])
    model.set_weights({"dense.kernel": np.array([[3.0], [-4.0]], "float32"), "dense.bias": np.zeros(1, "float32")})
    found = maximise_activation(model, start=[0.5, 0.5], steps=1, learning_rate=0.1, **PLAIN)
    np.testing.assert_allclose(found.images[0], 0.5 + 0.1 * np.array([3, -4]) / np.sqrt(12.5), rtol=1e-6)
    decayed = maximise_activation(model, start=[0.5, 0.5], steps=1, learning_rate=0.1, decay=0.5, blur=0, jitter=0)
    np.testing.assert_allclose(decayed.images[0] - 0.5, (found.images[0] - 0.5) / 2, rtol=1e-5)


def test_where_nothing_changes_the_score_nothing_moves():
    model = Sequential([Input((3,)), Dense(1, kernel_initializer="zeros")])
    start = np.array([0.1, 0.5, 0.9], "float32")
    np.testing.assert_allclose(maximise_activation(model, start=start, steps=3, **PLAIN).images[0], start, rtol=1e-6)


def test_sounds_too():
    model = Sequential([Input((20, 1)), Conv1D(3, 5, activation="relu"), Flatten(), Dense(2)])
    found = maximise_activation(model, layer=0, steps=32, value_range=(-1, 1))
    assert found.images.shape == (3, 20, 1)
    assert (found.scores[-1] > found.scores[0]).all()


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"channels": 5}, ConfigurationError, "there is no channel 5; there are 5, 0 to 4."),
        ({"channels": [0.5]}, ConfigurationError, "channels must be a whole number or several, not [0.5]."),
        ({"steps": 0}, ConfigurationError, "steps must be a whole number of at least 1, not 0."),
        (
            {"value_range": (1, 0)},
            ConfigurationError,
            "value_range must be two numbers, the smaller first, not (1, 0).",
        ),
        (
            {"start": np.zeros(3)},
            DataError,
            "start must be a sample [12, 12, 1] or one for each of 5 channels, not float64[3].",
        ),
    ],
)
def test_what_does_not_fit_is_named(arguments, kind, text):
    with pytest.raises(kind) as error:
        maximise_activation(lenet(), **arguments)
    assert str(error.value) == f"maximise_activation: {text}"


def test_words_and_several_inputs_have_no_ascent():
    words = Sequential([Input((5,), dtype="int32"), Embedding(7, 3), Conv1D(4, 2)])
    a, b = Input((4, 4, 1)), Input((4, 4, 1))
    pair = Model([a, b], Conv2D(1, 2)(Add()(a, b)))
    for model in (words, pair):
        with pytest.raises(ConfigurationError, match="the model must have one input of real numbers"):
            maximise_activation(model)
