"""Products with weights that a step replaces: the inner axis in two halves, whatever the shapes and threads."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid import Input, Sequential, backends, compile, ops, set_num_threads, set_seed
from pellucid.backends.cpu import halves
from pellucid.backends.cpu.ahead import EVERYTHING, OWN_FEATURES, OWN_ROWS
from pellucid.backends.loop import LoopData, LoopForm
from pellucid.dtypes import float32
from pellucid.graph import rewrite, trace
from pellucid.nn import Dense
from pellucid.op import Spec
from pellucid.plan.barriers import ROW_BLOCK

R = np.random.default_rng(0)
ENDINGS = {
    "none": lambda z, b: z,
    "bias and activation": lambda z, b: ops.relu(z + b),
    "a number": lambda z, b: ops.tanh(0.5 * z),
    "cast": lambda z, b: ops.cast(ops.cast(z + b, "float64"), "float32"),
}


@pytest.fixture
def always(monkeypatch):
    """Every product with replaced weights is computed in halves."""
    monkeypatch.setattr(halves, "are_worth_it", lambda *sizes: True)
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    yield
    set_num_threads(None)


def stepped(backend, rows, columns, inner, ending, batch=True, dtype="float32", steps=3):
    """Three steps of w <- w - 0.1 dloss/dw with z = ending(x w); the plan's names, the logs and w."""
    x = np.random.default_rng(1).normal(size=(steps * rows, inner)).astype(dtype)
    w = np.random.default_rng(2).normal(size=(inner, columns)).astype(dtype) / np.float32(np.sqrt(inner))
    b = np.random.default_rng(3).normal(size=columns).astype(dtype)

    def step(x, b, w):
        if not batch:
            x = ops.tanh(x)  # what a layer before would give, which no data set holds
        z = ENDINGS[ending](ops.matmul(x, w), b)
        return z, w - 0.1 * ops.matmul(ops.transpose(x, (1, 0)), z)

    specs = [Spec((rows, inner), np.dtype(dtype)), Spec(b.shape, b.dtype), Spec(w.shape, w.dtype)]
    graph = rewrite(trace(step, *specs).graph)
    loop = backends.get(backend).compile_loop(graph, LoopForm(rows=1, fixed=1, carried=(0,)))
    run = loop.start(LoopData([x], np.arange(len(x))[::-1].copy(), fixed=[b], state=[w]))
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    names = [i.name for made in getattr(loop, "_made", {}).values() for i in made.plan.instructions]
    return names, [run.logs[0], w]


SIZES = st.sampled_from([2, 3, 7, 8, 9, 16, 17, 24])


