import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import backends, compile, ops, set_num_threads
from pellucid.dtypes import dtype

TYPES = st.sampled_from(["float32", "float64", "int32", "int64"])


@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.randoms(), TYPES)
def test_any_permutation_of_axes_is_copied_right(shape, random, kind):
    axes = list(range(len(shape)))
    random.shuffle(axes)
    shape = [n if len(shape) < 4 else min(n, 9) for n in shape]
    x = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype(kind))
    found = np.asarray(compile(lambda x: ops.transpose(x, axes), backend="cpu")(x))
    np.testing.assert_array_equal(found, x.transpose(axes), strict=True)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (1, 50), (50, 1), (15, 15), (160, 48)])
def test_edges_are_copied_by_any_number_of_threads(shape, threads, monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    set_num_threads(threads)
    try:
        x = np.arange(shape[0] * shape[1], dtype="float32").reshape(shape)
        np.testing.assert_array_equal(np.asarray(compile(lambda x: x.T, backend="cpu")(x)), x.T)
    finally:
        set_num_threads(None)


def test_parts_of_arrays_that_run_backwards_and_nan_are_copied_too():
    r = np.random.default_rng(0)
    x = r.normal(size=(20, 30, 7)).astype("float32")
    x[3, 4] = np.nan

    def function(x):
        return ops.transpose(ops.flip(x, (0, 1))[2:19:2, 1:, 1:6], (2, 1, 0))

    expected = x[::-1, ::-1][2:19:2, 1:, 1:6].transpose(2, 1, 0)
    np.testing.assert_array_equal(np.asarray(compile(function, backend="cpu")(x)), expected)


def test_the_kernel_is_used_where_it_is_made_for():
    function = compile(lambda x: x.T, backend="cpu")
    plan = backends.get("cpu").compile(function.graph(np.ones((20, 30), "float32"))).plan
    assert [i.name for i in plan.instructions] == ["transpose"]
