import subprocess
import sys

import optuna
import pytest

from pellucid import Input, Model, Sequential
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Dropout
from pellucid.nn.regularizers import L1, L2
from pellucid.optim import SGD, Adam
from pellucid.select.tuning.proposals import Blueprint, Proposer


def model(rate=0.1, *, units=5, l2=0.01, dropout=0.2, start=True, optimizer=SGD, second=None):
    layers = [
        Dense(units, activation="tanh", kernel_regularizer=L2(l2)), Dropout(dropout),
        Dense(3, activation="softmax", kernel_regularizer=L2(l2) if second is None else second),
    ]  # fmt: skip
    made = Sequential([Input((4,)), *layers] if start else layers)
    made.compile("categorical_crossentropy", optimizer(rate), ["accuracy"])
    return made


@pytest.mark.parametrize("start", [True, False])
def test_models_that_differ_in_numbers_of_a_member_share_a_population(start):
    one, other = Blueprint(model(start=start)), Blueprint(model(0.3, l2=0.5, dropout=0.4, start=start))
    assert repr(one) == repr(other)
    assert one.numbers == {"learning_rate": 0.1, "momentum": 0.0, "l2": 0.01, "dropout": 0.2}
    assert other.numbers == {"learning_rate": 0.3, "momentum": 0.0, "l2": 0.5, "dropout": 0.4}


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize(
    "different", [{"units": 6}, {"optimizer": Adam}, {"second": L2(0.3)}, {"second": L1(0.01)}], ids=str
)
def test_models_that_differ_in_anything_else_do_not(start, different):
    assert repr(Blueprint(model(start=start))) != repr(Blueprint(model(start=start, **different)))


def test_networks_of_other_connections_do_not_share_a_population():
    def forked(*, crossed):
        given = Input((4,))
        left, right = Dense(4, name="left")(given), Dense(4, name="right")(given)
        out = Dense(3, activation="softmax", name="out")(right if crossed else left)
        made = Model(given, out)
        made.compile("categorical_crossentropy", "sgd")
        return made

    assert repr(Blueprint(forked(crossed=True))) != repr(Blueprint(forked(crossed=False)))
    assert repr(Blueprint(forked(crossed=True))) == repr(Blueprint(forked(crossed=True)))


def test_what_a_function_of_a_trial_returns_must_be_a_compiled_model():
    for build, what in (
        (lambda trial: Sequential([Dense(3)]), "a model that is not compiled"),
        (lambda trial: 3, "int"),
    ):
        with pytest.raises(ConfigurationError, match=f"must return a compiled model, not {what}"):
            Proposer(build, None, 0).propose(optuna.trial.FixedTrial({}))


def test_what_is_called_batch_size_or_epochs_sets_those_of_the_fit():
    def build(trial):
        trial.suggest_categorical("batch_size", [8, 16])
        return model(trial.suggest_float("rate", 0, 1))

    found = Proposer(build, None, 0).again({"batch_size": 16, "rate": 0.5})
    assert (found["batch_size"], found["learning_rate"]) == (16, 0.5)


def test_selection_does_without_optuna_until_a_search_is_asked_for():
    script = (
        "import sys; sys.modules['optuna'] = None\n"
        "import pellucid.select\n"
        "from pellucid.select import cross_validate\n"
        "try:\n    pellucid.select.tune\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == (
        "MissingDependencyError tune needs the library 'optuna', which is not installed.\n"
        "Hint: run: pip install 'pellucid[tune]'\n"
    )
