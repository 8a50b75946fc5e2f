"""Printed NumPy code computes what the graph computes, for every operation."""

import numpy as np
import pytest
from tests.contracts.samples import SAMPLES

from pellucid import ops
from pellucid.errors import TraceError
from pellucid.graph import numpy_helpers, trace
from pellucid.graph.composites import COMPOSITES
from pellucid.graph.numpy_code import Batches, Code
from pellucid.graph.numpy_ops import WRITERS
from pellucid.graph.numpy_source import HELPERS, RESERVED, Namer, Printer, helper_sources
from pellucid.op import REGISTRY


def printed(graph, twin=None, sizes=(1, 1), names=None):
    """The text of a function ``f`` that computes the outputs of a graph."""
    names = names or [f"x{i}" for i in range(len(graph.inputs))]
    printer = Printer(graph, twin or graph, Batches(*sizes), [Code(name) for name in names])
    results = printer.print(graph.outputs)
    body = [f"    {statement}" for statement in printer.statements]
    body.append(f"    return [{', '.join(map(str, results))}]")
    text = "\n".join([f"def f({', '.join(names)}{', n' if sizes[0] != sizes[1] else ''}):", *body])
    imports = "import itertools\nimport numpy as np\nfrom scipy.special import erf\n"
    return "\n\n".join([imports, *helper_sources(text), text])


def function(text):
    """The function ``f`` of some printed code."""
    names = {}
    exec(text, names)  # our own text
    return names["f"]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_operation_is_printed_as_what_it_computes(sample):
    traced = trace(lambda *operands: sample.op(*operands, **sample.attributes), *sample.operands).graph
    (found,) = function(printed(traced))(*sample.operands)
    expected = sample.op.forward(*sample.operands, **sample.attributes)
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(np.asarray(found, expected.dtype), expected, rtol=1e-12, atol=1e-12)
    if expected.ndim:
        assert np.asarray(found).dtype == expected.dtype


def test_every_registered_operation_and_every_composite_has_a_writer():
    assert set(WRITERS) == {*REGISTRY, *COMPOSITES}


def test_a_batch_of_any_size_can_be_computed():
    def f(x):
        return (ops.mean(x * 2.0, 0) + x.sum(0) * (1.0 / x.shape[0]), ops.reshape(x, (x.shape[0] * 3,)), x[:, 1:])

    one, two = (trace(f, np.ones((n, 3))).graph for n in (5, 7))
    g = function(printed(one, two, (5, 7)))
    x = np.random.default_rng(0).normal(size=(4, 3))
    for found, expected in zip(g(x, 4), (3 * x.mean(0), x.reshape(12), x[:, 1:]), strict=True):
        np.testing.assert_allclose(found, expected)


def test_traces_that_differ_in_more_than_the_batch_are_refused():
    one, two = (trace(lambda x, n=n: x * float(n), np.ones((n, 3))).graph for n in (5, 8))
    assert function(printed(one, two, (5, 8)))(np.ones((2, 3)), 2)[0].tolist() == [[2.0] * 3] * 2
    deep = trace(lambda x: x + x + 1.0, np.ones((7, 3))).graph
    with pytest.raises(TraceError, match="is another one for batches of another size"):
        printed(one, deep, (5, 7))


def test_expressions_read_as_a_person_would_write_them():
    def f(x, w, b):
        z = x @ w + b
        return z, -ops.sum(z, 0) + z * z - (z - 1.0) / 6, ops.reshape(ops.sum(z, 0, keepdims=True), (3,)), z @ w.T

    graph = trace(f, np.ones((2, 4)), np.ones((4, 3)), np.ones(3)).graph
    lines = printed(graph, names=["x", "W", "b"]).splitlines()
    assert lines[-2:] == [
        "    sum_2 = x @ W + b",
        "    return [sum_2, sum_2**2 - sum_2.sum(axis=0) - (sum_2 - 1) / 6, sum_2.sum(axis=0), sum_2 @ W.T]",
    ]


def test_only_the_helpers_that_are_called_are_pasted_and_before_their_callers():
    names = [source.split("(")[0][4:] for source in helper_sources("loss = cross_entropy(z, y)")]
    assert names == ["log_softmax", "cross_entropy"]
    assert helper_sources("a = np.tanh(z)") == []


def test_no_variable_takes_the_name_of_a_function():
    name = Namer()
    assert {"softmax", "np", "n", "lambda"} <= RESERVED
    assert [name("softmax"), name("lambda"), name("2x"), name("a b")] == ["softmax_2", "lambda_2", "_2x", "a_b"]


def test_helpers_have_a_docstring_each():
    assert all(helper.__doc__ for helper in HELPERS.values())


def test_the_helper_of_max_pooling_finds_the_winners_of_many_windows_of_one_channel():
    x = np.random.default_rng(0).normal(size=(81, 20, 12, 1)).astype("float32")
    index = numpy_helpers.max_pool_winners(x, (1, 2))
    found = np.take_along_axis(x.reshape(81, -1), index.reshape(81, -1), axis=1)
    np.testing.assert_array_equal(found, x.reshape(81, -1, 2).max(-1))
