"""Tracing: a function becomes a graph, tensors become inputs or constants, variables stay inside."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, NUMBER, VECTOR, graph_of, names, run

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.errors import DTypeError, ShapeError, TraceError
from pellucid.graph import inline, trace
from pellucid.graph.trace import spec_of
from pellucid.op import Spec
from pellucid.tensor import Tensor


def test_arguments_may_be_specs_tensors_arrays_or_numbers_in_nests() -> None:
    traced = trace(
        lambda p, x: {"y": p["w"] * x, "twice": (x + x,)},
        {"w": Tensor([1.0, 2.0])},
        3.0,
        arg_names=["w", "x"],
    )
    assert [str(v.spec) for v in traced.graph.inputs] == ["float32[2]", "float32[]"]
    assert [v.name for v in traced.graph.inputs] == ["w", "x"]
    assert traced.structure.keys == ("twice", "y")
    twice, y = run(traced.graph, [1.0, 2.0], 3.0)
    assert (twice.tolist(), y.tolist()) == (6.0, [3.0, 6.0])


def test_specs_are_read_off_anything() -> None:
    assert spec_of(VECTOR) is VECTOR
    assert spec_of(Tensor([1, 2])) == Spec((2,), np.dtype("int32"))
    assert spec_of(np.ones((1, 2))) == Spec((1, 2), np.dtype("float64"))
    assert spec_of(2.5) == NUMBER


def test_a_foreign_tensor_is_a_constant_an_input_or_captured() -> None:
    w = Tensor([1.0, 2.0, 3.0], name="w")

    def function(x: Any) -> Any:
        return x * w

    constant = trace(function, VECTOR)
    assert (len(constant.graph.inputs), len(constant.graph.constants), constant.captured) == (1, 1, ())
    for traced in (trace(function, VECTOR, bind=[w]), trace(function, VECTOR, capture=True)):
        assert traced.captured == (w,)
        assert [v.name for v in traced.graph.inputs] == [None, "w"]
        assert traced.graph.constants == ()


def test_arithmetic_on_plain_numbers_is_carried_out_at_once() -> None:
    graph = graph_of(lambda x: x * ops.exp(ops.add(1.0, 1.0)), VECTOR)
    assert names(graph) == ["mul"]
    ((_, value),) = graph.constants
    assert value == np.exp(np.float32(2))


def test_constants_are_copies_and_equal_ones_are_stored_once() -> None:
    array = np.ones(3, "float32")
    graph = graph_of(lambda x: (x + array) * np.ones(3, "float32") + 2 - 2.0, VECTOR)
    array[0] = 9
    assert len(graph.constants) == 2
    assert run(graph, [0, 0, 0])[0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("size", [3, 1000])
def test_an_array_that_changes_between_uses_is_two_constants(size: int) -> None:
    def function(x: Any) -> Any:
        buffer = np.zeros(size, "float32")
        for number in (1, 10):
            buffer[:] = number
            x = x + buffer
        return x

    assert set(run(graph_of(function, Spec((size,), F32)), np.zeros(size))[0].tolist()) == {11.0}


def test_negative_zero_is_another_constant_than_zero() -> None:
    graph = graph_of(lambda x: (x * np.float32(0.0), x * np.float32(-0.0)), NUMBER)
    assert [str(value) for value in run(graph, 1.0)] == ["0.0", "-0.0"]


def test_assignments_are_outputs_of_the_graph() -> None:
    w = Tensor([1.0, 2.0, 3.0], name="w")

    def function(x: Any) -> Any:
        w.assign(w + x)
        return w * 10

    traced = trace(function, VECTOR, bind=[w])
    assert traced.assigned == (w,)
    result, new = run(traced.graph, [1, 1, 1], [1, 2, 3])
    assert (result.tolist(), new.tolist()) == ([20.0, 30.0, 40.0], [2.0, 3.0, 4.0])
    assert w.tolist() == [1.0, 2.0, 3.0]


def test_wrong_assignments_are_explained() -> None:
    w = Tensor([1.0], name="w")
    with pytest.raises(ShapeError) as error:
        trace(lambda x: w.assign(x), VECTOR, bind=[w])
    assert str(error.value) == 'assign: the tensor "w" is float32[1], the new value float32[3]'
    with pytest.raises(TraceError) as refused:
        trace(lambda x: w.assign(x), Spec((1,), F32))
    assert str(refused.value) == (
        "The tensor w is not an input of the trace, so it cannot be assigned.\n"
        "Hint: bind it, or return the value instead"
    )


def test_a_variable_of_another_trace_is_refused() -> None:
    leaked: list[Any] = []
    trace(lambda x: leaked.append(x) or x, VECTOR)
    with pytest.raises(TraceError) as error:
        trace(lambda x: x + leaked[0], VECTOR)
    assert str(error.value) == (
        "The traced variable Var(float32[3]) belongs to another trace.\n"
        "Hint: return values from a traced function instead of storing them outside"
    )


def test_a_trace_that_fails_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError):
        trace(lambda x: 1 / 0, VECTOR)
    assert (Tensor([1.0]) + 1).tolist() == [2.0]


def test_constant_results_are_constants() -> None:
    traced = trace(lambda x: (3.0, x, Tensor([1, 2])), VECTOR)
    three, x, pair = run(traced.graph, [1, 2, 3])
    assert (three.item(), x.tolist(), pair.tolist()) == (3.0, [1.0, 2.0, 3.0], [1, 2])


def test_graphs_are_named_after_their_function() -> None:
    def loss(x: Any) -> Any:
        return x

    assert graph_of(loss, VECTOR).name == "loss"
    assert graph_of(lambda x: x, VECTOR).name == "f"
    assert graph_of(loss, VECTOR, name="mine").name == "mine"


def test_gradients_by_integers_are_refused_in_traces_too() -> None:
    with pytest.raises(DTypeError) as error:
        trace(grad(lambda x: x * 2), Spec((), np.dtype("int32")))
    assert str(error.value) == (
        "grad: the argument is int32[]; only float arrays have gradients.\nHint: convert it with .astype('float32')"
    )


def test_two_threads_trace_at_once() -> None:
    barrier, graphs = threading.Barrier(2), {}

    def work(number: int) -> None:
        def function(x: Any) -> Any:
            for _ in range(20):
                barrier.wait(timeout=10)
                x = x + number
            return x

        graphs[number] = graph_of(function, VECTOR)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in (1, 2):
        assert names(graphs[number]) == ["add"] * 20
        assert run(graphs[number], [0, 0, 0])[0].tolist() == [20.0 * number] * 3


# inline.


def test_inlining_copies_a_graph_into_a_trace_or_carries_it_out() -> None:
    inner = graph_of(lambda x: (x * 2, x.sum()), VECTOR)
    doubled, total = inline(inner, Tensor([1.0, 2.0, 3.0]))
    assert (doubled.tolist(), total.item()) == ([2.0, 4.0, 6.0], 6.0)
    outer = graph_of(lambda x: inline(inner, x + 1)[0], VECTOR)
    assert names(outer) == ["add", "mul", "sum"]
    assert run(outer, [0, 1, 2])[0].tolist() == [2.0, 4.0, 6.0]


def test_gradients_flow_through_an_inlined_graph() -> None:
    inner = graph_of(lambda x: (x * x).sum(), VECTOR)
    assert grad(lambda x: inline(inner, x)[0])(np.array([1, 2, 3], "float32")).tolist() == [2.0, 4.0, 6.0]


def test_inlining_checks_its_values() -> None:
    inner = graph_of(lambda x, y: x @ y, MATRIX, Spec((3, 1), F32), name="product", arg_names=["x", "y"])
    with pytest.raises(ShapeError, match=r"^graph product takes 2 inputs, not 1$"):
        inline(inner, np.ones((2, 3), "float32"))
    with pytest.raises(ShapeError, match=r"^graph product: input y is float32\[3, 1\], not float64\[3, 1\]$"):
        inline(inner, np.ones((2, 3), "float32"), np.ones((3, 1)))


def test_a_trace_of_thousands_of_operations() -> None:
    def chain(x: Any) -> Any:
        for _ in range(5000):
            x = x + 1.0
        return x

    graph = graph_of(chain, NUMBER)
    assert len(graph.nodes) == 5000
    assert run(graph, 0.0)[0] == 5000.0
