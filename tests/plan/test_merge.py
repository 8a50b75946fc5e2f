import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pellucid import backends, ops
from pellucid.backends.cpu.tasks import tasks_of
from pellucid.graph import rewrite, trace
from pellucid.plan.rows import RowGroup

X = np.ones((4, 3), "float32")


def kernels(function, *args):
    """The names of the operations of each task, and what it gives beside its result."""
    tasks = [task for task in tasks_of(rewrite(trace(function, *args).graph)) if not isinstance(task.group, RowGroup)]
    return [("+".join(n.op.name for n in task.elementwise.nodes), len(task.elementwise.kept)) for task in tasks]


def test_groups_that_read_the_same_matrix_are_one():
    assert kernels(lambda x, y: (ops.tanh(x) * y, ops.exp(x) - y), X, X) == [("tanh+mul+exp+sub", 1)]


def test_a_group_that_reads_another_s_result_joins_it_though_others_read_it_too():
    def function(x, y):
        z = x * y
        return ops.tanh(z), ops.sum(z, 0)

    assert kernels(function, X, X) == [("mul+tanh", 1), ("sum", 0)]


def test_no_group_runs_before_others_that_it_could_follow():
    """What is made early for later must be kept for long."""

    def function(x, y):
        z = x * y
        return ops.tanh(z * ops.sum(ops.exp(ops.sum(z, 0))))

    assert [name for name, _ in kernels(function, X, X)] == ["mul", "sum", "exp+sum", "mul+tanh"]


def test_what_only_the_group_reads_stays_in_registers():
    def function(x, y):
        z = ops.exp(x * y)
        return ops.tanh(z) * y, ops.sqrt(z) * y

    assert kernels(function, X, X) == [("mul+exp+tanh+mul+sqrt+mul", 1)]


def test_other_shapes_and_images_stay_apart():
    def function(x, v, image):
        return x * 2 - v, x[:2] * 2 - v, image * v, ops.tanh(image) * v

    found = kernels(function, X, np.ones(3, "float32"), np.ones((2, 4, 4, 3), "float32"))
    assert all(kept == 0 for _, kept in found)


def test_groups_of_other_registers_stay_apart():
    def function(x, y):
        return x * y, ops.cast(x, "float64") * ops.cast(y, "float64")

    assert all(kept == 0 for _, kept in kernels(function, X, X))


@given(st.data())
def test_any_graph_computes_what_it_computed_before(data):
    names = ["exp", "tanh", "sin"]

    def function(x, y):
        values = [x, y]
        for _ in range(data.draw(st.integers(1, 12))):
            a, b = (data.draw(st.sampled_from(range(len(values)))) for _ in range(2))
            kind = data.draw(st.sampled_from([*names, "mul", "add", "matmul", "sum"]))
            if kind in names:
                values.append(getattr(ops, kind)(values[a]))
            elif kind == "matmul":
                values.append(ops.tanh(ops.matmul(ops.matmul(values[a], ops.transpose(values[b], (1, 0))), values[b])))
            elif kind == "sum":
                values.append(ops.tanh(ops.sum(values[a], 0)) + values[b])
            else:
                values.append(ops.tanh(getattr(ops, kind)(values[a], values[b])))
        return tuple(values[data.draw(st.sampled_from(range(2, len(values))))] for _ in range(3))

    rng = np.random.default_rng(0)
    rows = data.draw(st.sampled_from([3, 17, 64]))
    args = [rng.normal(size=(rows, 5)).astype("float32") for _ in range(2)]
    graph = rewrite(trace(function, *args).graph)
    with np.errstate(all="ignore"):
        expected = backends.get("reference").compile(graph)(*args)
        found = backends.get("cpu").compile(graph)(*args)
    for own, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-4)
