import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import ConfigurationError
from pellucid.train.recording import Recorder, Timetable
from pellucid.train.recording.recorder import as_recorder


def steps(recorder, first, count):
    """The recorded steps of a fit."""
    table = recorder.timetable(first, count)
    found, step = [], table.next(first)
    while step is not None and step < first + count:
        found.append(step)
        step = table.next(step + 1)
    return found


def test_the_first_step_every_so_many_and_the_last_are_recorded():
    assert steps(Recorder(every=10), 1, 25) == [1, 11, 21, 25]
    assert steps(Recorder(every=10), 101, 21) == [101, 111, 121]
    assert steps(Recorder(every=1), 1, 3) == [1, 2, 3]


def test_chosen_steps_are_recorded_and_no_others():
    assert steps(Recorder(steps=[7, 3, 3, 900]), 1, 50) == [3, 7]
    assert steps(Recorder(steps=range(2, 5)), 3, 50) == [3, 4]


@pytest.mark.parametrize(
    ("level", "count", "records"), [("stats", 500, 11), ("stats", 100_000, 201), ("full", 1000, 11), ("full", 4, 4)]
)
def test_the_default_keeps_the_number_of_records_small(level, count, records):
    assert len(steps(Recorder(level), 1, count)) == records


def test_without_a_known_end_the_default_is_every_fiftieth_step():
    assert Recorder().timetable(1, None) == Timetable(1, 50, None, None)
    assert Recorder("full").timetable(1, None).next(2) == 51


@given(st.integers(1, 50), st.integers(1, 30), st.integers(1, 200), st.integers(1, 300))
def test_the_next_step_is_the_first_recorded_one_from_there_on(first, every, count, ahead):
    table = Timetable(first, every, first + count - 1, None)
    steps = np.arange(first, first + count)
    assert table.among(steps).tolist() == [table.next(int(step)) == step for step in steps]
    step = first + ahead - 1
    recorded = {*range(first, first + count, every), first + count - 1}
    expected = min((n for n in recorded if n >= step), default=None)
    found = table.next(step)
    assert found == expected if expected is not None else found is None or found >= first + count


@given(st.sets(st.integers(1, 60)), st.integers(1, 9), st.integers(1, 20), st.integers(0, 50), st.booleans())
def test_recorded_steps_are_found_among_any_others_and_counted(numbers, every, first, count, chosen):
    last = first + count
    table = Timetable(first, every, None, (3, 20, 21)) if chosen else Timetable(first, every, last, None)
    recorded = {3, 20, 21} if chosen else {*range(first, last + 1, every), last}
    steps = np.array(sorted(numbers), np.int64)
    assert steps[table.places(steps)].tolist() == sorted(recorded & numbers)
    assert table.left(10) == len([step for step in recorded if step >= 10])


def test_what_fit_is_given_becomes_a_recorder():
    assert as_recorder("off", None) is as_recorder(None, None) is None
    assert repr(as_recorder("stats", 10)) == "Recorder(every=10)"
    own = Recorder("full")
    assert as_recorder(own, None) is own


@pytest.mark.parametrize(
    ("record", "every", "text"),
    [
        ("off", 10, 'fit: every=10 says how often to record, but nothing is recorded.\nHint: add record="stats"'),
        (Recorder(), 10, "fit: give every to the Recorder: Recorder(level, every=...)."),
        (7, None, "fit: record must be 'off', 'stats', 'full' or a Recorder, not 7."),
        ("stat", None, "Unknown level of recording 'stat'; known are: full, off, stats.\nHint: did you mean 'stats'?"),
        ("stats", 0, "Recorder: every must be a whole number of at least 1, or None, not 0."),
    ],
)
def test_what_cannot_be_recorded_is_refused(record, every, text):
    with pytest.raises(ConfigurationError) as error:
        as_recorder(record, every)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"level": "all"}, "Recorder: level must be one of 'stats', 'full', not 'all'."),
        ({"every": 2, "steps": [1]}, "Recorder: give every or steps, not both."),
        ({"steps": [0]}, "Recorder: steps must be a list of numbers of steps, from 1 on, or None, not [0]."),
        ({"layers": "dense"}, "Recorder: layers must be a list of names of layers, or None for all, not 'dense'."),
        ({"path": 3}, "Recorder: path must be the path of a folder, or None, not 3."),
    ],
)
def test_settings_are_checked(arguments, text):
    with pytest.raises(ConfigurationError) as error:
        Recorder(**arguments)
    assert str(error.value) == text
