from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.cells import (
    Cells,
    Table,
    distinct_categories,
    finite_numbers,
    number_word,
    parse_number,
    read_categories,
    read_numbers,
)
from pellucid.errors import DataError


def table(cells: Cells) -> Table:
    return Table("people.csv", {"age": cells}, len(cells), lambda row: f"row {row + 2}")


@given(st.lists(st.floats(-1e30, 1e30), min_size=1))
def test_numbers_are_read_as_written(values: list[float]) -> None:
    found = read_numbers(table([repr(value) for value in values]), "age")
    assert found is not None
    assert found.tolist() == values


@given(st.text(alphabet=" 0123456789.,eE+-_infaINFAN\t٣\0x", max_size=8))
def test_a_column_and_a_cell_agree_on_what_a_number_is(text: str) -> None:
    value = parse_number(text)
    fits = value is not None and abs(value) <= float(np.finfo(np.float32).max)
    assert (finite_numbers([text]) is not None) == fits


@given(st.lists(st.text(alphabet=" 0123456789.,eE+-_infaN?x", max_size=5), min_size=1), st.booleans())
def test_any_cells_give_numbers_words_or_a_data_error(cells: list[str], required: bool) -> None:
    try:
        values = read_numbers(table(cells), "age", required=required)
    except DataError:
        return
    assert values is None or np.isfinite(values.astype(np.float32)).all()


def test_words_are_no_numbers() -> None:
    assert read_numbers(table(["red", "1_000", "2"]), "age") is None
    assert read_categories(table([" red ", "blue"]), "age") == ["red", "blue"]


@pytest.mark.parametrize("text", ["", " ", "NA", "nan", "NaN", "?", "N/A", "null"])
@pytest.mark.parametrize("others", ["1", "red"])
def test_a_missing_value_is_placed(text: str, others: str) -> None:
    with pytest.raises(DataError) as caught:
        read_numbers(table([others, others, text]), "age")
    assert str(caught.value) == (
        f"people.csv, row 4, column 'age': the value is missing ({text.strip()!r}).\n"
        "Hint: fill in the value or remove the row; Pellucid does not guess values"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("inf", "'inf' is not a finite number"),
        ("-Infinity", "'-Infinity' is not a finite number"),
        ("1e39", "'1e39' is too large for float32"),
        ("-1e999", "'-1e999' is too large for float32"),
    ],
)
def test_a_number_that_float32_cannot_hold_is_placed(text: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        read_numbers(table(["1", text]), "age")
    assert str(caught.value) == f"people.csv, row 3, column 'age': {what}."


def test_a_text_among_numbers_is_placed() -> None:
    cells = ["1"] * 20
    cells[15] = "abc"
    with pytest.raises(DataError) as caught:
        read_numbers(table(cells), "age")
    assert str(caught.value) == (
        "people.csv, row 17, column 'age': 'abc' is not a number.\nHint: 19 of the 20 values in this column are numbers"
    )


def test_with_a_tenth_of_text_a_column_is_words() -> None:
    cells = ["1"] * 9 + ["abc"]
    assert read_numbers(table(cells), "age") is None
    with pytest.raises(DataError, match=r"row 11, column 'age': 'abc' is not a number\."):
        read_numbers(table(cells), "age", required=True)


def test_decimal_commas_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        read_numbers(table(["1", "1,5", "2,5"]), "age")
    assert str(caught.value) == (
        "people.csv, row 3, column 'age': '1,5' has a decimal comma.\nHint: write numbers with a decimal point"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.nan, "the value is missing ('nan')"),
        (np.inf, "'inf' is not a finite number"),
        (1e39, "'1e+39' is too large for float32"),
    ],
)
def test_numbers_of_a_frame_are_checked_alike(value: float, what: str) -> None:
    for read in (read_numbers, read_categories):
        with pytest.raises(DataError) as caught:
            read(table(np.array([1.0, value])), "age")
        assert str(caught.value) == f"people.csv, row 3, column 'age': {what}."


def test_numbers_as_categories_are_written_without_a_point() -> None:
    assert read_categories(table(np.array([1.0, -2.0, 1.0, 2.5])), "age") == ["1", "-2", "1", "2.5"]
    assert number_word(1e15) == "1000000000000000"


def test_more_than_a_thousand_words_are_refused() -> None:
    words = [f"w{i}" for i in range(1001)]
    assert len(distinct_categories(table(words), "age", words[:1000])) == 1000
    with pytest.raises(DataError) as caught:
        distinct_categories(table(words), "age", words)
    assert str(caught.value) == (
        "people.csv, column 'age': 1,001 different words are too many to encode; at most 1,000 are.\n"
        "Hint: remove the column if it only names the rows, or group its values"
    )
