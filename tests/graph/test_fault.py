import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import ops
from pellucid.graph import Values, by_row, trace
from pellucid.ops.movement import transpose


def values(function, *inputs):
    graph = trace(function, *inputs).graph
    return graph, Values(graph, inputs)


def test_a_finite_output_has_no_fault():
    graph, found = values(lambda x: ops.sum(ops.log(x)), np.ones(3))
    assert found.fault(graph.outputs[0]) is None


def test_the_first_operation_that_made_infinity_of_finite_numbers_is_the_fault():
    graph, found = values(lambda x: ops.sum(ops.sqrt(ops.log(x) * 2.0)), np.array([1.0, 0.0]))
    fault = found.fault(graph.outputs[0])
    assert fault is not None
    assert fault.node is not None
    assert fault.node.op.name == "log"
    np.testing.assert_array_equal(fault.operands[0], [1.0, 0.0])
    np.testing.assert_array_equal(fault.value, [0.0, -np.inf])


def test_infinity_that_leads_nowhere_is_no_fault():
    graph, found = values(lambda x: (ops.sum(x), ops.log(x), ops.sum(ops.exp(x * 800))), np.array([0.0, 1.0]))
    assert found.fault(graph.outputs[0]) is None
    fault = found.fault(graph.outputs[2])
    assert fault is not None
    assert fault.node is not None
    assert fault.node.op.name == "exp"


def test_an_input_that_is_not_finite_is_the_fault_itself():
    graph, found = values(lambda x, y: ops.sum(x * y), np.ones(2), np.array([1.0, np.nan]))
    fault = found.fault(graph.outputs[0])
    assert fault is not None
    assert (fault.node, fault.position, fault.var) == (None, -1, graph.inputs[1])


def test_a_constant_infinity_is_no_fault_but_what_makes_nan_of_it_is():
    graph, found = values(lambda x: ops.sum(ops.where(x > 0, x, -np.inf) * 0.0), np.array([1.0, -1.0]))
    fault = found.fault(graph.outputs[0])
    assert fault is not None
    assert fault.node is not None
    assert fault.node.op.name == "where"


@given(st.lists(st.sampled_from(["log", "exp", "square", "neg"]), min_size=1, max_size=6), st.integers(0, 2**31))
def test_the_fault_has_finite_operands_and_a_result_that_is_not(names, seed):
    def chain(x):
        for name in names:
            x = getattr(ops, name)(x)
        return ops.sum(x)

    x = np.random.default_rng(seed).normal(size=(3, 2)) * 100
    graph, found = values(chain, x)
    fault = found.fault(graph.outputs[0])
    if fault is None:
        assert found.is_finite(graph.outputs[0])
    else:
        assert all(np.isfinite(operand).all() for operand in fault.operands)
        assert not np.isfinite(fault.value).all()


def test_what_made_numbers_grow_is_told_with_the_magnitudes_before_and_after():
    graph, found = values(lambda x: ops.square(ops.exp(x * 10) * 2), np.array([1.0, 5.0]))
    growth = found.growth(graph.outputs[0], ("exp", "div"))
    assert growth is not None
    assert (growth[0].op.name, growth[1], growth[2]) == ("exp", 50.0, pytest.approx(np.exp(50.0)))
    assert found.growth(graph.outputs[0], ("div",)) is None


@pytest.mark.parametrize(
    ("function", "kept"),
    [
        (lambda x, w: x @ w, True),
        (lambda x, w: transpose(x, (1, 0)) @ x, False),
        (lambda x, w: ops.sum(x, 1), True),
        (lambda x, w: ops.sum(x, 0), False),
        (lambda x, w: ops.reshape(x, (4, 2, 2)) + 1, True),
        (lambda x, w: w @ x, False),
        (lambda x, w: ops.softmax(x), True),
        (lambda x, w: ops.flip(x, 0), False),
        (lambda x, w: ops.concatenate([x, x], 1), True),
    ],
)
def test_rows_are_followed_while_every_row_comes_from_the_same_row(function, kept):
    graph = trace(lambda x, w: function(x, w), np.ones((4, 4)), np.ones((4, 4))).graph
    assert (graph.outputs[0] in by_row(graph, 1)) is kept
