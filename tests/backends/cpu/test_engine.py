import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Sequential, backends, compile, data, ops, set_seed
from pellucid.errors import DataError
from pellucid.nn import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D
from pellucid.optim import Adam

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, SIZES, st.sampled_from(["float32", "float64"]), st.booleans(), st.booleans())
def test_matrix_products_of_any_size_and_layout_equal_numpy(m, k, n, dtype, left_transposed, right_transposed):
    r = np.random.default_rng(m * 10_000 + k * 100 + n)
    a = r.normal(size=(k, m) if left_transposed else (m, k)).astype(dtype)
    b = r.normal(size=(n, k) if right_transposed else (k, n)).astype(dtype)

    def product(a, b):
        return ops.matmul(a.T if left_transposed else a, b.T if right_transposed else b)

    expected = (a.T if left_transposed else a).astype("float64") @ (b.T if right_transposed else b).astype("float64")
    found = np.asarray(compile(product, backend="cpu")(a, b))
    np.testing.assert_allclose(found, expected, atol=1e-4 if dtype == "float32" else 1e-12)


def test_bias_and_activation_are_computed_at_the_end_of_the_product():
    def layer(x, w, b):
        return ops.relu(ops.matmul(x, w) + b)

    r = np.random.default_rng(0)
    x, w, b = (r.normal(size=s).astype("float32") for s in ((9, 20), (20, 50), (50,)))
    compiled = compile(layer, backend="cpu")
    np.testing.assert_allclose(np.asarray(compiled(x, w, b)), np.maximum(x @ w + b, 0), atol=1e-5)
    executable = backends.get("cpu").compile(compiled.graph(x, w, b))
    assert [i.name for i in executable.plan.instructions] == ["matmul+add+relu"]


@pytest.mark.parametrize(
    ("leaf", "names"),
    [
        ((50,), ["matmul+add+tanh"]),
        ((4, 3, 50), ["matmul+add+tanh"]),
        ((4, 3, 1), ["matmul+add+tanh"]),
        ((3, 1), ["matmul", "add+tanh"]),  # stands still and goes on by turns along the rows
    ],
)
def test_a_stack_of_matrices_by_one_matrix_is_one_product_with_its_ending(leaf, names):
    def layer(x, w, b):
        return ops.tanh(ops.matmul(x, w) + b)

    r = np.random.default_rng(0)
    x, w, b = (r.normal(size=s).astype("float32") for s in ((4, 3, 20), (20, 50), leaf))
    compiled = compile(layer, backend="cpu")
    np.testing.assert_allclose(np.asarray(compiled(x, w, b)), np.tanh(x @ w + b), atol=1e-5)
    executable = backends.get("cpu").compile(compiled.graph(x, w, b))
    assert [i.name for i in executable.plan.instructions] == names


@pytest.mark.parametrize(
    "function",
    [
        lambda a, c: ops.matmul(a, a),
        lambda a, c: ops.matmul(a, a) + a,
        lambda a, c: ops.matmul(c, a) + a,
        lambda a, c: ops.matmul(ops.transpose(a, (1, 0)), a),
    ],
)
def test_what_is_multiplied_from_the_right_is_waited_for_whatever_else_it_is(function):
    def twice(w, c):
        return function(ops.tanh(ops.matmul(w, w)), c)

    r = np.random.default_rng(0)
    w, c = (r.normal(size=(40, 40)).astype("f4") for _ in range(2))
    compiled = compile(twice, backend="cpu")
    first, *_ = backends.get("cpu").compile(compiled.graph(w, c)).plan.instructions
    assert first.name == "matmul+tanh"
    assert first.waits
    expected = np.asarray(compile(twice, backend="reference")(w, c))
    np.testing.assert_allclose(np.asarray(compiled(w, c)), expected, atol=1e-4)


def test_graphs_without_work_run_on_several_threads(monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    compiled = compile(lambda a: (a, a * 2.0), backend="cpu")
    for _ in range(50):
        assert [np.asarray(value).shape for value in compiled(np.ones((0, 1), "f4"))] == [(0, 1)] * 2


def test_a_product_that_is_used_twice_is_stored():
    def function(x, w):
        z = ops.matmul(x, w)
        return z, ops.tanh(z)

    x, w = np.ones((3, 4), "float32"), np.full((4, 5), 0.1, "float32")
    z, y = compile(function, backend="cpu")(x, w)
    np.testing.assert_allclose(np.asarray(z), x @ w, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(y), np.tanh(x @ w), rtol=1e-6)


def test_an_index_outside_its_axis_is_an_error_and_touches_no_foreign_memory():
    take = compile(ops.gather, backend="cpu")
    x = np.arange(6, dtype="float32").reshape(3, 2)
    for bad in (3, -1, 2**31 - 1):
        with pytest.raises(DataError, match=f"gather: the index {bad} lies outside 0..2"):
            take(x, np.array([0, bad], "int32"))
    np.testing.assert_array_equal(np.asarray(take(x, np.array([2, 0], "int32"))), x[[2, 0]])


def test_results_are_not_overwritten_by_the_next_run():
    double = compile(lambda x: x * 2.0, backend="cpu")
    first = double(np.ones(5, "float32"))
    double(np.zeros(5, "float32"))
    np.testing.assert_array_equal(np.asarray(first), np.full(5, 2.0, "float32"))


def test_several_threads_may_share_an_executable():
    function = compile(lambda x: ops.sum(ops.exp(x) * 2.0, 1), backend="cpu")
    inputs = [np.full((50, 30), i / 10, "float32") for i in range(8)]
    function(inputs[0])
    wrong = []

    def work(i):
        for _ in range(50):
            if not np.allclose(np.asarray(function(inputs[i])), 60 * np.exp(i / 10), rtol=1e-5):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def network(backend: str) -> Sequential:
    set_seed(3)
    model = Sequential(
        [
            Input((8, 8, 1)),
            Conv2D(6, 3, padding="same", activation="relu"),
            MaxPool2D(2),
            BatchNorm(),
            Flatten(),
            Dropout(0.25),
            Dense(20, activation="tanh"),
            Dense(10, activation="softmax"),
        ]
    )
    model.compile("categorical_crossentropy", Adam(0.005), ["accuracy"], backend=backend)
    return model


def test_training_agrees_with_the_reference_backend():
    digits = data.load("digits")
    x, y = digits.x_train[:200], digits.y_train[:200]
    histories = {}
    for backend in ("reference", "cpu"):
        model = network(backend)
        history = model.fit(x, y, batch_size=48, epochs=3, seed=1, verbose=0)
        histories[backend] = (history["loss"], model.predict(digits.x_test[:50]))
    np.testing.assert_allclose(histories["cpu"][0], histories["reference"][0], rtol=2e-4)
    np.testing.assert_allclose(histories["cpu"][1], histories["reference"][1], atol=2e-3)


def test_training_twice_gives_the_same_bits():
    digits = data.load("digits")
    weights = []
    for _ in range(2):
        model = network("cpu")
        model.fit(digits.x_train[:100], digits.y_train[:100], batch_size=32, epochs=2, seed=1, verbose=0)
        weights.append(model.get_weights())
    for name, value in weights[0].items():
        assert value.tobytes() == weights[1][name].tobytes()
