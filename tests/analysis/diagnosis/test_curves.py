import math
from types import SimpleNamespace

import numpy as np
import pytest
from tests.analysis.diagnosis.runs import breast_cancer, diagnosed, digits, fit, network, plain

from pellucid import EarlyStopping, data, seeds
from pellucid.analysis import diagnose
from pellucid.analysis.diagnosis import curves
from pellucid.nn import Dense, Rescaling
from pellucid.optim import SGD, Adam, RMSProp


@pytest.mark.parametrize("optimizer", [SGD(20.0), Adam(1.0)])
def test_a_rate_that_is_too_high_is_named_and_the_suggested_one_learns(optimizer):
    finding = diagnosed(plain(optimizer=optimizer), *digits().train)["learning_rate_too_high"]
    assert finding.numbers["suggested"] < finding.numbers["best"] < finding.numbers["learning_rate"] / 2
    assert finding.numbers["learning_rate"] == optimizer.learning_rate
    assert f"{type(optimizer).__name__}(learning_rate={finding.numbers['suggested']:.2g})" in finding.code
    retry = finding.retry()
    assert retry.helped
    assert retry.after_value < 0.2 * retry.before_value


def test_a_training_that_became_infinite_is_one_of_too_high_a_rate():
    wine = data.load("wine").standardized()
    model = network(Dense(32, "relu"), Dense(1), loss="mse", optimizer=SGD(1.0), inputs=(13,))
    found = diagnosed(model, wine.x_train, wine.y_train.astype(np.float32))
    assert found.names == ["learning_rate_too_high"]
    assert "became NaN or infinite in epoch 1" in found[0].evidence
    retry = found[0].retry()
    assert "learning rate 1" in retry.error
    assert retry.helped
    assert math.isnan(retry.before_value)
    assert len(retry.after) == 20


def test_a_rate_too_high_is_seen_before_training():
    assert "learning_rate_too_high" in diagnose(plain(optimizer=SGD(20.0)), *digits().train)
    assert len(diagnose(plain(optimizer=SGD(0.1)), *digits().train)) == 0


def test_a_rate_that_is_too_low_is_named_and_the_suggested_one_learns():
    found = diagnosed(plain(optimizer=SGD(1e-4)), *digits().train, epochs=10)
    assert found.names == ["learning_rate_too_low"]
    assert found[0].severity == "warning"
    assert found[0].numbers["suggested"] >= 1e-3
    retry = found[0].retry()
    assert retry.helped
    assert retry.after_value < 0.3 * retry.before_value


def test_targets_without_relation_to_the_inputs_are_no_matter_of_the_rate():
    x, y = digits().train
    shuffled = np.random.default_rng(0).permutation(y)
    found = diagnosed(plain(optimizer=SGD(0.1)), x, shuffled, epochs=10)
    assert not {"learning_rate_too_low", "learning_rate_too_high"} & set(found.names)


def overfitted(**settings):
    s = breast_cancer()
    model = network(Dense(256, "relu"), Dense(256, "relu"), Dense(2, "softmax"), inputs=(30,))
    return diagnosed(model, s.x_train[:60], s.y_train[:60], epochs=200, validation_data=s.test, **settings)


def test_overfitting_is_named_with_its_best_epoch_and_early_stopping_mends_it():
    found = overfitted()
    assert found.names == ["overfitting"]
    finding = found[0]
    assert finding.step == finding.numbers["best_epoch"] * 2
    retry = finding.retry()
    assert retry.helped
    assert len(retry.after) < len(retry.before)
    assert retry.after_value == pytest.approx(min(retry.before["val_loss"]), rel=1e-3)


def test_a_model_whose_best_weights_were_restored_does_not_overfit():
    assert overfitted(callbacks=[EarlyStopping(patience=500)]).names == []


def test_overfitting_needs_validation_data():
    assert "validation" in diagnosed(plain(), *digits().train).skipped["overfitting"]


