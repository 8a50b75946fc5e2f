import numpy as np
import pytest
from tests.analysis.diagnosis.runs import breast_cancer, diagnosed, digits, network, plain

from pellucid.analysis import diagnose
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Softmax, losses

LOGITS = losses.CategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("layers", "loss", "words"),
    [
        ([Dense(32, "relu"), Dense(10, "softmax")], LOGITS, "applies softmax once more"),
        ([Dense(32, "relu"), Dense(10), Softmax()], LOGITS, "applies softmax once more"),
        ([Dense(32, "relu"), Dense(10, "sigmoid")], "categorical_crossentropy", "do not add up to 1"),
    ],
)
def test_a_last_function_that_does_not_go_with_the_loss_is_named_and_mended(layers, loss, words):
    found = diagnosed(network(*layers, loss=loss), *digits().train)
    assert found.names == ["wrong_output"]
    assert words in found[0].evidence
    retry = found[0].retry()
    assert retry.helped
    assert retry.after_value > 0.85 > retry.before_value


def test_the_softmax_of_one_unit_is_named_and_a_sigmoid_mends_it():
    s = breast_cancer()
    model = network(Dense(32, "relu"), Dense(1, "softmax"), loss="binary_crossentropy", inputs=(30,))
    found = diagnosed(model, *s.train)
    assert found.names == ["wrong_output"]
    assert found[0].code == 'Dense(1, activation="sigmoid")'
    assert found[0].retry().after_value > 0.9


@pytest.mark.parametrize("function", ["sigmoid", "tanh", "relu"])
def test_targets_outside_of_what_the_last_function_gives_are_named(function):
    x = breast_cancer().x_train
    y = (x[:, :4].sum(axis=1) - 2).astype(np.float32)
    model = network(Dense(32, "relu"), Dense(1, function), loss="mse", inputs=(30,))
    finding = diagnosed(model, x, y, epochs=20)["wrong_output"]
    assert "of the targets" in finding.evidence
    assert finding.retry().helped


@pytest.mark.parametrize(
    ("layer", "loss"),
    [
        (Dense(10, "softmax"), "categorical_crossentropy"),
        (Dense(10), LOGITS),
        (Dense(10, "sigmoid"), "binary_crossentropy"),
        (Dense(10, "sigmoid"), "mse"),
    ],
)
def test_outputs_that_go_with_their_loss_are_no_finding(layer, loss):
    x, y = digits().train
    y = np.eye(10, dtype=np.float32)[y]
    assert "wrong_output" not in diagnose(network(Dense(32, "relu"), layer, loss=loss), x, y)


def test_shuffled_labels_are_named_as_what_cannot_be_learned():
    x, y = digits().train
    found = diagnosed(plain(), x, np.random.default_rng(0).permutation(y), epochs=10, validation_split=0.2)
    assert found.names == ["no_signal"]
    assert "nearest training samples" in found[0].evidence
    with pytest.raises(ConfigurationError, match=r"has no change of the training to try"):
        found[0].retry()


def test_shuffled_numbers_are_named_too():
    x = breast_cancer().x_train
    y = np.random.default_rng(0).permutation(x[:, :4].sum(axis=1))
    model = network(Dense(8, "relu"), Dense(1), loss="mse", inputs=(30,))
    found = diagnosed(model, x, y, epochs=10, validation_split=0.2)
    assert "no_signal" in found
    assert "R²" in found["no_signal"].evidence


def test_a_network_that_was_not_trained_long_enough_is_not_taken_for_noise():
    assert "no_signal" not in diagnosed(plain(), *digits().train, epochs=1, validation_split=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_a_weak_signal_in_few_validation_samples_is_a_signal(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 2)).astype(np.float32)
    y = np.where(rng.random(600) < 0.3, x[:, 0] < 0, x[:, 0] > 0).astype(int)
    model = network(Dense(16, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", inputs=(2,))
    found = diagnosed(model, x, y, epochs=3, validation_split=0.1)
    assert "no_signal" not in found
    shuffled = diagnosed(model.clone(0), x, rng.permutation(y), epochs=3, validation_split=0.1, only=["no_signal"])
    assert shuffled.names == ["no_signal"]


def test_a_class_that_is_too_rare_to_tell_is_no_lack_of_signal():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(250, 2)).astype(np.float32)
    y = (np.arange(250) % 25 == 0).astype(int)
    x[y == 1] += 1
    model = network(Dense(2, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", inputs=(2,))
    found = diagnosed(model, x, y, validation_split=0.2)
    assert "no_signal" not in found
    assert "validation samples are of another class" in found.skipped["no_signal"]
