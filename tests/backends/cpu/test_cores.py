"""Where threads run: a worker does not stay on the core of the thread that woke it."""

import os
import threading

import numpy as np
import pytest

from pellucid import compile, ops, set_num_threads
from pellucid.backends.cpu import cores, threads

several = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores on Linux"
)


@several
def test_a_thread_leaves_a_core_that_is_taken_and_is_bound_to_none():
    found = []

    def run():
        before, taken = os.sched_getaffinity(0), cores.here()
        found.extend([taken, cores.leave([taken]), before, os.sched_getaffinity(0)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    taken, core, before, after = found
    assert core != taken
    assert core in before
    assert before == after


@several
def test_a_thread_stays_where_it_is_if_its_core_is_free_or_all_are_taken():
    free = max(os.sched_getaffinity(0)) + 1
    assert cores.leave([free]) in os.sched_getaffinity(0)
    assert cores.leave(sorted(os.sched_getaffinity(0))) in os.sched_getaffinity(0)


@several
def test_a_thread_that_may_not_move_stays(monkeypatch):
    def refuse(thread, wanted):
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    allowed = os.sched_getaffinity(0)
    assert cores.leave([cores.here()]) in allowed


def test_a_system_that_does_not_say_where_threads_run_lets_them_run(monkeypatch):
    monkeypatch.setattr(cores, "_getter", lambda: None)
    assert cores.here() == cores.leave([0, -1]) == -1


@several
def test_workers_are_told_the_callers_core(monkeypatch, every_plan_is_shared):
    told = []
    leave = cores.leave
    monkeypatch.setattr(cores, "leave", lambda taken: told.append(list(taken)) or leave(taken))
    monkeypatch.setattr(threads, "POOL", threads.Pool())
    monkeypatch.setattr("pellucid.backends.cpu.memory.POOL", threads.POOL)
    threads.POOL.count = 2
    x = np.ones((300, 300), np.float32)
    found = np.asarray(compile(lambda x: ops.matmul(x, x), backend="cpu")(x))
    assert found[0, 0] == 300
    assert told
    assert all(len(taken) == 1 and taken[0] in os.sched_getaffinity(0) for taken in told)
    threads.POOL._prepare(1)  # its worker ends
    set_num_threads(None)
