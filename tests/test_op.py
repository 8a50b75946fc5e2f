"""The registry, the single interception point, and what an error of a shape rule says."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

from pellucid import ops
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.op import (
    REGISTRY,
    Op,
    Spec,
    apply,
    current_interpreter,
    current_scope,
    exact_scope,
    interpreting,
    scope,
    show_attribute,
    user_line,
)
from pellucid.tensor import EAGER, Tensor


class Recorder:
    """An interpreter that notes what passes and hands it on."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def process(self, op: Op, operands: tuple, attributes: dict) -> Any:
        self.seen.append(op.name)
        return EAGER.process(op, operands, attributes)


def test_every_operation_passes_the_interpreter_in_force() -> None:
    recorder = Recorder()
    with interpreting(recorder):
        assert current_interpreter() is recorder
        result = ops.relu(ops.add(Tensor([1.0]), 2.0)) @ Tensor([[3.0]])
    assert result.tolist() == [9.0]
    assert recorder.seen == ["add", "relu", "reshape", "matmul", "reshape"]
    assert current_interpreter() is EAGER


def test_the_interpreter_is_restored_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), interpreting(Recorder()):
        raise ZeroDivisionError
    assert current_interpreter() is EAGER


def test_interpreters_nest() -> None:
    outer, inner = Recorder(), Recorder()
    with interpreting(outer):
        with interpreting(inner):
            ops.neg(1.0)
        ops.exp(1.0)
    assert (outer.seen, inner.seen) == (["exp"], ["neg"])


def test_each_thread_has_its_own_interpreters_and_scope() -> None:
    found = []
    with interpreting(Recorder()), scope("layer"):
        thread = threading.Thread(target=lambda: found.append((current_interpreter(), current_scope())))
        thread.start()
        thread.join()
    assert found == [(EAGER, ())]


def test_scopes_nest_and_are_restored() -> None:
    with scope("model"), scope("dense"):
        assert current_scope() == ("model", "dense")
        with exact_scope(("elsewhere",)):
            assert current_scope() == ("elsewhere",)
        assert current_scope() == ("model", "dense")
    with pytest.raises(ZeroDivisionError), scope("broken"):
        raise ZeroDivisionError
    assert current_scope() == ()


def test_a_name_can_be_registered_once() -> None:
    with pytest.raises(ConfigurationError, match=r"^An operation named 'add' is registered already\.$"):
        Op("add", lambda x: x, np.negative, None)


def test_registry_names_and_operations_agree() -> None:
    for name, op in REGISTRY.items():
        assert op.name == name
        assert repr(op) == f"Op({name!r})"
        if isinstance(op.vjp, tuple):
            assert len(op.vjp) == len(op.operands)


def test_operands_are_named_by_the_shape_rule() -> None:
    assert REGISTRY["where"].operands == ("condition", "x", "y")
    assert REGISTRY["matmul"].operand_name(1) == "w"
    assert REGISTRY["concatenate"].operand_name(2) == "operand 2"


def test_results_are_written_as_formulas_or_calls() -> None:
    assert REGISTRY["matmul"].write(["x", "w"], {}) == "x @ w"
    assert REGISTRY["sum"].write(["x"], {"axes": (0,), "keepdims": True}) == "sum(x, axes=(0,))"
    assert REGISTRY["pad"].write(["x"], {"low": (1,)}) == "pad(x, low=(1,))"
    assert REGISTRY["cast"].write(["x"], {"dtype": np.dtype("int32")}) == "int32(x)"


def test_attributes_print_the_same_everywhere() -> None:
    assert show_attribute(np.dtype("float32")) == "float32"
    assert show_attribute((1, 2)) == "(1, 2)"


def test_a_spec_prints_type_and_shape() -> None:
    assert str(Spec((2, 3), np.dtype("float32"))) == "float32[2, 3]"
    assert str(Spec((), np.dtype("bool"))) == "bool[]"
    assert Spec((2, 3), np.dtype("float32")).ndim == 2


def test_the_users_line_is_outside_the_package() -> None:
    line = test_the_users_line_is_outside_the_package.__code__.co_firstlineno + 2
    assert user_line() == f"test_op.py:{line} in test_the_users_line_is_outside_the_package"


def test_an_error_inside_nested_calls_names_the_users_function() -> None:
    def forward(x: Tensor) -> Tensor:
        return ops.softmax(x @ x)

    with pytest.raises(ShapeError) as error, scope("encoder"), scope("attention"):
        forward(Tensor(np.zeros((2, 3), "float32"), name="tokens"))
    line = forward.__code__.co_firstlineno + 1
    assert str(error.value) == (
        "matmul: inner sizes differ: 3 (x, axis 1) != 2 (w, axis 0)\n"
        '  x: float32[2, 3]   "tokens"\n'
        '  w: float32[2, 3]   "tokens"\n'
        '  in layer "encoder/attention"\n'
        f"  at test_op.py:{line} in forward"
    )


def test_apply_takes_values_arrays_and_numbers() -> None:
    for x in (Tensor([1.0]), np.ones(1, "float32"), [1.0]):
        assert apply(REGISTRY["neg"], x).tolist() == [-1.0]
        assert REGISTRY["neg"](x).tolist() == [-1.0]


def test_a_copy_of_an_operation_is_the_operation():
    add = REGISTRY["add"]
    assert copy.deepcopy({"activation": add})["activation"] is add
