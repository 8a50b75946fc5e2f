import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import corrected_interval, corrected_t_test, five_by_two_test, mcnemar, mcnemar_test

R = np.random.default_rng(0)
A, B = R.uniform(0.8, 1.0, 10), R.uniform(0.75, 0.95, 10)


def test_without_its_correction_the_resampled_test_is_the_paired_t_test():
    found, paired = corrected_t_test(A, B, 1, 0), stats.ttest_rel(A, B)
    assert found.statistic == pytest.approx(paired.statistic)
    assert found.p_value == pytest.approx(paired.pvalue)
    low, high = paired.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high))


def test_the_correction_widens_by_the_ratio_of_test_and_training_rows():
    plain, corrected = corrected_t_test(A, B, 1, 0), corrected_t_test(A, B, 90, 10)
    assert plain.statistic / corrected.statistic == pytest.approx(math.sqrt(1 + 10 * 10 / 90))
    assert corrected.p_value > plain.p_value


def test_the_corrected_test_holds_its_level_where_the_plain_one_does_not():
    # Two equal "models": noise per row, ten random subsamplings of 60 rows, a half of them for testing.
    wrong = {"plain": 0, "corrected": 0}
    for _ in range(400):
        difference = R.normal(size=60)
        d = np.array([difference[R.permutation(60)[:30]].mean() for _ in range(10)])
        wrong["plain"] += corrected_t_test(d, 0 * d, 1, 0).significant()
        wrong["corrected"] += corrected_t_test(d, 0 * d, 30, 30).significant()
    assert wrong["plain"] / 400 > 0.2
    assert wrong["corrected"] / 400 < 0.1


def test_an_interval_is_the_students_one_with_the_corrected_variance():
    low, high = corrected_interval(A, 90, 10)
    scale = A.std(ddof=1) * math.sqrt(1 / 10 + 1 / 9)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 9, A.mean(), scale))
    assert all(math.isnan(end) for end in corrected_interval([0.9], 9, 1))


def test_equal_models_do_not_differ_and_constant_differences_are_certain():
    assert corrected_t_test(A, A, 9, 1).p_value == 1
    assert corrected_t_test([0.5, 0.5, 0.5], [0.25, 0.25, 0.25], 9, 1).p_value == 0
    assert five_by_two_test(A, A).p_value == 1
    assert not five_by_two_test(A, A, "t").significant()


@given(st.lists(st.floats(-1, 1), min_size=10, max_size=10))
def test_the_five_by_two_statistics_are_those_of_their_equations(values):
    d = np.array(values).reshape(5, 2)
    variances = [((row - row.mean()) ** 2).sum() for row in d]
    if sum(variances) < 1e-9:
        return
    f, t = five_by_two_test(d, 0 * d), five_by_two_test(d, 0 * d, "t")
    assert f.statistic == pytest.approx(sum(v**2 for row in d for v in row) / (2 * sum(variances)))
    assert f.p_value == pytest.approx(1 - stats.f.cdf(f.statistic, 10, 5), abs=1e-12)
    assert t.statistic == pytest.approx(d[0, 0] / math.sqrt(sum(variances) / 5))
    assert t.p_value == pytest.approx(2 * (1 - stats.t.cdf(abs(t.statistic), 5)), abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "statistic", "p_value"),
    [
        (25, 15, 2.025, 0.155),  # manual of Cumulus Chart Review, "The McNemar Command"
        (61, 27, 12.375, 4.35e-4),  # there, too
        (59, 121, 20.672222, 0.000005),  # G. Cardillo, "McNemar test", MATLAB Central File Exchange 15472, 2007
    ],
)
def test_mcnemar_gives_the_published_statistics(first, second, statistic, p_value):
    found = mcnemar(first, second, 10_000, exact=False)
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(p_value, rel=0.1)


@given(a=st.integers(0, 20), b=st.integers(0, 20))
def test_the_exact_test_is_twice_the_binomial_tail(a, b):
    n = a + b
    tail = sum(math.comb(n, k) for k in range(min(a, b) + 1)) / 2**n
    assert mcnemar(a, b, 50, exact=True).p_value == pytest.approx(min(1.0, 2 * tail))


def test_few_deciding_rows_are_tested_exactly_and_many_by_chi_squared():
    assert mcnemar(10, 15, 100).test.endswith("exact")
    assert mcnemar(11, 15, 100).test.endswith("chi²")
    assert mcnemar(0, 0, 10, exact=False).p_value == 1


def test_labels_are_counted_where_one_of_two_models_is_right():
    y = np.array(list("aabbcc"))
    first, second = np.array(list("aabbca")), np.array(list("abbbcc"))
    found = mcnemar_test(y, first, second)
    assert (found.freedom, found.difference, found.p_value) == (2, 0.0, 1.0)


def test_a_comparison_says_what_it_means():
    assert "they differ at the level 0.05" in str(corrected_t_test(A + 1, B, 90, 10))
    assert "no difference is shown" in str(corrected_t_test(A, A, 90, 10))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: corrected_t_test([1.0], [1.0], 9, 1), DataError, "same 2 or more folds"),
        (lambda: corrected_t_test([1.0, 2.0], [1.0], 9, 1), DataError, "same 2 or more folds"),
        (lambda: corrected_t_test([1.0, math.nan], [1.0, 2.0], 9, 1), DataError, "not a finite number"),
        (lambda: five_by_two_test(A[:9], B[:9]), DataError, "must hold 5 x 2 scores"),
        (lambda: five_by_two_test(A, B, "z"), ConfigurationError, "statistic must be one of 'F', 't'"),
        (lambda: mcnemar_test([1, 2], [1], [1, 2]), DataError, "one label for each of the same rows"),
        (lambda: mcnemar(5, 6, 10), ConfigurationError, "no count of 10 rows"),
        (lambda: mcnemar(5, 6, 20, exact="yes"), ConfigurationError, "exact must be one of"),
    ],
)
def test_numbers_that_cannot_be_compared_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
