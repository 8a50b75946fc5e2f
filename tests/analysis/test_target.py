import numpy as np
import pytest
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Model, Sequential
from pellucid.analysis import gradients
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Conv1D, Dense, Flatten


def two_heads():
    x = Input((6, 1))
    trunk = Flatten()(Conv1D(3, 2, activation="relu")(x))
    return Model(x, [Dense(2, activation="softmax", name="left")(trunk), Dense(1, name="right")(trunk)])


def test_without_a_target_the_predicted_class_is_explained():
    model, x = lenet(), images(6)
    predicted = model.predict(x).argmax(axis=1)
    assert len(set(predicted)) > 1
    np.testing.assert_array_equal(gradients(model, x), gradients(model, x, predicted))


def test_every_sample_may_have_a_class_of_its_own():
    model, x = lenet(), images(3)
    mixed = gradients(model, x, [4, 0, 2])
    for row, label in enumerate([4, 0, 2]):
        np.testing.assert_array_equal(mixed[row], gradients(model, x, label)[row])


def test_an_output_of_several_is_chosen_by_name_or_number():
    model, x = two_heads(), np.ones((2, 6, 1))
    np.testing.assert_array_equal(gradients(model, x, 0, output="right"), gradients(model, x, 0, output=1))
    assert not np.array_equal(gradients(model, x, 0), gradients(model, x, 0, output=1))


def test_a_hidden_channel_is_the_sum_over_its_positions():
    model = Sequential([Input((5, 1)), Conv1D(1, 2, kernel_initializer="ones"), Flatten(), Dense(1)])
    assert gradients(model, np.ones((1, 5, 1)), 0, layer="conv1d").ravel().tolist() == [1, 2, 2, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"target": 5}, ConfigurationError, 'gradients: there is no target 5; "dense_1" has 5 channels, 0 to 4.'),
        ({"target": -1}, ConfigurationError, 'gradients: there is no target -1; "dense_1" has 5 channels, 0 to 4.'),
        (
            {"target": [1, 2]},
            DataError,
            "gradients: target must be one whole number, or one for each of 3 samples, not int64[2].",
        ),
        (
            {"target": np.eye(5)[:3]},
            DataError,
            "gradients: target must be one whole number, or one for each of 3 samples, not float64[3, 5].\n"
            "Hint: labels as rows of 0 and 1 become numbers by y.argmax(axis=1)",
        ),
        ({"score": "logit"}, ConfigurationError, "gradients: score must be one of 'logits', 'output', not 'logit'."),
        ({"output": "dense"}, ConfigurationError, "gradients: output must be one of 'dense_1', not 'dense'."),
        ({"output": 1}, ConfigurationError, "gradients: output must be one of 0, not 1."),
        (
            {"output": 0, "layer": "dense"},
            ConfigurationError,
            "gradients: a target is in a layer or in an output; give one of the two.",
        ),
        (
            {"rule": "relu"},
            ConfigurationError,
            "gradients: rule must be one of 'gradient', 'guided', 'deconvnet', not 'relu'.",
        ),
    ],
)  # fmt: skip
def test_a_target_that_is_not_there_is_named(arguments, kind, text):
    with pytest.raises(kind) as error:
        gradients(lenet(), images(3), **arguments)
    assert str(error.value) == text


def test_without_a_target_of_a_layer_the_channel_of_its_largest_element_is_explained():
    model = Sequential([Input((4, 2)), Conv1D(2, 1, use_bias=False, name="both")])
    model.set_weights({"both.kernel": np.eye(2, dtype=np.float32)[None]})
    x = np.zeros((1, 4, 2))
    x[0, :, 0], x[0, 2, 1] = 0.9, 2.0  # the first channel has the larger sum, the second the larger element
    np.testing.assert_array_equal(gradients(model, x, layer="both"), gradients(model, x, 1, layer="both"))
    assert not np.array_equal(gradients(model, x, layer="both"), gradients(model, x, 0, layer="both"))
