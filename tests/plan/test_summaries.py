import numpy as np

from pellucid import ops
from pellucid.graph import trace
from pellucid.plan.rows import COLUMN, NARROW, SCALAR, WIDE, row_groups
from pellucid.plan.summaries import summaries

X, Y = np.ones(6, "float32"), np.ones(6, "float32")
ELEMENTWISE = {"add", "mul", "sub", "neg", "exp", "maximum"}


def is_elementwise(node):
    return node.op.name in ELEMENTWISE


def vector(*numbers):
    return ops.concatenate([ops.reshape(n, (1,)) for n in numbers], 0)


def names(function, *args):
    """The operations of each summary."""
    found = summaries(trace(function, *args).graph, is_elementwise)
    return [[node.op.name for node in summary.nodes] for summary in found]


def test_numbers_of_one_array_in_one_vector_are_a_summary():
    found = names(lambda x: vector(ops.max(x), ops.sum(x * x)), X)
    assert found == [["max", "mul", "sum", "reshape", "reshape", "concatenate"]]


def test_a_number_may_follow_from_another_one():
    def spread(x):
        mean = ops.sum(x) * 0.5
        return vector(mean, ops.sum((x - mean) * (x - mean)))

    assert names(spread, X) == [["sum", "mul", "sub", "sub", "mul", "sum", "reshape", "reshape", "concatenate"]]


def test_arrays_of_one_size_are_summarised_together():
    (summary,) = summaries(trace(lambda x, y: vector(ops.sum(x - y), ops.max(y)), X, Y).graph, is_elementwise)
    assert summary.elements == 6
    assert [v.spec.shape for v in summary.inputs] == [(6,), (6,)]


def test_what_others_read_or_see_stays_outside():
    def used(x):
        y, low = ops.exp(x), ops.max(x)
        return y, vector(low, ops.sum(y), ops.max(y)), low * 2.0

    assert names(used, X) == [["sum", "max", "reshape", "reshape", "reshape", "concatenate"]]


def test_arrays_of_other_sizes_and_single_elements_stay_outside():
    def several(x, y):
        return vector(ops.sum(y), ops.sum(x), ops.max(x))

    (found,) = names(several, X, Y[:4])
    assert found == ["sum", "max", "reshape", "reshape", "reshape", "concatenate"]
    assert names(several, X[:1], Y[:1]) == []
    assert names(lambda x: vector(ops.sum(x)), X) == []
    table = X.reshape(2, 3)
    assert names(lambda x: vector(ops.sum(x), ops.max(x)), table) == []


def test_a_summary_is_a_group_with_a_row_for_each_number():
    def shifted(x, shift):
        return vector(ops.max(x - shift), ops.sum(x))

    graph = trace(shifted, X, np.float32(2)).graph
    (group,) = row_groups(graph, is_elementwise, 64)
    assert (group.lead, group.width, group.outputs) == ((2,), 6, graph.outputs)
    assert list(group.inputs.values()) == [COLUMN, SCALAR]
    kinds = {node.op.name: group.kind_of_result(node) for node in group.nodes}
    assert kinds == {"sub": WIDE, "max": NARROW, "sum": NARROW, "reshape": NARROW, "concatenate": NARROW}
