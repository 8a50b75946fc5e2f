from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from pellucid.data.frames import read_frame, read_mappings
from pellucid.errors import DataError

DATA: dict[str, list[Any]] = {"size": [1, 2], "share": [0.5, None], "colour": ["red", None], "ripe": [True, False]}


def make(library: str, data: dict[str, list[Any]]) -> Any:
    module = pytest.importorskip(library)
    return module.table(data) if library == "pyarrow" else module.DataFrame(data)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_numbers_words_and_booleans_of_every_library_are_read(library: str) -> None:
    table = read_frame(make(library, DATA), "fruit")
    assert table.rows == 2
    assert table.source == "fruit"
    assert table.place(1) == "position 1"
    np.testing.assert_array_equal(table.columns["size"], [1.0, 2.0])
    np.testing.assert_array_equal(table.columns["share"], [0.5, np.nan])
    assert table.columns["colour"] == ["red", ""]
    assert table.columns["ripe"] == ["True", "False"]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_column_of_dates_is_refused(library: str) -> None:
    frame = make(library, {"day": [datetime.datetime(2020, 1, 1)]})
    with pytest.raises(DataError) as caught:
        read_frame(frame)
    assert str(caught.value).startswith("frame, column 'day': a column of type Datetime(")
    assert str(caught.value).endswith(
        "is neither numbers, words nor booleans.\nHint: convert the column to numbers or to text first"
    )


def test_categories_nullable_numbers_and_mixed_columns_of_pandas_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": pandas.Categorical(["u", "v"]), "b": pandas.array([1, None], dtype="Int64")})
    frame["c"] = pandas.Series([1, "x"], dtype=object)
    frame[7] = [1.5, 2.5]
    frame["d"] = pandas.array(["x", None], dtype="string")
    frame["e"] = pandas.array([True, None], dtype="boolean")
    table = read_frame(frame)
    assert table.columns["a"] == ["u", "v"]
    assert table.columns["c"] == ["1", "x"]
    assert table.columns["d"] == ["x", ""]
    assert table.columns["e"] == ["True", ""]
    np.testing.assert_array_equal(table.columns["b"], [1, np.nan])
    assert list(table.columns["7"]) == [1.5, 2.5]


def test_objects_in_a_mixed_column_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"c": pandas.Series([1, [2]], dtype=object)})
    with pytest.raises(DataError, match=r"^frame, column 'c': a value of type list is neither a number, a word nor"):
        read_frame(frame)


def test_a_column_name_given_twice_is_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=r"^frame cannot be read: Expected unique column names, got: - 'a' 2 times\.$"):
        read_frame(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_frame_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match=r"^frame has no rows\.$"):
        read_frame(make("pandas", {"a": []}))


@pytest.mark.parametrize("thing", [3, None, [1, 2], np.zeros((2, 2))])
def test_other_objects_are_refused(thing: Any) -> None:
    with pytest.raises(DataError) as caught:
        read_frame(thing)
    assert str(caught.value) == (
        f"A table must be a path, a data frame in memory or a list of mappings, not {type(thing).__name__}."
    )


def test_a_name_that_a_mapping_lacks_is_a_missing_value() -> None:
    table = read_mappings([{"a": 1, "b": "x"}, {"b": None, "c": np.float32(0.5)}])
    assert table.columns == {"a": ["1", ""], "b": ["x", ""], "c": ["", "0.5"]}
    assert table.rows == 2


def test_mappings_of_other_values_and_no_mappings_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        read_mappings([{"a": 1}, {"a": [1]}])
    assert str(caught.value) == (
        "rows, position 1, column 'a': a value of type list is neither a number, a word nor a boolean."
    )
    with pytest.raises(DataError, match=r"^rows has no rows\.$"):
        read_mappings([])
