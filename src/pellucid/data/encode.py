"""Class labels as rows of zeros and one."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, DTypeError
from pellucid.fields import Integer, optional


def one_hot(labels: Any, n_classes: int | None = None) -> np.ndarray:
    """Turn class numbers into rows that are 1 at the class and 0 elsewhere.

    one_hot(labels)[..., k] = 1 if labels[...] = k else 0

    Args:
        labels: Whole numbers from 0 to ``n_classes`` - 1, of any shape [...].
        n_classes: Number of classes; by default one more than the largest label.

    Returns:
        float32 [..., n_classes].

    Raises:
        DTypeError: The labels are not whole numbers.
        DataError: A label is negative or too large, or there is no label to count the classes by.
        ConfigurationError: ``n_classes`` is not a whole number of at least 1.

    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = _whole_numbers(labels)
    message = optional(Integer(1))(n_classes)
    if message:
        raise ConfigurationError(f"one_hot: n_classes must be {message}, not {n_classes!r}.")
    if n_classes is None:
        if labels.size == 0:
            raise DataError("one_hot: there are no labels to count the classes by.", hint="give n_classes")
        n_classes = int(labels.max()) + 1
    _check_range(labels, n_classes)
    flat = np.zeros((labels.size, n_classes), dtype=np.float32)
    flat[np.arange(labels.size), labels.reshape(-1)] = 1.0
    return flat.reshape(*labels.shape, n_classes)


def _whole_numbers(labels: Any) -> np.ndarray:
    array = np.asarray(labels)
    if array.size == 0 and not isinstance(labels, np.ndarray):
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise DTypeError(
            f"one_hot: the labels must be whole numbers, not {array.dtype.name}.",
            hint="convert them first, for instance with labels.astype('int32')",
        )
    return array


def _check_range(labels: np.ndarray, n_classes: int) -> None:
    outside = (labels < 0) | (labels >= n_classes)
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        where = f"at {list(place)} " if place else ""
        raise DataError(
            f"one_hot: the label {int(labels[place])} {where}is outside 0 to {n_classes - 1} ({n_classes} classes).",
            details=[f"{int(outside.sum())} of {labels.size} labels are outside"],
        )
