"""Runs of two programs in turn: the same numbers as of one, and what was recorded in the order of the steps."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Input, Sequential, ops, set_seed
from pellucid.nn import Dense
from pellucid.train import Recorder
from pellucid.train.feed import Segment
from pellucid.train.loop import start
from pellucid.train.recording import Session, tape

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
R = np.random.default_rng(0)
X, Y = R.normal(size=(120, 3)).astype("float32"), R.normal(size=(120, 1)).astype("float32")
KEY = np.asarray(ops.random_key(0))


def compiled(backend="cpu"):
    set_seed(2)
    model = Sequential([Input((3,)), Dense(4, activation="tanh", name="hidden"), Dense(1, name="out")])
    model.compile("mse", "adam", backend=backend)
    return model


def segment(batch=4):
    return Segment((X,), (Y,), (), (np.dtype(np.float32),), np.arange(120), batch)


def made(model, session, turns=(1000,)):
    """A run of 30 steps in turns of so many; its losses."""
    run = start(model, segment(), KEY, session)
    losses = []
    while run.done < run.steps:
        for turn in turns:
            losses += run.advance(turn).total.tolist()
    run.publish()
    return losses


@BACKENDS
@given(every=st.integers(1, 40), turns=st.lists(st.integers(1, 31), min_size=1, max_size=4), full=st.booleans())
@settings(max_examples=15, deadline=None)
def test_any_turns_give_the_numbers_of_a_run_without_records(backend, every, turns, full):
    plain, recorded = compiled(backend), compiled(backend)
    session = Session(Recorder("full" if full else "stats", every=every), 1, 30)
    losses = made(plain, None)
    assert made(recorded, session, turns) == losses
    weights = recorded.get_weights()
    assert all(value.tobytes() == weights[name].tobytes() for name, value in plain.get_weights().items())
    steps = session.recording.frame("steps", "numpy")
    assert steps["step"].tolist() == sorted({*range(1, 31, every), 30})
    assert steps["loss"].tolist() == [losses[step - 1] for step in steps["step"]]
    if full:
        np.testing.assert_array_equal(session.recording.rows(30), np.arange(116, 120))


@BACKENDS
def test_records_come_in_groups_where_memory_has_room_for_few(backend, monkeypatch):
    model = compiled(backend)
    session = Session(Recorder("full", every=2), 1, 30)
    losses = made(model, session)
    monkeypatch.setattr(tape, "_BYTES", 1)
    model, other = compiled(backend), Session(Recorder("full", every=2), 1, 30)
    assert made(model, other) == losses
    for name in ("steps", "stats"):
        assert other.recording.frame(name).equals(session.recording.frame(name))
    np.testing.assert_array_equal(other.recording.deltas(29, "hidden"), session.recording.deltas(29, "hidden"))


def test_what_was_recorded_after_a_step_is_forgotten():
    model, session = compiled(), Session(Recorder("stats", every=3), 1, 30)
    program, record = (model.programs.training(segment(), r) for r in (None, session.recorder))
    data = start(model, segment(), KEY)._data
    run = tape.Tape(session, record).start(program.loop, data, 1)
    while run.done < run.steps:
        run.advance(30)
    run.keep(10)
    run.keep(30)
    assert session.recording.steps == [1, 4, 7, 10]


def test_lines_of_a_script_cover_every_step_once():
    model, session = compiled(), Session(Recorder("stats", every=7), 1, 30)
    program, record = (model.programs.training(segment(), r) for r in (None, session.recorder))
    data = start(model, segment(), KEY)._data
    run = tape.Tape(session, record, whole=True).start(program.loop, data, 1)
    script = run.script(0, 30, 100)
    assert [line[1] for line in script] == [1, 6, 1, 6, 1, 6, 1, 6, 1, 1]
    assert [line[2] for line in script if len(line) == 3] == [1, 8, 15, 22]  # the plain run passes over the others
    assert [line[1:] for line in run.script(1, 7, 100)] == [(6, 1)]
    assert [line[1] for line in run.script(9, 16, 2)] == [5]
    assert run.script(30, 30, 1) == []


@BACKENDS
def test_runs_of_one_fit_share_a_reel(backend):
    model = compiled(backend)
    session = Session(Recorder("stats", every=4), 1, 90)
    losses, reels = [], []
    for _ in range(3):
        losses += made(model, session)
        reels += session.reels.values()
    assert len({id(reel) for reel in reels}) == 1
    frame = session.recording.frame("steps", "numpy")
    assert frame["step"].tolist() == [*range(1, 90, 4), 90]
    assert frame["loss"].tolist() == [losses[step - 1] for step in frame["step"]]


def test_data_of_another_place_begin_another_reel():
    model = compiled("reference")
    session = Session(Recorder("stats", every=4), 1, 90)
    made(model, session)
    (first,) = session.reels.values()
    data = start(model, segment(), KEY)._data
    assert first.takes(data, 1)
    assert not first.takes(data, 90)
    moved = dataclasses.replace(data, rows=[array.copy() for array in data.rows])
    assert not first.takes(moved, 1)


def test_the_rest_of_an_interrupted_run_is_recorded_up_to_where_it_came(monkeypatch):
    model, session = compiled("reference"), Session(Recorder("stats", every=2), 1, 30)
    run = start(model, segment(), KEY, session)
    loop = model.programs.training(segment()).loop
    real, calls = loop.executable.run, []

    def interrupted(inputs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(inputs)

    monkeypatch.setattr(loop.executable, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        all(run.advance(30) for _ in range(30))
    assert run.done == 7
    run.publish()
    assert (model.optimizer.iterations, session.recording.steps) == (7, [1, 3, 5, 7])