def test_two_units_are_too_few_for_ten_digits_and_more_of_them_do_it():
    found = diagnosed(network(Dense(2, "relu"), Dense(10, "softmax"), optimizer=Adam(0.01)), *digits().train, epochs=60)
    assert found.names == ["underfitting"]
    assert "610 parameters, not 160" in found[0].evidence
    assert found[0].numbers["wider"] < 0.5 * found[0].numbers["loss"]
    assert found[0].numbers["longer"] > 0.7 * found[0].numbers["loss"]
    assert found[0].retry().helped


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_only_takes_longer_is_not_too_small(seed):
    iris = data.load("iris").standardized()
    model = network(Dense(32, "relu"), Dense(32, "relu"), Dense(3, "softmax"), optimizer=RMSProp(0.001), inputs=(4,))
    model = model.clone(seed)
    model.fit(*iris.train, epochs=30, seed=seed, verbose=0)
    assert diagnose(model, *iris.train, seed=seed).names == []


def test_noise_is_not_underfitted():
    x, y = digits().train
    model = network(Dense(2, "relu"), Dense(10, "softmax"), optimizer=Adam(0.01))
    found = diagnosed(model, x, np.random.default_rng(0).permutation(y), epochs=20)
    assert "underfitting" not in found


def test_the_seeds_that_follow_are_as_without_a_diagnosis():
    model = fit(network(Dense(2, "relu"), Dense(10, "softmax"), optimizer=Adam(0.01)), *digits().train, epochs=40)
    with seeds.rooted(5):
        expected = seeds.next_seed()
    with seeds.rooted(5):
        diagnose(model, *digits().train)["underfitting"].retry(epochs=1)
        assert seeds.next_seed() == expected


def test_the_model_is_left_as_it_was():
    model = fit(plain(optimizer=SGD(20.0)), *digits().train)
    before, iterations = model.get_weights(), model.optimizer.iterations
    diagnose(model, *digits().train)["learning_rate_too_high"].retry(epochs=1)
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())
    assert (model.optimizer.iterations, model.optimizer.learning_rate) == (iterations, 20.0)
    assert model.layers[0].activation == "relu"


@pytest.mark.parametrize("hidden", [[], [Dense(16)]])
def test_a_linear_network_on_what_is_not_linear_is_told_to_bend(hidden):
    x = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    y = ((x**2).sum(axis=1) > 1.4).astype(int)
    model = network(*hidden, Dense(1, "sigmoid"), loss="binary_crossentropy", optimizer=Adam(0.03), inputs=(2,))
    found = diagnosed(model, x, y, epochs=60)
    assert found.names == ["underfitting"]
    assert "Add a hidden layer" in found[0].suggestion
    assert found[0].retry().helped


def test_a_linear_network_on_what_is_linear_is_not_underfitted():
    found = diagnosed(
        network(Dense(2, "softmax"), optimizer=Adam(0.01), inputs=(30,)), *breast_cancer().train, epochs=40
    )
    assert found.names == []


def test_a_rate_beyond_any_of_the_usual_ones_is_found_where_targets_are_huge():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = 1e6 * (x[:, 0] + x[:, 1])
    model = network(Dense(8, "relu"), Dense(1), Rescaling(1e6), loss="mse", optimizer=SGD(1.0), inputs=(3,))
    found = diagnosed(model, x, y)
    assert found.names == ["learning_rate_too_high"]
    assert found[0].numbers["suggested"] < 1e-11
    assert found[0].retry().helped


def test_a_training_that_blew_up_is_never_called_good():
    found = diagnosed(plain(optimizer=SGD(1e30)), *digits().train, only=["divergence"])
    assert found.names == ["divergence"]
    assert "With fresh weights".lower() in found[0].evidence.lower()
    assert diagnosed(plain(), *digits().train, only=["divergence"]).names == []


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([0.3, 0.9, 0.2, 0.8, 0.25], "The training loss jumps: its rises over 5 epochs add up to 1.2."),
        ([0.6, 0.7, 0.4, 0.5, 0.3], None),
        ([0.98, 0.97, 0.96], "The training loss is 0.96 after 3 epochs; before training it was 1."),
        ([1.1, 1.2, 1.3], "The training loss is 1.3 after 3 epochs, above the 1 before training."),
    ],
)
def test_what_is_wrong_with_a_curve_is_said(losses, told):
    case = SimpleNamespace(trained=True, failed=False, first_loss=1.0)
    assert curves._trouble(case, np.array(losses)) == told
