import numpy as np
import pytest
from tests.analysis.diagnosis.runs import breast_cancer, diagnosed, digits, network, plain, with_noise

from pellucid import data
from pellucid.analysis import diagnose
from pellucid.nn import Dense, Normalization, Rescaling


def classifier(inputs=30, **settings):
    return network(Dense(32, "relu"), Dense(2, "softmax"), inputs=(inputs,), **settings)


def test_unscaled_features_are_named_and_standardising_mends_it():
    raw = data.load("breast_cancer")
    found = diagnosed(classifier(), *raw.train, epochs=20, feature_names=raw.feature_names)
    assert found.names == ["unscaled_features"]
    assert "'worst area' has a root mean square of 1.03e+03" in found[0].evidence
    assert "'fractal dimension error'" in found[0].evidence
    retry = found[0].retry()
    assert retry.helped
    assert retry.after["loss"][-1] < 0.6 * retry.before["loss"][-1]


def test_a_layer_of_normalisation_is_as_good_as_scaled_features():
    raw = data.load("breast_cancer")
    scale = Normalization()
    scale.adapt(raw.x_train)
    model = network(scale, Dense(32, "relu"), Dense(2, "softmax"), inputs=(30,))
    assert diagnosed(model, *raw.train, epochs=20).names == []


def test_pixels_from_0_to_255_and_tiny_inputs_are_unscaled():
    x, y = digits().train
    assert "inputs are large: feature number" in diagnose(plain(), x * 255, y, only=["unscaled_features"])[0].evidence
    assert "inputs are tiny" in diagnose(plain(), x * 1e-3, y, only=["unscaled_features"])[0].evidence
    assert diagnose(plain(), x, y, only=["unscaled_features"]).names == []


def test_unscaled_targets_are_named_and_scaled_ones_are_learned():
    x = breast_cancer().x_train
    y = (1000 * x[:, :5].sum(axis=1) + 50_000).astype(np.float32)
    found = diagnosed(network(Dense(32, "relu"), Dense(1), loss="mse", inputs=(30,)), x, y, epochs=20)
    assert found.names == ["unscaled_targets"]
    retry = found[0].retry()
    assert retry.helped
    assert retry.after_value > 0.9 > retry.before_value


def test_a_last_layer_of_rescaling_makes_large_targets_right():
    x = breast_cancer().x_train
    y = (1000 * x[:, :5].sum(axis=1) + 50_000).astype(np.float32)
    model = network(Dense(32, "relu"), Dense(1), Rescaling(float(y.std()), float(y.mean())), loss="mse", inputs=(30,))
    assert "unscaled_targets" not in diagnose(model, x, y)


def test_features_that_never_change_are_named_where_they_are_most():
    x, y = digits().train
    assert "45 of the 64 features" in diagnose(plain(), x * (np.arange(64) < 20), y)["constant_features"].evidence
    assert "constant_features" not in diagnose(plain(), x, y)  # three corners of the digits are always empty


def test_validation_samples_from_the_training_data_leak():
    x, y = digits().train
    found = diagnosed(plain(), x, y, validation_data=(x[:300], y[:300]))
    assert found.names == ["leakage"]
    assert "300 of the 300 validation samples" in found[0].evidence
    assert found[0].severity == "error"
    retry = found[0].retry()
    assert retry.before_value > retry.after_value  # on data that were not trained on
    assert "without it" in str(retry)


def test_nearly_equal_samples_leak_and_the_score_without_them_is_told():
    (x, y), (held_x, held_y) = digits().train, digits().test
    mixed = np.concatenate([with_noise(x[:100], 1e-3), held_x]), np.concatenate([y[:100], held_y])
    found = diagnosed(plain(), x, y, validation_data=mixed)
    assert found.names == ["leakage"]
    assert (found[0].numbers["rows"], found[0].numbers["nearly"]) == (100, 100)


