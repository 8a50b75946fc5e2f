"""Loops on every backend: each does what its graph says, step by step, computed here with eager tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Tensor, backends, ops, set_num_threads
from pellucid.backends.cpu import runner
from pellucid.backends.cpu.threads import POOL
from pellucid.backends.loop import Loop, LoopData, LoopForm, LoopRun
from pellucid.errors import DataError, ShapeError
from pellucid.graph import rewrite, trace
from pellucid.op import Spec

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
SIZES = st.sampled_from([1, 7, 16, 17])
NOTHING = np.zeros(0, np.int64)
PACE = "pellucid.backends.cpu.pace.Pace.choose"  # says how many steps a turn makes, and whether they are shared


@dataclass(frozen=True)
class Case:
    """A function of rows, fixed inputs, series and state, with what it works on; the data stays as it is."""

    function: Callable
    data: LoopData
    carried: tuple[int, ...] = ()
    batch: int = 1
    dtype: str = "float64"

    @property
    def form(self) -> LoopForm:
        return LoopForm(len(self.data.rows), len(self.data.fixed), len(self.data.series), self.carried)

    @property
    def steps(self) -> int:
        return len(self.data.order) // self.batch if self.data.rows else len(self.data.series[0])

    def loop(self, backend: str) -> Loop:
        d = self.data
        specs = [Spec((self.batch, *a.shape[1:]), np.dtype(self.dtype)) for a in d.rows]
        specs += [Spec(a.shape, a.dtype) for a in d.fixed]
        specs += [Spec(a.shape[1:], a.dtype) for a in d.series]
        specs += [Spec(a.shape, a.dtype) for a in d.state]
        return backends.get(backend).compile_loop(rewrite(trace(self.function, *specs).graph), self.form)

    def fresh(self) -> LoopData:
        return replace(self.data, state=[a.copy() for a in self.data.state])

    def run(self, backend: str) -> list[np.ndarray]:
        """All logs, then the state after the last step."""
        data = self.fresh()
        return [*finished(self.loop(backend).start(data)).logs, *data.state]

    def by_hand(self) -> list[np.ndarray]:
        """The same from eager tensors."""
        d, state, logs = self.data, [a.copy() for a in self.data.state], []
        for step in range(self.steps):
            chosen = d.order[step * self.batch : (step + 1) * self.batch]
            rows = [a[chosen].astype(self.dtype) for a in d.rows]
            inputs = [*rows, *d.fixed, *(np.asarray(a[step]) for a in d.series), *state]
            outputs = [np.array(Tensor(v)) for v in self.function(*map(Tensor, inputs))]
            logs.append(outputs[: len(outputs) - len(self.carried)])
            for place, value in zip(self.carried, outputs[len(logs[-1]) :], strict=True):
                state[place] = value
        return [*(np.stack(column) for column in zip(*logs, strict=True)), *state]


def finished(run: LoopRun) -> LoopRun:
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    return run


def assert_same(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """The same numbers, shapes and types."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def integers(*shape: int, seed: int = 0, dtype: Any = "float64") -> np.ndarray:
    """Small whole numbers, so that sums are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def gathered(backend: str, data: np.ndarray, order: np.ndarray, batch: int, dtype: str = "float32") -> np.ndarray:
    """The batches of a data set."""
    return Case(lambda x: (x,), LoopData([data], order), batch=batch, dtype=dtype).run(backend)[0]


# What each input and output is.


def test_a_form_says_what_each_input_and_output_is() -> None:
    one = Spec((), np.dtype("float64"))
    graph = trace(lambda x, y, k, t, a, b: (x, y + k, b + t, a), *[one] * 6).graph
    form = LoopForm(rows=2, fixed=1, series=1, carried=(0, 1))
    x, y, k, t, a, b = graph.inputs
    assert form.split(graph) == ((x, y), (k,), (t,), (a, b))
    assert form.logs(graph) == graph.outputs[:2]
    assert form.new_state(graph) == ((graph.outputs[2], a), (a, b))


# Rows.


@BACKENDS
@given(SIZES, SIZES, st.integers(1, 4), st.sampled_from(["float32", "float64", "uint8", "int64", "bool"]))
def test_rows_come_in_the_order_given_and_in_the_graphs_type(backend, batch, width, steps, dtype):
    r = np.random.default_rng(batch + width)
    data = r.integers(0, 200, (9, width)).astype(dtype)
    order = r.integers(0, 9, steps * batch)
    expected = data[order].astype("float32").reshape(steps, batch, width)
    np.testing.assert_array_equal(gathered(backend, data, order, batch), expected, strict=True)


@BACKENDS
@pytest.mark.parametrize("shape", [(5,), (5, 0), (5, 1, 3), (5, 2, 3, 1)])
def test_rows_have_any_number_of_axes(backend, shape):
    data, order = integers(*shape, dtype="float32"), np.array([4, 4, 0, 1, 2, 3])
    expected = data[order].reshape(2, 3, *shape[1:])
    np.testing.assert_array_equal(gathered(backend, data, order, 3), expected, strict=True)


@BACKENDS
@pytest.mark.parametrize("wanted", ["float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("stored", ["float32", "int64", "uint8", "bool"])
def test_rows_are_converted_as_numpy_does(backend, stored, wanted):
    data = np.arange(40).reshape(5, 8).astype(stored)
    order = np.array([3, 0, 4, 1])
    expected = data[order].astype(wanted).reshape(2, 2, 8)
    np.testing.assert_array_equal(gathered(backend, data, order, 2, wanted), expected, strict=True)


def _field(x: np.ndarray) -> np.ndarray:
    """The same numbers, unaligned and with others between."""
    table = np.zeros(len(x), [("label", "u1"), ("x", "f4", x.shape[1:])])
    table["x"] = x
    return table["x"]


AWKWARD = {
    "float16": lambda x: x.astype("float16"),
    "foreign floats": lambda x: x.astype(">f4"),
    "foreign integers": lambda x: x.astype(">i2"),
    "every other row": lambda x: np.repeat(x, 2, 0)[::2],
    "every third column": lambda x: np.repeat(x, 3, 1)[:, ::3],
    "rows backwards": lambda x: x[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "stretched": lambda x: np.broadcast_to(x[:1], x.shape),
    "field of a table": _field,
}


@BACKENDS
@pytest.mark.parametrize("form", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("block", [1, 300, 1 << 24])
def test_data_sets_that_cannot_be_read_in_place_give_the_same_rows(backend, form, block, monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.loop._BLOCK", block)
    monkeypatch.setattr(PACE, lambda self, steps, share: (False, steps))
    data = form(integers(30, 5, dtype="float32"))
    y = np.arange(30)  # can be read where it lies
    order = np.random.default_rng(1).permutation(30)[:28]
    case = Case(lambda x, y: (x, y), LoopData([data, y], order), batch=7, dtype="float32")
    x_rows, y_rows = case.run(backend)
    np.testing.assert_array_equal(x_rows, data[order].astype("float32").reshape(4, 7, 5), strict=True)
    np.testing.assert_array_equal(y_rows, order.astype("float32").reshape(4, 7), strict=True)


def test_what_cannot_be_read_in_place_is_converted_block_by_block(monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.loop._BLOCK", 300)
    monkeypatch.setattr(PACE, lambda self, steps, share: (False, steps))
    case = Case(lambda x: (x,), LoopData([np.zeros((30, 5), "float16")], np.arange(28)), batch=7, dtype="float32")
    run = case.loop("cpu").start(case.fresh())
    assert [run.advance(99), run.done, run.advance(1), run.done] == [2, 2, 1, 3]  # of 140 bytes each


@BACKENDS
def test_memory_mapped_data_sets_are_read_where_they_lie(backend, tmp_path):
    data, order = integers(20, 6, dtype="int16"), np.random.default_rng(0).permutation(20)
    np.save(tmp_path / "x.npy", data)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(gathered(backend, mapped, order, 5), data[order].reshape(4, 5, 6))
    (tmp_path / "odd").write_bytes(b"!" + data.tobytes())
    unaligned = np.memmap(tmp_path / "odd", np.int16, "r", 1, (20, 6))
    np.testing.assert_array_equal(gathered(backend, unaligned, order, 5), data[order].reshape(4, 5, 6))


@BACKENDS
def test_data_sets_of_several_types_may_use_one_loop(backend):
    loop = Case(lambda x: (x + 1.0,), LoopData([integers(4, 3)], np.arange(4)), batch=2).loop(backend)
    for dtype in ("uint8", "float64", "float16", "uint8"):
        data = np.arange(30).reshape(10, 3).astype(dtype)
        (log,) = finished(loop.start(LoopData([data], np.arange(10)[::-1]))).logs
        np.testing.assert_array_equal(log.reshape(10, 3), np.arange(30.0).reshape(10, 3)[::-1] + 1)


# Fixed inputs, series, state and logs.


def _everything(x: Any, k: Any, t: Any, s: Any) -> tuple:
    return x * k + t, ops.sum(x), s, s + t * ops.sum(x * k, 0)


@BACKENDS
@given(SIZES, SIZES)
def test_fixed_inputs_stay_series_move_on_and_state_is_carried(backend, batch, width):
    data = LoopData(
        [integers(9, width)],
        np.random.default_rng(width).integers(0, 9, 5 * batch),
        [integers(batch, width, seed=1)],
        [integers(5, seed=2)],
        [integers(width, seed=3)],
    )
    case = Case(_everything, data, (0,), batch)
    assert_same(case.run(backend), case.by_hand())


@BACKENDS
def test_inputs_of_any_layout_are_read_and_never_changed(backend):
    k, t = np.asfortranarray(integers(3, 4)), np.repeat(integers(5, seed=1), 2)[::2]
    rows = integers(9, 4)
    for array in (rows, k, t):
        array.flags.writeable = False
    case = Case(_everything, LoopData([rows], np.arange(15) % 9, [k], [t], [integers(4)]), (0,), batch=3)
    assert_same(case.run(backend), case.by_hand())


@BACKENDS
def test_state_is_changed_in_place(backend):
    case = Case(lambda t, s: (s + t,), LoopData((), NOTHING, (), [np.ones(4)], [np.zeros((2, 2))]), (0,))
    data = case.fresh()
    (before,) = data.state
    run = case.loop(backend).start(data)
    assert (run.steps, run.done, before.sum()) == (4, 0, 0)
    finished(run)
    assert data.state[0] is before
    np.testing.assert_array_equal(before, np.full((2, 2), 4.0))


@BACKENDS
def test_a_loop_without_rows_and_series_has_one_step(backend):
    state = [np.array([1.0, 2.0])]
    loop = backends.get(backend).compile_loop(
        trace(lambda s: (s * 2.0,), Spec((2,), np.dtype("float64"))).graph, LoopForm(0, carried=(0,))
    )
    run = loop.start(LoopData((), NOTHING, state=state))
    assert (run.steps, run.advance(1), run.done) == (1, 1, 1)
    assert state[0].tolist() == [2.0, 4.0]


LOGS = {
    "a number": lambda x, k, t: (ops.sum(x),),
    "several": lambda x, k, t: (x + t, ops.max(x, 1), ops.argmax(x, 1)),
    "inputs": lambda x, k, t: (x, k, t),
    "one twice": lambda x, k, t: (x + k, x + k),
    "windows": lambda x, k, t: (ops.transpose(x), x[:, ::-2], ops.broadcast_to(t, (2, 3)), ops.reshape(x, (9,))),
    "constants": lambda x, k, t: (np.arange(3.0), 1.5),
    "none": lambda x, k, t: (),
}


@BACKENDS
@pytest.mark.parametrize("function", LOGS.values(), ids=LOGS)
def test_logs_hold_every_step(backend, function):
    data = LoopData([integers(8, 3)], np.arange(12) % 8, [integers(3, 3, seed=1)], [integers(4, seed=2)])
    case = Case(function, data, batch=3)
    assert_same(case.run(backend), case.by_hand())


def test_logs_are_made_of_the_graphs_types():
    case = Case(
        lambda t: (t > 0, ops.cast(t, np.dtype("int32"))), LoopData((), NOTHING, series=[np.array([-1.0, 2.0])])
    )
    for backend in ("reference", "cpu"):
        positive, whole = case.run(backend)
        assert (positive.dtype, whole.dtype) == (np.dtype("bool"), np.dtype("int32"))
        assert (positive.tolist(), whole.tolist()) == ([False, True], [-1, 2])


# New state and old state: t is a number of the step, a and b are square matrices.

EXCHANGES = {
    "swapped": lambda t, a, b: (b, a),
    "swapped and changed": lambda t, a, b: (b * 2.0, a + t),
    "swapped and transposed": lambda t, a, b: (ops.transpose(b), ops.flip(a, 0)),
    "one remembers the other": lambda t, a, b: (b, b + t),
    "one remembers the other mirrored": lambda t, a, b: (ops.flip(b, 0), b + t),
    "Fibonacci": lambda t, a, b: (b, a + b),
    "one stays": lambda t, a, b: (a, b + t),
    "both become one": lambda t, a, b: (a, a),
    "both become one sum": lambda t, a, b: (a + b,) * 2,
    "transposed": lambda t, a, b: (ops.transpose(a), b),
    "added to its transpose": lambda t, a, b: (a + ops.transpose(a), b),
    "added to its mirror image": lambda t, a, b: (a + ops.flip(a, 0), b),
    "shifted": lambda t, a, b: (ops.concatenate([a[1:], b[:1]], 0), b + t),
    "momentum": lambda t, a, b: (a + 2.0 * b - t, b + (2.0 * b - t)),
    "the second from the new first": lambda t, a, b: (a + t, b - (a + t)),
    "sums": lambda t, a, b: (a + ops.sum(b, 0), b - ops.sum(a, 1, True)),
    "product added": lambda t, a, b: (a - a @ b, ops.minimum(b, t)),
    "product from the left added": lambda t, a, b: (a - b @ a, b),
    "product alone": lambda t, a, b: (b @ b, b - t),
    "mirror image of a result": lambda t, a, b: (ops.flip(b + t, 0), b - t),
    "parts of results": lambda t, a, b: (ops.concatenate([b[:1] + t, b[1:]], 0), b - t),
    "numbers of the step": lambda t, a, b: (ops.broadcast_to(t, (3, 3)), a),
    "constants": lambda t, a, b: (np.ones((3, 3)), np.ones((3, 3))),
}


def exchange(function: Callable, *, logged: bool = False) -> Case:
    """Five steps of a function of two states."""
    data = LoopData((), NOTHING, series=[integers(5, seed=2)], state=[integers(3, 3), integers(3, 3, seed=1)])
    return Case((lambda t, a, b: (a, b, *function(t, a, b))) if logged else function, data, (0, 1))


@BACKENDS
@pytest.mark.parametrize("function", EXCHANGES.values(), ids=EXCHANGES)
def test_new_state_is_made_of_the_old_state(backend, function):
    case = exchange(function)
    assert_same(case.run(backend), case.by_hand())


@BACKENDS
@pytest.mark.parametrize("function", EXCHANGES.values(), ids=EXCHANGES)
def test_states_are_logged_as_they_are_before_the_step(backend, function):
    case = exchange(function, logged=True)
    assert_same(case.run(backend), case.by_hand())


READERS = {
    "itself": lambda a, new: a,
    "transpose": lambda a, new: ops.transpose(a),
    "slice": lambda a, new: a[1:, ::2],
    "sum": lambda a, new: ops.sum(a),
    "double": lambda a, new: a * 2.0,
    "double of the transpose": lambda a, new: ops.transpose(a) * 2.0,
    "double of the mirror image": lambda a, new: ops.flip(a, 0) * 2.0,
    "product of the transpose": lambda a, new: ops.transpose(a) @ a,
    "transpose in one row": lambda a, new: ops.reshape(ops.transpose(a), (9,)),
    "change": lambda a, new: new - a,
    "change of the transpose": lambda a, new: ops.transpose(new) - ops.transpose(a),
    "only the new one": lambda a, new: new,
    "transpose of the new one": lambda a, new: ops.transpose(new),
}


@BACKENDS
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_is_read_from_a_state_is_from_before_its_replacement(backend, reader):
    def function(t: Any, a: Any) -> tuple:
        new = a * 2.0 + t  # written down first: the reader's turn would come later
        return reader(a, new), new

    case = Case(function, LoopData((), NOTHING, series=[integers(4, seed=1)], state=[integers(3, 3)]), (0,))
    assert_same(case.run(backend), case.by_hand())


@BACKENDS
def test_states_that_are_not_carried_stay(backend):
    data = LoopData((), NOTHING, series=[integers(4)], state=[integers(3, seed=k) for k in range(3)])
    case = Case(lambda t, a, b, c: (c + t, a + c, b + a), data, carried=(2, 0))
    assert_same(case.run(backend), case.by_hand())


def _filtered(x: Any, k: Any) -> Any:
    return ops.conv(x, k, padding="same")


IMAGES = {
    "filtered before and after": lambda k, t, a, b: (_filtered(a, k), _filtered(a + t, k), a + t, b),
    "filtered": lambda k, t, a, b: (ops.clip(_filtered(a, k), -9.0, 9.0), b),
    "the other filtered": lambda k, t, a, b: (_filtered(b, k), b - t),
    "the other filtered and changed": lambda k, t, a, b: (ops.maximum(_filtered(b, k) + t, 0.0), b - t),
    "added to the other filtered": lambda k, t, a, b: (a - _filtered(b, k), b - t),
    "the larger neighbour": lambda k, t, a, b: (ops.max_pool(a, 2, 1, padding="same"), ops.max_pool(a, 2, 1, "same")),
}


@BACKENDS
@pytest.mark.parametrize("shape", [(16, 2, 3, 1), (3, 2, 3, 8)], ids=["many samples", "many channels"])
@pytest.mark.parametrize("function", IMAGES.values(), ids=IMAGES)
def test_state_that_is_images_is_replaced_too(backend, function, shape):
    kernel = integers(3, 3, shape[-1], shape[-1], seed=3)
    data = LoopData((), NOTHING, [kernel], [integers(4)], [integers(*shape, seed=1), integers(*shape, seed=2)])
    case = Case(function, data, (0, 1))
    assert_same(case.run(backend), case.by_hand())


OPERATIONS: list[Callable] = [
    lambda a, b, t: a + b,
    lambda a, b, t: ops.maximum(a, b - t),
    lambda a, b, t: a * 2.0 + t,
    lambda a, b, t: ops.transpose(a),
    lambda a, b, t: ops.flip(a, 1),
    lambda a, b, t: a @ b,
    lambda a, b, t: b - a @ b,
    lambda a, b, t: ops.sum(a, 0, True) + b,
    lambda a, b, t: b - ops.sum(a, 1, True),
    lambda a, b, t: ops.concatenate([a[1:], b[:1]], 0),
]


@st.composite
def programs(draw: st.DrawFn) -> Case:
    """Random operations on a batch and two states; what is logged and what becomes state is drawn, too."""
    n = draw(SIZES)
    places = st.integers(0, 10**6)
    code = draw(st.lists(st.tuples(st.sampled_from(OPERATIONS), places, places), min_size=1, max_size=6))
    chosen = draw(st.lists(places, min_size=2, max_size=4))

    def function(x: Any, t: Any, a: Any, b: Any) -> list:
        known = [x, a, b]
        for operation, i, j in code:
            result = operation(known[i % len(known)], known[j % len(known)], t)
            known.append(ops.clip(result, -9.0, 9.0) if i % 2 else result)
        # Clipped, so that no state outgrows the whole numbers that float64 holds.
        values = [known[i % len(known)] for i in chosen]
        return [v if i % 3 else ops.clip(v, -9.0, 9.0) for i, v in zip(chosen, values, strict=True)]

    data = LoopData(
        [integers(2 * n, n)], np.arange(3 * n) % (2 * n), (), [integers(3)], [integers(n, n, seed=k) for k in (1, 2)]
    )
    return Case(function, data, tuple(draw(st.permutations([0, 1]))), batch=n)


@given(programs())
def test_any_program_gives_the_same_numbers_everywhere(case):
    expected = case.run("reference")
    if all(np.abs(v).max() < 2**50 for v in expected):
        assert_same(case.run("cpu"), expected)


# In pieces.


def descent(batch: int, width: int, dtype: str = "float32") -> Case:
    """Gradient descent with momentum on linear regression; logs the loss."""

    def step(x: Any, y: Any, decay: Any, rate: Any, w: Any, m: Any) -> tuple:
        error = x @ w - y
        m = decay * m - rate * (ops.transpose(x) @ error)
        return ops.sum(error * error), error, w + m, m

    r = np.random.default_rng(batch * 100 + width)
    x, w = r.normal(size=(40, width)).astype(dtype), r.normal(size=(width, 3)).astype(dtype)
    data = LoopData(
        [x, x @ w],
        r.integers(0, 40, 12 * batch),
        [np.asarray(0.5, dtype)],
        [np.linspace(0.01, 0.002, 12).astype(dtype) / batch],
        [np.zeros((width, 3), dtype), np.zeros((width, 3), dtype)],
    )
    return Case(step, data, (0, 1), batch, dtype)


@given(SIZES, SIZES, st.sampled_from(["float32", "float64"]))
def test_training_steps_agree_with_the_reference(batch, width, dtype):
    case = descent(batch, width, dtype)
    for one, other in zip(case.run("cpu"), case.run("reference"), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4 if dtype == "float32" else 1e-12)


@BACKENDS
@given(SIZES, SIZES, st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_pieces_give_the_same_bits_as_the_whole(backend, batch, width, pieces):
    case = descent(batch, width)
    data, loop = case.fresh(), case.loop(backend)
    run = loop.start(data)
    for piece in pieces:
        before = run.done
        if before < run.steps:
            made = run.advance(piece)
            assert 1 <= made <= piece
            assert run.done == before + made
    found = [*finished(run).logs, *data.state]
    again = case.fresh()
    assert_same(found, [*finished(loop.start(again)).logs, *again.state])


@BACKENDS
@pytest.mark.parametrize("form", [lambda x: x, lambda x: x.astype("float16")], ids=["in place", "by blocks"])
def test_a_loop_goes_on_from_any_step(backend, form):
    case = descent(7, 16)
    case = replace(case, data=replace(case.data, rows=[form(a) for a in case.data.rows]))
    loop, data = case.loop(backend), case.fresh()
    run = loop.start(data)
    while run.done < 5:
        run.advance(1)
    later = replace(data, state=[a.copy() for a in data.state])
    rest = loop.start(later, first=5)
    assert (rest.done, rest.steps) == (5, 12)
    assert_same([log[5:] for log in finished(rest).logs], [log[5:] for log in finished(run).logs])
    assert_same(later.state, data.state)


@BACKENDS
def test_runs_of_one_loop_do_not_disturb_each_other(backend):
    case = descent(7, 7)
    loop, expected = case.loop(backend), case.run(backend)
    data = [case.fresh(), case.fresh()]
    runs = [loop.start(d) for d in data]
    while runs[1].done < runs[1].steps:
        for run, most in zip(runs, (3, 1), strict=True):
            if run.done < run.steps:
                run.advance(most)
    for run, d in zip(runs, data, strict=True):
        assert_same([*run.logs, *d.state], expected)


def test_threads_give_the_same_bits_as_one(monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    monkeypatch.setattr(PACE, lambda self, steps, share: (share, min(steps, 5)))
    found = []
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            found.append(descent(17, 16).run("cpu"))
    finally:
        set_num_threads(None)
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


# When something goes wrong.


@BACKENDS
def test_an_index_outside_its_axis_is_an_error_and_the_loop_can_be_used_again(backend):
    table = integers(3, 2)
    data = LoopData([np.array([2, 0, 1, 5])], np.arange(4), [table])
    case = Case(lambda i, table: (ops.gather(table, i),), data, dtype="int64")
    loop = case.loop(backend)
    with pytest.raises(DataError, match=r"gather: the index 5 lies outside 0\.\.2"):
        finished(loop.start(data))
    (log,) = finished(loop.start(replace(data, order=np.arange(3)))).logs
    np.testing.assert_array_equal(log[:, 0], table[[2, 0, 1]])


@pytest.mark.parametrize("made", [0, 3])
def test_steps_that_were_made_before_an_interrupt_count(monkeypatch, made):
    case = descent(7, 7)
    loop, data = case.loop("cpu"), case.fresh()
    run = loop.start(data)
    run.advance(1)
    finished(loop.start(case.fresh()))

    def interrupted(script: np.ndarray, threads: int, original: Callable = POOL.run) -> None:
        if made:
            script[0, runner.LINE_STEPS] = made
            original(script, threads)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(POOL, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run.advance(9)
    assert run.done == 1 + made
    assert_same([*finished(run).logs, *data.state], case.run("cpu"))


def _wrong(field: str, number: int, change: Callable) -> Callable[[LoopData], LoopData]:
    def changed(data: LoopData) -> LoopData:
        arrays = list(getattr(data, field))
        arrays[number] = change(arrays[number])
        return replace(data, **{field: arrays})

    return changed


MISTAKES = [
    (_wrong("rows", 0, lambda x: x[:, :2]), "input x needs float32[3], but an array of [2] was given"),
    (_wrong("rows", 0, lambda x: x[:, 0]), "input x needs float32[3], but an array of [] was given"),
    (_wrong("fixed", 0, lambda k: k.astype("float64")), "input k needs float32[3], but float64[3] was given"),
    (_wrong("fixed", 0, lambda k: k[:1]), "input k needs float32[3], but float32[1] was given"),
    (_wrong("series", 0, lambda t: t[:1]), "input t needs float64[2], but float64[1] was given"),
    (_wrong("series", 0, lambda t: t[:, None]), "input t needs float64[2], but float64[2, 1] was given"),
    (_wrong("series", 0, lambda t: t.astype("f4")), "input t needs float64[2], but float32[2] was given"),
    (_wrong("state", 0, lambda s: s.T), "input s needs float32[4, 3], but float32[3, 4] was given"),
    (_wrong("state", 0, lambda s: s.astype("i4")), "input s needs float32[4, 3], but int32[4, 3] was given"),
    (_wrong("state", 0, lambda s: s.astype(">f4")), "input s needs float32[4, 3], but >f4[4, 3] was given"),
    (_wrong("state", 0, np.asfortranarray), "state must lie in arrays in row order (C-contiguous)"),
    (_wrong("state", 0, lambda s: np.repeat(s, 2, 0)[::2]), "state must lie in arrays in row order (C-contiguous)"),
]


@BACKENDS
@pytest.mark.parametrize(("mistake", "text"), MISTAKES)
def test_arrays_that_do_not_fit_are_refused(backend, mistake, text):
    f4 = np.dtype("float32")
    graph = trace(
        lambda x, k, t, s: (x * k + ops.cast(t, f4), s + 1.0),
        *(Spec((5, 3), f4), Spec((3,), f4), Spec((), np.dtype("float64")), Spec((4, 3), f4)),
        name="step",
        arg_names=["x", "k", "t", "s"],
    ).graph
    loop = backends.get(backend).compile_loop(graph, LoopForm(1, 1, 1, (0,)))
    good = LoopData(
        [integers(9, 3)], np.arange(10) % 9, [np.ones(3, f4)], [np.zeros(2)], [integers(4, 3, dtype="float32")]
    )
    assert (loop.batch, loop.start(good).steps) == (5, 2)
    with pytest.raises(ShapeError) as error:
        loop.start(mistake(good))
    assert str(error.value) == f"loop step: {text}"
