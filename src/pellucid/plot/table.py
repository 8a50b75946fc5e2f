"""Examples as pictures take them: arrays or data frames, of which two columns are drawn and all are predicted from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.plot.canvas import names_of
from pellucid.shapes import show


@dataclass(frozen=True)
class Table:
    """Examples in rows.

    Attributes:
        values: float [N, features].
        names: One name per feature.
        frame: The data frame that they came from (as Narwhals reads it), or None.
    """

    values: np.ndarray
    names: tuple[str, ...]
    frame: Any = None

    @classmethod
    def read(cls, owner: str, x: Any, feature_names: Sequence[str] | None = None) -> Table:
        """The examples of an array or of any data frame.

        Raises:
            DataError: They are not a table of finite numbers with at least one row.
            ConfigurationError: The names do not fit.
        """
        frame = _frame(x)
        values = frame.to_numpy() if frame is not None else np.asarray(x)
        if values.ndim != 2 or values.dtype.kind not in "biuf":
            raise DataError(
                f"{owner}: x must be a table of numbers [N, features], not {show(values.shape)} {values.dtype}."
            )
        if not values.size:
            raise DataError(f"{owner}: x must have at least one row and one column, not {show(values.shape)}.")
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise DataError(f"{owner}: x holds {values[row, column]} in row {row}, column {column}.")
        default = frame.columns if frame is not None else [f"feature {i + 1}" for i in range(values.shape[1])]
        wide = values if values.dtype.kind == "f" else values.astype(np.float64)
        return cls(wide, names_of(owner, "feature_names", feature_names, default), frame)

    def columns(self, owner: str, features: Sequence[int | str]) -> tuple[int, int]:
        """The numbers of two different columns, given by number or by name.

        Raises:
            ConfigurationError: There are no such columns.
        """
        if isinstance(features, str) or len(features) != 2:
            raise ConfigurationError(f"{owner}: features must be two columns, not {features!r}.")
        first, second = (self._column(owner, feature) for feature in features)
        if first == second:
            raise ConfigurationError(f"{owner}: features must be two different columns, not {features!r}.")
        return first, second

    def _column(self, owner: str, feature: int | str) -> int:
        if isinstance(feature, str):
            if feature not in self.names:
                raise unknown_name("feature", feature, self.names)
            return self.names.index(feature)
        if not 0 <= feature < len(self.names):
            raise ConfigurationError(
                f"{owner}: there is no column {feature} among {len(self.names)}, which are counted from 0."
            )
        return int(feature)

    def like(self, values: np.ndarray) -> Any:
        """Other examples of the same columns, in the form in which these came: an array or a data frame."""
        if self.frame is None:
            return values.astype(self.values.dtype, copy=False)
        import narwhals as nw

        columns = {name: values[:, number] for number, name in enumerate(self.frame.columns)}
        return nw.from_dict(columns, backend=nw.get_native_namespace(self.frame)).to_native()


def _frame(x: Any) -> Any:
    import narwhals as nw

    found = nw.from_native(x, eager_only=True, pass_through=True)
    return found if isinstance(found, nw.DataFrame) else None


def read_labels(owner: str, y: Any, rows: int, what: str = "y") -> np.ndarray:
    """Labels [N], also from one-hot rows [N, K], whose label is the column.

    Raises:
        DataError: They are of another number or shape.
    """
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and _one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise DataError(f"{owner}: {what} must be one label an example, [N], not {show(labels.shape)}.")
    if len(labels) != rows:
        raise DataError(f"{owner}: {rows:,} examples, but {len(labels):,} labels in {what}.")
    return labels


def _one_hot(labels: np.ndarray) -> bool:
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def numbered(owner: str, labels: np.ndarray, classes: np.ndarray, what: str = "y") -> np.ndarray:
    """The number of each label's class.

    Raises:
        DataError: A label is not among the classes.
    """
    order = np.argsort(classes, kind="stable")
    ranked = classes[order]
    try:
        places = np.minimum(np.searchsorted(ranked, labels), len(ranked) - 1)
        known = ranked[places] == labels
    except TypeError:  # texts beside numbers cannot be ordered
        known = np.zeros(len(labels), dtype=bool)
        places = known.astype(int)
    if not np.all(known):
        strange = labels[~np.asarray(known, dtype=bool)].tolist()[0]
        raise DataError(f"{owner}: the label {strange!r} in {what} is not among the classes {classes.tolist()}.")
    return order[places]
