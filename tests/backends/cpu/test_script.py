"""Scripts: any lines of any loops give what they give one after the other, on any number of threads."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid import backends, ops, set_num_threads
from pellucid.backends.cpu import memory, pace, script
from pellucid.backends.cpu.runner import LINE_AHEAD, LINE_FIRST, LINE_JOB, LINE_STEPS
from pellucid.backends.cpu.script import _Native
from pellucid.backends.loop import Loop, LoopData, LoopForm
from pellucid.errors import DataError
from pellucid.graph import rewrite, trace
from pellucid.op import Spec

R = np.random.default_rng(0)
ROWS = R.normal(size=(40, 24)).astype(np.float32)
STEPS = 20


def loop_of(backend, factor):
    """w <- factor w + x'(x w): what a step gives depends on all steps before it, of whichever loop."""

    def step(x, w):
        y = ops.matmul(x, w)
        return ops.sum(y), factor * w + 0.01 * ops.matmul(ops.transpose(x, (1, 0)), y)

    graph = trace(step, Spec((2, 24), np.dtype(np.float32)), Spec((24, 18), np.dtype(np.float32))).graph
    return backends.get(backend).compile_loop(rewrite(graph), LoopForm(rows=1, carried=(0,)))


LOOPS = {backend: [loop_of(backend, factor) for factor in (0.9, 0.5)] for backend in ("reference", "cpu")}


def started(backend, goes_on=True):
    """Two runs on one state, each with an order of its own, and that state."""
    w = np.full((24, 18), 0.1, np.float32)
    orders = (np.arange(40), np.arange(40)[::-1].copy())
    runs = [loop.start(LoopData([ROWS], order, state=[w])) for loop, order in zip(LOOPS[backend], orders, strict=True)]
    for run in runs:
        run.goes_on = goes_on
    return runs, w


def made(backend, lines, stops=()):
    """State, logs of both runs and places after a script; ``lines`` names runs by number."""
    runs, w = started(backend)
    seen = []
    calls = [(place, lambda: seen.append(w.copy())) for place in stops]
    LOOPS[backend][0].in_turn([(runs[n], *rest) for n, *rest in lines], calls)
    return [w, *seen], [run.logs[0] for run in runs], [run.done for run in runs]


class Trials(pace.Pace):
    """Changes between one thread and all, some steps at a time."""

    def choose(self, steps, may_share):
        self.shared = may_share and not getattr(self, "shared", False)
        return self.shared, min(steps, 3)


@pytest.fixture
def restless(monkeypatch):
    """Memories made now have plans that are shared now and then; those before and after are not theirs."""
    monkeypatch.setattr(memory, "_WORTH_SHARING", 0)
    monkeypatch.setattr(memory, "Pace", Trials)
    for loop in LOOPS["cpu"]:
        loop._made.clear()
    yield
    set_num_threads(None)
    for loop in LOOPS["cpu"]:
        loop._made.clear()


LINES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 5), st.integers(0, STEPS - 5))
    | st.tuples(st.integers(0, 1), st.integers(0, 1)),
    max_size=8,
)


