from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.data import load, names
from pellucid.errors import ConfigurationError, DataError


def test_the_names_are_sorted_and_each_loads() -> None:
    assert list(names()) == sorted(names())
    assert {"digits", "iris", "wine", "breast_cancer", "mnist"} <= set(names())
    assert load("iris").name == "iris"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("irsi")
    assert str(caught.value) == f"Unknown data set 'irsi'; known are: {', '.join(names())}.\nHint: did you mean 'iris'?"


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("iris", test_fracton=0.1)
    assert str(caught.value) == (
        "The data set 'iris' has no option 'test_fracton'; it takes: test_fraction, seed.\n"
        "Hint: did you mean 'test_fraction'?"
    )


def test_a_data_set_without_options_says_so() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("five_by_five", seed=1)
    assert str(caught.value) == "The data set 'five_by_five' has no option 'seed'; it takes: none."


@pytest.mark.parametrize("name", ["people.csv", "people.tsv", "people.TXT"])
def test_a_path_is_loaded_as_a_table(write: Callable[..., str], name: str) -> None:
    write("x\ty\n" + "1\ta\n2\tb\n" * 5, name)
    assert load(name, target="y").target_names == ("a", "b")
    assert load(Path(name), target="y", test_fraction=0.5).x_test.shape == (5, 1)


def test_a_table_needs_a_target(write: Callable[..., str]) -> None:
    path = write("x,y\n1,a\n2,b\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value) == (
        "The table people.csv needs the name of the column to learn.\nHint: load('people.csv', target='...')"
    )


def test_the_options_of_a_table_are_checked(write: Callable[..., str]) -> None:
    path = write("x,y\n1,a\n2,b\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path, target="y", separator=",")
    assert str(caught.value) == (
        "The data set 'people.csv' has no option 'separator'; it takes: target, test_fraction, seed, delimiter, task."
    )


def test_a_missing_table_is_a_data_error() -> None:
    with pytest.raises(DataError, match=r"The file nowhere\.csv does not exist\."):
        load("nowhere.csv", target="y")
