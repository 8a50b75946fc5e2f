"""What a diagnosis finds without the data: each fault in a run that has it, and none in one that has not."""

import numpy as np
import pytest
from tests.analysis.diagnosis.runs import breast_cancer, digits, fit, network, plain

from pellucid import EarlyStopping
from pellucid.analysis import diagnose
from pellucid.analysis.diagnosis import DETECTORS, RECORDED
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import LSTM, Dense, Layer, initializers
from pellucid.optim import SGD, Adam
from pellucid.train import Recorder
from pellucid.train.history import History


def history(model, *, epochs=5, data=None, **settings):
    settings = {"record": "stats", "every": 10} | settings
    return fit(model, *(digits().train if data is None else data), epochs=epochs, **settings).history


def deep(activation, units=20, depth=8, **form):
    return [*(Dense(units, activation, **form) for _ in range(depth)), Dense(10, "softmax")]


def test_the_vanishing_gradient_shows_in_the_recording():
    found = diagnose(history(network(*deep("sigmoid", kernel_initializer="glorot_normal"))))
    assert found.names == ["vanishing_gradients"]
    assert (found[0].layer, found[0].step, found[0].severity) == ("dense", 1, "error")
    assert found[0].numbers["first"] < 1e-3 * found[0].numbers["largest"]
    assert "8 layers of sigmoid lie between them" in found[0].evidence
    with pytest.raises(ConfigurationError, match="has no change of the training to try"):
        found[0].retry()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_it_does_not_vanish_through_tanh_or_relu(activation):
    form = {"kernel_initializer": "he_normal" if activation == "relu" else "glorot_normal"}
    assert diagnose(history(network(*deep(activation, **form)))).names == []


def test_the_exploding_gradient_shows_in_the_deltas():
    form = {"kernel_initializer": initializers.RandomNormal(1.0)}
    found = diagnose(history(network(*deep("linear", depth=6, **form), optimizer=SGD(1e-6))))
    assert found.names == ["exploding_gradients"]
    assert found[0].layer == "dense"
    assert found[0].numbers["ratio"] > 100


@pytest.mark.parametrize(("rate", "bias", "words"), [(0.001, -50.0, "leaky ReLU"), (1.0, 0.0, "too large a step")])
def test_dead_units_are_found_and_whether_they_were_born_so(rate, bias, words):
    hidden = Dense(32, "relu", bias_initializer=initializers.Constant(bias))
    found = diagnose(history(network(hidden, Dense(10, "softmax"), optimizer=Adam(rate))))
    assert found["dead_relu"].layer == "dense"
    assert found["dead_relu"].numbers["share"] > 0.9
    assert (found["dead_relu"].step == 1) == (bias < 0)
    assert words in found["dead_relu"].suggestion


def test_saturated_units_are_found():
    wide = {"kernel_initializer": initializers.RandomNormal(5.0)}
    layers = [Dense(32, "tanh", **wide), Dense(32, "tanh", **wide), Dense(10, "softmax")]
    found = diagnose(history(network(*layers, optimizer=SGD(0.03))))
    assert found.names == ["saturation"]
    assert found[0].numbers["share"] > 0.8
    assert diagnose(history(network(Dense(32, "tanh"), Dense(10, "softmax")))).names == []


@pytest.mark.parametrize(("std", "named"), [(30.0, True), (0.3, False)])
def test_saturated_gates_are_found(std, named):
    r = np.random.default_rng(0)
    x = r.normal(size=(300, 10, 3)).astype(np.float32)
    y = (x[:, -3:].sum(axis=(1, 2)) > 0).astype(int)
    layers = [LSTM(8, kernel_initializer=initializers.RandomNormal(std), name="cell"), Dense(1, "sigmoid")]
    model = network(*layers, loss="binary_crossentropy", optimizer=SGD(0.03), inputs=(10, 3))
    found = diagnose(history(model, data=(x, y)))
    assert ("saturation" in found) == named
    if named:
        assert found["saturation"].layer == "cell"
        assert "of the activations of the candidate (tanh) lie where" in found["saturation"].evidence


@pytest.mark.parametrize("record", ["stats", "full"])
def test_units_that_begin_equal_are_found(record):
    same = {"kernel_initializer": initializers.Constant(0.1)}
    model = network(Dense(32, "sigmoid", **same), Dense(10, "softmax", **same))
    own = history(model, record=record, epochs=2)
    for run in (own, model, own.recording):
        assert diagnose(run).names == ["symmetry"]
        assert diagnose(run)[0].layer == "dense"


@pytest.mark.parametrize("record", ["stats", "full"])
@pytest.mark.parametrize(("own", "behind"), [("zeros", "glorot_uniform"), ("random_normal", "zeros")])
def test_units_with_other_biases_or_other_weights_behind_them_become_different(own, behind, record):
    hidden = Dense(8, "tanh", kernel_initializer="zeros", bias_initializer=own)
    model = network(hidden, Dense(10, "softmax", kernel_initializer=behind))
    assert "symmetry" not in diagnose(history(model, record=record, epochs=2))


