import csv

import pytest

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import Table

TABLE = Table(
    {"fold": [0, 1, 1], "score": [0.5, float("nan"), 0.25], "name": ["a", None, "b"], "sizes": [(1,), (2,), 3]}
)


def test_rows_and_columns_are_what_was_given():
    assert TABLE.columns == ("fold", "score", "name", "sizes")
    assert TABLE.shape == (3, 4)
    assert len(TABLE) == 3
    assert list(TABLE) == list(TABLE.columns)
    assert TABLE.rows()[2] == {"fold": 1, "score": 0.25, "name": "b", "sizes": 3}
    assert "fold" in TABLE
    assert "x" not in TABLE


def test_rows_are_chosen_and_sorted():
    assert TABLE.where(fold=1)["name"].tolist() == [None, "b"]
    assert TABLE.sorted_by("score")["score"][:2].tolist() == [0.25, 0.5]
    assert TABLE.sorted_by("fold", descending=True)["fold"].tolist() == [1, 1, 0]


def test_it_is_printed_in_aligned_columns_with_a_dash_for_what_is_missing():
    lines = Table({"a": [1, 20], "b": [0.5, float("nan")]}, title="t", notes=["n"]).text().splitlines()
    assert lines == ["t", " a       b", " 1  0.5000", "20       -", "n"]
    assert str(Table({"a": range(3)}).text(2)).splitlines()[-1] == "... and 1 more"
    assert repr(Table({"a": range(100)})).splitlines()[-1] == "... and 60 more"
    assert len(str(Table({"a": range(100)})).splitlines()) == 101


def test_csv_can_be_read_again(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["a", "", "b"]
    assert float(rows[2]["score"]) == 0.25


def test_it_becomes_a_frame_of_pandas_and_polars():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    assert isinstance(TABLE.to_pandas(), pandas.DataFrame)
    assert TABLE.to_pandas()["score"].sum() == 0.75
    frame = TABLE.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == list(TABLE.columns)


def test_columns_are_of_one_length_and_named_right():
    with pytest.raises(DataError, match="differ in length"):
        Table({"a": [1], "b": [1, 2]})
    with pytest.raises(ConfigurationError, match="did you mean 'score'"):
        TABLE["scor"]
    assert Table({"flag": [True, False]})["flag"].dtype == bool
    assert Table({}).shape == (0, 0)
