import csv
import json
from functools import partial

import numpy as np
import pytest
from tests.test_cli import run  # noqa: F401 - the fixture that runs the command

from pellucid import data
from pellucid.nn import Dense
from pellucid.select.test_sets import evaluate_once
from pellucid.select.tuning import command
from pellucid.train import Callback, load_model

ALWAYS = {
    *("best_parameters.json", "curves.png", "history.csv", "history.png", "learning_curve.png", "model.safetensors"),
    *("parallel_coordinates.png", "results.csv", "run.json"),
}
SHORT = ("--epochs", 4, "--folds", 2, "--trials", 6, "--at-once", 3, "--seed", 1)


@pytest.fixture(autouse=True)
def journal_of_looks(monkeypatch, tmp_path):
    """Looks at test sets are written down in the folder of the test."""
    monkeypatch.setattr(command, "evaluate_once", partial(evaluate_once, folder=tmp_path / "cache"))


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_search_fills_a_run_folder_that_can_be_used(run, tmp_path):  # noqa: F811
    space = ("--space", "units=4,8", "learning_rate=0.001:0.1:log", "layers=1:2")
    code, out, err = run("tune", "iris", *SHORT, *space, "--pruner", "none", "--out", "r")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "run folder: r"
    assert "Trials are judged on training examples (in 2 folds, of 120)" in out
    assert "  learning_rate  0.001 to 0.1 (log)\n" in out
    assert "6/6 trials, best accuracy" in out
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names == ALWAYS | {"importance.png", "search.journal"}
    rows = table(tmp_path / "r" / "results.csv")
    assert [row["state"] for row in rows] == ["complete"] * 6
    best = json.loads((tmp_path / "r" / "best_parameters.json").read_text())
    winner = max(rows, key=lambda row: float(row["value"]))
    assert best["parameters"] == {
        "units": int(winner["units"]),
        "learning_rate": pytest.approx(float(winner["learning_rate"])),
        "layers": int(winner["layers"]),
    }
    record = json.loads((tmp_path / "r" / "run.json").read_text())
    assert record["results"]["validation_accuracy"] == pytest.approx(float(winner["value"]))
    assert record["settings"]["units"] == int(winner["units"])
    model = load_model(tmp_path / "r" / "model.safetensors")
    dense = [layer.units for layer in model.layers if isinstance(layer, Dense)]
    assert dense == [int(winner["units"])] * int(winner["layers"]) + [3]
    iris = data.load("iris")
    assert model.evaluate(*iris.test, return_dict=True)["accuracy"] == pytest.approx(record["results"]["accuracy"])
    code, out, _ = run("evaluate", "r", "iris")
    assert (code, out) == (0, f"iris (30 samples): accuracy {record['results']['accuracy']:.2%}, "
                              f"loss {record['results']['loss']:.4f}\n")  # fmt: skip
    assert len(run("predict", "r", "iris")[1].splitlines()) == 31


def test_without_a_space_the_usual_one_is_searched(run, tmp_path):  # noqa: F811
    code, out, _ = run("tune", "digits", "--trials", 2, "--epochs", 1, "--out", "r")
    assert code == 0
    assert "(20% of them, of 1,438)" in out
    assert "no importance.png: importances: 2 complete trials are too few" in out
    assert set(table(tmp_path / "r" / "results.csv")[0]) >= {
        "layers",
        "units",
        "dropout",
        "learning_rate",
        "batch_size",
    }


def test_a_second_look_at_the_test_examples_is_named(run):  # noqa: F811
    space = ("--space", "units=4,8")
    assert "looked at for the first time" in run("tune", "iris", *SHORT, *space, "--out", "a")[1]
    assert "has been looked at once before" in run("tune", "iris", *SHORT, *space, "--out", "b")[1]


@pytest.mark.parametrize("kept", ["memory", "s.journal", "sqlite:///s.db"])
def test_the_same_seed_gives_the_same_search_wherever_it_is_kept(run, tmp_path, kept):  # noqa: F811
    for name, storage in (("a", ()), ("b", ("--storage", kept))):
        assert run("tune", "iris", *SHORT, "--space", "learning_rate=1e-3:1:log", *storage, "--out", name)[0] == 0
    a, b = ([(r["learning_rate"], r["value"], r["state"]) for r in table(tmp_path / n / "results.csv")] for n in "ab")
    assert a == b
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


def test_a_search_that_was_kept_goes_on(run, tmp_path):  # noqa: F811
    common = (*SHORT[:4], "--at-once", 3, "--space", "units=4,8", "--storage", "s.journal")
    run("tune", "iris", *common, "--trials", 3, "--out", "a")
    code, _, err = run("tune", "iris", *common, "--trials", 6, "--out", "b")
    assert code == 1
    assert "The storage holds a search called 'iris' already" in err
    assert not (tmp_path / "b").exists()
    code, out, _ = run("tune", "iris", *common, "--trials", 6, "--resume", "--out", "b")
    assert code == 0
    assert "6/6 trials" in out
    first, whole = table(tmp_path / "a" / "results.csv"), table(tmp_path / "b" / "results.csv")
    assert [row["number"] for row in whole] == list("012345")
    assert [row["units"] for row in whole[:3]] == [row["units"] for row in first]


