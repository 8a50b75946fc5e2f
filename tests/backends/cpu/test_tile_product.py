"""Products on the matrix unit: as exact as products by vectors, whatever the shapes, orders, threads and values."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.backends.cpu.guards import at_the_end_of_memory
from tests.backends.cpu.operands import (
    ENDINGS,
    fits_are_those_of_the_reference,
    is_predicted_by_vectors,
    operands,
    repeated,
)

from pellucid import Input, Sequential, Tensor, backends, ops, set_num_threads, set_seed
from pellucid.backends.cpu import halves, matrix_unit
from pellucid.backends.cpu.tile_extent import BLOCK_BYTES, Extent
from pellucid.backends.cpu.tile_operands import STEP
from pellucid.backends.loop import LoopData, LoopForm
from pellucid.dtypes import float32, float64
from pellucid.graph import rewrite, trace
from pellucid.nn import Dense
from pellucid.op import Spec

needs_the_unit = pytest.mark.skipif(not matrix_unit.is_available(), reason="there is no matrix unit here")
pytestmark = needs_the_unit

SIZES = st.sampled_from([1, 2, 7, 15, 16, 17, 31, 32, 33, 40, 48, 50, 64, 65, 100, 130])
INNER = st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1024, 1030])


@pytest.fixture
def always(monkeypatch):
    """Every product in training of float32 is made on the unit, on however many threads."""
    worth = lambda extent, dtype: dtype == float32 and extent.dense != ""  # noqa: E731
    monkeypatch.setattr(Extent, "is_worth_it", worth)
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    yield
    set_num_threads(None)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES, SIZES, INNER, st.sampled_from(["", "a", "b", "ab"]), st.sampled_from(sorted(ENDINGS)))
@example(130, 100, 1030, "", "none")  # several parts of the inner axis
@example(33, 130, 33, "ab", "bias and activation")
@example(17, 17, 65, "b", "of the result's shape")
def test_any_product_is_right_and_has_the_same_bits_on_any_threads(always, rows, columns, inner, turned, ending):
    function, arrays, (left, right) = operands(rows, columns, inner, turned, ending)
    exact = left.astype("float64") @ right.astype("float64")
    expected = np.asarray(ENDINGS[ending](Tensor(exact), Tensor(arrays[2].astype("float64"))))
    bits = set()
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found, _ = repeated(function, arrays)
        bits.add(found.tobytes())
    assert len(bits) == 1
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5 * np.sqrt(inner))


@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
@pytest.mark.parametrize("streams", ["left", "right"])
def test_errors_are_no_larger_than_those_of_numpy(always, monkeypatch, turned, streams):
    monkeypatch.setattr(Extent, "streams", streams)
    function, arrays, (left, right) = operands(70, 90, 400, turned)
    found, names = repeated(function, arrays)
    assert any(name.startswith("tiles") for name in names)
    exact = left.astype("float64") @ right.astype("float64")
    error = lambda z: np.sqrt(np.mean((z - exact) ** 2))  # noqa: E731
    assert error(found) < 1.5 * error(left @ right)
    scale = np.abs(left).astype("float64") @ np.abs(right).astype("float64")
    assert np.max(np.abs(found - exact) / scale) < 1e-6


@pytest.mark.parametrize("mantissa", [1.0, 1 + 2**-8, 1 + 2**-7 - 2**-23, 1 + 2**-8 + 2**-16, 2 - 2**-23])
def test_no_significant_digit_is_lost(always, mantissa):
    """Of single products, where nothing is added up that could hide it."""
    a = np.zeros((32, 32), np.float32)
    np.fill_diagonal(a, np.float32(mantissa))
    b = np.random.default_rng(0).normal(size=(32, 40)).astype("float32") * np.float32(mantissa)
    found, _ = repeated(lambda a, b: ops.matmul(a, b), (a, b))
    exact = a.astype("float64") @ b.astype("float64")
    assert np.max(np.abs(found - exact) / np.abs(exact)) < 2**-21.5


@pytest.mark.parametrize("turned", ["", "a", "b"])
@pytest.mark.parametrize("inner", [40, 64])
def test_nan_and_infinity_reach_those_results_alone_that_they_belong_to(always, turned, inner):
    function, (a, b, c), _ = operands(70, 100, inner, turned)
    clean, _ = repeated(function, (a, b, c))
    a[(3, 5) if "a" in turned else (5, 3)] = np.nan
    a[(7, 69) if "a" in turned else (69, 7)] = -np.inf
    b[(99, 7) if "b" in turned else (7, 99)] = np.inf
    with np.errstate(invalid="ignore"):
        expected = (a.T if "a" in turned else a) @ (b.T if "b" in turned else b)
    for count in (1, 2, 3):
        set_num_threads(count)
        found, _ = repeated(function, (a, b, c))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        infinite = np.isinf(expected)
        np.testing.assert_array_equal(found[infinite], expected[infinite])
        finite = np.isfinite(expected)
        assert found[finite].tobytes() == clean[finite].tobytes()


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e30])
def test_the_largest_numbers_stay_finite_where_numpy_leaves_them_so(always, value):
    a, b = np.zeros((40, 33), np.float32), np.eye(33, 50, dtype=np.float32)
    a[5, 3], a[39, 32] = value, 0.75 * value
    found, _ = repeated(lambda a, b: ops.matmul(a, b), (a, b))
    np.testing.assert_allclose(found, a @ b, rtol=1e-6)


@pytest.mark.parametrize(("rows", "columns", "inner"), [(16, 16, 16), (33, 50, 33), (70, 20, 65), (17, 100, 7)])
@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
def test_nothing_is_read_or_written_behind_the_arrays(always, rows, columns, inner, turned):
    function, arrays, (left, right) = operands(rows, columns, inner, turned, "of the result's shape")
    arrays = [at_the_end_of_memory(array) for array in arrays]
    for count in (1, 3):
        set_num_threads(count)
        found, _ = repeated(function, arrays)
        exact = left.astype("float64") @ right.astype("float64")
        np.testing.assert_allclose(found, exact**2 - 0.5 * arrays[2], rtol=1e-4, atol=1e-4)


def trained(threads, backend="cpu", activation="relu", batch=40, optimizer="sgd"):
    """Weights and losses of a fit, with a last batch of its own size."""
    r = np.random.default_rng(0)
    x = r.normal(size=(95, 70)).astype("float32")
    y = np.eye(5, dtype="float32")[r.integers(0, 5, len(x))]
    set_seed(1)
    set_num_threads(threads)
    layers = [Dense(47, activation=activation), Dense(33, activation=activation), Dense(5, activation="softmax")]
    model = Sequential([Input((70,)), *layers])
    model.compile("categorical_crossentropy", optimizer, backend=backend)
    history = model.fit(x, y, batch_size=batch, epochs=3, seed=0, verbose=0)
    return list(model.get_weights().values()), history.history["loss"]


@pytest.mark.parametrize("halved", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fit_has_the_same_bits_on_any_threads_and_is_that_of_the_reference(always, monkeypatch, halved, optimizer):
    monkeypatch.setattr(halves, "are_worth_it", lambda *sizes: halved)
    fits_are_those_of_the_reference(trained, rtol=2e-3, atol=2e-4, optimizer=optimizer)


def test_predictions_are_made_by_vectors_so_that_a_row_has_its_bits_in_any_batch(always):
    function, arrays, _ = operands(64, 100, 784, "")
    is_predicted_by_vectors(function, arrays)


def test_float64_and_small_products_are_made_by_vectors():
    assert Extent(128, 500, 784, "inner", False).is_worth_it(float32)
    assert not Extent(128, 500, 784, "inner", False).is_worth_it(float64)
    assert not Extent(128, 500, 784, "", False).is_worth_it(float32)
    assert not Extent(8, 500, 784, "inner", False).is_worth_it(float32)
    assert not Extent(128, 10, 500, "inner", False).is_worth_it(float32)


@pytest.mark.parametrize("sizes", [(32, 32, 1500), (17, 30, 1025), (40, 33, 2100)])
def test_the_halves_of_a_long_inner_axis_have_memory_for_the_blocks_of_one_part(always, monkeypatch, sizes):
    """As a whole it has several parts, each half has one."""
    rows, columns, inner = sizes
    monkeypatch.setattr(halves, "are_worth_it", lambda *sizes: True)
    r = np.random.default_rng(0)
    x, w = (r.normal(size=shape).astype("float32") for shape in ((rows, inner), (inner, columns)))

    def step(x, w):
        z = ops.matmul(ops.tanh(x), w)
        return z, w + 0.0 * z[0, 0]

    graph = rewrite(trace(step, *(Spec(a.shape, a.dtype) for a in (x, w))).graph)
    bits = set()
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        loop = backends.get("cpu").compile_loop(graph, LoopForm(rows=1, carried=(0,)))
        run = loop.start(LoopData([x], np.tile(np.arange(rows), 20), state=[w.copy()]))
        while run.done < run.steps:
            run.advance(run.steps - run.done)
        assert "tiles in halves" in [i.name for made in loop._made.values() for i in made.plan.instructions]
        bits |= {z.tobytes() for z in run.logs[0]}
    assert len(bits) == 1
    exact = np.tanh(x.astype("float64")) @ w.astype("float64")
    np.testing.assert_allclose(run.logs[0][0], exact, rtol=2e-5, atol=1e-5 * np.sqrt(inner))


@pytest.mark.parametrize("size", [(64, 100, 784), (10_000, 500, 500), (10_000, 100, 8000), (32, 32, 100_000)])
def test_memory_for_parts_stays_within_what_a_core_has(size):
    for dense, turned in (("inner", False), ("rows", True)):
        extent = Extent(*size, dense, turned)
        parts = (2 + extent.kept_blocks) * extent.most_steps * STEP
        assert parts < 1 << 21
        assert extent.bytes >= parts + 2 * BLOCK_BYTES
    assert Extent(32, 32, 1500, "inner", False).bytes >= Extent(32, 32, 1000, "inner", False).bytes


def test_results_of_many_blocks_are_not_kept_until_a_long_inner_axis_ends():
    assert Extent(60_000, 96, 1000, "inner", False).is_worth_it(float32)
    assert not Extent(60_000, 96, 2048, "inner", False).is_worth_it(float32)
