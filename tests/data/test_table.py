from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pellucid.data import from_frame, load_csv
from pellucid.data.cells import MISSING, parse_number
from pellucid.errors import ConfigurationError, DataError

Write = Callable[..., str]

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6).filter(
    lambda word: word not in MISSING and parse_number(word.replace(",", ".")) is None
)
numbers = st.floats(-1e6, 1e6, width=32)


@given(
    st.lists(st.tuples(numbers, words, st.sampled_from(["no", "yes"]), numbers), min_size=4, max_size=20),
    st.sampled_from([",", ";", "\t", " "]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_what_was_written_is_read(
    tmp_path: Path, rows: list[tuple[float, str, str, float]], delimiter: str, line_end: str, mark: bool
) -> None:
    assume(all(sum(row[2] == word for row in rows) >= 2 for word in ("no", "yes")))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(["a", "the word", "label", "b"])
    writer.writerows(rows)
    path = tmp_path / "table.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))

    data = load_csv(path, "label", delimiter=delimiter)
    known = sorted({row[1] for row in rows})
    assert data.target_names == ("no", "yes")
    assert data.feature_names == ("a", *(f"the word={word}" for word in known), "b")
    expected = sorted([row[0], *(float(row[1] == word) for word in known), row[3]] for row in rows)
    assert sorted(np.concatenate([data.x_train, data.x_test]).tolist()) == expected
    assert data.schema is not None
    encoded = data.schema.encode(path, delimiter=delimiter)
    assert encoded.y is not None
    assert encoded.y.tolist() == [int(row[2] == "yes") for row in rows]


def test_the_lecture_tables_make_a_classification_task(write: Write) -> None:
    rows = [f"{i / 8} {-i}  {i % 2}" for i in range(20)]
    data = load_csv(write("Input_A Input_B Label\n" + "\n".join(rows), "circles.txt"), "Label")
    assert data.task == "classification"
    assert data.target_names == ("0", "1")
    assert data.feature_names == ("Input_A", "Input_B")
    assert data.x_train.shape == (16, 2)
    assert np.bincount(data.y_test).tolist() == [2, 2]
    assert data.name == "circles"
    assert data.source == "circles.txt"
    assert data.licence == "the user's own data"
    assert data.description == "A table of 20 rows and 2 columns beside the target 'Label'."


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no"], ("no", "yes")),
        (["True", "False"], ("False", "True")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["1.0", "2"], ("1", "2")),
        ([str(i) for i in range(20)], tuple(str(i) for i in range(20))),
        (["1", "one"], ("1", "one")),
        ([str(i) for i in range(21)], ()),
        (["0.5", "1"], ()),
    ],
)
def test_the_target_says_what_the_task_is(write: Write, values: list[str], classes: tuple[str, ...]) -> None:
    rows = [f"{i},{value}" for i, value in enumerate(values * 4)]
    data = load_csv(write("x,y\n" + "\n".join(rows)), "y")
    assert data.target_names == classes
    assert data.task == ("classification" if classes else "regression")
    assert data.y_train.dtype == (np.int32 if classes else np.float32)


def test_the_task_can_be_chosen(write: Write) -> None:
    path = write("x,y\n" + "".join(f"{i},{i % 30}\n" for i in range(90)))
    assert load_csv(path, "y").task == "regression"
    assert load_csv(path, "y", task="classification").n_classes == 30
    few = write("x,y\n1,1\n2,2\n3,1\n4,2\n")
    assert load_csv(few, "y").task == "classification"
    assert load_csv(few, "y", task="regression").y_train.dtype == np.float32
    with pytest.raises(ConfigurationError, match=r"^task must be 'classification', 'regression' or None, not 'guess'"):
        load_csv(few, "y", task="guess")  # type: ignore[arg-type]


def test_boolean_words_are_categories(write: Write) -> None:
    data = load_csv(write("ripe,y\n" + "true,1\nfalse,2\n" * 4), "y")
    assert data.feature_names == ("ripe=false", "ripe=true")


def test_a_class_of_one_row_is_trained_on(write: Write) -> None:
    data = load_csv(write("x,y\n" + "1,a\n2,b\n" * 4 + "3,c\n"), "y")
    assert 2 in data.y_train
    assert 2 not in data.y_test


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "age,labels\n1,a\n2,b\n",
            {},
            "people.csv has no column 'label' to be the target; its columns are: age, labels.\n"
            "Hint: did you mean 'labels'?",
        ),
        ("label\na\nb\n", {}, "people.csv has no column beside the target 'label'."),
        (
            "age,label\n1,a\n2,a\n",
            {},
            "people.csv, column 'label': the target is 'a' in every row; there is nothing to learn.",
        ),
        (
            "age,label\n1,2.5\n2,2.5\n",
            {},
            "people.csv, column 'label': the target is '2.5' in every row; there is nothing to learn.",
        ),
        (
            "age,label\n1,0.5\n2,1.5\n",
            {"task": "classification"},
            "people.csv, column 'label': the target has numbers that are not whole, so they name no classes.\n"
            "Hint: use task='regression'",
        ),
        (
            "age,label\n1,low\n2,1.5\n",
            {"task": "regression"},
            "people.csv, row 2, column 'label': 'low' is not a number.\n"
            "Hint: 1 of the 2 values in this column are numbers",
        ),
        (
            "name,label\n" + "".join(f"n{i},{i % 2}\n" for i in range(1001)),
            {},
            "people.csv, column 'name': 1,001 different words are too many to encode; at most 1,000 are.\n"
            "Hint: remove the column if it only names the rows, or group its values",
        ),
        (
            "age,label\n1,a\n2,b\n",
            {},
            "A stratified split needs a class with at least 2 rows; the 2 classes have one row each.\n"
            "Hint: give more rows, or split with stratified=False",
        ),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_explained(
    write: Write, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        load_csv(write(text), "label", **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_frame_gives_the_same_data_set_as_its_file(write: Write, library: str) -> None:
    module = pytest.importorskip(library)
    columns = {"size": [1, 2, 3, 4] * 3, "colour": ["red", "blue", "red", "red"] * 3, "label": [1, 0, 1, 0] * 3}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    rows = [",".join(str(columns[name][i]) for name in columns) for i in range(12)]
    of_file = load_csv(write("size,colour,label\n" + "\n".join(rows)), "label")
    of_frame = from_frame(frame, "label", name="fruit")
    assert of_frame.name == "fruit"
    assert of_frame.schema == of_file.schema
    assert np.array_equal(of_frame.x_train, of_file.x_train)
    assert np.array_equal(of_frame.y_test, of_file.y_test)


def test_a_missing_value_of_a_frame_is_placed() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=r"^frame, position 1, column 'x': the value is missing \('nan'\)\.$"):
        from_frame(pandas.DataFrame({"x": [1.0, None], "y": [1.0, 2.5]}), "y")


@pytest.mark.slow
def test_a_million_rows_of_numbers_load_in_some_seconds(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    line = "0.123,-4.5,6.789,1e-3\n"
    path.write_text("a,b,c,y\n" + (line + "1.5,2.5,-3.5,7.25\n") * 500_000)
    start = time.perf_counter()
    data = load_csv(path, "y", task="regression")
    assert time.perf_counter() - start < 20
    assert len(data.x_train) == 800_000
