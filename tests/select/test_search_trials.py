import math
from types import SimpleNamespace

import numpy as np
import pytest
from tests.select.searches import grid, study

from pellucid.errors import ConfigurationError, DataError
from pellucid.select.search_trials import Axis, trials_of


def test_numbers_of_an_axis_are_places_logarithms_or_themselves():
    assert Axis("a", ["x", None, "y", "x"], ("y", "x")).numbers.tolist() == pytest.approx(
        [1, math.nan, 0, 1], nan_ok=True
    )
    assert Axis("a", [1, 100, None], log=True).numbers.tolist() == pytest.approx([0, 2, math.nan], nan_ok=True)
    assert Axis("a", [1, 2.5]).numbers.tolist() == [1, 2.5]
    assert Axis("a", [(1, 2), (3,)], ((1, 2), (3,))).numbers.tolist() == [0, 1]
    assert Axis("a", [1, None]).missing.tolist() == [False, True]
    assert Axis("a", [1, None]).varies
    assert not Axis("a", [1, 1]).varies


def test_the_trials_of_a_study_have_their_states_values_and_scales():
    given = study()
    found = trials_of("it", given)
    assert [a.name for a in found.axes] == ["learning_rate", "units", "layers", "optimizer", "momentum"]
    by_name = {a.name: a for a in found.axes}
    assert (by_name["learning_rate"].log, by_name["learning_rate"].whole) == (True, False)
    assert (by_name["units"].log, by_name["units"].whole) == (True, True)
    assert by_name["optimizer"].choices == ("sgd", "adam")
    assert by_name["momentum"].missing.tolist() == [False, True] * 12
    assert found.states[4] == "pruned"
    assert found.states[7] == "failed"
    assert math.isnan(found.values[7])
    assert found.larger
    assert found.numbers[found.best] == given.best_trial.number
    assert len(found.curves[0]) == 8
    assert len(found.curves[4]) == 3


def test_a_study_that_minimises_has_the_smallest_as_the_best():
    given = study(direction="minimize")
    found = trials_of("it", given)
    assert not found.larger
    assert found.numbers[found.best] == given.best_trial.number


def test_of_what_tune_returned_its_own_values_and_curves_count():
    given = study()
    records = [SimpleNamespace(number=4, value=0.123)]  # pruned: Optuna's value is the last watched number
    search = SimpleNamespace(study=given, records=records, curves={0: [0.1, 0.2]}, goal=SimpleNamespace(name="f1"))
    found = trials_of("it", search)
    assert found.values[4] == 0.123
    assert found.values[0] == given.trials[0].value
    assert found.curves == {0: [0.1, 0.2]}
    assert found.label == "f1"
    assert found.study is given


def test_a_grid_is_a_search_too():
    given = grid()
    found = trials_of("it", given)
    by_name = {a.name: a for a in found.axes}
    assert by_name["learning_rate"].log
    assert not by_name["units"].log
    assert by_name["units"].whole
    assert set(by_name["optimizer"].choices or ()) == {"sgd", "adam"}
    assert found.best == given.best_index_
    assert np.array_equal(found.values, given.scores.mean())
    assert (found.what, found.label) == ("configuration", "accuracy")


def test_other_things_and_empty_searches_are_refused():
    optuna = pytest.importorskip("optuna")
    with pytest.raises(
        ConfigurationError, match="it draws what tune or cross_validate returned, or an Optuna study, not list"
    ):
        trials_of("it", [1])
    with pytest.raises(ConfigurationError, match="for one value; this study has 2"):
        trials_of("it", optuna.create_study(directions=["minimize", "maximize"]))
    with pytest.raises(DataError, match="no trial was completed"):
        trials_of("it", optuna.create_study())
    found = trials_of("it", study())
    with pytest.raises(ConfigurationError, match="there is no parameter 'unit' among learning_rate, units"):
        found.chosen("it", ["unit"])
    assert [a.name for a in found.chosen("it", ["units", "layers"])] == ["units", "layers"]
