"""Networks in two halves."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from tests.plot.networks import hand_made

from pellucid import Input, Model, Sequential, estimators
from pellucid.errors import ConfigurationError, NotBuiltError
from pellucid.nn import Activation, Concatenate, Dense, Dropout
from pellucid.plot.hidden import halves_of

X = np.random.default_rng(0).normal(size=(40, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
THREE = Y + (X[:, 0] > 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("labels", [Y, THREE])
@pytest.mark.parametrize("kind", [MLPClassifier, estimators.MLPClassifier])
@pytest.mark.parametrize("layer", [None, 1, 2])
def test_both_halves_of_an_estimator_make_its_predictions(kind, labels, layer):
    model = kind((5, 4), activation="logistic", max_iter=3, random_state=0).fit(X, labels)
    halves = halves_of("f", model, layer)
    assert halves.units == (5 if layer == 1 else 4)
    assert halves.name == f"hidden layer {layer or 2}"
    np.testing.assert_array_equal(halves.decide(halves.front(X)), model.predict(X))
    assert (halves.normals is None) == (layer == 1)


def test_both_halves_of_a_model_make_its_predictions():
    layers = [Dense(6, name="first"), Activation("tanh"), Dropout(0.5), Dense(3), Activation("softmax")]
    model = Sequential([Input((2,)), *layers])
    for layer, name in ((None, "dropout"), ("first", "first")):
        halves = halves_of("f", model, layer)
        assert halves.name == f'the layer "{name}"'
        np.testing.assert_array_equal(halves.decide(halves.front(X)), model.predict(X).argmax(axis=1))
    normals: Any = halves_of("f", model, None).normals
    assert normals.shape == (6, 2)
    assert halves_of("f", model, "first").normals is None


def test_the_normals_are_the_directions_on_which_the_decision_depends():
    model = hand_made(
        [(np.eye(2, 4), np.zeros(4)), (np.arange(12.0).reshape(4, 3) % 5, np.zeros(3))], ["tanh", "softmax"]
    )
    halves = halves_of("f", model, None)
    hidden, normals = halves.front(X), np.array(halves.normals, float)
    within = np.linalg.svd(normals.T, full_matrices=True)[2][2:]  # directions in which all normals are 0
    np.testing.assert_array_equal(halves.decide(hidden), halves.decide(hidden + 3 * within[0].astype("float32")))


def test_an_estimator_that_holds_a_model_is_read_through_it():
    model = estimators.NeuralNetClassifier(epochs=2, random_state=0).fit(X, Y)
    halves = halves_of("f", model, None)
    np.testing.assert_array_equal(halves.decide(halves.front(X.astype("float32"))), model.predict(X.astype("float32")))


def around():
    x = Input((2,))
    hidden = Dense(3, name="hidden")(x)
    return Model(x, Dense(1)(Concatenate()(hidden, x)))


def two_outputs():
    hidden = Dense(3)(x := Input((2,)))
    return Model(x, [Dense(1)(hidden), Dense(1)(hidden)])


@pytest.mark.parametrize(
    ("model", "layer", "error", "text"),
    [
        (
            LogisticRegression(), None, ConfigurationError,
            "f: the model must be a Model or a fitted estimator of a multi-layer network, not LogisticRegression.",
        ),
        (
            Sequential([Dense(2)], name="new"), None, NotBuiltError,
            'f: the model "new" has no weights yet.\nHint: fit or build it first',
        ),
        (
            Sequential([Input((2,)), Dense(2)], name="flat"), None, ConfigurationError,
            'f: the model "flat" has no hidden layer.',
        ),
        (
            Sequential([Input((2,)), Dense(2, name="only")]), "only", ConfigurationError,
            "f: the layer 'only' is the output, not a hidden layer.",
        ),
        (
            Sequential([Input((2,)), Dense(2, name="only")]), 1, ConfigurationError,
            "f: the layer of a Model is given by its name, not by 1.",
        ),
        (
            Sequential([Input((3, 2)), Dense(4, name="wide"), Dense(1)]), "wide", ConfigurationError,
            "f: the layer 'wide' gives [3, 4] an example, not a row.",
        ),
        (
            around(), "hidden", ConfigurationError,
            "f: the decision does not follow from the layer 'hidden' alone: another path leads around it.\n"
            "Hint: choose a layer that all paths pass through",
        ),
        (
            estimators.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1), None, ConfigurationError,
            "f: MLPRegressor predicts numbers, not classes.",
        ),
        (
            estimators.MLPClassifier((3,), max_iter=1), 2, ConfigurationError,
            "f: MLPClassifier has the hidden layers 1 to 1, not 2.",
        ),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_has_no_halves_is_told(model, layer, error, text):
    model = model.fit(X, Y) if hasattr(model, "max_iter") and "MLP" in text else model
    with pytest.raises(error) as caught:
        halves_of("f", model, layer)
    assert str(caught.value) == text


def test_a_model_of_several_outputs_has_no_one_decision():
    with pytest.raises(ConfigurationError, match=r"has 2 outputs; give one part\.$"):
        halves_of("f", two_outputs(), None)
