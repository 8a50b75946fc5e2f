"""Tables: columns of equal length, printed in rows, written as CSV, and made into the data frame of any library."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError, missing_dependency, unknown_name
from pellucid.train.files import write_atomically

#: How many rows are printed unless more are asked for.
_SHOWN = 40


class Table:
    """Columns of equal length.

    Args:
        columns: Name -> values, one per row.
        title: A line above it when it is printed.
        notes: Lines below it.

    Raises:
        DataError: The columns differ in length.

    >>> table = Table({"fold": [0, 1], "accuracy": [0.9, 0.95]})
    >>> table
    fold  accuracy
       0    0.9000
       1    0.9500
    >>> float(table["accuracy"].mean()), len(table), table.where(fold=1).rows()[0]["accuracy"]
    (0.925, 2, 0.95)
    """

    def __init__(self, columns: Mapping[str, Any], *, title: str = "", notes: Sequence[str] = ()) -> None:
        self._columns = {name: _column(values) for name, values in columns.items()}
        self.title, self.notes = title, tuple(notes)
        sizes = {name: len(values) for name, values in self._columns.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(f"Table: the columns differ in length: {sizes}.")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise unknown_name("column", name, self._columns)
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (len(next(iter(self._columns.values()))) if self._columns else 0, len(self._columns))

    def rows(self) -> list[dict[str, Any]]:
        """Each row as a dict."""
        lists = {name: values.tolist() for name, values in self._columns.items()}
        return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]

    def where(self, **values: Any) -> Table:
        """The rows whose columns have these values.

        >>> Table({"a": [1, 2, 2], "b": [3, 4, 5]}).where(a=2)["b"].tolist()
        [4, 5]
        """
        chosen = np.ones(self.shape[0], dtype=bool)
        for name, value in values.items():
            chosen &= np.array([own == value for own in self[name].tolist()], dtype=bool)
        return Table({name: own[chosen] for name, own in self._columns.items()}, title=self.title)

    def sorted_by(self, name: str, *, descending: bool = False) -> Table:
        """The rows in the order of a column; what is not a number comes last."""
        keys = self[name]
        order = np.argsort(-keys if descending else keys, kind="stable")
        return Table({name: own[order] for name, own in self._columns.items()}, title=self.title, notes=self.notes)

    def to_pandas(self) -> Any:
        """A pandas data frame."""
        return self._frame("pandas")

    def to_polars(self) -> Any:
        """A polars data frame."""
        return self._frame("polars")

    def _frame(self, library: str) -> Any:
        import narwhals as nw

        try:
            return nw.from_dict(self._plain(), backend=library).to_native()  # pyright: ignore[reportArgumentType]
        except ImportError:
            raise missing_dependency(library, f"Table.to_{library}", "test") from None

    def _plain(self) -> dict[str, Any]:
        """Columns that any library takes: numbers, or texts."""

        def plain(values: np.ndarray) -> Any:
            if values.dtype != object:
                return values
            known = [v for v in values.tolist() if v is not None]
            numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known)
            return [v if v is None or numbers else str(v) for v in values.tolist()]

        return {name: plain(values) for name, values in self._columns.items()}

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as CSV, written to ``path`` where one is given; the file appears whole or not at all."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([["" if v is None else v for v in row.values()] for row in self.rows()])
        if path is not None:
            write_atomically(Path(path), text.getvalue().encode())
        return text.getvalue()

    def text(self, most: int | None = None) -> str:
        """The table as aligned text, of at most so many rows."""
        count = self.shape[0]
        shown = count if most is None else min(most, count)
        cells = {name: [_shown(v) for v in values[:shown].tolist()] for name, values in self._columns.items()}
        widths = {name: max([len(name), *map(len, own)]) for name, own in cells.items()}
        left = {name for name, values in self._columns.items() if values.dtype.kind not in "biuf"}

        def line(row: Sequence[str]) -> str:
            parts = [
                t.ljust(widths[n]) if n in left else t.rjust(widths[n]) for n, t in zip(self.columns, row, strict=True)
            ]
            return "  ".join(parts).rstrip()

        lines = [self.title] if self.title else []
        lines += [line(self.columns), *(line(row) for row in zip(*cells.values(), strict=True))]
        lines += [f"... and {count - shown} more"] if count > shown else []
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return self.text(None)

    def __repr__(self) -> str:
        return self.text(_SHOWN)


def _column(values: Any) -> np.ndarray:
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return values
    values = list(values)
    if all(isinstance(v, bool) for v in values) or any(isinstance(v, (list, tuple, dict, np.ndarray)) for v in values):
        return _objects(values) if values and not isinstance(values[0], bool) else np.array(values, dtype=bool)
    if all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values):
        return np.array(values)
    return _objects(values)


def _objects(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _shown(value: Any) -> str:
    """A cell as text.

    >>> [_shown(v) for v in (0.001, 12.3456, 1e-6, float("nan"), 3, None)]
    ['0.0010', '12.3456', '1e-06', '-', '3', '-']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        plain = value == 0 or 1e-3 <= abs(value) < 1e5
        return f"{value:.4f}" if plain else f"{value:.4g}"
    return str(value)
