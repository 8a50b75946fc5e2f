from types import SimpleNamespace

import numpy as np
import pytest

from pellucid.errors import ConfigurationError, DataError, NonFiniteError
from pellucid.estimators import checks
from pellucid.optim import Adam


def test_a_wrong_parameter_is_named_with_what_it_is():
    with pytest.raises(ConfigurationError, match="SimpleNamespace: epochs must be True or False, not 3"):
        checks.check_parameters(SimpleNamespace(epochs=3), {"epochs": checks.truth})


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.truth, [True, np.False_], [1, None]),
        (checks.verbosity, [True, 0, np.int64(2)], ["loud", 1.5]),
        (checks.sizes, [3, (4, 5), [], np.array([2])], [0, True, (3, -1), [[2]], 2.0, "ab", None]),
        (checks.batch_size, ["auto", 7], [0, "all", None]),
        (checks.patience, [1, np.inf], [0, 1.5, None]),
        (checks.random_state, [None, 0, np.int64(3), np.random.RandomState(0), np.random], [-1, 2**32, True, "a", 1.5]),
        (checks.optimizer, ["adam", "AdamW", Adam()], ["adm", None, Adam]),
        (checks.class_weights, [None, "balanced", {0: 1}], ["equal", 3]),
    ],
)
def test_what_each_check_lets_pass(check, good, bad):
    assert [check(value) for value in good] == [None] * len(good)
    assert all(isinstance(check(value), str) for value in bad)


def test_values_of_parameters_are_compared_by_what_they_hold():
    class Stubborn:
        def __eq__(self, other):
            raise TypeError("not comparable")

        __hash__ = None

    one, adam = Stubborn(), Adam()
    for a, b in ((3, 3), ([1, 2], [1, 2]), (np.arange(3), np.arange(3)), (one, one), (adam, adam), (None, None)):
        assert checks.same(a, b)
    for a, b in ((3, 4), ((1,), (1, 2)), (np.zeros(2), np.zeros(3)), (one, Stubborn()), (adam, Adam()), (None, 0)):
        assert not checks.same(a, b)


def test_weights_of_samples():
    assert checks.sample_weights(None, 3, "float32") is None
    assert checks.sample_weights(2, 3, "float32").tolist() == [2, 2, 2]
    assert checks.sample_weights([1, 0, 2], 3, "float32").dtype == np.float32
    for given, message in (([1, 2], r"3 samples, but its shape is \(2,\)"), ([1, -1, 0], "-1"), ([0, 0, 0], "zero")):
        with pytest.raises(DataError, match=message):
            checks.sample_weights(given, 3, "float64")
    with pytest.raises(ValueError, match="NaN"):
        checks.sample_weights([1, np.nan, 0], 3, "float64")


def test_a_diverged_training_is_scikit_learns_kind_of_error_and_ours():
    with pytest.raises(checks.DivergedError, match="SimpleNamespace: training in epoch 3 gave non-finite") as caught:
        checks.check_finite_state([np.ones(2), np.array([np.inf])], SimpleNamespace(), " in epoch 3")
    assert isinstance(caught.value, NonFiniteError)
    assert isinstance(caught.value, ValueError)
