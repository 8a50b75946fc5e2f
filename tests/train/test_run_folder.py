import json

import numpy as np
import pytest

from pellucid import History
from pellucid.data import Column, TableSchema
from pellucid.errors import ConfigurationError, FileFormatError
from pellucid.train import run_folder
from pellucid.train.run_folder import RunRecord

SCHEMA = TableSchema(
    (Column("size", "number"), Column("colour", "category", ("blue", "red"))), Column("kind", "category", ("a", "b"))
)


def record(schema=None):
    results = {"loss": np.float32(0.5), "confusion_matrix": np.eye(2)}
    return RunRecord("iris", "classification", ("a", "b"), {"seed": 0, "epochs": None}, results, schema)


def history():
    made = History()
    made.append(0, {"loss": 1.0, "val_loss": 2.0}, 0.1)
    return made


@pytest.fixture
def folder(classifier, tmp_path):
    run_folder.write(tmp_path / "run", classifier(), history(), record(SCHEMA))
    return tmp_path / "run"


def test_a_run_is_read_back(folder, classifier, blobs):
    assert sorted(path.name for path in folder.iterdir()) == [
        "history.csv",
        "learning_curve.png",
        "model.safetensors",
        "run.json",
    ]
    for path in (folder, str(folder), folder / "run.json"):
        model, found = run_folder.read(path)
        assert np.array_equal(model.predict(blobs[0]), classifier().predict(blobs[0]))
        assert found == RunRecord(
            "iris", "classification", ("a", "b"), {"seed": 0, "epochs": None}, {"loss": 0.5}, SCHEMA
        )


def test_a_run_without_an_epoch_has_no_curve(classifier, tmp_path):
    run_folder.write(tmp_path, classifier(), History(), record())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "run.json"]
    assert run_folder.read(tmp_path)[1].schema is None


def test_the_record_comes_last_so_that_a_folder_with_it_is_complete(classifier, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(History, "save_plot", fail)
    with pytest.raises(OSError, match="no space left"):
        run_folder.write(tmp_path, classifier(), history(), record())
    assert not (tmp_path / "run.json").exists()
    with pytest.raises(FileFormatError) as error:
        run_folder.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} is not the folder of a run: it has no run.json.\n"
        "Hint: train one: pellucid train digits --out FOLDER"
    )


def change(folder, **entries):
    content = json.loads((folder / "run.json").read_text())
    content.update(entries)
    (folder / "run.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is damaged: it is not JSON."),
        ("\x00", "is damaged: it is not JSON."),
        ("[]", "is not the record of a Pellucid run."),
        ("{}", "is not the record of a Pellucid run."),
        ('{"format": "pellucid-run"}', "lacks 'schema'."),
        ('{"format": "pellucid-run", "schema": null}', "lacks 'data'."),
    ],
)
def test_a_damaged_record_is_named(folder, content, text):
    (folder / "run.json").write_text(content)
    with pytest.raises(FileFormatError) as error:
        run_folder.read(folder)
    assert str(error.value) == f"{folder / 'run.json'} {text}"


def test_a_damaged_schema_and_model_are_named(folder):
    change(folder, schema={"format": "other"})
    with pytest.raises(FileFormatError, match="not a table schema"):
        run_folder.read(folder)
    change(folder, schema=None)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(FileFormatError, match="damaged, or no model file"):
        run_folder.read(folder)


def test_a_folder_that_holds_files_is_refused(tmp_path):
    assert run_folder.new_folder(str(tmp_path / "new"), "iris") == tmp_path / "new"
    (tmp_path / "empty").mkdir()
    assert run_folder.new_folder(str(tmp_path / "empty"), "iris") == tmp_path / "empty"
    for taken in (tmp_path, tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError) as error:
            run_folder.new_folder(str(taken), "iris")
        assert str(error.value) == (
            f"The folder {taken} holds files already; a run does not overwrite them.\n"
            "Hint: choose another --out, or remove the folder"
        )


def test_runs_without_a_folder_of_their_own_get_fresh_ones(tmp_path, monkeypatch):
    from datetime import datetime

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2024, 2, 3, 4, 5, 6)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "datetime", Clock)
    names = []
    for _ in range(3):
        folder = run_folder.new_folder(None, "iris")
        run_folder.make(folder)
        names.append(folder.as_posix())
    assert names == [f"runs/iris-20240203-040506{again}" for again in ("", "-2", "-3")]


def test_a_folder_that_cannot_be_made_is_named_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as error:
        run_folder.make(tmp_path / "file" / "run")
    assert str(error.value) == f"The run folder {tmp_path / 'file' / 'run'} cannot be made: Not a directory."
