"""Preprocessing inside the folds: fitted on the training rows of a fold alone, applied to all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing

from pellucid.errors import ConfigurationError, DataError
from pellucid.nn.normalization import Normalization
from pellucid.select.folds import Fold


class Inputs:
    """The samples as the members of each fold read them.

    Args:
        x: The samples: an array, a data frame, or a list or dict of arrays for several inputs.
        preprocess: A transformer of scikit-learn's (``StandardScaler()``, a pipeline), a list of them, or None.
        y: The targets, for transformers that look at them.

    Attributes:
        x: The samples as they came.

    Raises:
        ConfigurationError: ``preprocess`` is no transformer.
    """

    def __init__(self, x: Any, preprocess: Any, y: Any) -> None:
        self.x, self._y = x, y
        self._transformer = _transformer(preprocess)
        self._kept: dict[int, tuple[Fold, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process knows its folds by other numbers. Processes share arrays, but not lists.
        x = np.asarray(self.x) if isinstance(self.x, list) else self.x
        return {**vars(self), "x": x, "_kept": {}}

    def of(self, fold: Fold) -> Any:
        """All samples, transformed by what was fitted on the fold's training rows; one object per fold."""
        if self._transformer is None:
            return self.x
        if id(fold) not in self._kept:
            self._kept[id(fold)] = (fold, self.fitted(fold.train)[1])
        return self._kept[id(fold)][1]

    def fitted(self, rows: np.ndarray) -> tuple[Any, Any]:
        """A copy of the transformer, fitted on these rows, and all samples as it transforms them."""
        assert self._transformer is not None
        own: Any = clone(self._transformer)
        try:
            own.fit(_safe_indexing(self.x, rows), None if self._y is None else self._y[rows])
            return own, transformed(own, self.x)
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"preprocess={self._transformer!r} cannot be fitted: {str(error).rstrip('.')}.") from None

    @property
    def prepares(self) -> bool:
        """Whether there is anything to fit."""
        return self._transformer is not None


def transformed(transformer: Any, x: Any) -> Any:
    """Samples as a fitted transformer gives them, as an array."""
    found = transformer.transform(x)
    return found.toarray() if hasattr(found, "toarray") else np.asarray(found)


def _transformer(given: Any) -> Any:
    if given is None:
        return None
    if isinstance(given, (list, tuple)):
        given = make_pipeline(*given)
    if isinstance(given, type) or not (hasattr(given, "fit") and hasattr(given, "transform")):
        raise ConfigurationError(
            f"preprocess must be a transformer with fit and transform, or a list of them, not {given!r}.",
            hint="for instance preprocess=StandardScaler() of sklearn.preprocessing",
        )
    return given


def first_normalizations(model: Any) -> list[tuple[Normalization, int]]:
    """The Normalization layers that read an input of the model as it is, each with the number of the input."""
    found = []
    for call in model.network.calls:
        for number, symbol in enumerate(model.network.inputs):
            if isinstance(call.layer, Normalization) and call.inputs[0] is symbol:
                found.append((call.layer, number))
    return found


def forget_statistics(model: Any) -> Any:
    """A model whose first Normalization layers draw as many seeds in a copy as they did when they were built.

    Their ``build`` keeps the statistics that it finds, and then draws nothing, so that the layers after them would not
    get the parameters of their seed. The statistics are those of no fold, and are set in each copy.
    """
    for layer, _ in first_normalizations(model):
        for name in ("mean", "deviation"):
            if name in vars(layer):
                delattr(layer, name)
    return model


def adapt(model: Any, arrays: tuple[np.ndarray, ...], rows: np.ndarray, kept: dict[Any, Any], key: Any) -> None:
    """Give the first Normalization layers the statistics of some rows; those of equal ``key`` are computed once."""
    for place, (layer, number) in enumerate(first_normalizations(model)):
        if (key, place) in kept:
            for parameter, values in zip((layer.mean, layer.deviation), kept[key, place], strict=True):
                parameter.assign(values)
            continue
        layer.adapt(np.asarray(arrays[number][rows]))
        kept[key, place] = (layer.mean.numpy().copy(), layer.deviation.numpy().copy())
