import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.select import bootstrap_estimate
from pellucid.select.out_of_bag import losses, no_information_rate, out_of_bag_error

SHARE = st.floats(0, 1)


@given(SHARE, SHARE, SHARE)
def test_the_632_plus_estimate_is_that_of_its_weights(out, resub, gamma):
    found = bootstrap_estimate(out, resub, gamma)
    assert found.e632 == pytest.approx(0.368 * resub + 0.632 * out)
    capped = min(out, gamma)
    rate = (capped - resub) / (gamma - resub) if out > resub and gamma > resub else 0.0
    weight = 0.632 / (1 - 0.368 * rate)
    if out <= gamma:  # then it is a weighted mean of both errors
        assert found.e632plus == pytest.approx((1 - weight) * resub + weight * out)
    assert 0 <= found.overfitting <= 1


def test_without_overfitting_both_estimates_agree_and_of_noise_the_plus_is_right():
    assert bootstrap_estimate(0.1, 0.1, 0.5).e632plus == pytest.approx(0.1)
    assert bootstrap_estimate(0.1, 0.1, 0.5).overfitting == 0
    assert bootstrap_estimate(0.5, 0.0, 0.5).e632plus == pytest.approx(0.5)
    assert bootstrap_estimate(0.5, 0.0, 0.5).e632 == pytest.approx(0.316)


@pytest.mark.parametrize("classes", [True, False])
def test_the_no_information_rate_is_the_mean_over_all_pairs(classes):
    r = np.random.default_rng(0)
    y, f = (r.integers(0, 4, 30), r.integers(0, 4, 30)) if classes else (r.normal(size=30), r.normal(size=30))
    pairs = [float(a != b) if classes else (a - b) ** 2 for a in y for b in f]
    assert no_information_rate(y, f, classes=classes) == pytest.approx(np.mean(pairs))


def test_the_out_of_bag_error_counts_every_row_once_however_often_it_was_left_out():
    rows, errors = [np.array([0, 1]), np.array([0]), np.array([0])], [np.array([1.0, 0.0]), np.ones(1), np.ones(1)]
    assert out_of_bag_error(3, rows, errors) == 0.5
    with pytest.raises(DataError, match="No row was left out"):
        out_of_bag_error(3, [np.array([], int)], [np.array([])])


def test_the_error_of_a_row_is_0_or_1_or_the_squared_difference():
    assert losses(np.array(["a", "b"]), np.array(["a", "c"]), classes=True).tolist() == [0, 1]
    assert losses(np.array([1.0, 2.0]), np.array([1.0, 5.0]), classes=False).tolist() == [0, 9]