@given(
    rows=SIZES,
    columns=st.sampled_from([1, 5, 8, 9, 16, 32, 33, 48, 49, 100]),
    inner=st.sampled_from([1, 2, 7, 8, 9, 16, 17, 40, 63]),
    ending=st.sampled_from(sorted(ENDINGS)),
    batch=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_halves_give_the_product_and_the_same_bits_on_any_threads(always, rows, columns, inner, ending, batch, dtype):
    sizes = (rows, columns, inner, ending, batch, dtype)
    results = []
    for threads in (1, 2, 3, 5):
        set_num_threads(threads)
        names, found = stepped("cpu", *sizes)
        results.append([value.tobytes() for value in found])
    assert "matmul in halves" in names
    assert all(other == results[0] for other in results)
    for own, wanted in zip(found, stepped("reference", *sizes)[1], strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-4 if dtype == "float32" else 1e-10)


def test_nan_and_infinity_go_through_as_in_numpy(always):
    x = R.normal(size=(4, 32)).astype("float32")
    x[1, 3], x[2, 20], x[3, 1], x[3, 30] = np.nan, np.inf, np.inf, -np.inf
    w = np.abs(R.normal(size=(32, 6))).astype("float32")
    logs = []
    for backend in ("cpu", "reference"):
        specs = [Spec((4, 32), np.dtype("f4")), Spec((32, 6), np.dtype("f4"))]
        graph = rewrite(trace(lambda x, w: (ops.matmul(x, w), w * 2.0), *specs).graph)
        loop = backends.get(backend).compile_loop(graph, LoopForm(rows=1, carried=(0,)))
        run = loop.start(LoopData([x], np.arange(4), state=[w.copy()]))
        run.advance(1)
        logs.append(run.logs[0][0])
    np.testing.assert_allclose(*logs, rtol=1e-4)
    assert np.isnan(logs[0][1]).all()
    assert np.isposinf(logs[0][2]).all()
    assert np.isnan(logs[0][3]).all()


def plan_of(model):
    """The instructions of the model's step."""
    (program,) = (p for key, p in model.programs.kept.items() if key[0] == "train")
    (made,) = program.loop._made.values()
    return made.plan.instructions


def trained(units, batch, inputs=784, epochs=1):
    set_seed(0)
    model = Sequential([Input((inputs,)), Dense(units, "relu"), Dense(10, "softmax")])
    model.compile("categorical_crossentropy", "sgd")
    x, y = np.random.default_rng(0).normal(size=(4 * batch, inputs)).astype("f4"), np.arange(4 * batch) % 10
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    return model, x


def test_the_first_layer_of_a_network_with_small_batches_is_halved_and_no_other():
    plan = plan_of(trained(32, 16)[0])
    assert [i.name.split("+")[0] for i in plan if "halves" in i.name or "join" in i.name] == [
        "matmul in halves",
        "join",
    ]


def fetching_of(units, batch):
    """The one product that fetches, in the plan of a step."""
    (fetching,) = (i for i in plan_of(trained(units, batch)[0]) if "fetching" in i.name)
    return fetching


def test_the_gradient_by_halved_weights_fetches_the_features_of_its_own_rows():
    assert fetching_of(100, 32).record[-1] == OWN_FEATURES
    # With few columns it asks as it goes along: its record ends with the rows of the batch that it reads.
    assert fetching_of(24, 16).record[-2] == 16
    assert fetching_of(24, 16).record[-1] == fetching_of(100, 32).record[-4]


@pytest.mark.parametrize(("units", "batch", "inputs"), [(100, 384, 784), (16, 16, 64), (600, 64, 784)])
def test_large_batches_and_small_weights_stay_whole(units, batch, inputs):
    plan = plan_of(trained(units, batch, inputs)[0])
    assert not any(i.name == "matmul in halves" and i.record[2] == inputs for i in plan)
    assert {i.record[-1] for i in plan if "fetching" in i.name} <= {OWN_ROWS, EVERYTHING}


def test_predictions_use_whole_products_and_agree():
    model, x = trained(32, 16)
    kernel, bias, last_kernel, last_bias = model.get_weights().values()
    logits = np.maximum(x @ kernel + bias, 0) @ last_kernel + last_bias
    expected = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(model.predict(x), expected / expected.sum(1, keepdims=True), rtol=1e-4)


def test_weights_with_further_axes_stay_whole(always):
    """The weights of a single expert: matrices, but with an axis of size 1 before theirs."""

    def step(x, w):
        z = ops.matmul(x, w)
        return z, w - 0.1 * ops.matmul(ops.transpose(ops.reshape(x, (1, 5, 24)), (0, 2, 1)), z)

    x, w = R.normal(size=(10, 24)).astype("f4"), R.normal(size=(1, 24, 9)).astype("f4")
    results = []
    for backend in ("cpu", "reference"):
        graph = rewrite(trace(step, Spec((5, 24), np.dtype("f4")), Spec(w.shape, w.dtype)).graph)
        loop = backends.get(backend).compile_loop(graph, LoopForm(rows=1, carried=(0,)))
        run = loop.start(LoopData([x], np.arange(10), state=[w.copy()]))
        while run.done < run.steps:
            run.advance(run.steps - run.done)
        results.append(run.logs[0])
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


def test_recorded_steps_have_the_bits_of_plain_ones():
    histories = []
    for record in (None, "stats", "full"):
        set_seed(0)
        model = Sequential([Input((784,)), Dense(32, "relu"), Dense(10, "softmax")])
        model.compile("categorical_crossentropy", "momentum")
        x, y = np.random.default_rng(0).normal(size=(64, 784)).astype("f4"), np.arange(64) % 10
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, record=record)
        histories.append((history["loss"], [v.tobytes() for v in model.get_weights().values()]))
    assert histories[0] == histories[1] == histories[2]


