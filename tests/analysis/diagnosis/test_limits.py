"""Where the detectors' limits lie: what is near to a fault, and is none."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.analysis.diagnosis.runs import network

from pellucid.analysis import Finding, diagnose, diagnosis
from pellucid.analysis.diagnosis import curves
from pellucid.nn import Dense, initializers
from pellucid.optim import Adam

R = np.random.default_rng(0)
X = R.normal(size=(200, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(("spread", "named"), [(0.7, False), (5.0, True)])
def test_units_that_are_saturated_now_and_then_are_no_finding(spread, named):
    draw = initializers.RandomNormal(spread)
    model = network(Dense(40, "tanh", kernel_initializer=draw), Dense(2, "softmax"), inputs=(5,))
    share = float((np.abs(np.tanh(X @ model.get_weights()["dense.kernel"])) > 0.98).mean())
    assert share > (0.5 if named else 0.05)
    found = diagnose(model, X, Y, only=["saturation"])
    assert ("saturation" in found) == named
    if named:
        assert found[0].numbers["share"] == pytest.approx(share, abs=0.05)


def test_a_training_that_has_learned_all_there_is_does_not_suffer_from_dead_units():
    model = network(Dense(20, "relu"), Dense(2, "softmax"), optimizer=Adam(0.01), inputs=(5,))
    weights = model.get_weights()
    weights["dense.bias"][:15] = -50  # dead, whatever the input; the other five are enough
    weights["dense.kernel"][:, 15:] *= 3
    model.set_weights(weights)
    assert diagnose(model, X, Y, only=["dead_relu"])["dead_relu"].numbers["share"] == 0.75
    model.fit(X, Y, epochs=80, batch_size=16, seed=0, verbose=0)
    assert model.evaluate(X, Y, return_dict=True)["loss"] < 0.05
    assert "dead_relu" not in diagnose(model, X, Y, only=["dead_relu"])


def test_the_gravest_finding_comes_first_whichever_was_looked_for_first(monkeypatch):
    def finding(name, severity):
        return lambda case: [Finding(name, severity, "", "", "")]

    found = {"first": finding("first", "advice"), "second": finding("second", "error")}
    monkeypatch.setattr(diagnosis, "DETECTORS", found | {"third": finding("third", "warning")})
    model = network(Dense(2, "softmax"), inputs=(5,))
    assert diagnose(model, X, Y).names == ["second", "third", "first"]


@pytest.mark.parametrize(("last", "severity"), [(0.60, "warning"), (0.012, "advice")])
def test_overfitting_that_costs_little_is_advice(last, severity):
    best = 0.3 if severity == "warning" else 0.008
    validation = [0.5, best, best * 1.2, *np.linspace(best * 1.3, last, 7)]
    history = SimpleNamespace(history={"loss": [0.5, *np.linspace(0.4, 0.001, 9)], "val_loss": validation})
    setup = SimpleNamespace(validation=(X, Y), updates=7)
    case = SimpleNamespace(
        history=history, setup=setup, losses=np.array(history.history["loss"]), model=None, first_loss=0.7,
        constant_loss=0.69, evaluated=lambda *_: last,
    )  # fmt: skip
    (found,) = curves.overfitting(case)
    assert found.severity == severity
    assert (found.numbers["best_epoch"], found.step) == (2, 14)
