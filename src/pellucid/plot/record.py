"""The numbers of every epoch, from whatever kept them: a history, a fitted estimator, a data frame, or lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.plot.table import frame_of
from pellucid.train import History, Model
from pellucid.train.history import smaller_is_better

#: Attribute of an estimator -> the key of its numbers; the scores of validation are named by the kind of estimator.
_KEPT = {"loss_curve_": "loss", "cost_": "cost", "errors_": "errors", "validation_loss_curve_": "val_loss"}


@dataclass(frozen=True)
class Record:
    """Numbers per epoch.

    Attributes:
        curves: Key -> float64 [epochs]; NaN where nothing was measured.
        epochs: The number of each epoch, from 1.
        seconds: How long each took, or None where that was not kept.
        stopped: Whether the training ended before its time, by itself.
    """

    curves: dict[str, np.ndarray]
    epochs: np.ndarray
    seconds: np.ndarray | None = None
    stopped: bool = False

    @property
    def keys(self) -> list[str]:
        """Without those of validation that belong to another one."""
        return [key for key in self.curves if not (key.startswith("val_") and key[4:] in self.curves)]

    def curve(self, key: str) -> np.ndarray:
        """The numbers of a key.

        Raises:
            ConfigurationError: There are none.
        """
        if key not in self.curves:
            raise unknown_name("history key", key, self.curves)
        return self.curves[key]

    def last(self, key: str) -> float:
        """The last finite number of a key; NaN where the training ended without one."""
        values = self.curves[key]
        if not len(values) or np.isinf(values).any():
            return float("nan")
        measured = values[np.isfinite(values)]
        return float(measured[-1]) if len(measured) else float("nan")

    def best(self, key: str) -> int | None:
        """The place of the best number, the smallest of a loss or error, the largest of a score; None without one."""
        values = self.curves[key]
        if not np.isfinite(values).any():
            return None
        finite = np.where(np.isfinite(values), values, np.nan)
        return int(np.nanargmin(finite) if falls(key) else np.nanargmax(finite))


def falls(key: str) -> bool:
    """Whether progress in the quantity means smaller numbers."""
    return key.endswith(("errors", "cost")) or smaller_is_better(key)


def record_of(owner: str, source: Any) -> Record:
    """The record of a fit.

    Args:
        owner: Who asks, for errors.
        source: A History, a fitted Model, a fitted estimator with ``history_``, ``loss_curve_``, ``cost_`` or
            ``errors_``, a dict of lists by key, a data frame, or one list of losses. Of a data frame the columns
            ``epoch`` and ``seconds`` are what they are in a History's CSV file.

    Raises:
        ConfigurationError: There are no numbers in it.
        DataError: The lists are of different lengths, or not of numbers.
    """
    if isinstance(source, Model) and source.history is None:
        raise ConfigurationError(f'{owner}: the model "{source.label}" has not been fitted: it has no history.')
    source = source.history if isinstance(source, Model) else getattr(source, "history_", source)
    if isinstance(source, History):
        curves = _numbers(owner, source.history)
        stopped = source.stopped_by is not None
        return _checked(owner, Record(curves, np.asarray(source.epochs) + 1, np.asarray(source.seconds), stopped))
    frame = frame_of(source)
    if frame is not None:
        return _of_frame(owner, frame)
    if isinstance(source, Mapping):
        given: Mapping[str, Any] = source
    elif (isinstance(source, Sequence) or hasattr(source, "__array__")) and not isinstance(source, str):
        given = {"loss": source}
    else:
        given = _of_estimator(owner, source)
    curves = _numbers(owner, given)
    return _checked(owner, Record(curves, np.arange(1, max((len(v) for v in curves.values()), default=0) + 1)))


def _of_frame(owner: str, frame: Any) -> Record:
    curves = _numbers(owner, {name: frame[name].to_list() for name in frame.columns})
    epochs, seconds = curves.pop("epoch", np.arange(1.0, len(frame) + 1)), curves.pop("seconds", None)
    if not (epochs == np.floor(epochs)).all():
        raise DataError(f"{owner}: the column 'epoch' must hold whole numbers.")
    return _checked(owner, Record(curves, epochs.astype(np.int64), seconds))


def _of_estimator(owner: str, estimator: Any) -> Mapping[str, Any]:
    found = {key: getattr(estimator, name) for name, key in _KEPT.items() if getattr(estimator, name, None)}
    scores = getattr(estimator, "validation_scores_", None)
    if scores:
        found["val_accuracy" if hasattr(estimator, "classes_") else "val_r2"] = scores
    if not found:
        raise ConfigurationError(
            f"{owner}: {type(estimator).__name__} holds no numbers per epoch.",
            hint="pass a History, a fitted Model or an estimator with loss_curve_, cost_ or errors_, or a list",
        )
    return found


def _numbers(owner: str, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The lists of numbers; metrics that are arrays are left out."""
    try:
        single = {key: values for key, values in given.items() if all(np.ndim(item) == 0 for item in values)}
        found = {str(key): np.asarray(values, dtype=np.float64) for key, values in single.items()}
    except (TypeError, ValueError):
        found = {}
    if not found and any(np.size(values) for values in given.values()):
        raise DataError(f"{owner}: the numbers per epoch must be lists of numbers.")
    return found


def _checked(owner: str, record: Record) -> Record:
    if not record.curves or not len(record.epochs):
        raise ConfigurationError(f"{owner}: the history is empty: there is nothing to plot.")
    for key, values in record.curves.items():
        if values.shape != record.epochs.shape:
            raise DataError(f"{owner}: {key!r} has {values.size} numbers, but there were {len(record.epochs)} epochs.")
    return record
