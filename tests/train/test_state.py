import numpy as np
import pytest

from pellucid import Tensor
from pellucid.train.state import TrainingState


@pytest.fixture
def tensors() -> list[Tensor]:
    return [
        Tensor(np.arange(6, dtype="float32").reshape(2, 3), name="kernel"),
        Tensor(np.zeros(3, "float32"), name="bias"),
        Tensor(np.asarray(1.0, "float64"), name="product"),
    ]


def numbers(tensors):
    return [tensor.numpy().copy() for tensor in tensors]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def change(state):
    for array in state.arrays:
        array += 1


def test_the_working_copies_lie_apart_from_the_tensors(tensors):
    before = numbers(tensors)
    state = TrainingState(tensors)
    assert_same(state.arrays, before)
    change(state)
    assert_same(numbers(tensors), before)


def test_the_working_copies_lie_in_row_order_and_can_be_written():
    state = TrainingState([Tensor.wrap(np.asfortranarray(np.ones((2, 3)))), Tensor.wrap(np.ones((4, 4))[::2, ::-1])])
    for array in state.arrays:
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_it_belongs_to_its_tensors_and_no_equal_ones(tensors):
    state = TrainingState(tensors)
    assert state.is_of(list(tensors))
    assert not state.is_of(tensors[:2])
    assert not state.is_of(tensors[::-1])
    assert not state.is_of([Tensor(t, name=t.name) for t in tensors])
    assert not state.is_of([*tensors, Tensor(0.0)])
    assert TrainingState([]).is_of([])


def test_publishing_gives_the_tensors_the_present_numbers_and_no_later_ones(tensors):
    state = TrainingState(tensors)
    change(state)
    expected = [array.copy() for array in state.arrays]
    versions = [tensor.version for tensor in tensors]
    held = numbers(tensors)
    views = [tensor.numpy() for tensor in tensors]
    state.publish()
    assert_same(numbers(tensors), expected)
    assert_same(views, held)  # whoever holds the old numbers keeps them
    assert [tensor.version for tensor in tensors] == [version + 1 for version in versions]
    change(state)
    assert_same(numbers(tensors), expected)


def test_only_what_someone_else_has_changed_is_taken_in(tensors):
    state = TrainingState(tensors)
    places = list(state.arrays)
    change(state)
    kernel, _, product = (array.copy() for array in state.arrays)
    tensors[1].assign([7.0, 8.0, 9.0])
    state.take_in()
    assert_same(state.arrays, [kernel, np.array([7, 8, 9], "float32"), product])
    change(state)
    state.take_in()
    assert_same(state.arrays, [kernel + 1, np.array([8, 9, 10], "float32"), product + 1])
    assert all(a is b for a, b in zip(state.arrays, places, strict=True))


def test_what_was_published_is_not_taken_in_again(tensors):
    state = TrainingState(tensors)
    change(state)
    state.publish()
    change(state)
    expected = [array.copy() for array in state.arrays]
    state.take_in()
    assert_same(state.arrays, expected)


def test_discarding_goes_back_to_the_tensors_as_they_are_now(tensors):
    state = TrainingState(tensors)
    places = list(state.arrays)
    change(state)
    state.publish()
    tensors[1].assign([7.0, 8.0, 9.0])
    expected = numbers(tensors)
    change(state)
    state.discard()
    assert_same(state.arrays, expected)
    assert all(a is b for a, b in zip(state.arrays, places, strict=True))
    change(state)
    state.take_in()  # there is nothing new
    assert_same(state.arrays, [array + 1 for array in expected])


def test_a_snapshot_keeps_its_numbers_and_can_be_used_again(tensors):
    state = TrainingState(tensors)
    places = list(state.arrays)
    snapshot, expected = state.snapshot(), numbers(tensors)
    for _ in range(2):
        change(state)
        assert_same(snapshot, expected)
        state.restore(snapshot)
        assert_same(state.arrays, expected)
    assert all(a is b for a, b in zip(state.arrays, places, strict=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_tensor_with_nan_or_infinity_is_found(tensors, bad):
    state = TrainingState(tensors)
    assert state.first_non_finite(3) is None
    state.arrays[2][...] = bad
    state.arrays[1][2] = bad
    assert state.first_non_finite(3) is tensors[1]
    assert state.first_non_finite(2) is tensors[1]
    assert state.first_non_finite(1) is None
    assert state.first_non_finite(0) is None


def test_infinities_that_cancel_are_found(tensors):
    state = TrainingState(tensors)
    state.arrays[0][0, :2] = np.inf, -np.inf
    assert state.first_non_finite(3) is tensors[0]


def test_finite_numbers_whose_sum_overflows_are_good(tensors):
    state = TrainingState(tensors)
    state.arrays[0][...] = 3e38
    state.arrays[1][...] = -3e38
    assert state.first_non_finite(3) is None
    state.arrays[0][1, 1] = np.nan
    assert state.first_non_finite(3) is tensors[0]


def test_empty_tensors_and_whole_numbers_are_good():
    state = TrainingState([Tensor(np.zeros((0, 3), "float32")), Tensor(np.arange(3))])
    assert state.first_non_finite(2) is None
