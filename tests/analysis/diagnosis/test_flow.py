import numpy as np
import pytest
from tests.analysis.diagnosis.runs import breast_cancer, diagnosed, digits, fit, network, plain

from pellucid.analysis import diagnose
from pellucid.nn import GRU, LSTM, Dense, initializers
from pellucid.optim import SGD, Adam, Momentum


def deep(activation, units=20, depth=8, **form):
    return [*(Dense(units, activation, **form) for _ in range(depth)), Dense(10, "softmax")]


def test_the_gradient_vanishes_through_eight_sigmoids_and_relu_mends_it():
    found = diagnosed(network(*deep("sigmoid", kernel_initializer="glorot_normal")), *digits().train)
    assert found.names == ["vanishing_gradients"]
    finding = found[0]
    assert finding.layer == "dense"
    assert finding.numbers["first"] < 1e-3 * finding.numbers["largest"]
    assert "8 layers of sigmoid" in finding.evidence
    retry = finding.retry()
    assert retry.helped
    assert retry.after["loss"][-1] < 0.6 * retry.before["loss"][-1]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_it_does_not_vanish_through_tanh_or_relu(activation):
    form = {"kernel_initializer": "he_normal" if activation == "relu" else "glorot_normal"}
    assert "vanishing_gradients" not in diagnosed(network(*deep(activation, **form)), *digits().train)


def test_the_norms_of_the_evidence_are_those_of_back_propagation():
    model = network(*deep("sigmoid", kernel_initializer="glorot_normal"))
    found = diagnose(model, *digits().train, only=["vanishing_gradients"])[0]
    one_by_one = network(*deep("sigmoid", kernel_initializer="glorot_normal"), optimizer=SGD(1.0))
    x, y = (a[:512] for a in digits().train)
    before = one_by_one.get_weights()
    one_by_one.fit(x, y, batch_size=512, epochs=1, shuffle=False, seed=0, verbose=0)
    step = before["dense.kernel"] - one_by_one.get_weights()["dense.kernel"]
    # Other samples of the same data: the same size of gradient.
    assert found.numbers["first"] == pytest.approx(float(np.linalg.norm(step)), rel=0.5)


def test_gradients_explode_through_large_weights_and_smaller_ones_mend_it():
    large = initializers.RandomNormal(1.0)
    layers = deep("relu", units=50, depth=6, kernel_initializer=large)
    found = diagnosed(network(*layers, optimizer=SGD(0.01)), *digits().train)
    assert found.names == ["exploding_gradients"]
    assert found[0].numbers["ratio"] > 100
    assert "clip_norm=1.0" in found[0].code
    retry = found[0].retry()
    assert retry.helped
    assert retry.error is not None
    assert np.isfinite(retry.after["loss"]).all()


def test_gradients_do_not_explode_through_weights_of_he():
    model = network(*deep("relu", units=50, depth=6, kernel_initializer="he_normal"), optimizer=SGD(0.01))
    assert "exploding_gradients" not in diagnosed(model, *digits().train)


def test_relu_born_dead_by_negative_biases_is_named_and_revived():
    layers = [Dense(32, "relu", bias_initializer=initializers.Constant(-20.0)), Dense(10, "softmax")]
    found = diagnosed(network(*layers), *digits().train)
    assert found.names == ["dead_relu"]
    finding = found[0]
    assert (finding.severity, finding.layer, finding.numbers["share"]) == ("error", "dense", 1.0)
    assert "32 of 32 units are 0 for each of 512 training samples" in finding.evidence
    assert "leaky_relu" in finding.code
    assert finding.retry().helped


def test_relu_killed_by_large_steps_is_told_from_relu_born_dead():
    found = diagnosed(plain(optimizer=Adam(1.0)), *digits().train)
    assert set(found.names) == {"dead_relu", "learning_rate_too_high"}
    finding = found["dead_relu"]
    assert finding.numbers["share_at_start"] < 0.1
    assert "learning_rate=0.02" in finding.code  # a range test wants less than a tenth
    assert finding.retry().helped


def test_living_relu_is_no_finding():
    assert "dead_relu" not in diagnosed(plain(), *digits().train)


def test_saturated_tanh_is_named_and_smaller_weights_mend_it():
    wide = {"kernel_initializer": initializers.RandomNormal(5.0)}
    layers = [Dense(32, "tanh", **wide), Dense(32, "tanh", **wide), Dense(10, "softmax")]
    found = diagnosed(network(*layers, optimizer=SGD(0.03)), *digits().train, epochs=10)
    assert found.names == ["saturation"]
    assert found[0].numbers["share"] > 0.8
    retry = found[0].retry()
    assert retry.helped
    assert retry.after["loss"][-1] < 0.9 * retry.before["loss"][-1]


def test_tanh_that_is_not_saturated_is_no_finding():
    model = network(Dense(32, "tanh"), Dense(32, "tanh"), Dense(10, "softmax"), optimizer=SGD(0.03))
    assert "saturation" not in diagnosed(model, *digits().train, epochs=10)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_units_that_begin_equal_stay_equal_and_are_named(value):
    same = {"kernel_initializer": initializers.Constant(value)}
    found = diagnosed(network(Dense(32, "sigmoid", **same), Dense(10, "softmax", **same)), *digits().train)
    assert found.names == ["symmetry"]
    assert found[0].numbers == {"units": 32, "distinct": 1}
    assert found[0].step == 225
    retry = found[0].retry()
    assert retry.helped
    assert retry.after["loss"][-1] < retry.before["loss"][-1]


