"""Several numbers about an array in one kernel: as NumPy gives them, for any size, layout and number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import backends, compile, ops, set_num_threads


def summary(x):
    """Seven numbers, the last of which needs the third."""
    mean = ops.sum(x) * np.array([1 / x.spec.shape[0]], x.spec.dtype)
    zeros = ops.sum(ops.cast(ops.equal(x, 0), x.spec.dtype))
    spread = ops.sum(ops.square(x - mean))
    found = [ops.min(x), ops.max(x), mean, ops.sum(ops.abs(x)), zeros, ops.max(-x), spread]
    return ops.concatenate([ops.reshape(value, (1,)) for value in found], 0)


def expected(x):
    wide = x.astype(np.float64)
    spread = np.square(wide - wide.mean()).sum()
    return [wide.min(), wide.max(), wide.mean(), np.abs(wide).sum(), (wide == 0).sum(), (-wide).max(), spread]


def instructions(function, *args):
    return backends.get("cpu").compile(compile(function, backend="cpu").graph(*args)).plan.instructions


@given(st.integers(2, 300) | st.integers(2_000, 9_000), st.sampled_from(["float32", "float64"]))
def test_numbers_of_arrays_of_any_length_equal_numpy(count, dtype):
    x = np.random.default_rng(count).normal(1, 2, count).astype(dtype)
    x[:: count // 2] = 0
    found = np.asarray(compile(summary, backend="cpu")(x))
    np.testing.assert_allclose(found, expected(x), rtol=1e-5 if dtype == "float32" else 1e-12)


def test_all_numbers_of_an_array_are_one_instruction():
    (only,) = instructions(summary, np.ones(40, "float32"))
    assert only.name.startswith("rows: ")


@pytest.mark.parametrize(
    "cut", [lambda x: x[::3], lambda x: x[::-1], lambda x: ops.broadcast_to(x[:1], (33,))],
    ids=["every third", "backwards", "one number again and again"],
)  # fmt: skip
def test_elements_that_do_not_lie_side_by_side(cut):
    x = np.random.default_rng(1).normal(size=90).astype("float32")
    found = np.asarray(compile(lambda x: summary(cut(x)), backend="cpu")(x))
    np.testing.assert_allclose(found, expected(np.asarray(cut(x))), rtol=1e-5, atol=1e-5)


def test_two_arrays_and_a_number_from_outside():
    def compared(x, y, scale):
        found = [ops.max(x * scale), ops.sum(x - y), ops.min(y), scale]
        return ops.concatenate([ops.reshape(value, (1,)) for value in found], 0)

    r = np.random.default_rng(2)
    x, y, scale = r.normal(size=50).astype("float32"), r.normal(size=50).astype("float32"), np.float32(3)
    found = np.asarray(compile(compared, backend="cpu")(x, y, scale))
    np.testing.assert_allclose(found, [(x * scale).max(), (x - y).sum(), y.min(), scale], rtol=1e-5)
    assert len(instructions(compared, x, y, scale)) == 1


def test_not_a_number_and_infinity_show():
    x = np.ones(30, "float32")
    x[[3, 20]] = np.nan, np.inf
    assert np.isnan(np.asarray(compile(summary, backend="cpu")(x))[[0, 1, 2, 3, 5, 6]]).all()
    x[3] = -np.inf
    assert np.asarray(compile(summary, backend="cpu")(x))[[0, 1]].tolist() == [-np.inf, np.inf]


def test_a_sum_of_many_equal_numbers_is_nearly_exact():
    x = np.full(3_000_000, 0.1, "float32")
    found = np.asarray(compile(summary, backend="cpu")(x))
    assert found[3] == pytest.approx(x.astype(np.float64).sum(), rel=1e-5)


def test_any_number_of_threads_gives_the_same_bits():
    def both(x):
        found = [ops.sum(x * float(n)) for n in range(20)]  # more numbers than one thread keeps to itself
        return ops.concatenate([ops.reshape(value, (1,)) for value in found], 0)

    x = np.random.default_rng(3).normal(size=700_000).astype("float32")
    found = set()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.add(np.asarray(compile(both, backend="cpu")(x)).tobytes())
    finally:
        set_num_threads(None)
    assert len(found) == 1
