"""Groups that give several results: an optimiser's moments beside the parameter, what is recorded beside the rest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Input, Sequential, backends, compile, ops, set_num_threads, set_seed
from pellucid.backends.loop import LoopData, LoopForm
from pellucid.graph import rewrite, trace
from pellucid.nn import Dense
from pellucid.op import Spec

SIZES = st.sampled_from([1, 2, 5, 7, 8, 9, 16, 17, 33, 49, 100])


@pytest.fixture(autouse=True)
def threads():
    yield
    set_num_threads(None)


def adam(w, m, v, g):
    """A step of Adam without its corrections."""
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    return w - 0.1 * m / (ops.sqrt(v) + 1e-3), m, v


def gradient(kind, x, z):
    """What is summed over the batch, and its axis that is kept as it is."""
    match kind:
        case "product":
            return ops.matmul(ops.transpose(x, (1, 0)), z)
        case "sum of columns":
            return ops.sum(z, 0)
        case "sum of rows":
            return ops.sum(z, 1)
        case "sum":
            return ops.sum(z)
        case _:
            return ops.tanh(z)


def trained(backend, kind, rows, inner, columns, dtype="float32", steps=3):
    """Some steps on rows of data; the names of the plan's instructions, and all arrays in the end."""
    rng = np.random.default_rng(0)
    x, z = (rng.normal(size=(steps * rows, n)).astype(dtype) for n in (inner, columns))
    shapes = {"product": (inner, columns), "sum of columns": (columns,), "sum of rows": (rows,), "sum": ()}
    shape = shapes.get(kind, (rows, columns))
    state = [rng.normal(size=shape).astype(dtype), *(np.zeros(shape, dtype) for _ in range(2))]

    def step(x, z, w, m, v):
        new = adam(w, m, v, gradient(kind, x, z))
        return ops.sum(x), *new

    kept = np.dtype(dtype)
    specs = [Spec((rows, inner), kept), Spec((rows, columns), kept), *(Spec(shape, kept) for _ in state)]
    graph = rewrite(trace(step, *specs).graph)
    loop = backends.get(backend).compile_loop(graph, LoopForm(rows=2, carried=(0, 1, 2)))
    run = loop.start(LoopData([x, z], np.arange(steps * rows)[::-1].copy(), state=state))
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    names = [i.name for made in getattr(loop, "_made", {}).values() for i in made.plan.instructions]
    return names, [run.logs[0], *state]


KINDS = ["product", "sum of columns", "sum of rows", "sum", "elementwise"]


@given(st.sampled_from(KINDS), SIZES, SIZES, SIZES, st.sampled_from(["float32", "float64"]))
@settings(max_examples=80, deadline=None)
def test_all_results_are_those_of_the_reference_whatever_the_sizes(kind, rows, inner, columns, dtype):
    found = trained("cpu", kind, rows, inner, columns, dtype)[1]
    expected = trained("reference", kind, rows, inner, columns, dtype)[1]
    for own, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=2e-4, atol=2e-4 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_do_not_depend_on_the_threads(kind, monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    results = []
    for count in (1, 2, 3, 5):
        set_num_threads(count)
        results.append([array.tobytes() for array in trained("cpu", kind, 19, 33, 37)[1]])
    assert all(other == results[0] for other in results)


@pytest.mark.parametrize(("kind", "first"), [("product", "matmul"), ("sum of columns", "sum"), ("sum", "sum")])
def test_an_optimiser_is_the_ending_of_the_gradient(kind, first):
    names = [name.split(",")[0] for name in trained("cpu", kind, 8, 20, 50)[0]]
    ending = "mul+mul+add+mul+mul+mul+add+mul+sqrt+add+div+sub"
    assert names == ["gather_rows", "gather_rows", f"{first}+{ending}", "sum", "logs"]


def test_an_optimiser_runs_apart_from_products_with_few_columns_whose_registers_would_be_empty():
    (name,) = (n for n in trained("cpu", "product", 8, 200, 3)[0] if "sqrt" in n)
    assert name.startswith("mul+")


def test_what_is_returned_besides_has_its_own_type():
    def function(x, b):
        z = x + b
        positive = z > 0
        return z, positive, ops.where(positive, z, 0.1 * z)

    x, b = np.random.default_rng(0).normal(size=(7, 19)).astype("f4"), np.float32(0.25)
    found = [np.asarray(value) for value in compile(function, backend="cpu")(x, b)]
    z = x + b
    for own, wanted in zip(found, (z, z > 0, np.where(z > 0, z, np.float32(0.1) * z)), strict=True):
        assert own.dtype == wanted.dtype
        np.testing.assert_array_equal(own, wanted)


@pytest.mark.parametrize("turned", [False, True])
def test_operands_may_lie_in_any_order(turned):
    def function(x, y):
        z = ops.transpose(x, (1, 0)) * y if turned else x * y
        return z, ops.exp(z)

    r = np.random.default_rng(0)
    x, y = r.normal(size=(5, 21) if turned else (21, 5)).astype("f4"), r.normal(size=(21, 5)).astype("f4")
    z, e = (np.asarray(value) for value in compile(function, backend="cpu")(x, y))
    np.testing.assert_array_equal(z, (x.T if turned else x) * y)
    np.testing.assert_allclose(e, np.exp(z), rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 6, 3), (8, 8, 1)])
