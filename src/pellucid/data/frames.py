"""Data frames of any library, and rows given as mappings, read into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.data.cells import Cells, Table
from pellucid.errors import DataError


def read_frame(frame: Any, source: str = "frame") -> Table:
    """Read a data frame (pandas, polars, pyarrow and the like) into named columns.

    Raises:
        DataError: The object is not a data frame in memory, or a column holds neither numbers, words nor booleans.
    """
    import narwhals as nw
    from narwhals.exceptions import NarwhalsError

    try:
        native = nw.from_native(frame, eager_only=True)
    except (NarwhalsError, ValueError) as error:
        raise DataError(f"{source} cannot be read: {' '.join(str(error).split())}.") from None
    except TypeError:
        raise DataError(
            f"A table must be a path, a data frame in memory or a list of mappings, not {type(frame).__name__}."
        ) from None
    if len(native) == 0:
        raise DataError(f"{source} has no rows.")
    # By position: pandas allows names that are numbers, which would be taken for row numbers.
    columns = {
        str(series.name): _frame_cells(series, f"{source}, column {str(series.name)!r}")
        for series in native.iter_columns()
    }
    return Table(source, columns, len(native), lambda row: f"position {row}")


def read_mappings(rows: Sequence[Mapping[str, Any]], source: str = "rows") -> Table:
    """Read rows given as mappings from column name to value; a name that a row lacks is a missing value.

    Raises:
        DataError: There are no rows, or a value is neither a number, a word nor a boolean.

    >>> read_mappings([{"size": 1, "colour": "red"}]).columns
    {'size': ['1'], 'colour': ['red']}
    """
    if not rows:
        raise DataError(f"{source} has no rows.")
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    columns = {
        name: [_text(row.get(name), f"{source}, position {i}, column {name!r}") for i, row in enumerate(rows)]
        for name in names
    }
    return Table(source, columns, len(rows), lambda row: f"position {row}")


def _frame_cells(series: Any, where: str) -> Cells:
    import narwhals as nw

    if series.dtype.is_numeric():
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    if series.dtype not in (nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.Object):
        raise DataError(
            f"{where}: a column of type {series.dtype} is neither numbers, words nor booleans.",
            hint="convert the column to numbers or to text first",
        )
    nulls = series.is_null().to_list()
    return ["" if null else _text(value, where) for value, null in zip(series.to_list(), nulls, strict=True)]


def _text(value: Any, where: str) -> str:
    """A value as a text file would hold it."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    if isinstance(value, str | bool | int | float | np.bool_ | np.integer | np.floating):
        return str(value)
    raise DataError(f"{where}: a value of type {type(value).__name__} is neither a number, a word nor a boolean.")
