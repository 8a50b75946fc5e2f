"""Declared settings: checked at construction, saved, printed, looked up by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pellucid.errors import ConfigurationError
from pellucid.fields import (
    Choice,
    Configured,
    Integer,
    Interval,
    boolean,
    lookup,
    non_negative,
    optional,
    param,
    positive,
    require,
)


class Dropout(Configured):
    rate: float = param(default=0.5, check=Interval(0, 1, closed="left"))
    mode: str = param(default="inverted", check=Choice("inverted", "exact"))
    seed: int | None = param(default=None, check=optional(Integer(0)), kw_only=True)
    axes: list = param(factory=list)

    def setup(self) -> None:
        self.keep = 1 - self.rate


class Dense(Configured):
    units: int = param(check=Integer(1))
    name: str = param(default="dense")


class Child(Dense):
    scale: float = param(default=1.0, check=positive)


@pytest.mark.parametrize(
    ("check", "good", "bad", "words"),
    [
        (Interval(0, 1), [0, 1, 0.5, np.float32(1)], [-1e-9, 1.1, math.nan, "a", True, None], "a number in [0, 1]"),
        (Interval(0, 1, closed="left"), [0, 0.99], [1], "a number in [0, 1)"),
        (Interval(0, 1, closed="right"), [1, 0.01], [0], "a number in (0, 1]"),
        (Interval(0, math.inf, closed="neither"), [1e-9, 1e300], [0, math.inf], "a number in (0, inf)"),
        (Integer(2), [2, 100, np.int64(2)], [1, 2.0, True, "2"], "a whole number of at least 2"),
        (Choice("same", 3), ["same", 3], ["Same", 4, None], "one of 'same', 3"),
        (positive, [1, 1e-300, np.float64(2)], [0, -1, math.inf, math.nan, True, "1"], "a finite number above 0"),
        (non_negative, [0, 1.5], [-1e-300, math.inf, False], "a finite number of at least 0"),
        (boolean, [True, False], [0, 1, None, "yes"], "True or False"),
        (optional(positive), [None, 1], [0], "a finite number above 0, or None"),
    ],
)
def test_checks_say_what_they_take(check: Any, good: list, bad: list, words: str) -> None:
    assert [check(value) for value in good] == [None] * len(good)
    assert [check(value) for value in bad] == [words] * len(bad)


def test_settings_have_defaults_and_derived_values() -> None:
    layer = Dropout()
    assert (layer.rate, layer.mode, layer.seed, layer.keep) == (0.5, "inverted", None, 0.5)
    assert Dropout(0.25, "exact", seed=3).config() == {"rate": 0.25, "mode": "exact", "seed": 3, "axes": []}


def test_each_object_has_its_own_mutable_default() -> None:
    first, second = Dropout(), Dropout()
    first.axes.append(1)
    assert second.axes == []


def test_the_printed_form_shows_what_differs_from_the_default() -> None:
    assert repr(Dropout()) == "Dropout()"
    assert repr(Dropout(0.1, seed=2)) == "Dropout(rate=0.1, seed=2)"
    assert repr(Dense(3)) == "Dense(units=3)"
    assert repr(Child(3, scale=1)) == "Child(units=3, scale=1)"


def test_config_builds_an_equal_object() -> None:
    layer = Child(4, "head", 2.0)
    assert Child(**layer.config()).config() == layer.config()


def test_objects_are_compared_by_identity() -> None:
    assert Dense(1) != Dense(1)
    assert len({Dense(1), Dense(1)}) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dropout(1.0), "Dropout: rate must be a number in [0, 1), not 1.0."),
        (lambda: Dropout(mode="max"), "Dropout: mode must be one of 'inverted', 'exact', not 'max'."),
        (lambda: Dropout(seed=-1), "Dropout: seed must be a whole number of at least 0, or None, not -1."),
        (lambda: Child(0), "Child: units must be a whole number of at least 1, not 0."),
        (lambda: Dense(), "Dense: missing 1 required positional argument: 'units'."),
        (
            lambda: Dropout(rte=0.5),
            "Dropout has no argument 'rte'; it takes: rate, mode, axes, seed.\nHint: did you mean 'rate'?",
        ),
        (lambda: Dense(1, "a", 2), "Dense: takes from 2 to 3 positional arguments but 4 were given."),
    ],
)
def test_wrong_settings_are_explained(call: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        call()
    assert str(error.value) == message


def test_lookup_takes_an_object_or_a_name() -> None:
    table = {"dense": lambda: Dense(1), "dropout": Dropout}
    given = Dense(5)
    assert lookup("layer", given, Configured, table) is given
    for name in ("dropout", "Dropout"):
        assert repr(lookup("layer", name, Configured, table)) == "Dropout()"
    with pytest.raises(ConfigurationError, match=r"^Unknown layer 'dens'; known are: dense, dropout\.\n.*'dense'\?$"):
        lookup("layer", "dens", Configured, table)
    with pytest.raises(ConfigurationError, match=r"^layer must be a name or a Configured, not 3\.$"):
        lookup("layer", 3, Configured, table)


def test_an_argument_of_a_function_is_checked_like_a_setting() -> None:
    assert require("circles", "samples", 2, Integer(2)) is None
    with pytest.raises(ConfigurationError) as caught:
        require("circles", "samples", 1, Integer(2))
    assert str(caught.value) == "circles: samples must be a whole number of at least 2, not 1."