def test_random_weights_are_no_symmetry_also_after_training():
    assert "symmetry" not in diagnosed(plain(500), *digits().train)


def test_equal_kernels_with_different_biases_are_no_symmetry():
    form = {"kernel_initializer": "zeros", "bias_initializer": initializers.RandomNormal(1.0)}
    model = network(Dense(8, "tanh", **form), Dense(10, "softmax"))
    assert "symmetry" not in diagnose(fit(model, *digits().train, epochs=1), *digits().train)


def test_half_of_the_units_being_copies_is_a_symmetry():
    model = plain()
    weights = model.get_weights()
    weights["dense.kernel"][:, 10:] = weights["dense.kernel"][:, :1]
    model.set_weights(weights)
    finding = diagnose(model, *digits().train, only=["symmetry"])[0]
    assert finding.numbers == {"units": 32, "distinct": 10}
    assert "32 units have only 10 kinds of the same weights" not in finding.evidence
    assert "10 kinds" in finding.evidence


def test_weights_so_small_that_only_the_last_bias_is_learned_make_the_gradient_vanish():
    tiny = {"kernel_initializer": initializers.RandomNormal(0.01)}
    found = diagnosed(network(*deep("relu", units=32, depth=5, **tiny), optimizer=SGD(0.05)), *digits().train)
    assert found.names == ["vanishing_gradients"]
    assert found[0].numbers["largest"] < 1e-2 * found[0].numbers["bias"]
    assert found[0].retry(epochs=20).helped


def test_units_that_learned_to_answer_yes_or_no_are_not_saturated():
    x = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    y = ((x**2).sum(axis=1) > 1.4).astype(int)
    model = network(
        Dense(1, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy", optimizer=Adam(0.05), inputs=(2,)
    )
    found = diagnosed(model, x, y, epochs=100)
    assert "saturation" not in found
    assert found.names == ["underfitting"]


def test_units_driven_into_saturation_want_smaller_steps():
    model = network(Dense(32, "tanh"), Dense(10, "softmax"), optimizer=Adam(10.0))
    finding = diagnosed(model, *digits().train, only=["saturation"])["saturation"]
    assert finding.numbers["share_at_start"] < 0.1
    assert "drove them there" in finding.suggestion
    assert finding.retry().helped


def test_a_diverged_training_with_good_weights_is_one_of_the_rate_not_of_exploding_gradients():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 10)).astype(np.float32)
    y = x @ rng.normal(size=10)
    found = diagnosed(network(Dense(1), loss="mse", optimizer=SGD(1.5), inputs=(10,)), x, y)
    assert found.names == ["learning_rate_too_high"]
    assert found[0].retry().helped
    deeper = network(Dense(16, "relu"), Dense(2, "softmax"), optimizer=Momentum(5.0), inputs=(30,))
    assert diagnosed(deeper, *breast_cancer().train, epochs=10).names == ["learning_rate_too_high"]


def test_a_loss_that_only_came_down_from_absurd_heights_has_not_learned():
    layers = [Dense(32, kernel_initializer=initializers.RandomNormal(1.0)) for _ in range(6)]
    found = diagnosed(network(*layers, Dense(10, "softmax")), *digits().train)
    assert "exploding_gradients" in found


R = np.random.default_rng(0)
SEQUENCES = R.normal(size=(300, 10, 3)).astype(np.float32)
SIGNS = (SEQUENCES[:, -3:].sum(axis=(1, 2)) > 0).astype(int)


def recurrent(kind, **settings):
    layers = [kind(8, name="cell", **settings), Dense(1, "sigmoid")]
    return network(*layers, loss="binary_crossentropy", optimizer=SGD(0.03), inputs=(10, 3))


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_saturated_gates_are_named_and_smaller_weights_mend_them(kind):
    model = recurrent(kind, kernel_initializer=initializers.RandomNormal(30.0))
    found = diagnose(fit(model, SEQUENCES, SIGNS, epochs=8, record="stats"), SEQUENCES, SIGNS)
    finding = found["saturation"]
    assert finding.layer == "cell"
    assert finding.numbers["share"] > 0.8
    assert finding.step == 1
    assert "of the activations of the candidate (tanh) lie where" in finding.evidence
    assert finding.code.startswith(f"{kind.__name__}(units, kernel_initializer=")
    retry = finding.retry()
    assert retry.helped
    assert retry.after["loss"][-1] < 0.95 * retry.before["loss"][-1]


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_gates_that_are_not_saturated_are_no_finding(kind):
    assert "saturation" not in diagnosed(recurrent(kind), SEQUENCES, SIGNS, epochs=8)


@pytest.mark.parametrize(("bias", "named"), [(8.0, False), (-8.0, True)])
def test_a_forget_gate_that_stays_open_remembers_and_one_that_stays_shut_does_not(bias, named):
    model = recurrent(LSTM)
    weights = model.get_weights()
    weights["cell.bias"][8:16] = bias
    model.set_weights(weights)
    found = diagnose(model, SEQUENCES, SIGNS, only=["saturation"])
    assert ("saturation" in found) == named
    if named:
        assert "the forget gate (sigmoid)" in found[0].evidence
