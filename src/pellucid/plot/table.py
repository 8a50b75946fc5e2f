"""Examples as pictures take them: arrays or data frames, of which two columns are drawn and all are predicted from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.plot.canvas import MOST_CLASSES, names_of
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
        frame = frame_of(x)
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
        if len(self.names) == 1:
            raise DataError(f"{owner}: x has one feature, {self.names[0]!r}, but the picture needs two.")
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
        if isinstance(feature, bool) or not isinstance(feature, Integral):
            raise ConfigurationError(f"{owner}: a column is given by its number or its name, not {feature!r}.")
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


def frame_of(x: Any) -> Any:
    """A data frame in memory as Narwhals reads it; None of anything else."""
    import narwhals as nw

    found = nw.from_native(x, eager_only=True, pass_through=True)
    return found if isinstance(found, nw.DataFrame) else None


def read_labels(owner: str, y: Any, rows: int, what: str = "y") -> np.ndarray:
    """Labels [N], also from one-hot rows [N, K], whose label is the column.

    Raises:
        DataError: They are of another number or shape, or are no labels.
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
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{owner}: {what} holds labels that are no finite numbers.")
    return labels


def predicted_labels(owner: str, y: Any, rows: int) -> np.ndarray:
    """Predicted labels [N], also from outputs [N, K], of which the largest decides."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf":
        labels = labels.argmax(axis=1)
    return read_labels(owner, labels, rows, "y_pred")


def _one_hot(labels: np.ndarray) -> bool:
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def classes_of(owner: str, labels: np.ndarray, class_names: Sequence[Any] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The classes among labels, sorted, and their names.

    Whole numbers are numbers of the names where there are names enough: a class without an example keeps its place.

    Raises:
        DataError: There are too many of them, or they cannot be sorted.
        ConfigurationError: There are too many or too few names.
    """
    try:
        classes = np.unique(labels)
    except TypeError:
        raise DataError(f"{owner}: the labels are of several kinds: {_kinds(labels)}.") from None
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"{owner}: there are {len(classes):,} different labels, from {classes[0]} to {classes[-1]}; "
            f"a picture shows at most {MOST_CLASSES} classes.",
            hint="labels are names or whole numbers, not measurements",
        )
    if class_names is not None and not isinstance(class_names, str) and labels.dtype.kind in "iu" and classes.size:
        named = classes[0] >= 0 and classes[-1] < len(class_names)
        classes = np.arange(len(class_names)) if named and len(class_names) <= MOST_CLASSES else classes
    return classes, names_of(owner, "class_names", class_names, classes.tolist())


def _kinds(labels: np.ndarray) -> str:
    return ", ".join(sorted({type(label).__name__ for label in labels.tolist()}))


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
