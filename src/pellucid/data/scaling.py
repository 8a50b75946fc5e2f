"""Standardisation: features of mean 0 and deviation 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import DataError
from pellucid.shapes import show


@dataclass(frozen=True, eq=False)
class Standardization:
    """The mean and the deviation of every feature of some examples, to be applied to them and to others.

    x' = (x - mean) / std; a feature that is the same in all examples has the deviation 0 and is divided by 1.

    Args:
        mean: float64 [...], the shape of one example.
        std: float64 [...], the population's deviation; 1 where a feature is constant.

    >>> train, test = np.array([[1.0], [3.0]]), np.array([[5.0]])
    >>> scale = Standardization.of(train)
    >>> scale(train).tolist(), scale(test).tolist()
    ([[-1.0], [1.0]], [[3.0]])
    >>> scale.undo(scale(test)).tolist()
    [[5.0]]
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, x: Any) -> Standardization:
        """Measure examples [N, ...].

        Raises:
            DataError: There is no example, or a value is not a finite number.
        """
        x = _numbers(x)
        if x.ndim == 0 or len(x) == 0:
            raise DataError(f"standardize takes examples [N, ...] with N of at least 1, not {show(x.shape)}.")
        if not np.isfinite(x).all():
            raise DataError("standardize: x has values that are not finite.")
        mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        # The mean of equal numbers may differ from them by a rounding, and the deviation then from 0.
        constant = (x == x[0]).all(axis=0)
        return cls(np.where(constant, x[0], mean), np.where(constant | (std == 0), 1.0, std))

    def __call__(self, x: Any) -> np.ndarray:
        """x' of examples [N, ...], in their own float type (whole numbers become float64).

        Raises:
            DataError: The examples have another shape.
        """
        x = _numbers(x)
        self._check(x)
        return ((x - self.mean) / self.std).astype(_float(x), copy=False)

    def undo(self, x: Any) -> np.ndarray:
        """x of standardised examples x' [N, ...].

        Raises:
            DataError: The examples have another shape.
        """
        x = _numbers(x)
        self._check(x)
        return (x * self.std + self.mean).astype(_float(x), copy=False)

    def _check(self, x: np.ndarray) -> None:
        if x.shape[1:] != self.mean.shape:
            raise DataError(
                f"Standardization: the examples must have the shape {show((None, *self.mean.shape))}, "
                f"not {show(x.shape)}."
            )


def standardize(x: Any) -> np.ndarray:
    """Every feature moved to mean 0 and scaled to deviation 1: x' = (x - mean) / std over the examples.

    To treat held-out examples alike, keep ``Standardization.of(x_train)`` and apply it to both.

    Args:
        x: Examples [N, ...].

    Returns:
        [N, ...], in the float type of ``x`` (whole numbers become float64); constant features become 0.

    Raises:
        DataError: There is no example, or a value is not a finite number.

    >>> standardize([[1.0, 7.0], [3.0, 7.0]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    return Standardization.of(x)(x)


def _numbers(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise DataError(f"standardize takes numbers, not an array of {x.dtype.name}.")
    return x


def _float(x: np.ndarray) -> np.dtype:
    return x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