def test_updates_that_are_far_too_large_and_too_small_are_found():
    large = diagnose(history(network(Dense(10, "softmax"), optimizer=SGD(300.0))))
    assert large.names == ["learning_rate_too_high"]
    assert large[0].numbers["update"] > 0.1
    small = diagnose(history(plain(optimizer=SGD(1e-5))))
    assert small.names == ["learning_rate_too_low"]
    assert small[0].numbers["update"] < 1e-4


def test_a_loss_that_became_infinite_is_found_with_and_without_a_recording():
    for record in ("stats", "off"):
        settings = {"every": 10} if record == "stats" else {"every": None}
        model = network(Dense(10), loss="mse", optimizer=SGD(1e4))
        own = history(model, data=(digits().x_train, np.eye(10)[digits().y_train]), record=record, **settings)
        names = diagnose(own).names
        assert names == (["learning_rate_too_high"] if record == "stats" else ["divergence"])


def test_overfitting_is_found_in_the_curves_alone_and_not_where_training_was_ended_for_it():
    x, y = breast_cancer().train
    settings = {"epochs": 60, "data": (x[:60], y[:60]), "validation_data": (x[60:], y[60:]), "record": "off"}
    form = {"loss": "categorical_crossentropy", "inputs": (30,), "optimizer": Adam(0.03)}
    layers = [Dense(64, "relu"), Dense(2, "softmax")]
    found = diagnose(history(network(*layers, **form), every=None, **settings))
    assert found.names == ["overfitting"]
    assert found[0].numbers["last"] > 1.2 * found[0].numbers["best"]
    stopped = history(network(*layers, **form), every=None, callbacks=[EarlyStopping(patience=5)], **settings)
    assert diagnose(stopped).names == []


@pytest.mark.parametrize("optimizer", [Adam(0.001), SGD(0.1), SGD(0.01)])
def test_a_good_training_has_no_finding(optimizer):
    own = history(plain(optimizer=optimizer), epochs=10, validation_split=0.1)
    assert diagnose(own).names == diagnose(own.recording).names == []


def test_it_says_what_takes_data_and_what_takes_a_recording():
    found = diagnose(history(plain(), record="off", every=None, validation_split=0.1))
    assert found.checked == ("learning_rate_too_high", "divergence", "overfitting")
    assert found.skipped["leakage"] == found.skipped["underfitting"] == "it takes the data: diagnose(model, x, y)"
    assert found.skipped["dead_relu"] == 'nothing was recorded: fit(..., record="stats")'
    assert set(found.checked) | set(found.skipped) == set(DETECTORS)
    text = str(found).replace("\n", " ")
    assert "class imbalance, underfitting (it takes the data: diagnose(model, x, y))" in text
    assert set(RECORDED) < set(DETECTORS)


def test_a_model_without_its_data_is_diagnosed_by_its_history():
    model = network(*deep("sigmoid", kernel_initializer="glorot_normal"))
    with pytest.raises(DataError, match="a model does not keep them"):
        diagnose(model)
    own = history(model)
    assert diagnose(model).names == diagnose(own).names == ["vanishing_gradients"]


def test_a_history_with_data_and_an_unknown_detector_are_refused():
    own = history(plain(), epochs=1)
    with pytest.raises(ConfigurationError, match="a History does not know the network"):
        diagnose(own, *digits().train)
    with pytest.raises(ConfigurationError, match="did you mean 'dead_relu'"):
        diagnose(own, only=["dead_rely"])


def test_an_empty_history_and_a_recording_of_a_few_layers_are_no_obstacle():
    assert diagnose(History()).names == ["divergence"]
    recorder = Recorder("stats", every=5, layers=["dense_1"])
    found = diagnose(history(plain(), record=recorder, every=None, epochs=3))
    assert found.names == []


class Block(Layer):
    """A layer with a layer inside."""

    def build(self, shape):
        self.inner = Dense(8, "tanh", kernel_initializer="ones", name="inner")

    def call(self, x):
        return self.inner(x)


def test_layers_inside_of_layers_are_looked_at_too():
    model = network(Block(name="block"), Dense(10, "softmax", kernel_initializer="ones"))
    own = history(model, epochs=1)
    for run in (own, model):
        assert diagnose(run, only=["symmetry"])[0].layer == "block/inner"


def test_deltas_that_are_not_finite_are_found():
    wild = {"kernel_initializer": initializers.RandomNormal(1e20)}
    layers = [*(Dense(20, "linear", **wild) for _ in range(3)), Dense(10, **wild)]
    own = history(
        network(*layers, loss="mse", optimizer=SGD(1e-3)), data=(digits().x_train, np.eye(10)[digits().y_train])
    )
    found = diagnose(own)
    assert found.names == ["exploding_gradients"]
    assert "its root mean square is not finite." in found[0].evidence
