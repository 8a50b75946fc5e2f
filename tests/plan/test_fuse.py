import numpy as np

from pellucid import ops
from pellucid.graph import trace
from pellucid.plan.fuse import groups

X = np.ones((4, 3), "float32")


ELEMENTWISE = {"add", "mul", "exp", "neg", "tanh", "sub"}


def grouped(function, *args, limit=24, **rules):
    """The graph of a function, and its groups."""
    graph = trace(function, *args).graph
    found = groups(
        graph,
        lambda node: node.op.name in ELEMENTWISE,
        lambda node: node.op.name in ELEMENTWISE | {"sum"},
        limit,
        **rules,
    )
    return graph, found


def fused(function, *args, limit=24):
    """The operations of each group."""
    _, found = grouped(function, *args, limit=limit, product=lambda node: node.op.name == "matmul")
    return [[node.op.name for node in group.nodes] for group in found]


def test_a_chain_becomes_one_group():
    assert fused(lambda x: ops.tanh(ops.exp(x) * 2.0), X) == [["exp", "mul", "tanh"]]


def test_a_reduction_takes_its_producers_in():
    assert fused(lambda x: ops.sum(x * x, 1), X) == [["mul", "sum"]]


def test_a_value_of_two_groups_is_computed_on_its_own():
    def function(x):
        y = ops.exp(x)
        return ops.sum(y, 0), ops.sum(y, 1)

    assert fused(function, X) == [["exp"], ["sum"], ["sum"]]


def test_a_value_used_twice_inside_one_group_joins_it():
    def function(x):
        y = ops.exp(x)
        return y * ops.tanh(y)

    assert fused(function, X) == [["exp", "tanh", "mul"]]


def test_an_output_is_never_hidden_in_a_group():
    def function(x):
        y = ops.exp(x)
        return y, ops.tanh(y)

    assert fused(function, X) == [["exp"], ["tanh"]]


def with_kept(function, *args, keeps=lambda node: True):
    """The operations and the number of kept variables of each group."""
    graph, found = grouped(function, *args, keeps=keeps)
    for group in found:
        assert set(group.kept) == {n.output for n in group.nodes[:-1]} & set(graph.outputs)
    return [([node.op.name for node in group.nodes], len(group.kept)) for group in found]


def test_an_output_that_one_group_uses_is_kept_beside_its_result():
    def function(x):
        y = ops.exp(x)
        return y, ops.tanh(y)

    assert with_kept(function, X) == [(["exp", "tanh"], 1)]
    assert with_kept(function, X, keeps=lambda node: node.op.name != "exp") == [(["exp"], 0), (["tanh"], 0)]


def test_an_output_is_not_kept_in_a_reduction_in_another_shape_or_in_two_groups():
    def reduced(x):
        y = ops.exp(x)
        return y, ops.sum(y, 1)

    def reduced_in_the_same_shape(x):
        y = ops.exp(x)
        return y, ops.sum(y, 1, keepdims=True)

    def stretched(x, b):
        y = ops.exp(b)
        return y, x + y

    def shared(x):
        y = ops.exp(x)
        return y, ops.tanh(y), -y

    assert with_kept(reduced, X) == [(["exp"], 0), (["sum"], 0)]
    assert with_kept(reduced_in_the_same_shape, X[:, :1]) == [(["exp"], 0), (["sum"], 0)]
    assert with_kept(stretched, X, X[0]) == [(["exp"], 0), (["add"], 0)]
    assert with_kept(shared, X) == [(["exp"], 0), (["tanh"], 0), (["neg"], 0)]


def test_a_smaller_operand_is_computed_before_it_is_stretched():
    assert fused(lambda x, b: x + ops.exp(b), X, X[0]) == [["exp"], ["add"]]


def test_groups_stay_below_the_limit_and_compute_everything_once():
    def function(x):
        for _ in range(10):
            x = ops.tanh(x)
        return x

    found = fused(function, X, limit=4)
    assert max(len(names) for names in found) == 4
    assert sum(len(names) for names in found) == 10


def test_in_a_sum_of_products_each_addition_ends_its_own_one():
    def function(a, b):
        return a @ b + b @ a + ops.exp(a) @ b

    w = np.ones((3, 3), "float32")
    found = fused(function, w, w)
    assert sorted(found) == [["add"], ["add"], ["exp"], ["matmul"], ["matmul"], ["matmul"]]


def test_one_product_and_all_that_follows_it_is_one_group():
    def function(a, b):
        return ops.tanh(a @ b + ops.exp(b)) * b

    w = np.ones((3, 3), "float32")
    assert fused(function, w, w) == [["matmul"], ["exp", "add", "tanh", "mul"]]
