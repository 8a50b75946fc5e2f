"""Small searches that the tests of this folder share."""

from __future__ import annotations

from tests.select.nets import X, Y, net

from pellucid.select import tune
from pellucid.select.tuning.storage import close

SPACE = {"units": [4, 6], "learning_rate": (1e-3, 0.3, "log")}


def build(units=6):
    """A compiled network for iris."""
    return net(units)


def search(**given):
    """A short search on iris."""
    settings = {"space": SPACE, "trials": 10, "epochs": 6, "batch_size": 16, "at_once": 4, "seed": 3, "verbose": 0}
    settings |= given
    return tune(settings.pop("build", build), X, Y, **settings)


def rows(found, *names):
    """The results as tuples: number, state, value, parameters."""
    columns = names or ("number", "state", "value", "units", "learning_rate")
    return list(zip(*(found.results[name].tolist() for name in columns), strict=True))


def states(found):
    """How many trials of the study are in each of Optuna's states."""
    counts: dict[str, int] = {}
    for trial in found.study.get_trials(deepcopy=False):
        counts[trial.state.name] = counts.get(trial.state.name, 0) + 1
    close(getattr(found.study._storage, "_backend", None))
    return counts