@given(st.integers(1, 2000))
def test_the_cut_lies_where_two_threads_share_the_rows_of_the_gradient(inner):
    blocks = -(-inner // ROW_BLOCK)
    assert halves.cut(inner) == min(-(-blocks // 2) * ROW_BLOCK, inner)


def test_halves_are_worth_it_for_large_weights_and_small_batches():
    assert halves.are_worth_it(16, 32, 784, float32)
    assert halves.are_worth_it(32, 100, 784, float32)
    assert not halves.are_worth_it(1, 100, 784, float32)
    assert halves.are_worth_it(256, 100, 784, float32)
    assert not halves.are_worth_it(384, 100, 784, float32)
    assert not halves.are_worth_it(16, 16, 64, float32)
    assert not halves.are_worth_it(16, 512, 31, float32)
    assert not halves.are_worth_it(16, 32, 784, np.dtype(np.int64))


# Sums over samples.


def summed(backend, samples, features, columns, dtype, data, steps=2):
    """Gradients of weights and bias over many samples; the plan's names, and what came out."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(steps * samples, features)).astype(dtype)
    z = rng.normal(size=(steps * samples, columns)).astype(dtype)
    w, b = rng.normal(size=(features, columns)).astype(dtype), rng.normal(size=columns).astype(dtype)

    def step(x, z, w, b):
        x, z = x if data else ops.tanh(x), ops.tanh(z)  # data and what the step computes: the latter would move
        return w - 0.1 * ops.matmul(ops.transpose(x, (1, 0)), z), b - 0.1 * ops.sum(z, 0)

    specs = [Spec((samples, n), np.dtype(dtype)) for n in (features, columns)]
    graph = rewrite(trace(step, *specs, Spec(w.shape, w.dtype), Spec(b.shape, b.dtype)).graph)
    loop = backends.get(backend).compile_loop(graph, LoopForm(rows=2, carried=(0, 1)))
    run = loop.start(LoopData([x, z], np.arange(len(x))[::-1].copy(), state=[w, b]))
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    names = [i.name for made in getattr(loop, "_made", {}).values() for i in made.plan.instructions]
    return names, [w, b]


@given(
    samples=st.sampled_from([2, 3, 7, 8, 9, 15, 16, 17, 40, 63]),
    features=st.sampled_from([2, 5, 8, 9, 17, 33]),
    columns=st.sampled_from([1, 3, 8, 9, 16, 17, 49]),
    dtype=st.sampled_from(["float32", "float64"]),
    data=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_halves_of_samples_give_the_gradients_and_the_same_bits_on_any_threads(
    always, monkeypatch, samples, features, columns, dtype, data
):
    monkeypatch.setattr(halves, "of_samples", lambda *sizes, data: True)
    results = []
    for threads in (1, 2, 3, 5):
        set_num_threads(threads)
        names, found = summed("cpu", samples, features, columns, dtype, data)
        results.append([value.tobytes() for value in found])
    assert {"matmul in halves", "sums of halves"} <= set(names)
    assert all(other == results[0] for other in results)
    for own, wanted in zip(found, summed("reference", samples, features, columns, dtype, data)[1], strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-4 if dtype == "float32" else 1e-10)


def test_small_weights_of_large_batches_have_their_gradients_in_halves_of_samples():
    set_seed(0)
    model = Sequential([Input((4,)), Dense(32, "relu"), Dense(16, "relu"), Dense(4, "softmax")])
    model.compile("categorical_crossentropy", "sgd")
    x, y = R.normal(size=(4096, 4)).astype("f4"), np.arange(4096) % 4
    model.fit(x, y, batch_size=2048, epochs=1, verbose=0)
    names = [i.name for i in plan_of(model)]
    assert names.count("matmul in halves") == names.count("sums of halves") == 3


def test_nan_goes_through_sums_of_halves(always, monkeypatch):
    monkeypatch.setattr(halves, "of_samples", lambda *sizes, data: True)

    def gradients(x, z):
        z = z * 1.5
        return ops.matmul(ops.transpose(x, (1, 0)), z), ops.sum(z, 0)

    x, z = R.normal(size=(40, 3)).astype("f4"), R.normal(size=(40, 5)).astype("f4")
    z[30, 2], z[1, 4] = np.nan, np.inf
    product, total = (np.asarray(value) for value in compile(gradients, backend="cpu")(x, z))
    assert np.isnan(total[2])
    assert np.isposinf(total[4])
    assert np.isfinite(total[[0, 1, 3]]).all()
    assert np.isnan(product[:, 2]).all()
    assert np.isinf(product[:, 4]).all()


def test_sums_over_samples_are_halved_where_the_samples_are_much_larger_than_the_gradient():
    assert halves.of_samples(32, 16, 10_000, float32, data=False)
    assert halves.of_samples(4, 32, 10_000, float32, data=True)
    assert halves.of_samples(100, 10, 256, float32, data=False)
    assert not halves.of_samples(784, 100, 256, float32, data=True)
    assert not halves.of_samples(500, 500, 128, float32, data=False)
    assert not halves.of_samples(32, 10, 16, float32, data=False)
    assert not halves.of_samples(1, 10, 10_000, float32, data=False)
    assert not halves.of_samples(32, 16, 10_000, np.dtype(np.int64), data=False)
