"""compile: traced once per shape, seeing and assigning the tensors it closes over."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from pellucid import backends, ops
from pellucid.autodiff import grad
from pellucid.backends import ReferenceBackend
from pellucid.compile import compile
from pellucid.errors import ConfigurationError, DataError, ShapeError, TraceError
from pellucid.tensor import Tensor, no_grad


def test_the_function_runs_once_per_combination_of_shapes() -> None:
    calls = []

    def double(x: Any) -> Any:
        calls.append(x.shape)
        return x * 2

    doubled = compile(double)
    for _ in range(3):
        assert doubled(np.ones(2, "float32")).tolist() == [2.0, 2.0]
    assert calls == [(2,)]
    doubled(np.ones(3, "float32"))
    doubled(np.ones(2, "float64"))
    doubled(Tensor([1.0, 2.0]))
    assert calls == [(2,), (3,), (2,)]


def test_it_keeps_the_functions_name_and_documentation() -> None:
    @compile
    def loss(x: Any) -> Any:
        """The loss."""
        return x

    assert (loss.__name__, loss.__doc__) == ("loss", "The loss.")
    assert str(loss.graph(1.0)).startswith("graph loss(")


def test_nests_go_in_and_come_out() -> None:
    swap = compile(lambda pair, options: {"first": pair[1], "rest": [pair[0] * options["scale"], 7.0]})
    found = swap((Tensor([1.0, 2.0]), 3), {"scale": 10.0})
    assert found["first"].item() == 3
    assert found["first"].dtype == np.int32
    assert found["rest"][0].tolist() == [10.0, 20.0]
    assert found["rest"][1].item() == 7.0


def test_closed_over_tensors_are_read_at_every_call() -> None:
    w = Tensor([1.0, 2.0], name="w")
    scaled = compile(lambda x: x * w)
    assert scaled(3.0).tolist() == [3.0, 6.0]
    w.assign([10.0, 20.0])
    assert scaled(3.0).tolist() == [30.0, 60.0]
    assert "w: float32[2]" in str(scaled.graph(3.0))


def test_assignments_take_effect_after_the_call_and_are_seen_within_it() -> None:
    count = Tensor(0.0)

    @compile
    def step(x: Any) -> Any:
        before = count * 1
        count.assign(count + x)
        return before, count * 100

    for expected in (0.0, 2.0, 4.0):
        before, after = step(2.0)
        assert (before.item(), after.item()) == (expected, 100 * (expected + 2))
    assert count.item() == 6.0


def test_gradient_descent_in_a_compiled_step_reaches_the_minimum() -> None:
    w = Tensor([4.0, -3.0])

    @compile
    def step(target: Any) -> Any:
        def loss(weights: Any) -> Any:
            return ((weights - target) ** 2).sum()

        w.assign(w - 0.1 * grad(loss)(w))
        return loss(w)

    losses = [step(np.array([1.0, 2.0], "float32")).item() for _ in range(60)]
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_allclose(w.numpy(), [1.0, 2.0], atol=1e-4)


def test_large_constants_are_told_apart_by_their_content() -> None:
    """Arrays made on the fly live at one address after the other: an address is no identity."""

    def add_all(x: Any) -> Any:
        for number in range(5):
            x = x + np.full(1000, number, "float32")
        buffer = np.ones(1000, "float32")
        x = x + buffer
        buffer[:] = 100
        return x + buffer

    assert set(compile(add_all)(np.zeros(1000, "float32")).tolist()) == {0.0 + 1 + 2 + 3 + 4 + 1 + 100}


def test_equal_constants_are_stored_once() -> None:
    graph = compile(lambda x: (x + np.ones(1000, "float32")) * np.ones(1000, "float32")).graph(
        np.zeros(1000, "float32")
    )
    assert len(graph.constants) == 1


def test_a_compiled_function_inside_another_becomes_part_of_it() -> None:
    inner = compile(lambda x: x * x)
    outer = compile(lambda x: inner(x) + 1)
    assert outer(3.0).item() == 10.0
    assert [node.op.name for node in outer.graph(3.0).nodes] == ["mul", "add"]


def test_a_compiled_function_can_be_differentiated() -> None:
    square = compile(lambda x: (x * x).sum())
    assert grad(square)(np.array([1.0, 2.0])).tolist() == [2.0, 4.0]
    assert grad(grad(compile(lambda x: x**3)))(2.0).item() == 12.0
    w = Tensor([3.0], requires_grad=True)
    square(w).backward()
    assert w.grad.tolist() == [6.0]
    with no_grad():
        assert not square(w).requires_grad


def test_results_belong_to_the_caller() -> None:
    w = Tensor([1.0, 2.0])
    same = compile(lambda: w)
    result = same()
    w.assign([5.0, 5.0])
    assert result.tolist() == [1.0, 2.0]


def test_eager_and_compiled_errors_say_the_same() -> None:
    def wrong(x: Any) -> Any:
        return x @ np.ones((4, 2), "float32")

    messages = []
    for function in (wrong, compile(wrong)):
        with pytest.raises(ShapeError) as error:
            function(Tensor(np.ones((2, 3), "float32")))
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("matmul: inner sizes differ: 3 (x, axis 1) != 4 (w, axis 0)")


def test_errors_of_the_data_come_at_run_time() -> None:
    pick = compile(lambda x, i: ops.gather(x, i))
    assert pick(np.ones(3), np.array([2])).tolist() == [1.0]
    with pytest.raises(DataError, match=r"^gather: the index 3 lies outside 0\.\.2\.$"):
        pick(np.ones(3), np.array([3]))


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: x if x > 0 else -x,
        lambda x: x * float(x),
        lambda x: x * int(x),
        lambda x: x * x.item(),
        lambda x: x * np.asarray(x),
        lambda x: x * x.tolist(),
        lambda x: x * x.numpy(),
        lambda x: [1.0, 2.0][x.astype("int32")] * x,
    ],
)
def test_python_cannot_decide_on_traced_numbers(decide: Any) -> None:
    with pytest.raises(TraceError) as error:
        compile(decide)(1.0)
    assert str(error.value).endswith(
        "has no number yet, so Python cannot decide or count with it.\n"
        "Hint: use where(...) instead of if, and operations of pellucid.ops instead of float(), int() or NumPy"
    )


@pytest.mark.parametrize(
    "read", [float, bool, np.asarray, lambda w: w.item(), lambda w: w.numpy(), lambda w: w.tolist()]
)
def test_a_tensor_in_use_by_the_trace_cannot_be_read(read: Any) -> None:
    w = Tensor(2.0, name="rate")

    def function(x: Any) -> Any:
        y = x * w
        return y * read(w)

    with pytest.raises(TraceError) as error:
        compile(function)(1.0)
    assert str(error.value) == (
        "The tensor rate has no number while a function is traced.\n"
        "Hint: use operations of pellucid.ops instead of float(), int() or NumPy"
    )


def test_backends_are_chosen_by_name_object_or_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in ("reference", "auto", ReferenceBackend(), None):
        assert compile(lambda x: x + 1, backend)(1.0).item() == 2.0
    monkeypatch.setenv("PELLUCID_BACKEND", "gpu")
    with pytest.raises(ConfigurationError, match=r"^Unknown backend 'gpu'; known are: auto, .*reference"):
        compile(lambda x: x)
    assert "auto" in backends.names()


def test_two_threads_trace_and_run_at_once() -> None:
    barrier, results = threading.Barrier(2), {}

    def work(number: int) -> None:
        w = Tensor(float(number))

        def function(x: Any) -> Any:
            barrier.wait(timeout=10)  # both are in the middle of their trace
            return (x + w) * number

        results[number] = compile(function)(10.0).item()

    threads = [threading.Thread(target=work, args=(number,)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {2: 24.0, 3: 39.0}


def test_thousands_of_chained_operations_compile_and_differentiate() -> None:
    def chain(x: Any) -> Any:
        y = x
        for _ in range(5000):
            y = y + x
        return y * y

    assert compile(chain)(np.asarray(1.0)).item() == 5001.0**2
    assert compile(grad(chain))(np.asarray(1.0)).item() == 2 * 5001.0**2


def test_traced_values_can_be_detached():
    compiled = compile(grad(lambda w: (w * w.detach()).sum()))
    np.testing.assert_array_equal(compiled(np.array([2.0, 3.0], np.float32)), [2.0, 3.0])
