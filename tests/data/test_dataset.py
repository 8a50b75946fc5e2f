from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.data import Dataset
from pellucid.errors import DataError


def pair(rows: int = 4, shape: tuple[int, ...] = (2,), y: Any = None) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(rows * int(np.prod(shape)), dtype=np.float32).reshape(rows, *shape)
    return x, np.arange(rows, dtype=np.int32) % 2 if y is None else y


def dataset(**changes: Any) -> Dataset:
    settings: dict[str, Any] = {
        "name": "toy",
        "task": "classification",
        "train": pair(4),
        "test": pair(2),
        "target_names": ("no", "yes"),
    }
    return Dataset(**(settings | changes))


def test_the_properties_name_the_four_arrays() -> None:
    data = dataset()
    assert data.x_train is data.train[0]
    assert data.y_train is data.train[1]
    assert data.x_test is data.test[0]
    assert data.y_test is data.test[1]
    assert data.n_classes == 2
    assert data.input_shape == (2,)


def test_the_printed_form_says_task_sizes_and_shape() -> None:
    assert repr(dataset()) == (
        "Dataset('toy': classification into 2 classes, 4 training and 2 test examples of shape [2])"
    )
    y = np.zeros(4, np.float32)
    regression = dataset(task="regression", target_names=(), train=pair(4, (2,), y), test=pair(4, (2,), y))
    assert repr(regression) == "Dataset('toy': regression, 4 training and 4 test examples of shape [2])"
    assert regression.n_classes == 0


def test_flat_makes_one_row_of_every_example_and_keeps_the_rest() -> None:
    names = tuple(f"pixel_{i}_{j}" for i in range(3) for j in range(2))
    data = dataset(train=pair(4, (3, 2, 1)), test=pair(2, (3, 2, 1)), feature_names=names, licence="free")
    flat = data.flat()
    assert flat.x_train.shape == (4, 6)
    assert flat.x_test.shape == (2, 6)
    assert np.array_equal(flat.x_train.ravel(), data.x_train.ravel())
    assert flat.feature_names == names
    assert flat.licence == "free"
    assert data.input_shape == (3, 2, 1)


def test_flat_takes_a_part_without_examples() -> None:
    assert dataset(test=pair(0)).flat().x_test.shape == (0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": (pair(4)[0], pair(3)[1])}, "Data set 'toy': 4 training examples, but 3 training targets."),
        (
            {"task": "ranking"},
            "Data set 'toy': the task must be 'classification' or 'regression', not 'ranking'.",
        ),
        ({"test": pair(2, (3,))}, "Data set 'toy': training examples have the shape [2], test examples [3]."),
        (
            {"test": (pair(2)[0].astype("float64"), pair(2)[1])},
            "Data set 'toy': test x must be float32 or whole numbers, not float64.",
        ),
        (
            {"test": (pair(2)[0], pair(2)[1].astype("int64"))},
            "Data set 'toy': test y of a classification task must be int32, not int64.",
        ),
        (
            {"train": pair(4, (2,), np.array([0, 1, 2, 0], np.int32))},
            "Data set 'toy': training labels reach from 0 to 2, but 2 classes are named.",
        ),
        (
            {"train": pair(4, (2,), np.array([[0], [1], [1], [0]], np.int32))},
            "Data set 'toy': training y must be one label an example, not [4, 1].",
        ),
        ({"target_names": ()}, "Data set 'toy': a classification task needs the names of its classes."),
        ({"task": "regression"}, "Data set 'toy': a regression task has no classes to name."),
        ({"feature_names": ("a", "b", "c")}, "Data set 'toy': 3 feature names for 2 features."),
        ({"feature_names": "ab"}, "Data set 'toy': feature_names must be a tuple of texts, not 'ab'."),
        ({"train": [1, 2]}, "Data set 'toy': the training examples must be a pair of NumPy arrays (x, y)."),
        (
            {"train": (np.zeros(4, np.float32), pair(4)[1])},
            "Data set 'toy': training x must be [N, ...] and y [N], not [4] and [4].",
        ),
    ],
)
def test_contradicting_parts_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        dataset(**changes)
    assert str(caught.value) == message


def test_token_numbers_may_be_whole_numbers() -> None:
    x = np.zeros((4, 7), np.int32)
    assert dataset(train=(x, pair(4)[1]), test=(x[:2], pair(2)[1])).x_train.dtype == np.int32


def test_a_data_set_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        dataset().name = "other"  # type: ignore[misc]
