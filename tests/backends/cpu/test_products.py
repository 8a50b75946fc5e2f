"""Blocks of products: columns packed and turned, few columns, single registers; any shapes, orders and threads."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.backends.cpu.guards import at_the_end_of_memory
from tests.backends.cpu.operands import ENDINGS, operands

from pellucid import Input, Sequential, Tensor, backends, compile, nn, ops, optim, set_num_threads, set_seed
from pellucid.backends.cpu import cutting, narrow, packing, products, target, threads
from pellucid.backends.cpu.emit import lanes_for
from pellucid.dtypes import float32, float64
from pellucid.graph import trace
from pellucid.op import Spec

SIZES = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 20, 31, 33, 47, 48, 49, 52, 60, 64, 65, 92, 100, 130, 244])


@pytest.fixture
def shared(monkeypatch):
    """Threads share even the smallest product, which puts side by side, turns and asks for whatever it can."""
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    monkeypatch.setattr(packing, "BLOCKS", 2)
    monkeypatch.setattr(packing, "_BLOCKS_ON", {})
    monkeypatch.setattr(packing, "LEAST_TURNED", 2)
    monkeypatch.setattr(packing, "_BLOCKS_BESIDE", 1)
    monkeypatch.setattr(packing, "_LEAST_INNER", 1)
    monkeypatch.setattr(products, "_LARGE", 1)
    monkeypatch.setattr(narrow, "LEAST_INNER", 1)
    yield
    set_num_threads(None)


def product(rows, columns, inner, turned, ending, kind, seed=0):
    """A function of three arrays, these arrays, and its result in float64."""
    function, arrays, (left, right) = operands(rows, columns, inner, turned, ending, kind, seed)
    exact = left.astype("float64") @ right.astype("float64")
    return function, arrays, np.asarray(ENDINGS[ending](Tensor(exact), Tensor(arrays[2].astype("float64"))))


@given(SIZES, SIZES, SIZES, st.sampled_from(["", "a", "b", "ab"]), st.sampled_from(sorted(ENDINGS)),
       st.sampled_from(["float32", "float64"]))  # fmt: skip
@example(130, 100, 33, "a", "of the result's shape", "float32")
@example(130, 100, 33, "b", "bias and activation", "float32")
@example(130, 244, 65, "a", "of the result's shape", "float32")
@example(16, 244, 130, "", "bias and activation", "float32")
@example(33, 100, 130, "", "bias and activation", "float32")
@example(7, 392, 130, "b", "of the result's shape", "float64")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_product_is_right_and_has_the_same_bits_on_any_threads(shared, rows, columns, inner, turned, ending, kind):
    function, arrays, exact = product(rows, columns, inner, turned, ending, kind)
    found = []
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found.append(np.asarray(compile(function, backend="cpu")(*arrays)))
    assert all(other.tobytes() == found[0].tobytes() for other in found)
    np.testing.assert_allclose(found[0], exact, rtol=1e-4, atol=2e-4 if kind == "float32" else 1e-11)


@given(SIZES, SIZES, st.sampled_from(["", "b"]), st.sampled_from(["float32", "float64"]))
@example(100, 784, "", "float32")
@example(20, 65, "", "float32")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_of_a_product_has_the_same_bits_among_any_others(shared, columns, inner, turned, kind):
    function, (a, b, c), _ = product(70, columns, inner, turned, "bias and activation", kind)
    set_num_threads(2)
    compiled = compile(function, backend="cpu")
    whole = np.asarray(compiled(a, b, c))
    for rows in (slice(0, 1), slice(69, 70), slice(3, 10), slice(8, 40)):
        assert np.asarray(compiled(a[rows], b, c)).tobytes() == whole[rows].tobytes()
    right = np.stack([b, b])
    stacked = compile(lambda a, b: ops.matmul(a, ops.transpose(b, (0, 2, 1)) if turned else b), backend="cpu")
    some = np.maximum(np.asarray(stacked(np.stack([a[:9], a[9:18]]), right)) + c, 0)
    np.testing.assert_allclose(some.reshape(18, columns), whole[:18], rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("units", [1, 3, 20])
def test_a_prediction_has_the_same_bits_in_a_batch_of_any_size_wherever_images_lie(units):
    r = np.random.default_rng(0)
    set_seed(5)
    bodies = [nn.Conv2D(6, 3, activation="relu"), nn.Flatten()], [nn.Lambda(lambda v: ops.transpose(v, (0, 2, 1, 3)))]
    for body in bodies:
        layers = [*body, *([] if len(body) == 2 else [nn.Flatten()])]
        model = Sequential([Input((9, 8, 2)), *layers, nn.Dense(units)])
        x = r.random((67, 9, 8, 2), np.float32)
        whole = model.predict(x, batch_size=67)
        for size in (1, 2, 7, 16, 32, 64):
            assert model.predict(x, batch_size=size).tobytes() == whole.tobytes()


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("columns", [3, 20])
def test_a_row_of_a_turned_left_operand_has_the_same_bits_among_any_others(rows, columns):
    r = np.random.default_rng(0)
    x, w = r.normal(size=(150, 40)).astype("float32"), r.normal(size=(150, columns)).astype("float32")
    turned = compile(lambda x, w: ops.matmul(ops.relu(x).T, w), backend="cpu")
    some = np.ascontiguousarray(x[:, :rows])
    assert np.asarray(turned(some, w)).tobytes() == np.asarray(turned(x, w))[:rows].tobytes()


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Momentum, optim.Adam], ids=lambda o: o.__name__)
@pytest.mark.parametrize(
    ("inputs", "widths", "batch"),
    [(65, (244, 196), 71), (130, (100, 196), 33), (1, (20,), 71)],
    ids=["wide", "wide blocks and the rest", "from one number"],
)
def test_weights_of_layers_have_the_same_bits_on_any_threads(
    shared, every_plan_is_shared, optimizer, inputs, widths, batch
):
    r = np.random.default_rng(0)
    x, y = r.random((160, inputs), np.float32), np.eye(4, dtype=np.float32)[r.integers(0, 4, 160)]

    def trained(backend, count):
        set_num_threads(count)
        layers = [nn.Dense(n, activation="relu") for n in widths]
        set_seed(3)
        model = Sequential([Input((inputs,)), *layers, nn.Dense(4, activation="softmax")])
        model.compile("categorical_crossentropy", optimizer(learning_rate=0.01), backend=backend)
        model.fit(x, y, batch_size=batch, epochs=3, seed=1, verbose=0)
        return list(model.get_weights().values())

    first, *others = [trained("cpu", count) for count in (1, 2, 3, 8)]
    for other in others:
        assert all(v.tobytes() == w.tobytes() for v, w in zip(first, other, strict=True))
    for v, w in zip(first, trained("reference", 1), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
def test_nan_and_infinity_reach_those_results_alone_that_they_belong_to(shared, turned):
    function, (a, b, c), _ = product(70, 100, 40, turned, "none", "float32")
    a[(3, 5) if "a" in turned else (5, 3)] = np.nan
    b[(99, 7) if "b" in turned else (7, 99)] = np.inf
    for count in (1, 3):
        set_num_threads(count)
        found = np.asarray(compile(function, backend="cpu")(a, b, c))
        assert np.isnan(found[5]).all()
        others = np.delete(found, 5, axis=0)
        assert np.isinf(others[:, 99]).all()
        assert np.isfinite(others[:, :99]).all()


@pytest.mark.parametrize("rows", [5, 16, 33, 70])
@pytest.mark.parametrize("columns", [1, 3, 4, 20, 52, 60, 92])
@pytest.mark.parametrize("turned", [True, False])
def test_nothing_is_read_behind_the_arrays_of_a_product(shared, rows, columns, turned):
    r = np.random.default_rng(0)
    shapes = (10, rows) if turned else (rows, 10), (10, columns), (rows, 1), (rows, columns), (columns,)
    a, b, *others = (at_the_end_of_memory(r.normal(size=shape).astype("float32")) for shape in shapes)

    def function(a, b, factor, table, bias):
        return ops.matmul(a.T if turned else a, b) * factor + table * bias

    exact = (a.T if turned else a) @ b * others[0] + others[1] * others[2]
    for count in (1, 3):
        set_num_threads(count)
        found = np.asarray(compile(function, backend="cpu")(a, b, *others))
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


def plan_of(function, *shapes):
    graph = trace(function, *(Spec(shape, float32) for shape in shapes)).graph
    return [i.name for i in backends.get("cpu").compile(graph).plan.instructions]


def test_columns_that_one_product_reads_are_turned_there_and_not_copied_before():
    def once(x, w):
        return ops.matmul(x, w.T)

    def twice(x, w):
        turned = w.T
        return ops.matmul(x, turned) + ops.matmul(ops.tanh(x), turned)

    assert plan_of(once, (64, 40), (60, 40)) == ["matmul"]
    assert "transpose" in plan_of(twice, (64, 40), (60, 40))
    assert "matmul" in plan_of(once, (1, 40), (60, 40))[-1]


def test_threads_keep_columns_where_rows_are_long_and_many_alone():
    width = cutting.VECTORS * lanes_for(float32)
    assert packing.bytes_beside(784, 500, width, float32) == 784 * width * 4
    assert packing.bytes_beside(784, width, width, float32) == 0  # they lie side by side already
    assert packing.bytes_beside(784, width - 1, width, float32) == 0
    assert packing.bytes_beside(1 << 20, 500, width, float32) == 0  # no cache holds them
    lanes = lanes_for(float32)
    assert packing.bytes_turned(lanes + 1, 500, width, lanes, float32) == 2 * lanes * width * 4
    assert packing.bytes_turned(lanes + 1, 3, width, lanes, float32) == 2 * lanes * lanes * 4


def test_where_columns_are_kept_at_once_depends_on_the_processor_and_on_how_far_rows_lie_apart(monkeypatch):
    monkeypatch.setattr(packing, "_BLOCKS_ON", {target.processor().name: 48})
    assert packing.least_blocks(2000) == packing.least_blocks(2048) == 48
    assert packing.least_blocks(4096) == packing.least_blocks(8192) == packing.BLOCKS  # no cache keeps such rows
    monkeypatch.setattr(packing, "_BLOCKS_ON", {"another processor": 48})
    assert packing.least_blocks(2000) == packing.BLOCKS


def test_a_left_operand_is_put_side_by_side_where_many_columns_read_it_again():
    width = cutting.VECTORS * lanes_for(float32)
    assert packing.strips_are_worth_it(784, 128, 500, width, float32)
    assert not packing.strips_are_worth_it(784, 128, 3 * width, width, float32)
    assert not packing.strips_are_worth_it(784, 32, 500, width, float32)  # few lines, which the first cache keeps
    assert not packing.strips_are_worth_it(2048, 128, 500, width, float32)  # more than a core's cache holds


def test_blocks_leave_no_register_that_the_processor_lacks():
    rows = cutting.block_rows()
    assert rows * cutting.VECTORS + cutting.VECTORS + 1 <= target.vector_registers()
    assert 2 * rows + 2 <= target.vector_registers() or rows == 8
    assert narrow.is_possible(float32) is (target.vector_bytes() == 64)
    assert not narrow.is_possible(float64)


def test_more_threads_than_the_machine_has_use_are_not_started(shared):
    set_num_threads(200)
    function, arrays, exact = product(300, 60, 50, "b", "none", "float32")
    np.testing.assert_allclose(np.asarray(compile(function, backend="cpu")(*arrays)), exact, atol=1e-4)
    assert len(threads.POOL._workers) < threads.most() <= 256
