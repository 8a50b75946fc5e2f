import numpy as np
import pytest

from pellucid import Input, Model, Sequential
from pellucid.analysis.wiring import Wiring
from pellucid.errors import ConfigurationError, NotBuiltError
from pellucid.nn import Activation, Add, Conv1D, Dense, Softmax


def nested():
    """A block that is called twice, and a dense layer that is shared by two branches."""
    block = Sequential([Input((6, 2)), Conv1D(2, 3, padding="same", activation="relu", name="conv")], name="block")
    x = Input((6, 2))
    once = block(x)
    twice = block(once)
    shared = Dense(3, activation="tanh", name="shared")
    return Model(x, Add(name="sum")(shared(once), shared(twice)))


def test_nested_models_are_opened_and_second_calls_get_names_of_their_own():
    wiring = Wiring(nested())
    names = [step.name for step in wiring.steps]
    assert sorted(names) == ["block#2/conv", "block/conv", "shared", "shared#2", "sum"]
    assert wiring.output_of("block") == wiring.output_of("block/conv")
    assert wiring.output_of("block#2") == wiring.output_of("block#2/conv")
    assert wiring.outputs == (wiring.output_of("sum"),)


def test_the_value_before_an_activation_is_that_of_the_same_layer_without_it():
    model = nested()
    wiring = Wiring(model)
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    values = wiring.run([x])
    before = values[wiring.output_of("block/conv", before_activation=True)].numpy()
    assert (before < 0).any()
    np.testing.assert_array_equal(np.maximum(before, 0), values[wiring.output_of("block/conv")].numpy())
    np.testing.assert_allclose(values[wiring.outputs[0]].numpy(), model.predict(x), rtol=1e-6)
    assert model.get_layer("block").get_layer("conv").activation == "relu"


def test_a_layer_is_chosen_by_name_by_number_and_as_itself():
    model = Sequential([Input((6, 2)), Conv1D(2, 3), Dense(4)])
    wiring = Wiring(model)
    for layer in ("dense", 1, -1, model.layers[1]):
        assert wiring.step(layer).name == "dense"


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("conv2d", "Unknown layer 'conv2d'; known are: conv1d, dense.\nHint: did you mean 'conv1d'?"),
        (2, 'The model "sequential" has 2 layers, so there is no number 2.'),
        (True, "A layer is chosen by name, by number or as itself, not by True."),
        (Dense(1, name="other"), 'The layer "other" is not in the model "sequential".'),
    ],
)
def test_a_layer_that_is_not_there_is_named(layer, text):
    wiring = Wiring(Sequential([Input((6, 2)), Conv1D(2, 3), Dense(4)]))
    with pytest.raises(ConfigurationError) as error:
        wiring.step(layer)
    assert str(error.value) == text


def test_a_nested_model_is_no_single_layer():
    with pytest.raises(ConfigurationError, match='"block" is a nested model'):
        Wiring(nested()).step("block")


def test_what_is_no_model_and_a_model_without_a_shape_are_refused():
    with pytest.raises(ConfigurationError, match="The layers of a Model are looked at, not int"):
        Wiring(3)
    with pytest.raises(NotBuiltError):
        Wiring(Sequential([Dense(3)]))


def test_without_a_convolution_the_error_lists_the_layers():
    with pytest.raises(ConfigurationError) as error:
        Wiring(Sequential([Input((4,)), Dense(3), Softmax()])).convolutions()
    assert str(error.value).startswith(
        'The model "sequential" has no convolution; its layers are: Dense, Softmax.\nHint:'
    )


@pytest.mark.parametrize(
    ("last", "steps_back"),
    [
        ([Dense(3, activation="softmax")], 1),
        ([Dense(3), Activation("softmax")], 1),
        ([Dense(3), Softmax()], 1),
        ([Dense(1, activation="sigmoid")], 1),
        ([Dense(3)], 0),
        ([Dense(3, activation="relu")], 0),
    ],
)
def test_logits_are_what_a_last_softmax_or_sigmoid_takes(last, steps_back):
    wiring = Wiring(Sequential([Input((4,)), *last]))
    (output,) = wiring.outputs
    assert wiring.logits(output) == output - steps_back


def test_only_activated_layers_have_a_value_before_the_activation():
    wiring = Wiring(Sequential([Input((4,)), Dense(3), Softmax()]))
    assert wiring.output_of(0, before_activation=True) == wiring.output_of(0)
    with pytest.raises(ConfigurationError, match=r'The layer "softmax" \(Softmax\) has no value before an activation'):
        wiring.output_of(1, before_activation=True)
