"""The user's own tables as data sets: CSV files and data frames."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from pellucid.data.cells import Cells, Table, distinct_categories, number_word, read_categories, read_numbers
from pellucid.data.dataset import Dataset
from pellucid.data.delimited import read_delimited
from pellucid.data.frames import read_frame
from pellucid.data.schema import Column, TableSchema, Task
from pellucid.data.split import split_indices
from pellucid.errors import ConfigurationError, DataError, nearest

#: A target column of whole numbers with at most this many different values is taken for class labels.
MOST_INTEGER_CLASSES = 20


def load_csv(
    path: str | os.PathLike[str],
    target: str,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    delimiter: str | None = None,
    task: Task | None = None,
) -> Dataset:
    """Load a CSV file with a header as a data set, one column of which is to be learnt.

    Columns of numbers become one feature each, columns of words (also ``yes``/``no``, ``true``/``false``) one feature
    per word, named ``colour=red``. A target of words, or of whole numbers with at most 20 different values, makes a
    classification task with the classes in sorted order; other targets make a regression task.

    Args:
        path: UTF-8 text with the names of the columns in its first line.
        target: Name of the column to learn.
        test_fraction: Share of the rows that is held out, stratified by class.
        seed: Seed of the split.
        delimiter: One character or ``"whitespace"``; by default it is found out.
        task: ``"classification"`` or ``"regression"``, where the rule above would guess wrongly.

    Returns:
        A data set with x float32 [N, features], y int32 or float32 [N]; its ``schema`` encodes further tables alike.

    Raises:
        DataError: The file cannot be used; the text names the file, the row and the column.
        ConfigurationError: An argument is outside its range.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "fruit.csv"
    >>> _ = path.write_text("size,colour,name\\n" + "7,red,apple\\n2,red,cherry\\n" * 5)
    >>> fruit = load_csv(path, "name")
    >>> fruit
    Dataset('fruit': classification into 2 classes, 8 training and 2 test examples of shape [2])
    >>> fruit.feature_names, fruit.target_names
    (('size', 'colour=red'), ('apple', 'cherry'))
    """
    table = read_delimited(path, delimiter)
    return _dataset(table, Path(path).stem, target, test_fraction, seed, task)


def from_frame(
    frame: Any,
    target: str,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    task: Task | None = None,
    name: str = "frame",
) -> Dataset:
    """Make a data set of a data frame (pandas, polars, pyarrow and the like), by the rules of :func:`load_csv`.

    Args:
        frame: Data frame in memory; its index is not used.
        target: Name of the column to learn.
        test_fraction: Share of the rows that is held out, stratified by class.
        seed: Seed of the split.
        task: ``"classification"`` or ``"regression"``, where the rule would guess wrongly.
        name: Name of the data set.

    Returns:
        A data set with x float32 [N, features], y int32 or float32 [N].

    Raises:
        DataError: The frame cannot be used; the text names the column and the position of the row, counted from 0.
        ConfigurationError: An argument is outside its range.

    >>> import pandas
    >>> from_frame(pandas.DataFrame({"x": [1.0, 2.5, 3.0], "y": [0.5, 0.7, 0.9]}), "y")
    Dataset('frame': regression, 2 training and 1 test examples of shape [1])
    """
    return _dataset(read_frame(frame, name), name, target, test_fraction, seed, task)


def infer_schema(table: Table, target: str, task: Task | None = None) -> tuple[TableSchema, Table]:
    """The schema of a table, and the table with its number columns converted.

    Raises:
        DataError: The target is not a column, is constant, or does not fit the task; or a column cannot be used.
        ConfigurationError: The task is unknown.
    """
    if task not in (None, "classification", "regression"):
        raise ConfigurationError(f"task must be 'classification', 'regression' or None, not {task!r}.")
    if target not in table.columns:
        close = nearest(target, table.columns)
        raise DataError(
            f"{table.source} has no column {target!r} to be the target; its columns are: {', '.join(table.columns)}.",
            hint=f"did you mean {close!r}?" if close else None,
        )
    if len(table.columns) == 1:
        raise DataError(f"{table.source} has no column beside the target {target!r}.")
    converted: dict[str, Cells] = {}
    columns = []
    for name in table.columns:
        values = read_numbers(table, name, required=name == target and task == "regression")
        converted[name] = table.columns[name] if values is None else values
        if name != target:
            columns.append(Column(name, "number") if values is not None else _category_column(table, name))
    table = replace(table, columns=converted)
    return TableSchema(tuple(columns), _target_column(table, target, task)), table


def _category_column(table: Table, name: str) -> Column:
    return Column(name, "category", distinct_categories(table, name, read_categories(table, name)))


def _target_column(table: Table, name: str, task: Task | None) -> Column:
    values = table.columns[name]
    if not isinstance(values, np.ndarray):
        column = _category_column(table, name)
        _check_varied(table, name, column.categories)
        return column
    distinct = np.unique(values)
    words = tuple(number_word(value) for value in distinct[: MOST_INTEGER_CLASSES + 1])
    _check_varied(table, name, words)
    whole = bool(np.all(distinct == np.rint(distinct)))
    if task == "regression" or (task is None and not (whole and len(distinct) <= MOST_INTEGER_CLASSES)):
        return Column(name, "number")
    if not whole:
        raise DataError(
            f"{table.source}, column {name!r}: the target has numbers that are not whole, so they name no classes.",
            hint="use task='regression'",
        )
    distinct_categories(table, name, read_categories(table, name))
    return Column(name, "category", tuple(number_word(value) for value in distinct))


def _check_varied(table: Table, name: str, words: tuple[str, ...]) -> None:
    if len(words) == 1:
        raise DataError(
            f"{table.source}, column {name!r}: the target is {words[0]!r} in every row; there is nothing to learn."
        )


def _dataset(table: Table, name: str, target: str, test_fraction: float, seed: int, task: Task | None) -> Dataset:
    source, rows = table.source, table.rows
    schema, table = infer_schema(table, target, task)
    encoded = schema.encode_table(table)
    x, y = encoded.x, cast(np.ndarray, encoded.y)
    train, test = split_indices(y, test_fraction, seed, schema.task == "classification")
    return Dataset(
        name=name,
        task=schema.task,
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        feature_names=schema.feature_names,
        target_names=schema.target_names,
        description=f"A table of {rows:,} rows and {len(schema.columns)} columns beside the target {target!r}.",
        source=source,
        licence="the user's own data",
        schema=schema,
    )
