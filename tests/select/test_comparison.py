import numpy as np
import pytest
from tests.select.nets import X, Y, line, net, regression

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import compare, compare_all, corrected_t_test, cross_validate, five_by_two_test, mcnemar_test

GOOD = cross_validate(net(), X, Y, cv=5, epochs=20, seeds=2)
BAD = cross_validate(net(), X, Y, cv=5, epochs=1, seeds=2)


def test_results_are_compared_by_the_means_of_their_folds():
    found = compare(GOOD, BAD)
    a, b = (r.results["validation_accuracy"].reshape(5, 2).mean(axis=1) for r in (GOOD, BAD))
    assert found == corrected_t_test(a, b, 120, 30)
    assert found.significant()
    assert compare(GOOD, BAD, score="loss").difference < 0


def test_five_by_two_folds_are_tested_as_such():
    results = [cross_validate(net(), X, Y, cv="five_by_two", epochs=epochs) for epochs in (15, 1)]
    a, b = (r.results["validation_accuracy"].reshape(5, 2) for r in results)
    assert compare(*results) == five_by_two_test(a, b)
    assert compare(*results, test="5x2cv_t") == five_by_two_test(a, b, "t")


def test_mcnemar_compares_what_was_predicted_out_of_fold():
    found = compare(GOOD, BAD, test="mcnemar")
    assert found == mcnemar_test(Y, GOOD.predictions.labels(), BAD.predictions.labels())
    assert found.p_value < 1e-6


def test_configurations_of_one_result_are_compared_with_the_best():
    results = cross_validate(net(), X, Y, cv=5, grid={"learning_rate": [0.0001, 0.05, 0.01]}, epochs=10)
    table = compare_all(results)
    assert table["configuration"][-1] == 0
    assert np.all(table["difference"] >= 0)
    assert np.all(table["p_holm"] >= table["p_value"])
    assert table["p_holm"][-1] < 0.05
    assert compare(results) == compare(results, configurations=(results.best_index_, int(table["configuration"][0])))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compare(GOOD), ConfigurationError, "there is one configuration"),
        (lambda: compare_all(GOOD), DataError, "there is one configuration"),
        (lambda: compare(GOOD, configurations=(0, 1)), ConfigurationError, "no configuration 1 among 1"),
        (lambda: compare(GOOD, BAD, test="t"), ConfigurationError, "test must be one of"),
        (lambda: compare(GOOD, BAD, test="5x2cv_F"), DataError, "5 repetitions of 2 folds"),
        (lambda: compare(GOOD, cross_validate(net(), X, Y, cv=4)), DataError, "of 5 and of 4 folds"),
        (lambda: compare(GOOD, cross_validate(net(), X, Y, cv=5, seed=1)), DataError, "fold 0 holds other rows"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_mcnemar_takes_classes_predicted_once():
    repeated = cross_validate(net(), X, Y, cv="five_by_two")
    with pytest.raises(DataError, match="one prediction per row"):
        compare(repeated, repeated, test="mcnemar")
    numbers = cross_validate(line(), *regression(), cv=3)
    with pytest.raises(DataError, match="is of classes"):
        compare(numbers, numbers, test="mcnemar")
