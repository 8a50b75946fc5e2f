import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.backends import get
from pellucid.graph import rewrite, trace
from pellucid.train.recording.statistics import END_OF, Measure, finish, measured

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])


def statistics(x, function="", backend="reference"):
    """The finished statistics of one array, as numbers."""
    kept = []

    def reduce(x):
        values, what = measured([(x, END_OF.get(function))])
        kept.append(what)
        return values

    graph = rewrite(trace(reduce, x).graph)
    (values,) = get(backend).compile(graph)(x)
    found = finish(values, kept[0], np.array([x.size], float))
    return {name: value.item() for name, value in vars(found).items()}


@BACKENDS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (5, 3), (4, 6, 6, 2)])
def test_statistics_are_those_of_numpy(backend, dtype, shape):
    x = np.random.default_rng(0).normal(2, 3, shape).astype(dtype)
    x = np.where(x > 4, 0, x).astype(dtype)
    found = statistics(x, backend=backend)
    wide = x.astype(np.float64)
    expected = {
        "mean": wide.mean(), "std": wide.std(), "min": wide.min(), "max": wide.max(), "zeros": (wide == 0).mean(),
        "norm": np.linalg.norm(wide),
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-6, abs=1e-12), name
    assert np.isnan([found["saturated"], found["dead"]]).all()


def test_several_steps_are_finished_together():
    x = np.random.default_rng(1).normal(size=(4, 6)).astype("float32")
    low, high, mean = x.min(1), x.max(1), x.mean(1)
    scale = np.maximum(high, -low)
    spread = np.square((x - mean[:, None]) / scale[:, None]).mean(1)
    one = np.stack([low, high, mean, spread, np.full(4, 0.25), np.full(4, 0.5)], 1)
    measures = (measure_of("relu"), measure_of(""))
    found = finish(
        np.concatenate([one[:, :5], one[:, :5], one[:, 5:]], 1), measures, np.array([[6.0, 6.0]] * 3 + [[12.0, 12.0]])
    )
    np.testing.assert_allclose(found.std, np.stack([x.std(1)] * 2, 1), rtol=1e-5)
    factor = np.sqrt([1, 1, 1, 2])
    np.testing.assert_allclose(found.norm, np.stack([np.linalg.norm(x, axis=1) * factor] * 2, 1), rtol=1e-5)
    assert found.saturated[:, 0].tolist() == [0.25] * 4
    assert found.dead[:, 0].tolist() == [0.5] * 4
    assert np.isnan([found.saturated[:, 1], found.dead[:, 1]]).all()


def measure_of(function):
    return Measure(END_OF.get(function))


@given(hnp.arrays("float32", st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1, 1, width=32)),
       st.integers(-30, 30))  # fmt: skip
def test_numbers_of_any_size_neither_underflow_nor_overflow(x, exponent):
    x = (x * np.float32(10.0) ** np.float32(exponent)).astype("float32")
    x[np.abs(x) < 1e-30] = 0
    found = statistics(x)
    wide = x.astype(np.float64)
    assert found["norm"] == pytest.approx(np.linalg.norm(wide), rel=1e-5, abs=1e-37)
    assert found["std"] == pytest.approx(wide.std(), rel=1e-4, abs=1e-6 * np.abs(wide).max() + 1e-37)


@BACKENDS
@pytest.mark.parametrize(
    ("function", "values", "saturated", "dead"),
    [
        ("relu", [[0, 1, 0], [0, 0, 2]], 4 / 6, 1 / 3),
        ("sigmoid", [[0.001, 0.5, 0.995], [0.995, 0.5, 0.02]], 3 / 6, 1 / 3),
        ("softmax", [[0.0, 1.0], [0.5, 0.5]], 2 / 4, 0.0),
        ("tanh", [[-0.99, 0.99, 0.5], [0.981, 0.0, -0.5]], 3 / 6, 1 / 3),
        ("softsign", [[0.99], [0.99]], 1.0, 1.0),
    ],
)
def test_the_shares_of_saturated_elements_and_of_dead_units(backend, function, values, saturated, dead):
    found = statistics(np.array(values, "float32"), function, backend)
    assert (found["saturated"], found["dead"]) == (pytest.approx(saturated), pytest.approx(dead))


def test_a_unit_of_an_image_is_a_channel():
    x = np.zeros((2, 3, 3, 4), "float32")
    x[1, 2, 2, 0] = 5
    assert statistics(x, "relu")["dead"] == 0.75


def test_not_a_number_shows_in_the_statistics():
    found = statistics(np.array([1.0, np.nan], "float32"))
    assert all(np.isnan(found[name]) for name in ("mean", "std", "norm"))
