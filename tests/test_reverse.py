"""The reverse sweep on records made by hand: it needs neither tensors nor graphs."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import ops
from pellucid.errors import DifferentiationError
from pellucid.op import REGISTRY, Op, current_scope, interpreting, scope
from pellucid.reverse import Record, dependents, sweep
from pellucid.tensor import EAGER, Tensor

ONE = Tensor(1.0)


def tracked(value: float) -> Tensor:
    return Tensor(value, requires_grad=True)


def test_serials_grow_with_time() -> None:
    x = tracked(2.0)
    first, second = x * x, x + x
    assert first.record.serial < second.record.serial
    assert isinstance(first.record, Record)
    assert first.record.output is first
    assert first.record.inputs == (x, x)


def test_cotangents_of_several_paths_add() -> None:
    x = tracked(3.0)
    y = x * x + 2 * x
    assert sweep([y], [ONE], [x])[0].item() == 8.0


def test_what_is_not_reached_has_no_cotangent() -> None:
    x, other = tracked(3.0), tracked(1.0)
    found = sweep([x * x], [ONE], [x, other])
    assert found[0].item() == 6.0
    assert found[1] is None


def test_intermediate_values_can_be_asked_for_one_at_a_time() -> None:
    x = tracked(3.0)
    y = x * x
    z = y * y
    assert sweep([z], [ONE], [y])[0].item() == 18.0
    assert sweep([z], [ONE], [x])[0].item() == 108.0


def test_a_wanted_value_ends_the_path_behind_it() -> None:
    """Asked for both, x gets only what does not pass through y: y counts as a variable of its own."""
    x = tracked(3.0)
    y = x * x
    by_y, by_x = sweep([y + 5 * x], [ONE], [y, x])
    assert (by_y.item(), by_x.item()) == (1.0, 5.0)


def test_an_output_that_is_wanted_gets_its_own_cotangent() -> None:
    x = tracked(3.0)
    assert sweep([x], [Tensor(7.0)], [x])[0].item() == 7.0


def test_several_outputs_add_up() -> None:
    x = tracked(3.0)
    found = sweep([x * 2, x * x], [Tensor(10.0), Tensor(100.0)], [x])
    assert found[0].item() == 10.0 * 2 + 100.0 * 6


def test_only_records_between_outputs_and_wanted_are_visited_newest_first() -> None:
    x, other = tracked(2.0), tracked(5.0)
    a = x * other
    aside = other * other
    b = a + aside
    visited: list[str] = []
    sweep([b], [ONE], [x], lambda record: visited.append(record.op.name))
    assert visited == ["add", "mul"]
    records, on_path = dependents([b], [x])
    assert [record.output for record in records] == [b, a]
    assert on_path == {id(x), id(a), id(b)}


def test_values_of_integer_type_end_a_path() -> None:
    x = tracked(2.5)
    y = ops.cast(ops.cast(x, "int32"), "float32") * 3 + x
    assert sweep([y], [ONE], [x])[0].item() == 1.0


def test_rules_run_in_the_scope_of_their_record() -> None:
    seen: list[tuple[str, ...]] = []
    x = tracked(2.0)
    with scope("layer"):
        y = ops.sin(x)

    class Spy:
        def process(self, op: Op, operands: tuple, attributes: dict) -> Tensor:
            seen.append(current_scope())
            return EAGER.process(op, operands, attributes)

    with interpreting(Spy()):
        sweep([y], [ONE], [x])
    assert seen
    assert set(seen) == {("layer",)}


def test_a_path_without_derivative_is_refused() -> None:
    x = tracked(2.0)
    y = x * x
    y.record = Record(REGISTRY["is_finite"], (x,), {}, y)
    with pytest.raises(DifferentiationError) as error:
        sweep([y], [ONE], [x])
    assert str(error.value) == (
        "is_finite: the derivative with respect to x does not exist.\n"
        "  x: float32[]\n"
        "Hint: use stop_gradient(...) where the gradient shall end"
    )


def test_stretched_operands_get_summed_cotangents() -> None:
    x, w = Tensor(np.ones((3, 1)), requires_grad=True), Tensor(np.ones(4), requires_grad=True)
    out = x * w
    by_x, by_w = sweep([out], [Tensor(np.ones((3, 4)))], [x, w])
    assert (by_x.shape, by_w.shape) == ((3, 1), (4,))
    assert by_x.tolist() == [[4.0]] * 3
    assert by_w.tolist() == [3.0] * 4