def test_a_convolution_whose_sum_is_returned_keeps_its_ending(shape):
    def layer(x, w, b):
        z = ops.conv(x, w, padding="same") + b
        return z, ops.relu(z)

    r = np.random.default_rng(0)
    x, w, b = (r.normal(size=s).astype("f4") for s in ((4, *shape), (3, 3, shape[-1], 16), (16,)))
    own = [np.asarray(v) for v in compile(layer, backend="cpu")(x, w, b)]
    wanted = [np.asarray(v) for v in compile(layer, backend="reference")(x, w, b)]
    for found, expected in zip(own, wanted, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    plan = backends.get("cpu").compile(compile(layer, backend="cpu").graph(x, w, b)).plan
    assert any(i.name.startswith("conv") and "add" in i.name for i in plan.instructions)


@pytest.mark.parametrize("reduction", [ops.sum, ops.max, ops.mean])
def test_what_is_returned_and_reduced_in_the_same_shape_is_there(reduction):
    def function(x):
        z = x * 2.0 + 1.0
        return z, reduction(z, 1, keepdims=True)

    for value in compile(function, backend="cpu")(np.ones((5, 1), "f4")):
        np.testing.assert_array_equal(np.asarray(value), np.full((5, 1), 3, "f4"))


def test_nan_and_infinity_reach_every_result():
    x = np.ones((8, 20), "f4")
    x[0, 3], x[1, 5] = np.nan, np.inf

    def function(x, z, w, m):
        m = 0.9 * m + ops.matmul(ops.transpose(x, (1, 0)), z)
        return m, w - 0.1 * m

    z, w, m = np.ones((8, 40), "f4"), np.zeros((20, 40), "f4"), np.zeros((20, 40), "f4")
    new_m, new_w = (np.asarray(value) for value in compile(function, backend="cpu")(x, z, w, m))
    assert np.isnan(new_m[3]).all()
    assert np.isnan(new_w[3]).all()
    assert np.isposinf(new_m[5]).all()
    assert np.isneginf(new_w[5]).all()
    assert np.isfinite(np.delete(new_w, [3, 5], 0)).all()


@pytest.mark.parametrize("optimizer", ["adam", "momentum", "rmsprop", "nadam", "adamw"])
def test_recorded_steps_have_the_bits_of_plain_ones(optimizer):
    weights = []
    for record in (None, "stats", "full"):
        set_seed(0)
        model = Sequential([Input((20,)), Dense(33, "tanh"), Dense(10, "softmax")])
        model.compile("categorical_crossentropy", optimizer)
        x, y = np.random.default_rng(0).normal(size=(64, 20)).astype("f4"), np.arange(64) % 10
        model.fit(x, y, batch_size=16, epochs=2, verbose=0, record=record)
        weights.append([value.tobytes() for value in model.get_weights().values()])
    assert weights[0] == weights[1] == weights[2]
