from __future__ import annotations

import numpy as np
import pytest

from pellucid.data import Dataset, load
from pellucid.errors import ConfigurationError

SIZES = {
    "digits": (1797, (8, 8, 1), 10),
    "iris": (150, (4,), 3),
    "wine": (178, (13,), 3),
    "breast_cancer": (569, (30,), 2),
}


@pytest.fixture(params=list(SIZES))
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return load(request.param)


def test_sizes_types_and_names_are_as_published(dataset: Dataset) -> None:
    rows, shape, classes = SIZES[dataset.name]
    assert dataset.task == "classification"
    assert len(dataset.x_train) + len(dataset.x_test) == rows
    assert dataset.input_shape == shape
    assert dataset.n_classes == classes
    assert dataset.x_train.dtype == np.float32
    assert dataset.y_train.dtype == np.int32
    assert len(dataset.feature_names) == np.prod(shape)


def test_source_and_terms_are_filled_in(dataset: Dataset) -> None:
    assert dataset.description
    assert "scikit-learn" in dataset.source
    assert dataset.licence == "CC BY 4.0"


def test_a_fifth_of_every_class_is_held_out(dataset: Dataset) -> None:
    held, trained = np.bincount(dataset.y_test), np.bincount(dataset.y_train)
    assert np.all(np.abs(held - 0.2 * (held + trained)) < 1)
    assert abs(len(dataset.x_test) - 0.2 * SIZES[dataset.name][0]) <= 1


def test_no_row_is_lost_or_doubled() -> None:
    from sklearn.datasets import load_wine

    wine = load("wine")
    rows = np.concatenate([wine.x_train, wine.x_test])
    assert np.array_equal(np.sort(rows, axis=0), np.sort(load_wine(return_X_y=True)[0].astype(np.float32), axis=0))


def test_digits_are_images_from_0_to_1() -> None:
    digits = load("digits")
    assert digits.x_train.min() == 0
    assert digits.x_train.max() == 1
    assert digits.feature_names[:9:8] == ("pixel_0_0", "pixel_1_0")
    assert digits.flat().input_shape == (64,)
    assert np.array_equal(digits.flat().x_train[5].reshape(8, 8), digits.x_train[5, :, :, 0])


def test_the_split_can_be_chosen() -> None:
    assert len(load("iris", test_fraction=0.5).x_test) == 75
    assert np.array_equal(load("iris", seed=1).x_test, load("iris", seed=1).x_test)
    assert not np.array_equal(load("iris", seed=1).x_test, load("iris", seed=2).x_test)
    with pytest.raises(ConfigurationError, match=r"The held-out fraction must be a number in \(0, 1\), not 2\."):
        load("iris", test_fraction=2)
