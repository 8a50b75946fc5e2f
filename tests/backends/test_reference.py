"""The reference backend: a list of NumPy calls that frees what it no longer needs."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, NUMBER, VECTOR, graph_of, numbers

from pellucid import ops
from pellucid.backends import ReferenceBackend
from pellucid.backends.reference import ReferenceExecutable
from pellucid.graph import gradient
from pellucid.op import Spec


def executable(function: Any, *specs: Any) -> ReferenceExecutable:
    compiled = ReferenceBackend().compile(graph_of(function, *specs))
    assert isinstance(compiled, ReferenceExecutable)
    return compiled


def test_results_are_numpys() -> None:
    x, w = numbers(MATRIX), numbers(Spec((3, 4), F32))
    (found,) = executable(lambda a, b: ops.tanh(a @ b), MATRIX, Spec((3, 4), F32))(x, w)
    np.testing.assert_array_equal(found, np.tanh(x @ w))


def test_each_value_is_freed_after_its_last_use_and_outputs_never() -> None:
    def function(x: Any) -> Any:
        a = ops.exp(x)
        b = a * a
        c = b + a
        ops.sin(c)  # needed by nobody
        return b, ops.neg(c)

    compiled = executable(function, VECTOR)
    freed = [set(call.free) for call in compiled._instructions]
    slot = {node.output: call.output for node, call in zip(compiled.graph.nodes, compiled._instructions, strict=True)}
    x, (a, b, c, d, e) = 0, slot.values()
    assert freed == [{x}, set(), {a}, {d}, {c}]
    assert not {b, e} & set().union(*freed)


def test_runs_do_not_disturb_each_other() -> None:
    compiled = executable(lambda x: (x * 2, ops.exp(x) + 1), VECTOR)
    first = compiled(np.array([1, 2, 3], "float32"))
    second = compiled(np.array([10, 20, 30], "float32"))
    assert first[0].tolist() == [2.0, 4.0, 6.0]
    assert second[0].tolist() == [20.0, 40.0, 60.0]


def test_threads_can_share_an_executable() -> None:
    compiled = executable(lambda x: ops.exp(x) * x + x, VECTOR)
    inputs = [np.full(3, k / 10, "float32") for k in range(20)]
    expected = [compiled(x)[0] for x in inputs]
    results: dict[int, list] = {}

    def work(number: int) -> None:
        results[number] = [compiled(x)[0] for x in inputs]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        np.testing.assert_array_equal(results[number], expected)


def test_inputs_and_constants_are_never_written_to() -> None:
    x = np.array([1, 2, 3], "float32")
    x.flags.writeable = False
    graph = gradient(graph_of(lambda a: ((a + np.ones(3, "float32")) ** 2).sum(), VECTOR), [0])
    for _, value in graph.constants:
        value.flags.writeable = False
    assert ReferenceBackend().compile(graph)(x)[1].tolist() == [4.0, 6.0, 8.0]


def test_numbers_that_overflow_do_so_silently() -> None:
    (found,) = executable(lambda x: (ops.exp(x * 1000) - ops.exp(x * 1000), ops.log(x - x))[0], VECTOR)(
        np.ones(3, "float32")
    )
    assert np.isnan(found).all()


def test_scalars_come_out_as_arrays() -> None:
    for result in executable(lambda x: (x * 2, x, ops.exp(x).sum()), NUMBER)(np.asarray(1, "float32")):
        assert isinstance(result, np.ndarray)
        assert result.shape == ()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_outputs(count: int) -> None:
    found = executable(lambda x: [x * k for k in range(2, 2 + count)], VECTOR)(np.ones(3, "float32"))
    assert [out.tolist() for out in found] == [[k] * 3 for k in range(2, 2 + count)]