@given(lines=LINES, count=st.sampled_from([1, 2, 3]), least=st.sampled_from([0, 1500, 10**9]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shared_lines_give_what_a_loop_after_the_other_gives(restless, lines, count, least):
    script._WORTH_CHANGING, before = least, script._WORTH_CHANGING
    try:
        set_num_threads(count)
        own = made("cpu", lines)
        set_num_threads(1)
        alone = made("cpu", lines)
    finally:
        script._WORTH_CHANGING = before
    wanted = made("reference", lines)
    assert own[2] == wanted[2]
    assert own[0][0].tobytes() == alone[0][0].tobytes()
    np.testing.assert_allclose(own[0][0], wanted[0][0], rtol=1e-4)
    for number, *rest in lines:  # logs of steps that were never made are not filled in
        if len(rest) == 2:
            where = slice(rest[1], rest[1] + rest[0])
            np.testing.assert_allclose(own[1][number][where], wanted[1][number][where], rtol=1e-4)


def test_calls_come_between_the_lines_that_they_were_asked_for(restless):
    lines = [(0, 3), (1, 1), (0, 4), (1, 2)]
    set_num_threads(2)
    own, wanted = (made(backend, lines, stops=(1, 3, 4))[0] for backend in ("cpu", "reference"))
    assert len(own) == len(wanted) == 4
    for one, other in zip(own, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    assert not np.array_equal(own[1], own[2])


def test_an_empty_script_does_nothing():
    (w,), _, done = made("cpu", [])
    assert done == [0, 0]
    np.testing.assert_array_equal(w, np.float32(0.1))


def test_an_index_outside_its_axis_is_told_and_what_was_done_counts(restless):
    def step(i, w):
        return (ops.gather(w, i),)

    specs = [Spec((1,), np.dtype(np.int64)), Spec((3, 2), np.dtype(np.float32))]
    form = LoopForm(rows=1, fixed=1)
    loop = backends.get("cpu").compile_loop(rewrite(trace(step, *specs).graph), form)
    run = loop.start(LoopData([np.array([0, 1, 2, 3, 0, 1, 2, 0, 1])], np.arange(9), fixed=[np.eye(3, 2, dtype="f4")]))
    set_num_threads(2)
    with pytest.raises(DataError, match=r"the index 3 lies outside 0\.\.2"):
        loop.in_turn([(run, 2), (run, 7)])
    assert 4 <= run.done < 9  # the piece in which it happened, and none after it


# What is made how.


@dataclass
class FakeJob:
    address: int


@dataclass
class FakeMemory:
    job: FakeJob
    work: int
    may_share: bool


class FakeRun:
    def __init__(self, steps=1000, *, goes_on=True):
        self.steps, self.done, self.goes_on = steps, 0, goes_on


SMALL, LARGE = FakeRun(), FakeRun()
NATIVE = _Native({id(SMALL): FakeMemory(FakeJob(1), 1_000, False), id(LARGE): FakeMemory(FakeJob(2), 10**6, True)})


def pieces(lines):
    """Of each piece whether it is shared, and how many lines it holds."""
    return [(shared, len(piece)) for shared, piece in NATIVE.pieces(NATIVE.table(lines))]


def test_lines_worth_it_are_shared_where_their_plan_may_be():
    assert pieces([(LARGE, 100)]) == [(True, 1)]
    assert pieces([(SMALL, 10_000)]) == [(False, 1)]
    assert pieces([(SMALL, 10_000), (LARGE, 5), (LARGE, 6), (SMALL, 10_000)]) == [(False, 1), (True, 2), (False, 1)]


def test_short_lines_are_made_as_their_neighbours_are():
    assert pieces([(LARGE, 100), (SMALL, 1), (LARGE, 100)]) == [(True, 3)]
    assert pieces([(SMALL, 10_000), (LARGE, 1), (SMALL, 10_000)]) == [(False, 3)]
    assert pieces([(LARGE, 1), (SMALL, 10_000), (LARGE, 1), (LARGE, 100)]) == [(False, 3), (True, 1)]
    assert pieces([(SMALL, 1), (LARGE, 1)]) == [(True, 2)]
    assert pieces([(SMALL, 1)]) == [(False, 1)]


def test_lines_say_how_many_steps_follow_whose_rows_are_worth_fetching():
    run, apart = FakeRun(30), FakeRun(30, goes_on=False)
    native = _Native({id(r): FakeMemory(FakeJob(n), 1, False) for n, r in enumerate((run, apart))})
    table = native.table([(run, 4), (apart, 1), (run, 5, 5), (run, 20)])
    assert table[:, LINE_FIRST].tolist() == [0, 0, 5, 10]
    assert table[:, LINE_AHEAD].tolist() == [26, 29 * 0, 20, 0]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(1, 9)), min_size=1), st.integers(0, 30_000_000))
def test_a_cut_keeps_every_step_once(lines, work):
    runs = {1: SMALL, 2: LARGE}
    table = NATIVE.table([(runs[job], steps) for job, steps in lines])
    now, later = NATIVE._cut(table, work)

    def steps(rows):
        return [
            (r[LINE_JOB], r[LINE_FIRST] + i, r[LINE_AHEAD] + r[LINE_STEPS] - i)
            for r in rows
            for i in range(r[LINE_STEPS])
        ]

    assert steps(now) + steps(later) == steps(table)
    own = NATIVE._work(now)
    assert own.sum() <= work or now[:, LINE_STEPS].tolist() == [1]
    if len(later):
        assert own.sum() + NATIVE._of[int(later[0, LINE_JOB])].work > work
    assert (now[:, LINE_STEPS] > 0).all()
    assert (later[:, LINE_STEPS] > 0).all()


def test_the_generic_loop_is_the_specification():
    """The reference backend goes through the script line by line."""
    assert type(LOOPS["reference"][0]).in_turn is Loop.in_turn
