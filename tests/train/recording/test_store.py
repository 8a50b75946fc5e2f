import json
from types import SimpleNamespace

import numpy as np
import pytest

from pellucid.errors import ConfigurationError, FileFormatError
from pellucid.train.recording import store as store_module
from pellucid.train.recording.store import COLUMNS, TABLES, FolderStore, GrowingStore, MemoryStore, Tiled

ROW = {"step": 3, "epoch": 1, "loss": 0.5, "learning_rate": 0.1, "gradient_norm": 2.0}


def rows(*steps):
    return {name: [step if name == "step" else value for step in steps] for name, value in ROW.items()}


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    return MemoryStore("full") if request.param == "memory" else GrowingStore(tmp_path / "r", "full")


def test_rows_come_back_in_order_while_more_are_written(store):
    store.add("steps", rows(1, 2))
    assert store.read("steps")["step"].to_pylist() == [1, 2]
    store.add("steps", rows(3))
    assert store.read("steps").to_pylist() == [{**ROW, "step": step} for step in (1, 2, 3)]
    store.close()
    assert store.read("steps").num_rows == 3


def test_a_table_without_rows_has_its_columns(store):
    for table in TABLES["full"]:
        assert store.read(table).column_names == [name for name, _ in COLUMNS[table]]


def test_what_was_written_is_read_by_another_process_at_any_moment(tmp_path):
    writing = GrowingStore(tmp_path / "r", "stats")
    writing.add("steps", rows(1))
    reading = FolderStore(tmp_path / "r")
    assert reading.level == "stats"
    assert reading.read("steps")["step"].to_pylist() == [1]
    with pytest.raises(ConfigurationError, match="takes no further rows"):
        reading.add("steps", rows(2))
    writing.close()


def test_a_file_that_a_crash_cuts_off_anywhere_gives_the_whole_batches_before(tmp_path):
    store = GrowingStore(tmp_path / "r", "stats")
    path = tmp_path / "r" / "steps.arrows"
    ends = []
    for step in range(1, 4):
        store.add("steps", rows(step))
        ends.append(path.stat().st_size)
    store.close()
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        found = FolderStore(tmp_path / "r").read("steps")["step"].to_pylist()
        assert found == [1, 2, 3][: sum(end <= size for end in ends)]


def test_a_full_disk_ends_the_recording_with_a_warning_and_not_the_training(tmp_path, monkeypatch):
    store = GrowingStore(tmp_path / "r", "stats")
    store.add("steps", rows(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    file, _ = store._files["steps"]
    monkeypatch.setitem(store._files, "steps", (file, SimpleNamespace(write_batch=full, close=full)))
    with pytest.warns(RuntimeWarning, match=r"ends here, .* No space left on device. Training goes on without it"):
        store.add("steps", rows(2))
    store.add("steps", rows(3))
    store.close()
    assert file.closed
    assert FolderStore(tmp_path / "r").read("steps")["step"].to_pylist() == [1]


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store_module, "write_atomically", refused)
    with pytest.raises(ConfigurationError, match="cannot be written to: Permission denied"):
        GrowingStore(tmp_path / "r", "stats")


def test_tiled_texts_and_numbers_that_are_missing():
    store = MemoryStore("stats")
    about = {name: Tiled(("a", "b"), 2) for name in ("layer", "kind", "function", "quantity", "name")}
    numbers = {name: np.array([1.0, np.nan, 3.0, 4.0]) for name, kind in COLUMNS["stats"] if kind == "float64"}
    store.add("stats", {"step": np.array([1, 1, 2, 2]), "epoch": np.ones(4, np.int64), **about, **numbers})
    table = store.read("stats")
    assert table["layer"].to_pylist() == ["a", "b", "a", "b"]
    assert table["ratio"].to_pylist() == [1.0, None, 3.0, 4.0]
    assert np.isnan(table["mean"].to_pylist()[1])


def test_a_folder_with_files_is_not_written_to(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ConfigurationError, match="holds files already; a recording does not overwrite them"):
        GrowingStore(tmp_path, "stats")
    with pytest.raises(ConfigurationError, match="cannot be made: Not a directory"):
        GrowingStore(tmp_path / "precious" / "below", "stats")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "is not the folder of a recording"),
        ("{", "is damaged: it is not JSON"),
        ('{"format": "other"}', "is not that of a Pellucid recording"),
        ('{"format": "pellucid-recording", "level": "odd"}', "is not that of a Pellucid recording"),
    ],
)
def test_other_folders_are_refused(tmp_path, content, text):
    if content is not None:
        (tmp_path / "recording.json").write_text(content)
    with pytest.raises(FileFormatError, match=text):
        FolderStore(tmp_path)


def test_a_file_of_other_columns_is_refused(tmp_path):
    GrowingStore(tmp_path / "r", "full").close()
    other = GrowingStore(tmp_path / "s", "full")
    other.add("rows", {"step": [1], "rows": [[4, 5]]})
    other.close()
    (tmp_path / "r" / "steps.arrows").write_bytes((tmp_path / "s" / "rows.arrows").read_bytes())
    with pytest.raises(FileFormatError, match="does not have the columns of a recording's table 'steps'"):
        FolderStore(tmp_path / "r").read("steps")
    assert json.loads((tmp_path / "r" / "recording.json").read_text())["version"] == 1