def test_test_samples_from_the_training_data_leak_too():
    x, y = digits().train
    found = diagnosed(plain(), x, y, test_data=(x[::20], y[::20]))
    assert "test samples" in found["leakage"].evidence
    assert not found["leakage"].can_retry


def test_the_code_against_leakage_leaves_what_does_not_leak():
    (x, y), (held_x, held_y) = digits().train, digits().test
    x_val = np.concatenate([x[:50], held_x])
    found = diagnose(plain(), x, y, validation_data=(x_val, np.concatenate([y[:50], held_y])))["leakage"]
    names = {"x_train": x, "x_validation": x_val}
    exec(found.code, names)  # what the user pastes
    assert np.array_equal(x_val[names["keep"]], held_x)


def test_a_copy_of_the_target_among_the_features_is_named_with_its_honest_score():
    s = breast_cancer()
    x = np.column_stack([s.x_train, s.y_train * 2.0 - 1]).astype(np.float32)
    found = diagnosed(classifier(31), x, s.y_train, epochs=20, validation_split=0.2)
    assert found.names == ["target_leak"]
    assert found[0].numbers["feature"] == 30
    retry = found[0].retry()
    assert retry.helped
    assert retry.after_value < retry.before_value


def test_a_feature_that_tells_the_classes_well_is_no_copy():
    iris = data.load("iris")
    two = iris.y_train < 2  # petal length alone separates them
    model = network(Dense(4, "relu"), Dense(2, "softmax"), inputs=(4,))
    assert "target_leak" not in diagnose(model, iris.x_train[two], iris.y_train[two])


def rare_eights(count):
    x, y = digits().train
    keep = np.r_[np.flatnonzero(y != 8), np.flatnonzero(y == 8)[:count]]
    return x[keep], y[keep]


def test_a_rare_class_that_is_not_recognised_is_named_and_weights_mend_it():
    found = diagnosed(plain(), *rare_eights(8), epochs=10, validation_data=digits().test)
    assert found.names == ["class_imbalance"]
    assert "class 8 only 8" in found[0].evidence
    retry = found[0].retry()
    assert retry.helped
    assert retry.after_value > retry.before_value


def test_classes_of_like_size_are_no_finding():
    assert "class_imbalance" not in diagnosed(plain(), *rare_eights(100), epochs=10, validation_data=digits().test)


def test_weighted_classes_are_not_named_again():
    found = diagnosed(plain(), *rare_eights(8), epochs=10, validation_data=digits().test, class_weight="balanced")
    assert "weighted already" in found.skipped["class_imbalance"]


@pytest.mark.parametrize("targets", ["one-hot", "labels"])
def test_one_hot_targets_are_classes_as_labels_are(targets):
    x, y = rare_eights(8)
    y = data.one_hot(y, 10) if targets == "one-hot" else y
    assert diagnosed(plain(), x, y, epochs=10).names == ["class_imbalance"]


def test_an_autoencoder_whose_targets_are_its_inputs_has_no_leak():
    s = breast_cancer()
    model = network(Dense(8, "tanh"), Dense(30), loss="mse", inputs=(30,))
    found = diagnosed(model, s.x_train, s.x_train)
    assert "target_leak" not in found
    assert found.skipped["target_leak"] == "the targets are the inputs"


@pytest.mark.parametrize(("recognised", "found"), [(5, True), (7, True), (9, False), (10, False)])
def test_a_rare_class_that_is_recognised_like_the_common_one_is_no_finding(recognised, found):
    x = np.full((110, 1), -1.0, np.float32)
    x[:recognised] = 1
    y = (np.arange(110) < 10).astype(int)
    model = network(Dense(2, "softmax"), inputs=(1,))
    model.set_weights({"dense.kernel": np.array([[-3, 3]], np.float32), "dense.bias": np.zeros(2, np.float32)})
    diagnosis = diagnose(model, x, y, only=["class_imbalance"])
    assert ("class_imbalance" in diagnosis) is found
    if found:
        assert diagnosis[0].numbers["recall"] == pytest.approx(recognised / 10)
