import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dtypes import float32
from pellucid.op import Spec
from pellucid.plan.layout import View, contiguous_strides, dense, merge_loops


def as_array(view: View, memory: np.ndarray) -> np.ndarray:
    """The elements that a view shows of a buffer."""
    return np.ndarray(view.shape, np.float32, memory.tobytes(), view.offset, view.strides)


@pytest.fixture
def memory() -> np.ndarray:
    return np.arange(24, dtype=np.float32)


def test_a_dense_view_shows_the_buffer_in_row_order(memory):
    view = dense(3, Spec((2, 3, 4), float32))
    assert view.is_contiguous
    np.testing.assert_array_equal(as_array(view, memory), memory.reshape(2, 3, 4))


def test_movements_of_a_view_are_those_of_numpy(memory):
    view, array = dense(0, Spec((2, 3, 4), float32)), memory.reshape(2, 3, 4)
    np.testing.assert_array_equal(as_array(view.transpose((2, 0, 1)), memory), array.transpose(2, 0, 1))
    np.testing.assert_array_equal(as_array(view.flip((0, 2)), memory), np.flip(array, (0, 2)))
    np.testing.assert_array_equal(as_array(view.slice((1, 0, 1), (1, 2, 2), (1, 2, 2)), memory), array[1:, ::2, 1::2])
    np.testing.assert_array_equal(as_array(view.broadcast((5, 2, 3, 4)), memory), np.broadcast_to(array, (5, 2, 3, 4)))


def test_only_a_dense_view_is_reshaped_without_a_copy(memory):
    view = dense(0, Spec((2, 12), float32))
    reshaped = view.reshape((3, 8))
    assert reshaped is not None
    np.testing.assert_array_equal(as_array(reshaped, memory), memory.reshape(3, 8))
    assert view.transpose((1, 0)).reshape((24,)) is None


def test_an_axis_of_size_one_does_not_make_a_view_sparse():
    view = View(0, 0, (1, 3), (999, 4), float32)
    assert view.is_contiguous


@given(
    st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple),
    st.lists(st.sampled_from(["dense", "still", "reversed"]), min_size=1, max_size=3),
)
def test_merged_loops_visit_the_same_places_in_the_same_order(shape, kinds):
    plain = contiguous_strides(shape, 4)
    columns = [{"dense": plain, "still": (0,) * len(shape), "reversed": tuple(reversed(plain))}[k] for k in kinds]
    loops = merge_loops(shape, columns)
    for before, after in zip(columns, loops.strides, strict=True):
        expected = [sum(i * s for i, s in zip(index, before, strict=True)) for index in np.ndindex(*shape)]
        visited = [sum(i * s for i, s in zip(index, after, strict=True)) for index in np.ndindex(*loops.sizes)]
        assert visited == expected
    assert all(n > 1 for n in loops.sizes) or loops.sizes == (1,)
