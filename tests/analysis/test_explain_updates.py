"""The formula of an update, evaluated as it is printed, gives the numbers of the update."""

import re

import numpy as np
import pytest

from pellucid import Input, Sequential, Tensor, optim, set_seed
from pellucid.analysis import explain
from pellucid.analysis.explain_updates import update_formula, update_settings
from pellucid.nn import Dense

FUNCTIONS = {"sqrt": np.sqrt, "min": np.minimum, "clip": np.clip}


def evaluated(text, names):
    """A formula of numbers side by side, which are multiplied, as Python computes it."""
    text = text.replace("lambda", "weight_decay").replace("^", "**")
    return eval(re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", text), {**FUNCTIONS, **names})


def followed(formula, state):
    """The new parameter by a formula, and the state after it: what is defined last is computed first."""
    result, *definitions = re.split(r", (?=(?:then |but )?\w+ = )", formula)
    now = [d for d in definitions if not d.startswith(("then ", "but "))]
    for definition in reversed(now):
        name, _, right = definition.partition(" = ")
        state[name] = evaluated(right.removesuffix(", r the norm of all gradients together"), state)
        for exception in (d for d in definitions if d.startswith(f"but {name} ") and state["t"] == 1):
            state[name] = evaluated(exception.partition(" = ")[2].removesuffix(" in the first update"), state)
    found = evaluated(result, state)
    for later in (d.removeprefix("then ") for d in definitions if d.startswith("then ")):
        state[later.partition(" = ")[0]] = evaluated(later.partition(" = ")[2], state)
    return found


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(0.1),
        optim.SGD(0.1, momentum=0.8),
        optim.SGD(0.1, momentum=0.8, nesterov=True),
        optim.Momentum(0.1),
        optim.Momentum(0.1, form="ema"),
        optim.Momentum(0.1, nesterov=True),
        optim.Momentum(0.1, form="ema", nesterov=True),
        optim.Adagrad(0.1),
        optim.Adagrad(0.1, form="mean"),
        optim.RMSProp(0.01),
        optim.RMSProp(0.01, momentum=0.5),
        optim.RMSProp(0.01, centered=True),
        optim.RMSProp(0.01, start="gradient"),
        optim.RMSProp(0.01, momentum=0.5, centered=True, start="gradient"),
        optim.Adadelta(1.0),
        optim.Adam(0.01, epsilon=1e-3),
        optim.AdamW(0.01, weight_decay=0.3),
        optim.AdamW(0.01, weight_decay=0.3, decay_biases=True),
        optim.Nadam(0.01),
        optim.SGD(0.1, weight_decay=0.2),
        optim.SGD(0.1, clip_norm=0.3),
        optim.SGD(0.1, clip_value=0.05),
        optim.Adam(0.01, weight_decay=0.2, clip_norm=0.3, clip_value=0.05),
        optim.Momentum(optim.ExponentialDecay(0.1, decay_steps=1)),
    ],
    ids=repr,
)
def test_the_printed_formula_gives_the_new_parameters(optimizer):
    set_seed(0)
    model = Sequential([Input((3,)), Dense(2)], dtype="float64")
    model.compile("mse", optimizer, backend="reference")
    r = np.random.default_rng(0)
    states = {"W^1": {}, "b^1": {}}
    for _ in range(3):
        x, y = r.normal(size=(6, 3)), r.normal(size=(6, 2))
        explanation = explain(model, x, y, seed=1)
        clip = optimizer.clip_value or np.inf
        gradients = explanation.gradients.values()
        norm = np.sqrt(sum(float((np.clip(g, -clip, clip) ** 2).sum()) for g in gradients)) + 1e-6
        for row in (row for row in explanation.table() if row.phase == "update"):
            w, state = row.name, states[row.name]
            name = {"W^1": "dense.kernel", "b^1": "dense.bias"}[w]
            zeros = dict.fromkeys(("m", "v", "u", "s", "b", "c"), 0.0) | {"P": 1.0} if not state else {}
            state.update(zeros, **update_settings(optimizer), eta=optimizer.current_learning_rate(), r=norm)
            state.update(t=optimizer.iterations + 1, given=model.get_weights()[name], slope=explanation.gradients[name])
            state["weight_decay"] = optimizer.weight_decay
            formula = row.formula.removeprefix(f"{w} <- ").replace(f"dL/d{w}", "slope").replace(w, "given")
            np.testing.assert_allclose(followed(formula, state), row.value, rtol=1e-12, err_msg=row.formula)
        model.train_on_batch(x, y, seed=1)


def test_only_what_decays_is_said_to_decay():
    kernel, bias = Tensor([[1.0]]), Tensor([1.0])
    apart, inside = optim.AdamW(), optim.SGD(0.1, weight_decay=0.1)
    assert update_formula(apart, kernel, "W", "g").startswith("(1 - eta lambda) W - eta m_hat")
    assert update_formula(apart, bias, "b", "g").startswith("b - eta m_hat")
    assert update_formula(inside, kernel, "W", "dL/dW") == "W - eta g, g = dL/dW + lambda W"
    assert update_formula(inside, bias, "b", "dL/db") == "b - eta dL/db"


def test_the_names_in_a_formula_are_told_with_their_numbers():
    model = Sequential([Input((3,)), Dense(2)])
    model.compile("mse", optim.Adam(0.01, weight_decay=0.25))
    told = explain(model, np.ones((1, 3)), np.ones((1, 2))).notes[0]
    settings = "beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-08, lambda = 0.25, t = 1"
    assert told.startswith(f"N = 1 sample, a row each; eta = 0.01, {settings}. ")


def test_an_optimiser_of_ones_own_has_no_formula_that_could_be_wrong():
    class Backwards(optim.SGD):
        def update(self, w, g, slots, t, learning_rate):
            return w + learning_rate * g, {}

    assert update_formula(Backwards(0.1), Tensor([[1.0]]), "W", "g") == "update(W, g)"
    assert update_settings(Backwards(0.1)) == {}
