from __future__ import annotations

import pytest

from pellucid.classic import DotTimes, compare_dot
from pellucid.errors import ConfigurationError


def test_both_ways_give_the_same_product_and_equal_seeds_the_same_bits() -> None:
    times = compare_dot(10_000, seed=3)
    assert times.loop == pytest.approx(times.vectorised, rel=1e-12)
    again = compare_dot(10_000, seed=3)
    assert (again.loop, again.vectorised) == (times.loop, times.vectorised)
    assert compare_dot(10_000, seed=4).loop != times.loop


def test_the_times_are_put_into_words() -> None:
    assert str(DotTimes(1000, 1.0, 1.0, 0.001, 0.25)) == (
        "1,000 elements: vectorised 1.000 ms, loop 250.0 ms, 250 times as long"
    )


def test_arguments_outside_their_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^compare_dot: size must be a whole number of at least 1, not 0\.$"):
        compare_dot(0)
    with pytest.raises(ConfigurationError, match=r"^compare_dot: seed must be a whole number of at least 0, not -1\.$"):
        compare_dot(10, seed=-1)
