from tests.select.executors.jobs import assert_same, small_task

from pellucid import backends
from pellucid.select.executors.threads import threads_of
from pellucid.select.members import train_members


def test_the_number_of_threads_changes_no_bit_and_is_as_before():
    task, members = small_task()
    before = backends.num_threads()
    assert_same(train_members(task, members, n_jobs=3), train_members(task, members, n_jobs=1))
    assert backends.num_threads() == before


def test_a_number_of_threads_that_the_user_has_set_comes_back(monkeypatch):
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "3")
    with threads_of(5):
        assert backends.num_threads() == 5
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "2")
    assert backends.num_threads() == 2
    backends.set_num_threads(7)
    try:
        with threads_of(5):
            pass
        assert backends.num_threads() == 7
    finally:
        backends.set_num_threads(None)
