from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pellucid.data.delimited import find_delimiter, read_delimited
from pellucid.errors import ConfigurationError, DataError

Write = Callable[..., str]


def columns(path: str, **options: Any) -> dict[str, list]:
    return {name: list(cells) for name, cells in read_delimited(path, **options).columns.items()}


LECTURE = "Input_A Input_B Label\n0.5  -1.25 0\n 1.5\t2.0   1 \n"


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb c\n1\tx y\n", "\t"),
        (LECTURE, " "),
        ("first name,age\nAda Lovelace,36\n", ","),
        ("a b c,d\nx y z,1\n", ","),
        ("a, b\n1, 2\n", ","),
        ("alone\n1\n2\n", ","),
        ("a,b,c\n1,2\n", ","),
        ("a b c\n1 2\n", " "),
        ('"a,b" c\n1 2\n', " "),
        ("", ","),
    ],
)
def test_the_delimiter_is_found_out(text: str, mark: str) -> None:
    assert find_delimiter(text) == mark


def test_numbers_become_arrays_and_words_stay_text(write: Write) -> None:
    table = read_delimited(write("a,b\n1,x\n2.5,y\n"))
    assert isinstance(table.columns["a"], np.ndarray)
    assert table.columns["a"].tolist() == [1, 2.5]
    assert table.columns["b"] == ["x", "y"]
    assert table.rows == 2
    assert table.source == "people.csv"


@pytest.mark.parametrize(
    "text",
    [
        "a,b\r\n1,x y\r\n2,z\r\n",
        "\ufeffa,b\n1,x y\n2,z",
        'a,b\r1,"x y"\r2,z\r',
        '"a","b"\n"1","x y"\n\n2, z\n\n',
        "\n\na;b\n1;x y\n2;z\n",
        "a\tb\n1\tx y\n2\tz\n",
        'a b\n1 "x y"\n2   z  \n',
    ],
)
def test_line_ends_marks_quotes_and_blank_lines_make_no_difference(write: Write, text: str) -> None:
    found = columns(write(text))
    assert found == {"a": [1, 2], "b": ["x y", "z"]}


def test_the_lecture_tables_are_read(write: Write) -> None:
    assert columns(write(LECTURE)) == {"Input_A": [0.5, 1.5], "Input_B": [-1.25, 2], "Label": [0, 1]}


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(write: Write) -> None:
    found = columns(write('a,b\n1,"x, ""y"""\n2,"z\nz"\n'))
    assert found["b"] == ['x, "y"', "z\nz"]


def test_the_delimiter_can_be_given(write: Write) -> None:
    assert columns(write("a|b\n1|2\n"), delimiter="|") == {"a": [1], "b": [2]}
    assert columns(write("a,b c,d\n1 2\n"), delimiter="whitespace") == {"a,b": [1], "c,d": [2]}


@pytest.mark.parametrize("delimiter", ["", ", ", "\n", '"', 3])
def test_a_delimiter_of_another_kind_is_refused(write: Write, delimiter: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_delimited(write("a,b\n1,2\n"), delimiter)
    assert str(caught.value) == f"The delimiter must be one character or 'whitespace', not {delimiter!r}."


def test_a_column_that_turns_to_words_late_keeps_all_its_texts(write: Write) -> None:
    rows = [f"{i},{i:03d}" for i in range(5000)] + ["5000,late"]
    table = read_delimited(write("n,code\n" + "\n".join(rows)))
    assert isinstance(table.columns["n"], np.ndarray)
    assert len(table.columns["n"]) == 5001
    assert list(table.columns["code"]) == [f"{i:03d}" for i in range(5000)] + ["late"]


def test_rows_are_placed_by_the_line_an_editor_shows(write: Write) -> None:
    table = read_delimited(write('\na,b\n1,"x\ny"\n\n\n2,z\n3,w\n'))
    assert [table.place(row) for row in range(3)] == ["row 3", "row 7", "row 8"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "people.csv is empty.\nHint: the first line must name the columns"),
        ("\n\n", "people.csv is empty.\nHint: the first line must name the columns"),
        ("a,b\n\n", "people.csv has a header but no rows."),
        (
            "a,b\n1,2\n\n1,2,3\n",
            "people.csv, row 4: 3 cells, but the header names 2 columns.\n  delimiter: comma\n"
            "Hint: a cell that contains the delimiter must be quoted",
        ),
        (
            "5.1 3.5\n4.9 3.0\n",
            "people.csv, row 1: the names of the columns are all numbers (5.1, 3.5); the file seems to have no "
            "header.\nHint: add a first line with the names of the columns",
        ),
        ("a,b, a \n1,2,3\n", "people.csv, row 1: the column name 'a' appears twice (columns 1 and 3)."),
        (
            ",a,b\n0,1,2\n",
            "people.csv, row 1: column 1 of 3 has no name.\n"
            "Hint: an index column written by pandas is left out by to_csv(index=False)",
        ),
        (
            'a,b\n1,2\n3,"x\n4,5\n',
            "people.csv, row 3: the quotes do not match (unexpected end of data).",
        ),
        (
            b"a,b\n1,2\n\xff,3\n",
            "people.csv, row 3: the text is not UTF-8.\nHint: save the file with the encoding UTF-8",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-le"),
            "people.csv is not a text file: it has zero bytes.\nHint: save the table as CSV, in UTF-8",
        ),
    ],
)
def test_a_file_that_is_no_table_is_explained(write: Write, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_delimited(write(content))
    assert str(caught.value) == message


def test_bad_text_far_inside_a_file_is_placed(write: Write) -> None:
    with pytest.raises(DataError, match=r"^people\.csv, row 50002: the text is not UTF-8\."):
        read_delimited(write(b"a,b\n" + b"1,2\n" * 50_000 + b"\xe4,2\n"))


def test_a_missing_file_is_answered_with_the_nearest_name(write: Write) -> None:
    write("a,b\n1,2\n")
    with pytest.raises(DataError) as caught:
        read_delimited("peopel.csv")
    assert str(caught.value) == "The file peopel.csv does not exist.\nHint: did you mean 'people.csv'?"
    with pytest.raises(DataError) as caught:
        read_delimited("no/such/folder.csv")
    assert str(caught.value) == "The file no/such/folder.csv does not exist."


def test_a_folder_is_not_a_table(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_delimited(tmp_path)
