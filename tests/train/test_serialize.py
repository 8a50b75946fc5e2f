import json

import numpy as np
import pytest

from pellucid import nn, ops, optim
from pellucid.errors import ConfigurationError, FileFormatError
from pellucid.fields import param
from pellucid.nn import Dense, Lambda, initializers, losses, regularizers
from pellucid.train import metrics
from pellucid.train.serialize import CLASSES, describe, restore


def round_trip(value, custom=()):
    return restore(json.loads(json.dumps(describe(value))), custom)


def own_activation(x):
    return x * 2


class OwnLayer(nn.Layer):
    size: int = param(default=3)


def test_settings_survive():
    layer = Dense(
        3,
        activation="relu",
        use_bias=False,
        kernel_initializer=initializers.VarianceScaling(2.0, "in", "uniform"),
        kernel_regularizer=regularizers.L1L2(0.1, 0.2),
        name="d",
        trainable=False,
    )
    found = round_trip(layer)
    assert type(found) is Dense
    assert repr(found) == repr(layer)
    assert found.kernel_regularizer.l2 == 0.2


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        "text",
        [1, [2.5, None]],
        {"a": 1, 2: [3]},
        float("inf"),
        optim.Adam(optim.WarmUp(optim.CosineDecay(0.1, 100), 10), clip_norm=1.0),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics.F1(average="micro", name="mine"),
    ],
    ids=repr,
)
def test_values_survive(value):
    assert repr(round_trip(value)) == repr(value)


def test_numbers_of_numpy_become_numbers():
    assert describe([np.float32(0.5), np.int64(3), (np.bool_(True),)]) == [0.5, 3, [True]]


def test_our_own_functions_are_named_and_found_again():
    for made in (Dense(1, activation=ops.tanh), Lambda(ops.tanh)):
        assert round_trip(made).config() == made.config()


def test_a_function_of_the_user_is_found_among_those_given():
    layer = Dense(1, activation=own_activation)
    assert describe(layer)["config"]["activation"] == {"function": "own_activation"}
    assert round_trip(layer, [own_activation]).activation is own_activation
    with pytest.raises(FileFormatError) as error:
        round_trip(layer)
    assert str(error.value) == (
        "The file uses the function 'own_activation' of your own, which was not given.\n"
        "Hint: pass it: load_model(path, custom=[own_activation])"
    )


def test_a_function_of_the_user_does_not_become_ours_by_its_name():
    def relu(x):
        return -x

    assert round_trip(Dense(1, activation=relu), [relu]).activation is relu
    with pytest.raises(FileFormatError, match="uses the function 'relu' of your own"):
        round_trip(Dense(1, activation=relu))


def test_a_class_of_the_user_is_found_among_those_given():
    found = round_trip(OwnLayer(5), [OwnLayer])
    assert (type(found), found.size) == (OwnLayer, 5)
    with pytest.raises(FileFormatError, match="uses the class 'OwnLayer' of your own"):
        round_trip(OwnLayer(5))


def test_a_class_of_the_user_does_not_become_ours_by_its_name():
    class Dense(nn.Layer):
        pass

    assert describe(Dense())["kind"] == "custom"
    assert type(round_trip(Dense(), [Dense])) is Dense


def test_what_cannot_be_saved_is_named():
    with pytest.raises(ConfigurationError) as error:
        describe(np.zeros(2))
    assert str(error.value) == (
        "array([0., 0.]) cannot be saved: it is neither a number, text, a list nor a known object."
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"kind": "layer", "class": "os.system", "config": {}}, "The layer 'os.system' is not known to this version."),
        ({"kind": "layer", "class": "__init__", "config": {}}, "The layer '__init__' is not known to this version."),
        ({"kind": "os", "class": "system", "config": {}}, "The os 'system' is not known to this version."),
        ({"kind": "custom", "class": "system", "config": {}}, "The file uses the class 'system' of your own"),
        ({"function": "eval"}, "The file uses the function 'eval' of your own"),
        ({"kind": "layer", "class": "Dense"}, "The description lacks 'config'."),
        ({"command": "rm"}, "The description lacks 'kind'."),
        ({"kind": "layer", "class": "Dense", "config": {"units": -1}}, "The layer 'Dense' cannot be made"),
        ({"kind": "layer", "class": "Dense", "config": {"nuits": 1}}, "The layer 'Dense' cannot be made"),
    ],
)
def test_nothing_is_ever_imported_by_name(data, text):
    with pytest.raises(FileFormatError) as error:
        restore(data)
    assert str(error.value).startswith(text)


def test_every_public_class_with_settings_has_a_place():
    assert set(CLASSES["layer"]) == set(nn.LAYERS)
    assert set(CLASSES["optimizer"]) == set(optim.OPTIMIZERS)
    assert set(CLASSES["schedule"]) == set(optim.SCHEDULES)
    made = [make() for make in (*losses.LOSSES.values(), *metrics.METRICS.values())]
    made += [make() for make in (*initializers.INITIALIZERS.values(), *regularizers.REGULARIZERS.values())]
    for thing in made:
        assert describe(thing)["kind"] != "custom"
        assert repr(round_trip(thing)) == repr(thing)
