"""Products of matrices in any order, with endings, and loops that repeat a computation."""

import numpy as np

from pellucid import backends, compile, ops
from pellucid.backends.loop import LoopData, LoopForm
from pellucid.graph import rewrite, trace
from pellucid.op import Spec

ENDINGS = {
    "none": lambda z, b: z,
    "bias and activation": lambda z, b: ops.relu(z + b),
    "of the result's shape": lambda z, b: z * z - 0.5 * b,
}


def operands(rows, columns, inner, turned, ending="none", kind="float32", seed=0):
    """A function of three arrays, these arrays, and both operands as they are multiplied; ``turned`` names some."""
    r = np.random.default_rng(seed)
    a = r.normal(size=(inner, rows) if "a" in turned else (rows, inner)).astype(kind)
    b = r.normal(size=(columns, inner) if "b" in turned else (inner, columns)).astype(kind)
    c = r.normal(size=(rows, columns) if ending == "of the result's shape" else columns).astype(kind)

    def function(a, b, c):
        left, right = a.T if "a" in turned else a, b.T if "b" in turned else b
        return ENDINGS[ending](ops.matmul(left, right), c)

    return function, (a, b, c), (a.T if "a" in turned else a, b.T if "b" in turned else b)


def repeated(function, arrays, steps=2):
    """What a loop leaves that computes a function of arrays and keeps its result; the names of the plan."""
    specs = [Spec(a.shape, a.dtype) for a in arrays]
    out = trace(function, *specs).graph.outputs[0].spec
    graph = rewrite(trace(lambda *given: function(*given[:-2]), *specs, Spec((), np.dtype("int64")), out).graph)
    loop = backends.get("cpu").compile_loop(graph, LoopForm(rows=0, fixed=len(arrays), series=1, carried=(0,)))
    kept = np.zeros(out.shape, out.dtype)
    numbers = [np.zeros(steps, np.int64)]
    run = loop.start(LoopData([], np.zeros(0, np.int64), arrays, numbers, [kept]))
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    return kept, [i.name for made in loop._made.values() for i in made.plan.instructions]


def fits_are_those_of_the_reference(trained, rtol, atol, **options):
    """Weights and losses, ``trained(threads, backend)``: the same bits on any threads, and near the reference's."""
    expected, losses = trained(1, "reference", **options)
    found = [trained(threads, **options) for threads in (1, 2, 3, 8)]
    for weights, _ in found[1:]:
        assert [w.tobytes() for w in weights] == [w.tobytes() for w in found[0][0]]
    np.testing.assert_allclose(found[0][1], losses, rtol=1e-4)
    for one, other in zip(found[0][0], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def is_predicted_by_vectors(function, arrays):
    """No instruction is the matrix unit's, and three samples alone get the bits that they have among all."""
    graph = trace(function, *(Spec(a.shape, a.dtype) for a in arrays)).graph
    names = [i.name for i in backends.get("cpu").compile(graph).plan.instructions]
    assert not any("tiles" in name for name in names)
    compiled = compile(function, backend="cpu")
    whole = np.asarray(compiled(*arrays))
    assert np.asarray(compiled(arrays[0][:3], *arrays[1:])).tobytes() == whole[:3].tobytes()
