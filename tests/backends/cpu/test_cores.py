"""Where threads run: a worker does not stay on the core of the thread that woke it."""

import math
import os
import subprocess
import sys
import threading
import time

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


class Stat:
    """What the system says that its cores have done, in units of 10 ms."""

    def __init__(self, path):
        self.path = path

    def write(self, **idle):
        """So long they were idle, a third of it waiting for a disk."""
        lines = [f"{name} 70 3 5 {time - time // 3} {time // 3} 1 1 1 0 0\n" for name, time in idle.items()]
        self.path.write_text(f"cpu 9 9 9 9 9 9 9 9 0 0\n{''.join(lines)}intr 5 0\nctxt 12\n")


@pytest.fixture
def stat(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 3}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 100}[name], raising=False)
    monkeypatch.setattr(cores, "_TIMES", tmp_path / "stat")
    return Stat(tmp_path / "stat")


def test_the_idle_time_of_the_other_usable_cores_counts_from_look_to_look(stat):
    others = cores.Others()
    stat.write(cpu0=10, cpu1=10, cpu2=10, cpu3=10)
    assert others.idle() == math.inf  # the first look
    stat.write(cpu0=10, cpu1=90, cpu2=40, cpu3=60)
    np.testing.assert_allclose(others.idle(), (0.3 + 0.5) / 2)
    assert others.idle() == 0.0
    stat.write(cpu0=20, cpu1=90, cpu2=40, cpu3=70)
    np.testing.assert_allclose(others.idle(), 0.1)


@pytest.mark.parametrize("text", [None, "", "cpu0 1 2 3\n", "cpu0 a b c d e\ncpu2 a b c d e\n", "cpu0 1 1 1 1 1 1 1\n"])
def test_a_system_that_does_not_say_what_cores_do_leaves_them_to_us(stat, text):
    others = cores.Others()
    for _ in range(3):
        if text is not None:
            stat.path.write_text(text)
        assert others.idle() == math.inf


def test_numbers_of_different_cores_are_not_compared(stat, monkeypatch):
    others = cores.Others()
    stat.write(cpu0=10, cpu1=10, cpu2=10, cpu3=10)
    others.idle()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    stat.write(cpu0=10, cpu1=90, cpu2=40, cpu3=60)
    assert others.idle() == math.inf


def test_busy_processes_are_seen():
    """On this very system, if it tells: another process computes on each core meanwhile."""
    others, count = cores.Others(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    others.idle()
    if count < 2 or others.idle() == math.inf:
        pytest.skip("the system does not say what its cores do, or there is one")
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.3)
        others.idle()
        time.sleep(0.5)
        assert others.idle() < 0.2
    finally:
        for other in busy:
            other.kill()
            other.wait()
