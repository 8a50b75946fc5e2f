import numpy as np
import pytest
from tests.select.searches import grid, study

from pellucid.errors import ConfigurationError, DataError
from pellucid.select.importance import importances
from pellucid.select.search_trials import trials_of


@pytest.mark.parametrize("method", ["fanova", "forest"])
def test_what_made_the_values_is_the_most_important(method):
    trials = trials_of("it", study(60, conditional=False))
    found, how = importances(trials, method=method)
    assert how == {"fanova": "fANOVA", "forest": "random forest, shuffled values"}[method]
    assert next(iter(found)) == "learning_rate"
    assert found["learning_rate"] > 0.7
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert importances(trials, method=method)[0] == found


def test_a_parameter_that_not_every_trial_has_is_judged_by_the_forest():
    found, how = importances(trials_of("it", study(60)))
    assert how.startswith("random forest")
    assert set(found) == {"learning_rate", "units", "layers", "optimizer", "momentum"}
    with pytest.raises(ConfigurationError, match="not every trial has every parameter"):
        importances(trials_of("it", study(60)), method="fanova")


def test_whole_searches_are_judged_by_fanova_and_grids_by_the_forest():
    assert importances(trials_of("it", study(conditional=False)))[1] == "fANOVA"
    found, how = importances(trials_of("it", grid()))
    assert how.startswith("random forest")
    assert set(found) == {"learning_rate", "units", "optimizer"}
    with pytest.raises(ConfigurationError, match="but there is none"):
        importances(trials_of("it", grid()), method="fanova")


def test_too_few_or_equal_values_tell_nothing():
    with pytest.raises(DataError, match="3 complete trials are too few"):
        importances(trials_of("it", study(3)))
    trials = trials_of("it", study())
    object.__setattr__(trials, "values", np.where(np.isnan(trials.values), np.nan, 0.5))
    with pytest.raises(DataError, match=r"all complete trials reached 0\.5"):
        importances(trials)
