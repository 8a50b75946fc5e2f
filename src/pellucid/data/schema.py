"""What the columns of a table mean, so that every later table is turned into numbers in the same way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from pellucid.data.cells import Table, cell_error, number_word, parse_number, read_categories, read_numbers
from pellucid.data.delimited import read_delimited
from pellucid.data.frames import read_frame, read_mappings
from pellucid.errors import DataError, FileFormatError, nearest

Task = Literal["classification", "regression"]
Kind = Literal["number", "category"]

_FORMAT, _VERSION = "pellucid.table", 1
_SHOWN = 20


@dataclass(frozen=True)
class Column:
    """One column: its name, whether it holds numbers or categories, and the categories in their order."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("number", "category"):
            raise DataError(f"Column {self.name!r}: the kind must be 'number' or 'category', not {self.kind!r}.")
        if (self.kind == "category") != bool(self.categories) or len(set(self.categories)) != len(self.categories):
            raise DataError(f"Column {self.name!r}: a category column has different categories, a number column none.")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that the column becomes, such as ``colour=red``."""
        return (self.name,) if self.kind == "number" else tuple(f"{self.name}={word}" for word in self.categories)


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """A table as numbers: x float32 [N, features]; y int32 or float32 [N], or None where the target is not there."""

    x: np.ndarray
    y: np.ndarray | None
    extra_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSchema:
    """The meaning of a table: its feature columns in order, and its target.

    A number column becomes one feature, a category column one feature per category (1 where the row has it, else 0).
    A target of categories means classification, a target of numbers regression.

    >>> schema = TableSchema((Column("size", "number"), Column("colour", "category", ("blue", "red"))),
    ...                      Column("price", "number"))
    >>> schema.feature_names
    ('size', 'colour=blue', 'colour=red')
    >>> schema.encode([{"size": 2.5, "colour": "red"}]).x
    array([[2.5, 0. , 1. ]], dtype=float32)
    """

    columns: tuple[Column, ...]
    target: Column

    def __post_init__(self) -> None:
        names = [column.name for column in (*self.columns, self.target)]
        if not self.columns:
            raise DataError("A table needs at least one column beside its target.")
        if len(set(names)) != len(names):
            raise DataError(f"The columns of a table must have different names, not {', '.join(names)}.")

    @property
    def task(self) -> Task:
        """What a model learns from the table."""
        return "classification" if self.target.kind == "category" else "regression"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of x."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers; empty for regression."""
        return self.target.categories

    def encode(
        self, data: str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Any, *, delimiter: str | None = None
    ) -> EncodedTable:
        """Turn a table into numbers as the first one was.

        Args:
            data: Path of a CSV file, a data frame, or a list of mappings from column name to value.
            delimiter: Delimiter of the file; by default it is found out.

        Returns:
            x float32 [N, features]; y [N], or None where the target column is absent; names of columns not used.

        Raises:
            DataError: A column is missing, a value is missing or not a number, or a category is unknown.
        """
        return self.encode_table(_table(data, delimiter))

    def encode_table(self, table: Table) -> EncodedTable:
        """The same for a table that has been read already."""
        self._check_columns(table)
        x = np.zeros((table.rows, len(self.feature_names)), dtype=np.float32)
        at = 0
        for column in self.columns:
            if column.kind == "number":
                x[:, at] = read_numbers(table, column.name, required=True)
            else:
                x[np.arange(table.rows), at + category_codes(table, column)] = 1.0
            at += len(column.feature_names)
        known = {column.name for column in (*self.columns, self.target)}
        extra = tuple(name for name in table.columns if name not in known)
        return EncodedTable(x, self._encode_target(table), extra)

    def to_dict(self) -> dict[str, Any]:
        """The schema as plain data for JSON.

        >>> TableSchema((Column("size", "number"),), Column("price", "number")).to_dict()["columns"]
        [{'name': 'size', 'kind': 'number', 'categories': []}]
        """
        columns = [_column_dict(column) for column in self.columns]
        return {"format": _FORMAT, "version": _VERSION, "columns": columns, "target": _column_dict(self.target)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableSchema:
        """The schema of :meth:`to_dict`.

        Raises:
            FileFormatError: The data are not those of a table schema.

        >>> schema = TableSchema((Column("size", "number"),), Column("price", "number"))
        >>> TableSchema.from_dict(schema.to_dict()) == schema
        True
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise FileFormatError(f"These data are not a table schema: the entry 'format' is not {_FORMAT!r}.")
        if data.get("version") != _VERSION:
            raise FileFormatError(
                f"The table schema has version {data.get('version')!r}; this Pellucid reads version {_VERSION}."
            )
        columns = data.get("columns")
        if not isinstance(columns, list):
            raise FileFormatError("The table schema is damaged: the entry 'columns' is not a list.")
        try:
            return cls(tuple(_column_from(entry) for entry in columns), _column_from(data.get("target")))
        except DataError as error:
            raise FileFormatError(f"The table schema is damaged: {error.message}") from None

    def _check_columns(self, table: Table) -> None:
        missing = [column.name for column in self.columns if column.name not in table.columns]
        if not missing:
            return
        close = {name: nearest(name, table.columns) for name in missing}
        renamed = [f"{name!r} may be {other!r} there" for name, other in close.items() if other]
        raise DataError(
            f"{table.source} lacks {'the column' if len(missing) == 1 else 'the columns'} "
            f"{', '.join(repr(name) for name in missing)}; it has: {', '.join(table.columns)}.",
            hint="; ".join(renamed) or None,
        )

    def _encode_target(self, table: Table) -> np.ndarray | None:
        if self.target.name not in table.columns:
            return None
        if self.target.kind == "category":
            return category_codes(table, self.target).astype(np.int32)
        return cast(np.ndarray, read_numbers(table, self.target.name, required=True)).astype(np.float32)


def category_codes(table: Table, column: Column) -> np.ndarray:
    """The number of every row's category, int64 [N].

    Raises:
        DataError: A value is missing, or is none of the column's categories.
    """
    index = {word: code for code, word in enumerate(column.categories)}
    words = read_categories(table, column.name)
    try:
        return np.fromiter((index[word] for word in words), np.int64, len(words))
    except KeyError:
        return np.fromiter((_code(table, column, index, i, word) for i, word in enumerate(words)), np.int64, len(words))


def _code(table: Table, column: Column, index: dict[str, int], row: int, word: str) -> int:
    if word in index:
        return index[word]
    number = parse_number(word)
    # The class 1 may be written 1.0 in another file.
    if number is not None and abs(number) < float("inf") and number_word(number) in index:
        return index[number_word(number)]
    shown = ", ".join(column.categories[:_SHOWN])
    more = f" and {len(index) - _SHOWN:,} more" if len(index) > _SHOWN else ""
    close = nearest(word, column.categories)
    hint = f"did you mean {close!r}?" if close else None
    raise cell_error(table, row, column.name, f"unknown category {word!r}; known are: {shown}{more}", hint=hint)


def _table(data: Any, delimiter: str | None) -> Table:
    if isinstance(data, str | os.PathLike):
        return read_delimited(Path(data), delimiter)
    if isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        return read_mappings(data)
    return read_frame(data)


def _column_dict(column: Column) -> dict[str, Any]:
    return {"name": column.name, "kind": column.kind, "categories": list(column.categories)}


def _column_from(data: Any) -> Column:
    if not isinstance(data, Mapping) or set(data) != {"name", "kind", "categories"}:
        raise FileFormatError("The table schema is damaged: a column has other entries than name, kind and categories.")
    name, kind, categories = data["name"], data["kind"], data["categories"]
    words = isinstance(categories, list) and all(isinstance(word, str) for word in categories)
    if not isinstance(name, str) or not isinstance(kind, str) or not words:
        raise FileFormatError("The table schema is damaged: name and kind must be texts, categories a list of texts.")
    return Column(name, cast(Kind, kind), tuple(categories))
