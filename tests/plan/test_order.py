from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import ops
from pellucid.graph import trace
from pellucid.graph.ir import Var
from pellucid.op import Spec
from pellucid.plan.order import Access, order, owner

SQUARE = Spec((3, 3), np.dtype("float32"))


def variables(names):
    return [Var(SQUARE, name, 0) for name in names]


def task(writes, reads=(), beside=()):
    """What reads some variables anywhere, others beside what it writes."""
    return Access(frozenset({*reads, *beside}), frozenset(beside), (writes,))


def seen_through(function):
    """A state and a window on it."""
    graph = trace(function, SQUARE).graph
    return graph.inputs[0], graph.outputs[0]


WINDOWS = {
    "transpose": ops.transpose,
    "flip": lambda s: ops.flip(s, 0),
    "slice": lambda s: s[1:],
    "reshape": lambda s: ops.reshape(s, (9,)),
    "broadcast_to": lambda s: ops.broadcast_to(s, (2, 3, 3)),
    "several": lambda s: ops.reshape(ops.transpose(s), (9,))[::-2],
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_a_window_lies_in_the_memory_of_what_it_shows(window):
    state, view = seen_through(window)
    assert view is not state
    assert owner(view) is state


def test_what_is_computed_lies_in_memory_of_its_own():
    state, view = seen_through(lambda s: ops.transpose(ops.exp(s)))
    assert owner(state) is state
    assert owner(view) is view.record.inputs[0]


def test_tasks_that_carry_nothing_stay_as_they_are():
    x, a, b, c = variables("xabc")
    tasks = [task(a, [x]), task(b, [x]), task(c, [a, b])]
    assert order(tasks, {}) == ([0, 1, 2], {})


def test_new_state_is_written_beside_the_old():
    w, g, new = variables(["w", "g", "new"])
    assert order([task(new, beside=[w, g])], {new: w}) == ([0], {new: w})


def test_new_state_that_is_read_elsewhere_by_its_own_task_needs_other_memory():
    w, g, new = variables(["w", "g", "new"])
    assert order([task(new, [w], beside=[g])], {new: w}) == ([0], {})


def test_new_state_of_a_task_that_does_not_read_the_old_lies_in_its_place():
    w, g, new = variables(["w", "g", "new"])
    assert order([task(new, [g])], {new: w}) == ([0], {new: w})


def test_large_states_are_replaced_last_and_in_turned_order():
    large = Spec((256, 256), np.dtype("float32"))
    v, w, small = (Var(spec, name, 0) for spec, name in ((large, "v"), (large, "w"), (SQUARE, "small")))
    x, first, second, third, after = variables(["x", "first", "second", "third", "after"])
    tasks = [task(first, [x], [v]), task(second, [x], [w]), task(third, [x], [small]), task(after, [x])]
    carried = {first: v, second: w, third: small}
    assert order(tasks, carried) == ([2, 3, 1, 0], carried)
    assert order([*tasks[:3], task(after, [first])], carried) == ([2, 1, 0, 3], carried)


def test_readers_of_the_old_state_come_before_the_writer_of_the_new():
    w, x, new, loss, delta = variables(["w", "x", "new", "loss", "delta"])
    tasks = [task(new, beside=[w]), task(loss, [w, x]), task(delta, beside=[w])]
    assert order(tasks, {new: w}) == ([1, 2, 0], {new: w})


def test_what_needs_the_new_state_comes_after_it():
    w, new, log = variables(["w", "new", "log"])
    sequence, inside = order([task(new, beside=[w]), task(log, [new])], {new: w})
    assert (sequence, inside) == ([0, 1], {new: w})


def test_a_reader_of_both_the_old_and_the_new_state_keeps_them_apart():
    w, new, change = variables(["w", "new", "change"])
    assert order([task(new, beside=[w]), task(change, beside=[new, w])], {new: w}) == ([0, 1], {})


def test_a_state_that_becomes_another_one_is_no_result_to_be_placed():
    a, b, x, log = variables(["a", "b", "x", "log"])
    assert order([task(log, [a, x])], {a: b, b: a}) == ([0], {})


def test_of_several_new_states_one_takes_the_place_of_the_old():
    w, x, first, second = variables(["w", "x", "first", "second"])
    assert order([task(first, [x]), task(second, [x])], {first: w, second: w}) == ([0, 1], {first: w})


def test_of_two_states_that_swap_one_is_kept_apart():
    a, b, new_a, new_b = variables(["a", "b", "new_a", "new_b"])
    tasks = [task(new_a, beside=[b]), task(new_b, beside=[a])]
    # new_a goes first, while a is still to be read; b has no reader left when new_b comes.
    assert order(tasks, {new_a: a, new_b: b}) == ([0, 1], {new_b: b})


def test_waits_in_a_longer_circle_are_broken_once():
    (a, b, c), (new_a, new_b, new_c) = variables("abc"), variables("ABC")
    tasks = [task(new_a, beside=[b]), task(new_b, beside=[c]), task(new_c, beside=[a])]
    sequence, inside = order(tasks, {new_a: a, new_b: b, new_c: c})
    assert sequence == [0, 1, 2]
    assert inside == {new_b: b, new_c: c}


def test_a_circle_leaves_the_order_of_the_other_tasks_alone():
    a, b, x, new_a, new_b, y, z = variables(["a", "b", "x", "new_a", "new_b", "y", "z"])
    tasks = [task(y, [x]), task(new_a, beside=[b]), task(new_b, beside=[a]), task(z, [y, new_b])]
    sequence, inside = order(tasks, {new_a: a, new_b: b})
    assert sequence == [0, 1, 2, 3]
    assert inside == {new_b: b}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_readers_through_a_window_are_readers_of_the_state(window):
    w, view = seen_through(window)
    new, log = variables(["new", "log"])
    tasks = [task(view, [w]), task(new, beside=[w]), task(log, [view])]
    assert order(tasks, {new: w}) == ([0, 2, 1], {new: w})
    assert order([task(view, [w]), task(new, [view], beside=[w])], {new: w}) == ([0, 1], {})


@pytest.mark.parametrize("window", [WINDOWS["transpose"], WINDOWS["flip"]], ids=["transpose", "flip"])
def test_beside_an_element_of_a_window_lies_another_element_of_the_state(window):
    w, view = seen_through(window)
    new, log = variables(["new", "log"])
    assert order([task(view, [w]), task(new, beside=[w, view])], {new: w}) == ([0, 1], {})
    tasks = [task(view, [w]), task(new, beside=[w]), task(log, beside=[view])]
    assert order(tasks, {new: w}) == ([0, 2, 1], {new: w})


@st.composite
def programs(draw):
    """Tasks that read states, windows on them and earlier results, and which results become new states."""
    states = variables([f"s{n}" for n in range(draw(st.integers(1, 3)))])
    known = list(states)
    tasks = []
    for number in range(draw(st.integers(1, 7))):
        if draw(st.booleans()):
            shown = draw(st.sampled_from(known))
            view = _transposed(shown)
            tasks.append(task(view, [shown]))
            known.append(view)
            continue
        reads = draw(st.sets(st.sampled_from(range(len(known))), max_size=3))
        beside = {n for n in reads if owner(known[n]) is known[n] and draw(st.booleans())}
        result = Var(SQUARE, f"t{number}", 0)
        tasks.append(task(result, [known[n] for n in reads - beside], [known[n] for n in beside]))
        known.append(result)
    results = [t.writes[0] for t in tasks if owner(t.writes[0]) is t.writes[0]]
    new = draw(st.permutations(results))
    old = draw(st.permutations(states))
    return tasks, dict(zip(new, old, strict=False))


def _transposed(var):
    """A window on a variable, as a trace would make it."""
    view = Var(SQUARE, f"{var.name}.T", 0)
    _, example = seen_through(ops.transpose)
    view.record = replace(example.record, inputs=(var,), output=view)
    return view


@given(programs())
def test_every_task_reads_what_it_would_read_without_places(program):
    tasks, carried = program
    sequence, inside = order(tasks, carried)
    assert sorted(sequence) == list(range(len(tasks)))
    assert len(set(inside.values())) == len(inside)
    assert inside.items() <= carried.items()
    holds = {old: old for old in carried.values()}  # memory -> whose numbers lie there
    known = {v for t in tasks for v in t.reads} - {t.writes[0] for t in tasks}
    for number in sequence:
        own = tasks[number]
        assert own.reads <= known
        for var in own.reads:
            place = inside.get(owner(var), owner(var))
            assert holds.get(place, owner(var)) is owner(var)
        (written,) = own.writes
        known.add(written)
        if written in inside:
            assert inside[written] not in {owner(v) for v in own.reads - own.beside}
            holds[inside[written]] = written


@given(programs())
def test_without_circles_and_later_readers_every_new_state_takes_the_old_ones_place(program):
    tasks, carried = program
    sequence, inside = order(tasks, carried)
    place = {n: position for position, n in enumerate(sequence)}
    for number, own in enumerate(tasks):
        (written,) = own.writes
        if written in carried and written not in inside:
            old = carried[written]
            readers = [n for n, t in enumerate(tasks) if old in {owner(v) for v in t.reads}]
            elsewhere = old in {owner(v) for v in own.reads - own.beside}
            assert elsewhere or any(place[n] > place[number] for n in readers)
