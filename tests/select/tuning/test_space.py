import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import ConfigurationError
from pellucid.select.tuning.space import Space

D = optuna.distributions


@pytest.mark.parametrize(
    ("given", "distribution"),
    [
        ((1e-4, 1, "log"), D.FloatDistribution(1e-4, 1.0, log=True)),
        ((0.0, 0.5), D.FloatDistribution(0.0, 0.5)),
        ((8, 64), D.IntDistribution(8, 64)),
        ((8, 64, "log"), D.IntDistribution(8, 64, log=True)),
        (range(1, 8, 2), D.IntDistribution(1, 7, step=2)),
        ([16, 32], D.CategoricalDistribution((16, 32))),
        (["adam", None], D.CategoricalDistribution(("adam", None))),
        (D.FloatDistribution(0, 1, step=0.25), D.FloatDistribution(0, 1, step=0.25)),
    ],
)
def test_values_are_distributions_of_optunas(given, distribution):
    assert Space({"a": given}).distributions["a"] == distribution


def test_numbers_of_a_member_are_never_whole_ones_by_chance():
    assert Space({"momentum": (0, 1)}).distributions["momentum"] == D.FloatDistribution(0.0, 1.0)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "space must be a dict of ranges"),
        ({"a": []}, "space: 'a' must be (low, high)"),
        ({"a": {1, 2}}, "space: 'a' must be (low, high)"),
        ({"a": (2.0, 1.0)}, "space: 'a': "),
        ({"a": (0.0, 1.0, "log")}, "space: 'a': "),
        ({"a": (0.1, 1.0, "lgo")}, "space: 'a': the third part of a range must be 'log' or 'linear', not 'lgo'."),
        ({1: [2]}, "space: names are texts, not 1."),
    ],
)
def test_what_is_no_space_is_refused(given, text):
    with pytest.raises(ConfigurationError) as error:
        Space(given)
    assert text in str(error.value)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 7))
def test_a_grid_lists_the_numbers_of_a_range(low, count, step):
    values = range(low, low + count * step, step)
    assert Space({"a": values}).listed() == {"a": list(values)}


def test_a_grid_lists_the_steps_between_two_bounds():
    assert Space({"a": D.FloatDistribution(0, 1, step=0.25)}).listed() == {"a": [0.0, 0.25, 0.5, 0.75, 1.0]}


@given(st.integers(0, 10_000))
def test_a_configuration_can_be_made_again_from_its_parameters(number):
    space = Space({"rate": (1e-4, 1, "log"), "units": range(4, 64, 4), "hidden": [(4,), (4, 5)], "name": ["a", "b"]})
    values = {
        "rate": 10 ** -(number % 5 - 0.0),
        "units": 4 + 4 * (number % 15),
        "hidden": "(4, 5)",
        "name": "ab"[number % 2],
    }
    found = space.suggest(optuna.trial.FixedTrial({**values, "rate": max(values["rate"], 1e-4)}))
    assert found["hidden"] == (4, 5)
    assert {name: found[name] for name in ("units", "name")} == {name: values[name] for name in ("units", "name")}
