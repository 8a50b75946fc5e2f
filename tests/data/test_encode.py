from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pellucid.data import one_hot
from pellucid.errors import ConfigurationError, DataError, DTypeError


@given(arrays(np.int32, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), elements=st.integers(0, 4)))
def test_the_class_is_where_the_one_is(labels: np.ndarray) -> None:
    rows = one_hot(labels, 5)
    assert rows.dtype == np.float32
    assert rows.shape == (*labels.shape, 5)
    assert np.array_equal(rows.argmax(-1), labels)
    assert np.array_equal(rows.sum(-1), np.ones(labels.shape))


def test_the_number_of_classes_is_one_more_than_the_largest_label() -> None:
    assert one_hot([0, 3]).shape == (2, 4)
    assert one_hot(np.array([2], np.uint8)).tolist() == [[0, 0, 1]]


def test_no_labels_make_no_rows() -> None:
    assert one_hot([], 3).shape == (0, 3)
    with pytest.raises(DataError) as caught:
        one_hot([])
    assert str(caught.value) == "one_hot: there are no labels to count the classes by.\nHint: give n_classes"


@pytest.mark.parametrize(("bad", "label"), [(-1, -1), (3, 3)])
def test_a_label_outside_is_named_with_its_place(bad: int, label: int) -> None:
    with pytest.raises(DataError) as caught:
        one_hot([[0, 1], [bad, 2]], 3)
    assert str(caught.value) == (
        f"one_hot: the label {label} at [1, 0] is outside 0 to 2 (3 classes).\n  1 of 4 labels are outside"
    )


def test_a_single_label_outside_has_no_place() -> None:
    with pytest.raises(DataError, match=r"^one_hot: the label 3 is outside 0 to 2 \(3 classes\)\."):
        one_hot(3, 3)


@pytest.mark.parametrize(
    ("labels", "name"), [([0.0, 1.0], "float64"), ([True, False], "bool"), (np.zeros(0, "float32"), "float32")]
)
def test_labels_that_are_not_whole_numbers_are_refused(labels: Any, name: str) -> None:
    with pytest.raises(DTypeError) as caught:
        one_hot(labels, 3)
    assert str(caught.value) == (
        f"one_hot: the labels must be whole numbers, not {name}.\n"
        "Hint: convert them first, for instance with labels.astype('int32')"
    )


@pytest.mark.parametrize("n_classes", [0, -1, 2.0, True])
def test_the_number_of_classes_is_checked(n_classes: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        one_hot([0], n_classes)
    assert str(caught.value) == (
        f"one_hot: n_classes must be a whole number of at least 1, or None, not {n_classes!r}."
    )
