import os

import pytest

from benchmarks import distance

bound = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores on Linux"
)


@bound
def test_a_line_takes_longer_than_a_cycle_and_less_than_a_slice_of_time():
    before = os.sched_getaffinity(0)
    assert 5 < distance.round_trip() < 1e6
    assert os.sched_getaffinity(0) == before


def test_one_core_is_not_apart_from_itself(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert distance.round_trip() is None


def test_a_system_that_binds_no_threads_is_not_measured(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert distance.round_trip() is None
