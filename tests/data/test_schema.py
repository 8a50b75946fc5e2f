from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pellucid.data import Column, TableSchema
from pellucid.errors import DataError, FileFormatError

SCHEMA = TableSchema(
    (Column("age", "number"), Column("colour", "category", ("blue", "green", "red"))),
    Column("label", "category", ("0", "1")),
)


def test_columns_are_matched_by_name_and_others_reported(write: Callable[..., str]) -> None:
    encoded = SCHEMA.encode(write("note,colour,age,label\nhi,red,3,1\nho,blue,4.5,0\n"))
    assert encoded.x.tolist() == [[3, 0, 0, 1], [4.5, 1, 0, 0]]
    assert encoded.x.dtype == np.float32
    assert encoded.y is not None
    assert encoded.y.tolist() == [1, 0]
    assert encoded.y.dtype == np.int32
    assert encoded.extra_columns == ("note",)


def test_without_a_target_column_there_are_no_targets(write: Callable[..., str]) -> None:
    assert SCHEMA.encode(write("age;colour\n3;red\n")).y is None


def test_mappings_and_frames_are_encoded_as_files_are() -> None:
    rows = [{"age": 3, "colour": "red", "label": 1}, {"age": 4.5, "colour": "blue", "label": 0}]
    pandas = pytest.importorskip("pandas")
    for data in (rows, tuple(rows), pandas.DataFrame(rows)):
        encoded = SCHEMA.encode(data)
        assert encoded.x.tolist() == [[3, 0, 0, 1], [4.5, 1, 0, 0]]
        assert encoded.y is not None
        assert encoded.y.tolist() == [1, 0]


def test_a_class_number_may_be_written_with_a_point(write: Callable[..., str]) -> None:
    encoded = SCHEMA.encode(write("age,colour,label\n1,red,1.0\n1,red,x\n".replace("x", "0")))
    assert encoded.y is not None
    assert encoded.y.tolist() == [1, 0]
    encoded = SCHEMA.encode([{"age": 1, "colour": "red", "label": "1.0"}, {"age": 1, "colour": "red", "label": "0"}])
    assert encoded.y is not None
    assert encoded.y.tolist() == [1, 0]


def test_regression_targets_are_float32() -> None:
    schema = TableSchema((Column("x", "number"),), Column("y", "number"))
    encoded = schema.encode([{"x": 1, "y": 0.5}])
    assert schema.task == "regression"
    assert schema.target_names == ()
    assert encoded.y is not None
    assert encoded.y.dtype == np.float32
    assert encoded.y.tolist() == [0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ages,size\n3,1\n",
            "people.csv lacks the columns 'age', 'colour'; it has: ages, size.\nHint: 'age' may be 'ages' there",
        ),
        ("age,size\n3,1\n", "people.csv lacks the column 'colour'; it has: age, size."),
        (
            "age,colour\n3,red\n4,rde\n",
            "people.csv, row 3, column 'colour': unknown category 'rde'; known are: blue, green, red.\n"
            "Hint: did you mean 'red'?",
        ),
        (
            "age,colour\n3,red\nold,red\n",
            "people.csv, row 3, column 'age': 'old' is not a number.\n"
            "Hint: 1 of the 2 values in this column are numbers",
        ),
        (
            "age,colour,label\n3,red,2\n",
            "people.csv, row 2, column 'label': unknown category '2'; known are: 0, 1.",
        ),
        (
            "age,colour\n3,\n",
            "people.csv, row 2, column 'colour': the value is missing ('').\n"
            "Hint: fill in the value or remove the row; Pellucid does not guess values",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_explained(write: Callable[..., str], text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        SCHEMA.encode(write(text))
    assert str(caught.value) == message


def test_a_mapping_without_a_needed_value_is_placed() -> None:
    with pytest.raises(DataError, match=r"^rows, position 1, column 'age': the value is missing \(''\)\."):
        SCHEMA.encode([{"age": 1, "colour": "red"}, {"colour": "red"}])


def test_a_long_list_of_known_categories_is_cut() -> None:
    schema = TableSchema((Column("c", "category", tuple(f"w{i:02d}" for i in range(30))),), Column("y", "number"))
    with pytest.raises(DataError, match=r"known are: w00, .*, w19 and 10 more\."):
        schema.encode([{"c": "zzz"}])


def test_a_schema_survives_json() -> None:
    assert TableSchema.from_dict(json.loads(json.dumps(SCHEMA.to_dict()))) == SCHEMA


def change(**changes: Any) -> Any:
    return SCHEMA.to_dict() | changes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "These data are not a table schema: the entry 'format' is not 'pellucid.table'."),
        ({}, "These data are not a table schema: the entry 'format' is not 'pellucid.table'."),
        (change(version=2), "The table schema has version 2; this Pellucid reads version 1."),
        (change(columns="age"), "The table schema is damaged: the entry 'columns' is not a list."),
        (
            change(target=None),
            "The table schema is damaged: a column has other entries than name, kind and categories.",
        ),
        (
            change(target={"name": 3, "kind": "number", "categories": []}),
            "The table schema is damaged: name and kind must be texts, categories a list of texts.",
        ),
        (
            change(target={"name": "label", "kind": "category", "categories": [0, 1]}),
            "The table schema is damaged: name and kind must be texts, categories a list of texts.",
        ),
        (
            change(target={"name": "label", "kind": "word", "categories": []}),
            "The table schema is damaged: Column 'label': the kind must be 'number' or 'category', not 'word'.",
        ),
        (
            change(target={"name": "label", "kind": "category", "categories": ["a", "a"]}),
            "The table schema is damaged: Column 'label': a category column has different categories, a number "
            "column none.",
        ),
        (
            change(target={"name": "age", "kind": "number", "categories": []}),
            "The table schema is damaged: The columns of a table must have different names, not age, colour, age.",
        ),
        (change(columns=[]), "The table schema is damaged: A table needs at least one column beside its target."),
    ],
)
def test_damaged_data_of_a_schema_are_refused(data: Any, message: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        TableSchema.from_dict(data)
    assert str(caught.value) == message