def test_other_choices_are_another_search(run, tmp_path):  # noqa: F811
    common = (*SHORT, "--storage", "s.journal")
    run("tune", "iris", *common, "--space", "units=4,8", "--out", "a")
    code, _, err = run("tune", "iris", *common, "--space", "units=4,16", "--resume", "--out", "b")
    assert code == 1
    assert "The search 'iris' of the storage chose units from 4, 8, this one would from 4, 16." in err
    assert not (tmp_path / "b").exists()
    common = (*common[:4], "--trials", 8, "--storage", "s.journal", "--name", "rates")
    assert run("tune", "iris", *common, "--space", "learning_rate=0.01:0.1", "--out", "c")[0] == 0
    assert run("tune", "iris", *common, "--space", "learning_rate=0.01:0.2", "--resume", "--out", "d")[0] == 0


@pytest.mark.parametrize("folds", [(), ("--folds", 2)])
def test_ctrl_c_keeps_what_there_is_and_does_not_look_at_the_test_examples(run, tmp_path, monkeypatch, folds):  # noqa: F811
    class Interrupts(Callback):
        """Ctrl-C in the epoch of a number, of all trials together."""

        epochs = 0

        def __init__(self, patience):
            super().__init__()

        def __deepcopy__(self, memo):
            return self

        def on_epoch_begin(self, epoch, logs=None):
            Interrupts.epochs += 1
            if Interrupts.epochs == 20:
                raise KeyboardInterrupt

    monkeypatch.setattr(command, "EarlyStopping", Interrupts)
    options = folds if folds else ("--validation", 0.3)
    code, out, err = run("tune", "iris", "--epochs", 2, *options, "--at-once", 2, "--jobs", 1, "--out", "r")
    assert (code, err) == (130, "")
    assert "The test examples were not looked at: the search is not over." in out
    assert "interrupted; the same command with --storage r/search.journal --resume and another --out goes on" in out
    assert "failed" not in out
    assert not (tmp_path / "cache").exists()
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names >= {"best_parameters.json", "results.csv", "model.safetensors", "run.json", "search.journal"}
    settings = json.loads((tmp_path / "r" / "run.json").read_text())["settings"]
    assert settings["stopped_by"] == "interrupted"
    assert settings["trained"].startswith("the best parameters" if folds else "the best trial's model")
    assert run("evaluate", "r", "iris")[0] == 0
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    done = len(table(tmp_path / "r" / "results.csv"))
    assert 0 < done < 14


def test_a_table_with_numbers_to_learn_is_searched_and_predicted(run, tmp_path):  # noqa: F811
    r = np.random.default_rng(0)
    x = r.normal(size=(60, 2))
    (tmp_path / "houses.csv").write_text("\n".join(["a,b,price", *(f"{a},{b},{100 + 10 * a - 5 * b}" for a, b in x)]))
    code, out, _ = run("tune", "houses.csv", "--target", "price", *SHORT, "--out", "r")
    assert code == 0
    assert "mae (smaller is better)" in out
    (tmp_path / "new.csv").write_text("a,b\n0.5,1\n1,-1\n")
    assert len(run("predict", "r", "new.csv")[1].splitlines()) == 3


def test_trials_in_processes_are_the_same(run, tmp_path):  # noqa: F811
    for name, executor in (("a", "threads"), ("b", "processes")):
        code, _, err = run("tune", "iris", *SHORT, "--space", "units=4,8", "--executor", executor, "--jobs", 2,
                           "--out", name)  # fmt: skip
        assert (code, err) == (0, "")
    a, b = ([(r["units"], r["value"]) for r in table(tmp_path / n / "results.csv")] for n in "ab")
    assert a == b


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--space", "unitz=4"), "did you mean 'units'"),
        (("--space", "units=0:4"), "--space: units must be a whole number of at least 1, not 0."),
        (("--space", "activation=relu,rela"), "did you mean 'relu'"),
        (("--space", "momentum=0.5,0.9"), "momentum"),
        (("--space", "units_3=4,8"), "mlp has 2 hidden Dense layers."),
        (("--space", "epochs=1:3", "--epochs", "3"), "--epochs and --space epochs=... contradict each other."),
        (("--model", "lenet5"), "lenet5 takes images"),
        (("--model", "mpl"), "did you mean 'mlp'"),
        (("--sampler", "tp"), "did you mean 'tpe'"),
        (("--sampler", "grid", "--space", "l2=0:0.1"), "needs the values of 'l2' as a list or a range"),
        (("--pruner", "meedian"), "did you mean 'median'"),
        (("--storage", "search.txt"), "storage must be 'memory', a journal file"),
        (("--validation", "1.5"), "--validation is a share between 0 and 1, not 1.5."),
        (("--folds", "1"), "--folds must be at least 2, not 1."),
        (("--folds", "3", "--validation", "0.2"), "--validation and --folds contradict each other"),
        (("--trials", "0"), "trials must be a whole number of at least 1"),
        (("--resume",), "--resume goes on with a search that was kept: which one?"),
        (("--executor", "process"), "executor must be one of"),
    ],
)
def test_what_cannot_be_asked_for_leaves_no_folder(run, tmp_path, given, message):  # noqa: F811
    code, out, err = run("tune", "iris", *given, "--out", "r")
    assert code == 1
    assert message in err
    assert "trials" not in out.replace("Trials are judged", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mode", "shown"), [("lines", True), ("off", False)])
def test_progress_is_shown_as_the_environment_says(run, monkeypatch, mode, shown):  # noqa: F811
    monkeypatch.setenv("PELLUCID_PROGRESS", mode)
    out = run("tune", "iris", *SHORT, "--space", "units=4,8", "--out", "r")[1]
    assert ("6/6 trials" in out) is shown
    monkeypatch.setenv("PELLUCID_PROGRESS", "loud")
    assert "Unknown value of PELLUCID_PROGRESS 'loud'" in run("tune", "iris", *SHORT, "--out", "q")[2]
