import numpy as np
import pytest
from sklearn.model_selection import ParameterGrid

from pellucid.errors import ConfigurationError
from pellucid.select.grid import configurations, sort_out


@pytest.mark.parametrize("grid", [{"b": [1, 2], "a": ["x", None]}, [{"a": [1]}, {"b": [1, 2], "a": [3]}]])
def test_configurations_come_in_scikit_learns_order(grid):
    assert configurations(grid) == list(ParameterGrid(grid))


def test_no_grid_is_one_configuration_and_arrays_give_plain_numbers():
    assert configurations(None) == configurations({}) == [{}]
    assert type(configurations({"a": np.array([1, 2])})[0]["a"]) is int


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"l2": 0.1}, "values of 'l2' must be a list, not 0.1.*\n.*write {'l2': "),
        ({"optimizer": "adam"}, "must be a list"),
        ({"l2": []}, "'l2' has no value"),
        ("l2", "must be a dict of lists"),
        ([1], "1 is not a dict"),
        ([], "no configuration"),
        ({1: [2]}, "names are texts, not 1"),
    ],
)
def test_what_is_no_grid_is_refused(grid, message):
    with pytest.raises(ConfigurationError, match=message):
        configurations(grid)


def test_an_argument_of_the_function_comes_before_a_number_of_the_population():
    given = {"units": 3, "learning_rate": 0.1, "dropout": 0.5, "batch_size": 8, "optimizer": "sgd"}
    found = sort_out(given, ("units", "learning_rate"))
    assert found.build == {"units": 3, "learning_rate": 0.1}
    assert found.numbers == {"dropout": 0.5}
    assert found.fitting == {"batch_size": 8}
    assert found.optimizer == "sgd"
    assert sort_out({"anything": 1}, None).build == {"anything": 1}
    assert sort_out({"optimizer": "sgd"}, ("optimizer",)).build == {"optimizer": "sgd"}


def test_configurations_that_differ_in_numbers_only_form_one_population():
    keys = {sort_out({"learning_rate": r, "epochs": e}, ()).key for r in (0.1, 0.2) for e in (1, 2)}
    assert len(keys) == 2
    assert sort_out({"l2": 0.1}, ()).key != sort_out({}, ()).key


def test_an_unknown_name_is_corrected():
    with pytest.raises(ConfigurationError, match=r"'learningrate'.*\n.*did you mean 'learning_rate'"):
        sort_out({"learningrate": 1}, ())
