"""Searches whose trials are known: an Optuna study written down, and a grid."""

import math

import numpy as np
import pytest
from tests.select.nets import X, Y, net

from pellucid.select import cross_validate


def study(trials=24, *, conditional=True, direction="maximize"):
    """A study over a learning rate (what matters), units, an optimiser and, for SGD alone, momentum."""
    optuna = pytest.importorskip("optuna")
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    known = {
        "learning_rate": FloatDistribution(1e-5, 1.0, log=True),
        "units": IntDistribution(2, 64, log=True),
        "layers": IntDistribution(1, 3),
        "optimizer": CategoricalDistribution(["sgd", "adam"]),
        "momentum": FloatDistribution(0.0, 0.99),
    }
    found = optuna.create_study(direction=direction)
    r = np.random.default_rng(0)
    for number in range(trials):
        params = {"learning_rate": float(10 ** r.uniform(-5, 0)), "units": int(2 ** r.uniform(1, 6)),
                  "layers": int(r.integers(1, 4)), "optimizer": ["sgd", "adam"][number % 2]}  # fmt: skip
        if params["optimizer"] == "sgd" and conditional:
            params["momentum"] = float(r.uniform(0, 0.99))
        value = math.exp(-((math.log10(params["learning_rate"]) + 2) ** 2) / 2) + 0.01 * params["layers"]
        value = value if direction == "maximize" else 1 - value
        state = "FAIL" if number % 11 == 7 else "PRUNED" if number % 5 == 4 else "COMPLETE"
        reported = {} if state == "FAIL" else {
            epoch: value * (1 - math.exp(-epoch - 0.5)) for epoch in range(3 if state == "PRUNED" else 8)
        }  # fmt: skip
        last = {"FAIL": None, "PRUNED": reported.get(2), "COMPLETE": value}[state]
        found.add_trial(optuna.trial.create_trial(
            state=optuna.trial.TrialState[state], value=last, params=params, intermediate_values=reported,
            distributions={name: known[name] for name in params},
        ))  # fmt: skip
    return found


def grid():
    """A small grid, of numbers and names."""
    values = {"learning_rate": [0.001, 0.01, 0.1], "units": [2, 4], "optimizer": ["sgd", "adam"]}
    return cross_validate(net, X, Y, cv=2, grid=values, epochs=2)
