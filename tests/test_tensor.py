"""Eager tensors: what they hold, how gradients add up, and how they meet other libraries."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from pellucid import ops
from pellucid.errors import DifferentiationError, DTypeError, ShapeError, TraceError
from pellucid.graph import trace
from pellucid.op import Spec
from pellucid.tensor import Tensor, no_grad


def tracked(data: Any, **options: Any) -> Tensor:
    return Tensor(data, requires_grad=True, **options)


# What a tensor holds.


def test_a_tensor_copies_what_it_is_given() -> None:
    array = np.ones(3, "float32")
    x = Tensor(array)
    array[0] = 7
    assert x.tolist() == [1.0, 1.0, 1.0]
    y = Tensor(x, "float64")
    x.assign([2.0, 2.0, 2.0])
    assert y.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, "int32"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2], "int32"),
        ([1.0, 2], "float32"),
        ([True], "bool"),
        ([], "float32"),
        (np.ones(2), "float64"),
        (np.float64(1.0), "float32"),
        (np.float32(1.0), "float32"),
        (np.int64(1), "int64"),
        (range(3), "int32"),
    ],
)
def test_the_type_follows_the_data(data: Any, dtype: str) -> None:
    assert Tensor(data).dtype == dtype


@pytest.mark.parametrize("dtype", ["float", float, "float32", np.float32, np.dtype("float32")])
def test_every_spelling_of_a_type_is_taken(dtype: Any) -> None:
    for data in (1, [1, 2], np.ones(2), Tensor([1, 2])):
        assert Tensor(data, dtype).dtype == np.float32


def test_numbers_come_out_as_python_and_numpy() -> None:
    x = Tensor([[1.5, 2.5]])
    assert x.tolist() == [[1.5, 2.5]]
    assert x[0, 1].item() == 2.5
    assert float(Tensor(2.0)) == 2.0
    assert int(Tensor([3])) == 3
    assert [10, 20, 30][Tensor(1)] == 20
    assert bool(Tensor([True])) is True
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0, 0] = 1
    np.testing.assert_array_equal(np.asarray(x), x.numpy())
    assert np.asarray(x, "float64").dtype == np.float64
    copied = np.array(x)
    copied[0, 0] = 9
    assert x.tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.item(), ShapeError, "item: a tensor of shape [2] holds 2 numbers, not one"),
        (lambda x: float(x), ShapeError, "item: a tensor of shape [2] holds 2 numbers, not one"),
        (
            lambda x: bool(x),
            ShapeError,
            "the truth of a tensor of shape [2] is not one value\n"
            "Hint: reduce it first, for instance with .min() or .max()",
        ),
        (
            lambda x: [1, 2][x[0]],
            DTypeError,
            "A float32 tensor is no index.\nHint: convert it with .astype('int32')",
        ),
        (lambda x: x.assign([1.0]), ShapeError, "assign: the tensor is float32[2], the new value [1]"),
    ],
)
def test_misuse_is_explained(call: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        call(Tensor([1.0, 2.0]))
    assert str(caught.value) == message


def test_only_floats_can_require_gradients() -> None:
    with pytest.raises(DTypeError) as error:
        Tensor([1, 2], requires_grad=True)
    assert str(error.value) == "Only float tensors have gradients, not int32.\nHint: use dtype='float32'"


def test_the_printed_form_shows_what_is_not_obvious() -> None:
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(Tensor([1, 2])) == "Tensor([1, 2], dtype=int32)"
    assert repr(tracked(np.ones(1))) == "Tensor([1.], dtype=float64, requires_grad=True)"
    assert "..." in repr(Tensor(np.zeros(1000)))


def test_a_deep_copy_is_a_leaf_of_its_own() -> None:
    x = tracked([1.0], name="w")
    y = x * 2
    twin = copy.deepcopy(y)
    assert (twin.tolist(), twin.record, twin.requires_grad) == ([2.0], None, True)
    twin.assign([5.0])
    assert y.tolist() == [2.0]
    assert copy.deepcopy(x).name == "w"


# Gradients.


def test_backward_adds_to_what_is_there() -> None:
    w = tracked([2.0, -1.0])
    (w * w).sum().backward()
    assert w.grad.tolist() == [4.0, -2.0]
    (3 * w).sum().backward()
    assert w.grad.tolist() == [7.0, 1.0]
    w.grad = None
    w.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_one_record_can_be_swept_twice() -> None:
    w = tracked(3.0)
    loss = w * w
    loss.backward()
    loss.backward()
    assert w.grad.item() == 12.0


def test_gradients_of_several_leaves_are_tensors_of_their_own() -> None:
    a, b = tracked([1.0]), tracked([1.0])
    cotangent = Tensor([1.0])
    (a + b).backward(cotangent)
    a.grad.assign([0.0])
    assert b.grad.tolist() == [1.0]
    assert cotangent.tolist() == [1.0]


def test_backward_from_several_numbers_needs_a_cotangent() -> None:
    w = tracked([1.0, 2.0])
    y = w * w
    with pytest.raises(ShapeError) as error:
        y.backward()
    assert str(error.value) == (
        "backward: the gradient of a tensor of shape [2] needs a cotangent of that shape\n"
        "Hint: reduce to one number first, or pass gradient="
    )
    y.backward([1.0, 10.0])
    assert w.grad.tolist() == [2.0, 40.0]
    with pytest.raises(ShapeError, match=r"^backward: the cotangent is float32\[1\], the tensor float32\[2\]$"):
        y.backward([1.0])


def test_backward_without_a_record_is_refused() -> None:
    with pytest.raises(DifferentiationError) as error:
        Tensor([1.0]).backward()
    assert str(error.value) == (
        "backward: this float32[1] was not computed from a tensor that requires gradients.\n"
        "Hint: create the leaf with Tensor(..., requires_grad=True), outside of no_grad()"
    )


def test_a_leaf_is_its_own_gradient_of_one() -> None:
    w = tracked(3.0)
    w.backward()
    assert w.grad.item() == 1.0


def test_gradients_keep_the_type_of_their_leaf() -> None:
    narrow, wide = tracked([1.0]), tracked(np.ones(1))
    (narrow * wide).sum().backward()
    assert (narrow.grad.dtype, wide.grad.dtype) == (np.float32, np.float64)


def test_no_grad_records_nothing_and_ends() -> None:
    w = tracked(3.0)
    with no_grad():
        assert not (w * 2).requires_grad
        with no_grad():
            pass
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (w * 2).requires_grad


def test_no_grad_holds_in_its_own_thread_only() -> None:
    w = tracked(3.0)
    found = []
    with no_grad():
        thread = threading.Thread(target=lambda: found.append((w * 2).requires_grad))
        thread.start()
        thread.join()
    assert found == [True]


def test_detach_shares_numbers_but_not_history() -> None:
    w = tracked(3.0, name="w")
    y = (w * 2).detach()
    assert (y.requires_grad, y.record) == (False, None)
    (w * y).backward()
    assert w.grad.item() == 6.0
    twin = w.detach()
    w.assign(5.0)
    assert (twin.item(), twin.name) == (3.0, "w")


def test_results_of_integer_type_are_not_tracked() -> None:
    w = tracked([1.0, 2.0])
    for y in (w > 1, ops.argmax(w), w.astype("int32"), ops.is_finite(w)):
        assert not y.requires_grad


def test_backward_through_backward() -> None:
    x = tracked(2.0)
    (x**4).backward(create_graph=True)
    first = x.grad
    assert first.item() == 32.0
    x.grad = None
    first.backward(create_graph=True)
    second = x.grad
    assert second.item() == 48.0
    x.grad = None
    second.backward()
    assert x.grad.item() == 48.0
    assert not x.grad.requires_grad


def test_a_gradient_penalty_reaches_the_weights() -> None:
    """d/dw of (d(w x^2)/dx)^2 = 8 w x^2, through create_graph."""
    w, x = tracked(3.0), tracked(2.0)
    (w * x * x).backward(create_graph=True)
    slope = x.grad
    w.grad = x.grad = None
    (slope * slope).backward()
    assert w.grad.item() == 8 * 3.0 * 4.0


# Assignment.


def test_assign_replaces_numbers_and_keeps_the_type() -> None:
    w = tracked([1.0, 2.0])
    before = w.numpy()
    w.assign(np.array([3.0, 4.0]))
    assert w.tolist() == [3.0, 4.0]
    assert (w.dtype, w.version) == (np.float32, 1)
    assert before.tolist() == [1.0, 2.0]


def test_assigned_numbers_are_a_copy() -> None:
    w, source = Tensor([1.0]), np.zeros(1, "float32")
    w.assign(source)
    source[0] = 9
    assert w.tolist() == [0.0]


def test_the_name_of_a_tensor_is_in_its_errors() -> None:
    with pytest.raises(ShapeError) as error:
        Tensor([1.0], name="bias").assign([[1.0]])
    assert str(error.value) == 'assign: the tensor "bias" is float32[1], the new value [1, 1]'


def test_an_operand_assigned_after_use_is_refused() -> None:
    w = tracked(3.0, name="kernel")
    loss = w * w
    w.assign(4.0)
    with pytest.raises(DifferentiationError) as error:
        loss.backward()
    assert str(error.value) == (
        "mul: its operand kernel was assigned to after it was used, so its gradient would be wrong.\n"
        "Hint: call backward() before assign(), or compute the result again"
    )
    (w * w).backward()
    assert w.grad.item() == 8.0


def test_a_result_that_was_assigned_is_refused() -> None:
    w = tracked(1.0)
    y = ops.exp(w)
    y.assign(5.0)
    with pytest.raises(DifferentiationError) as error:
        (2 * y).backward()
    assert str(error.value) == (
        "exp: its result float32[] was assigned to, so its gradient would be wrong.\n"
        "Hint: call detach() on the result before assign()"
    )


def test_assigning_to_what_no_path_needs_is_allowed() -> None:
    w, unused = tracked(3.0), tracked(1.0)
    loss = w * w
    unused.assign(2.0)
    loss.backward()
    assert w.grad.item() == 6.0


# Other libraries.


def test_numpy_arrays_on_the_left_defer() -> None:
    result = np.ones(2) + Tensor([1.0, 2.0])
    assert isinstance(result, Tensor)
    assert result.dtype == np.float64


def test_dlpack_shares_memory_with_numpy() -> None:
    x = Tensor([1.0, 2.0])
    view = np.from_dlpack(x)
    assert np.shares_memory(view, x.numpy())
    back = Tensor.from_dlpack(view)
    assert np.shares_memory(back.numpy(), x.numpy())
    with pytest.raises(DTypeError, match=r"^The dtype 'float16' is not supported"):
        Tensor.from_dlpack(np.ones(2, "float16"))


def test_dlpack_shares_memory_with_torch() -> None:
    torch = pytest.importorskip("torch")
    x = Tensor([1.0, 2.0])
    theirs = torch.from_dlpack(x)
    assert theirs.dtype == torch.float32
    assert theirs.tolist() == [1.0, 2.0]
    ours = Tensor.from_dlpack(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    assert ours.spec == Spec((1, 2), np.dtype("float64"))
    shared = torch.zeros(2)
    seen = Tensor.from_dlpack(shared)
    shared[0] = 7
    assert seen.tolist() == [7.0, 0.0]
    assert torch.tensor(x.numpy().copy()).tolist() == Tensor(torch.tensor([1.0, 2.0]).numpy()).tolist()


# Depth and memory.


def test_thousands_of_chained_operations_have_a_gradient() -> None:
    w = tracked(1.0)
    y = w
    for _ in range(5000):
        y = y + 0.5
    (y * y).backward()
    assert w.grad.item() == 2 * 2501.0
    del y
    gc.collect()


def test_intermediate_values_are_released_with_the_result() -> None:
    w = tracked(np.ones(10))
    middle = ops.exp(w)
    loss = (middle * middle).sum()
    alive = [weakref.ref(middle), weakref.ref(loss)]
    loss.backward()
    del middle, loss
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert w.grad is not None


def test_a_gradient_without_create_graph_holds_nothing() -> None:
    w = tracked(np.ones(10))
    middle = ops.exp(w)
    alive = weakref.ref(middle)
    middle.sum().backward()
    assert (w.grad.record, w.grad.requires_grad) == (None, False)
    del middle
    gc.collect()
    assert alive() is None


def test_a_leaked_variable_of_a_trace_is_refused() -> None:
    leaked = []
    trace(lambda x: leaked.append(x) or x * 2, Spec((2,), np.dtype("float32")))
    with pytest.raises(TraceError) as error:
        leaked[0] + 1
    assert str(error.value) == (
        "The traced variable Var(float32[2]) was used after its trace had ended.\n"
        "Hint: return it from the traced function instead of storing it outside"
    )


def test_a_truth_value_is_a_mask_not_a_position() -> None:
    truth = Tensor(np.array(True))
    with pytest.raises(DTypeError, match="A bool tensor is no index"):
        ["a", "b"][truth]
    assert np.arange(3)[truth].shape == (1, 3)
