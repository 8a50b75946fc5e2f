import csv
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pellucid import cli, data, load_model
from pellucid.train import Recording

FRUIT = ("apple", "cherry", "pear")
RUN_FILES = ["history.csv", "learning_curve.png", "model.safetensors", "run.json"]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs the command in an empty folder: exit code, what it printed, and its errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["pellucid", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as exit_:
            code = exit_.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def fruit(tmp_path):
    """A table of fruit: two numbers, a category with a comma in it, and a target that follows from them."""
    generator = np.random.default_rng(0)
    path = tmp_path / "fruit.csv"
    rows = []
    for _ in range(120):
        kind = int(generator.integers(3))
        size, weight = np.array([(7, 150), (2, 8), (9, 180)][kind]) * generator.normal(1, 0.05, 2)
        colour = ("red", "red", "green, yellow")[kind]
        rows.append([f"{size:.2f}", f"{weight:.1f}", colour, FRUIT[kind]])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "weight", "colour", "name"])
        writer.writerows(rows)
    return path


def table(text):
    return list(csv.DictReader(text.splitlines()))


def without(path, column, target):
    """A copy of a table without one column."""
    rows = table(path.read_text())
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != column], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return target


# Training.


def test_digits_are_learnt_end_to_end(run, tmp_path):
    code, out, err = run("train", "digits", "--out", "run", "--patience", "3")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "run folder: run"
    folder = tmp_path / "run"
    assert sorted(path.name for path in folder.iterdir()) == RUN_FILES

    record = json.loads((folder / "run.json").read_text())
    assert record["results"]["accuracy"] >= 0.97
    assert record["target_names"] == [str(digit) for digit in range(10)]
    settings = record["settings"]
    assert settings.pop("epochs_trained") == len(table((folder / "history.csv").read_text()))
    assert settings.pop("stopped_by").startswith("early stopping: val_loss has not improved for 3 epochs")
    assert settings == {
        "model": "mlp",
        "epochs": 40,
        "batch_size": 32,
        "learning_rate": 0.001,
        "optimizer": "adam",
        "patience": 3,
        "seed": 0,
        "backend": "auto",
        "target": None,
    }
    rows = table((folder / "history.csv").read_text())
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row["epoch"] for row in rows] == [str(n + 1) for n in range(len(rows))]
    assert float(rows[-1]["loss"]) < 0.2 < float(rows[0]["loss"])
    assert (folder / "learning_curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    code, out, err = run("evaluate", "run", "digits")
    accuracy, loss = record["results"]["accuracy"], record["results"]["loss"]
    assert (code, err) == (0, "")
    assert out == f"digits (359 samples): accuracy {accuracy:.2%}, loss {loss:.4f}\n"
    code, out, _ = run("predict", "run", "digits")
    predicted = table(out)
    assert len(predicted) == 359
    assert list(predicted[0]) == ["prediction", *(f"p({digit})" for digit in range(10))]
    for row in predicted:
        chances = [float(row[f"p({digit})"]) for digit in range(10)]
        assert sum(chances) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == str(int(np.argmax(chances)))


def test_a_run_is_recorded_in_its_folder(run, tmp_path):
    code, _, err = run("train", "iris", "--out", "run", "--epochs", "20", "--record", "stats")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted([*RUN_FILES, "recording"])
    recording = Recording.load(tmp_path / "run" / "recording")
    assert recording.level == "stats"
    assert recording.steps[0] == 1
    assert "norm" in recording.frame("stats").column_names


@pytest.mark.parametrize(("name", "least"), [("iris", 0.85), ("wine", 0.9), ("breast_cancer", 0.9)])
def test_the_small_data_sets_are_learnt(run, tmp_path, name, least):
    code, _, err = run("train", name, "--epochs", 40, "--out", "run")
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["results"]["accuracy"] >= least


def test_lenet_reads_digits(run, tmp_path):
    code, out, _ = run("train", "digits", "--model", "lenet5", "--epochs", 1, "--out", "run")
    assert code == 0
    assert "conv2d (Conv2D)" in out
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert model.inputs[0].shape == (None, 8, 8, 1)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["results"]["accuracy"] > 0.5


def test_every_option_is_heeded(run, tmp_path):
    options = {
        "--epochs": 3,
        "--batch-size": 20,
        "--learning-rate": 0.125,
        "--optimizer": "momentum",
        "--seed": 7,
        "--backend": "reference",
        "--patience": 3,
        "--model": "mlp",
        "--out": "run",
    }
    code, _, err = run("train", "iris", *(part for pair in options.items() for part in pair))
    assert (code, err) == (0, "")
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings == {
        "model": "mlp",
        "epochs": 3,
        "batch_size": 20,
        "learning_rate": 0.125,
        "optimizer": "momentum",
        "patience": 3,
        "seed": 7,
        "backend": "reference",
        "target": None,
        "epochs_trained": 3,
        "stopped_by": None,
    }
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert repr(model.optimizer) == "Momentum(learning_rate=0.125)"
    rows = table((tmp_path / "run" / "history.csv").read_text())
    # 120 training samples, a tenth held out: 6 updates of 20 in each of the epochs.
    assert model.optimizer.iterations == 6 * len(rows)


def test_patience_ends_training_early(run, tmp_path):
    run("train", "iris", "--learning-rate", 1, "--epochs", 50, "--patience", 0, "--out", "run")
    rows = table((tmp_path / "run" / "history.csv").read_text())
    losses = [float(row["val_loss"]) for row in rows]
    assert len(rows) < 50
    assert losses[-1] >= min(losses)
    assert all(later < earlier for earlier, later in pairwise(losses[:-1]))


def test_the_same_seed_makes_the_same_file(run, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("train", "iris", "--epochs", 2, "--seed", seed, "--out", name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_same_seed_makes_the_same_file_in_a_fresh_process(run, tmp_path):
    run("train", "wine", "--epochs", 2, "--seed", 3, "--out", "a")
    code = "import sys; from pellucid.cli import main; sys.argv[0] = 'pellucid'; main()"
    command = [sys.executable, "-W", "error", "-c", code, "train", "wine", "--epochs", "2", "--seed", "3", "--out", "b"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "5"}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "run folder: b"
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_a_run_without_a_folder_gets_one_of_its_own(run, tmp_path):
    code, out, _ = run("train", "iris", "--epochs", 1)
    (folder,) = (tmp_path / "runs").iterdir()
    assert (code, folder.name[:5]) == (0, "iris-")
    assert out.splitlines()[-1] == f"run folder: {Path('runs') / folder.name}"


def test_no_epochs_make_an_untrained_model(run, tmp_path):
    code, _, _ = run("train", "iris", "--epochs", 0, "--out", "run")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["model.safetensors", "run.json"]


def test_a_run_that_diverges_at_once_is_an_error_and_can_be_inspected(run, tmp_path):
    code, _, err = run("train", "iris", "--optimizer", "sgd", "--learning-rate", 1e30, "--out", "run")
    assert code == 1
    assert err.startswith("error: The ")
    assert "learning rate 1e+30" in err
    assert err.endswith("kept: the weights from before the failure; see pellucid inspect\n")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["model.safetensors", "run.json"]
    record = json.loads((tmp_path / "run" / "run.json").read_text(), parse_constant=pytest.fail)  # no NaN in JSON
    assert record["settings"]["stopped_by"].startswith("The loss became nan in epoch 1")
    assert record["results"]["loss"] is None
    assert run("inspect", "run")[0] == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Training ended in its first epoch: The loss became nan in epoch 1" in page
    assert page.count("first cause: ") == 1
    assert "losses of the steps before: " in page
    assert "Learning rate too high" in page


def test_a_run_that_diverges_later_keeps_the_epochs_before(run, tmp_path, monkeypatch):
    from pellucid.errors import NonFiniteError
    from pellucid.train.callbacks import EarlyStopping

    class Diverges(EarlyStopping):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise NonFiniteError("The loss became nan.")

    monkeypatch.setattr(cli, "EarlyStopping", Diverges)
    code, _, err = run("train", "iris", "--out", "run")
    assert code == 0
    assert err == "\nThe loss became nan.\nkept: the best weights of the epochs before\n"
    rows = table((tmp_path / "run" / "history.csv").read_text())
    assert len(rows) == 3
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == RUN_FILES


@pytest.mark.slow
def test_mnist_is_learnt(run, tmp_path, monkeypatch):
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PELLUCID_TEST_DATA") or beside) / "mnist"
    if not folder.is_dir():
        pytest.skip("the MNIST files are not here (set PELLUCID_TEST_DATA to a folder that has mnist/)")
    monkeypatch.setenv("PELLUCID_DATA", str(folder))
    code, out, _ = run("train", "mnist", "--epochs", 1, "--out", "run")
    assert code == 0
    assert "held-out test data (10000 samples)" in out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["results"]["accuracy"] > 0.93


# Tables.


def test_a_table_with_categories_is_learnt_evaluated_and_used(run, fruit, tmp_path):
    code, out, err = run("train", fruit, "--target", "name", "--epochs", 30, "--out", "run")
    assert (code, err) == (0, "")
    assert "classification into 3 classes" in out
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["results"]["accuracy"] > 0.9
    assert record["target_names"] == list(FRUIT)
    assert record["settings"]["target"] == "name"

    code, out, _ = run("evaluate", "run", fruit)
    assert code == 0
    assert out.startswith(f"{fruit} (120 samples): accuracy ")

    code, out, err = run("predict", "run", fruit)
    assert (code, err) == (0, "")
    names = [row["name"] for row in table(fruit.read_text())]
    predicted = [row["prediction"] for row in table(out)]
    assert np.mean([a == b for a, b in zip(names, predicted, strict=True)]) > 0.9


def test_a_table_without_the_target_can_be_predicted_but_not_evaluated(run, fruit, tmp_path):
    run("train", fruit, "--target", "name", "--epochs", 2, "--out", "run")
    _, whole, _ = run("predict", "run", fruit)
    bare = without(fruit, "name", tmp_path / "bare.csv")
    code, out, err = run("predict", "run", bare)
    assert (code, out, err) == (0, whole, "")
    code, _, err = run("evaluate", "run", bare)
    assert code == 1
    assert err == f"error: {bare} has no column 'name' to compare with.\nHint: use pellucid predict\n"


def test_columns_that_are_not_used_are_named(run, fruit, tmp_path):
    bare = without(fruit, "weight", tmp_path / "bare.csv")
    run("train", bare, "--target", "name", "--epochs", 2, "--out", "run")
    code, out, err = run("predict", "run", fruit)
    assert (code, err) == (0, "not used: weight\n")
    assert len(table(out)) == 120


def test_predictions_can_be_written_to_a_file(run, fruit, tmp_path):
    run("train", fruit, "--target", "name", "--epochs", 2, "--out", "run")
    _, whole, _ = run("predict", "run", fruit)
    code, out, _ = run("predict", "run", fruit, "--out", "deep/predictions.csv")
    assert (code, out) == (0, "120 predictions: deep/predictions.csv\n")
    assert (tmp_path / "deep" / "predictions.csv").read_text() == whole


def test_a_table_of_numbers_is_a_regression(run, tmp_path):
    generator = np.random.default_rng(0)
    size = generator.uniform(20, 200, 300)
    price = 1000 * size + generator.normal(0, 3000, 300)
    path = tmp_path / "houses.csv"
    np.savetxt(path, np.column_stack([size, price]), delimiter=",", header="size,price", comments="")
    code, out, err = run("train", path, "--target", "price", "--epochs", 60, "--learning-rate", 0.01, "--out", "run")
    assert (code, err) == (0, "")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["task"] == "regression"
    assert record["results"]["r2"] > 0.9
    assert list(record["results"]) == ["loss", "mae", "r2"]
    header = table((tmp_path / "run" / "history.csv").read_text())[0]
    assert list(header) == ["epoch", "loss", "mae", "r2", "val_loss", "val_mae", "val_r2", "seconds"]
    assert out.splitlines()[-2].startswith("held-out test data (60 samples): loss ")
    _, out, _ = run("predict", "run", path)
    predicted = [float(row["prediction"]) for row in table(out)]
    assert np.corrcoef(predicted, price)[0, 1] > 0.95
    assert np.mean(np.abs(predicted - price)) < 0.1 * price.mean()


def test_the_task_can_be_given(run, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("size,stars\n" + "".join(f"{n / 10},{n % 4}\n" for n in range(40)))
    for task, found in ((None, "classification"), ("regression", "regression")):
        option = () if task is None else ("--task", task)
        code, _, _ = run("train", path, "--target", "stars", *option, "--epochs", 1, "--out", found)
        assert code == 0
        assert json.loads((tmp_path / found / "run.json").read_text())["task"] == found
    code, _, err = run("train", path, "--target", "stars", "--task", "clustering")
    assert code != 0
    assert "clustering" in err
    code, _, err = run("train", "iris", "--task", "regression")
    text = "error: --task goes with a .csv file; the data set 'iris' has its own target.\n"
    assert (code, err) == (1, text)


@pytest.mark.parametrize(
    ("content", "target", "text"),
    [
        (
            "size,name\n1,a\n2,b\n",
            "nam",
            "has no column 'nam' to be the target; its columns are: size, name.\nHint: did",
        ),
        ("size,name\n1,a\n2\n", "name", "row 3"),
        ("size,name\n1,a\n2,a\n", "name", "the target is 'a' in every row; there is nothing to learn."),
        ("", "name", "bad.csv"),
    ],
)
def test_a_bad_table_is_explained(run, tmp_path, content, target, text):
    (tmp_path / "bad.csv").write_text(content)
    code, out, err = run("train", "bad.csv", "--target", target, "--out", "run")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert text in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "rows"), [("five_by_five", 5), ("parity", 256)])
def test_where_there_is_nothing_to_hold_out_all_samples_are_trained_on(run, tmp_path, name, rows):
    code, out, err = run("train", name, "--epochs", 200, "--out", "run")
    assert (code, err) == (0, "")
    note = "no validation: these samples are all that there are, so that nothing is held out and all are trained on"
    assert note in out
    assert f"the training data again, as there are no others ({rows} samples): accuracy " in out
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["results"]["accuracy"] > 0.9
    history = table((tmp_path / "run" / "history.csv").read_text())
    assert list(history[0]) == ["epoch", "loss", "accuracy", "seconds"]
    assert len(history) == 200


def test_classes_of_one_sample_each_are_trained_on_without_validation(run, monkeypatch):
    x = np.eye(4, dtype="float32")
    singles = data.Dataset(
        "singles", "classification", (x[:3], np.arange(3, dtype="int32")), (x[3:], np.zeros(1, "int32")),
        target_names=("a", "b", "c"),
    )  # fmt: skip
    monkeypatch.setattr(data, "load", lambda name, **options: singles)
    code, out, _ = run("train", "iris", "--epochs", 3, "--out", "run")
    assert code == 0
    assert "no validation: no class has a second sample, so that nothing is held out" in out
    assert "held-out test data (1 samples): " in out


# Recipes.


def test_a_recipe_file_says_what_to_build(run, tmp_path):
    (tmp_path / "small.toml").write_text(
        '[model]\nlayers = [{ layer = "Dense", units = 9, activation = "tanh" }]\n'
        '[training]\nepochs = 2\noptimizer = "sgd"\nlearning_rate = 0.5\n'
    )
    code, out, _ = run("train", "iris", "--model", "small.toml", "--learning-rate", 0.25, "--out", "run")
    assert code == 0
    assert "kernel[4, 9]" in out
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (settings["epochs"], settings["optimizer"], settings["learning_rate"]) == (2, "sgd", 0.25)


def test_a_bad_recipe_is_explained_before_training(run, tmp_path):
    (tmp_path / "bad.toml").write_text('[model]\nlayers = [{ layer = "Dense", units = "many" }]')
    code, _, err = run("train", "iris", "--model", "bad.toml", "--out", "run")
    assert code == 1
    assert err == "error: bad.toml: layer 1: Dense: units must be a whole number of at least 1, not 'many'.\n"
    assert not (tmp_path / "run").exists()


# What is refused.


def test_a_folder_with_files_is_not_overwritten(run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "diary.txt").write_text("mine")
    code, _, err = run("train", "iris", "--out", "run")
    assert code == 1
    assert err == (
        "error: The folder run holds files already; a run does not overwrite them.\n"
        "Hint: choose another --out, or remove the folder\n"
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["diary.txt"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["iriss"],
            f"Unknown data set 'iriss'; known are: {', '.join(data.names())}.\nHint: did you mean 'iris'?",
        ),
        (
            ["iris", "--model", "lenet"],
            "Unknown model 'lenet'; known are: a path ending in .toml, lenet5, mlp.\nHint: did",
        ),
        (["iris", "--optimizer", "adaam"], "Unknown optimizer 'adaam'; known are: "),
        (["iris", "--backend", "refrence"], "Unknown backend 'refrence'; known are: "),
        (["iris", "--model", "none.toml"], "The recipe none.toml cannot be read: No such file or directory."),
        (["iris", "--model", "lenet5"], "lenet5 takes images [height, width, channel], but a sample of 'iris' has"),
        (["iris", "--target", "name"], "--target goes with a .csv file; the data set 'iris' has its own target."),
        (["none.csv"], "The file none.csv does not exist."),
        (["none.csv", "--target", "x"], "The file none.csv does not exist."),
        (["iris", "--seed", "-1"], "A seed must be a whole number of at least 0, not -1."),
        (["iris", "--epochs", "-1"], "fit: epochs must be a whole number of at least 0, not -1."),
        (["iris", "--batch-size", "0"], "batch_size must be a whole number of at least 1"),
        (["iris", "--learning-rate", "-1"], "Adam: learning_rate must be a finite number of at least 0"),
        (["iris", "--patience", "-1"], "EarlyStopping: patience must be at least 0, not -1."),
    ],
)
def test_what_cannot_be_trained_is_a_sentence_and_exit_code_1(run, arguments, text):
    code, _, err = run("train", *arguments, "--out", "run")
    assert code == 1
    assert err.startswith(f"error: {text}")
    assert "Traceback" not in err


def test_a_run_folder_that_cannot_be_made_is_told_before_training(run, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run("train", "iris", "--out", "file/run")
    assert (code, err) == (1, f"error: The run folder {Path('file/run')} cannot be made: Not a directory.\n")


def test_a_file_that_cannot_be_written_is_a_sentence(run, tmp_path):
    run("train", "iris", "--epochs", 1, "--out", "run")
    code, _, err = run("predict", "run", "iris", "--out", "run/run.json/predictions.csv")
    assert code == 1
    assert err.startswith("error: ")
    assert "run.json" in err


def test_data_of_another_kind_are_refused(run, fruit, tmp_path):
    run("train", "iris", "--epochs", 1, "--out", "iris")
    run("train", fruit, "--target", "name", "--epochs", 1, "--out", "fruit")
    for arguments, text in [
        (("iris", "digits"), "x has shape [?, 8, 8, 1] but the model was built for [?, 4]."),
        (("iris", fruit), f"The run was trained on 'iris', not on a table, so it cannot read {fruit}."),
        (("fruit", "iris"), f"The run was trained on {fruit}, which does not have the columns of 'iris'."),
        (("nowhere", "iris"), "nowhere is not the folder of a run: it has no run.json.\nHint: train one: "),
    ]:
        for command in ("evaluate", "predict"):
            code, out, err = run(command, *arguments)
            assert (code, out) == (1, "")
            assert err.startswith(f"error: {text}")


def test_a_damaged_model_is_a_sentence(run, tmp_path):
    run("train", "iris", "--epochs", 1, "--out", "run")
    path = tmp_path / "run" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    code, _, err = run("evaluate", "run", "iris")
    assert code == 1
    assert err.startswith(f"error: {Path('run/model.safetensors')} is damaged, or no model file.")


# The command itself.


def test_help_lists_the_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    for word in ("train", "evaluate", "predict", "--version"):
        assert word in out
    code, out, _ = run("train", "--help")
    assert code == 0
    for option in ("target", "model", "epochs", "batch-size", "learning-rate", "optimizer", "seed", "backend", "out"):
        assert f"--{option}" in out
    for name in data.names():
        assert re.search(rf"\b{name}\b", out)


def test_the_version_is_that_of_the_package(run):
    import pellucid

    assert run("--version") == (0, f"{pellucid.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["trian", "iris"], ["train"], ["train", "iris", "--epoch", "3"]])
def test_a_command_line_that_is_misspelt_fails(run, arguments):
    code, _, err = run(*arguments)
    assert code != 0
    assert "Error" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows break differently")
def test_a_reader_that_closes_the_pipe_ends_the_command_quietly(run, tmp_path):
    run("train", "digits", "--epochs", 1, "--out", "run")
    code = "import sys; from pellucid.cli import main; sys.argv = ['pellucid', 'predict', 'run', 'digits']; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=60) == 141
    assert err == b""


@pytest.mark.parametrize("when", ["training", "loading"])
def test_ctrl_c_keeps_what_was_learnt_and_exits_as_a_shell_expects(run, tmp_path, monkeypatch, when):
    from pellucid.train.callbacks import EarlyStopping

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    class Interrupted(EarlyStopping):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    if when == "loading":
        monkeypatch.setattr(data, "load", interrupt)
    else:
        monkeypatch.setattr(cli, "EarlyStopping", Interrupted)
    code, _, err = run("train", "iris", "--out", "run")
    assert (code, err) == (130, "")
    if when == "training":
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == RUN_FILES
        settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
        assert (settings["epochs_trained"], settings["stopped_by"]) == (3, "interrupted")


@pytest.mark.parametrize("learning", ["train sms_spam --epochs 2", "cv sms_spam --folds 2 --epochs 2"])
def test_a_network_that_has_learned_messages_predicts_further_ones(run, tmp_path, monkeypatch, learning):
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not (folder / "sms_spam").is_dir():
        pytest.skip("the messages are not in ../shared/data/sms_spam")
    monkeypatch.setenv("PELLUCID_DATA", str(folder))
    messages = tmp_path / "messages.txt"
    messages.write_text("Win a FREE prize now, call 0900\nsee you at home tonight?\n")
    run(*learning.split(), "--out", "spam")
    lines = run("predict", "spam", str(messages))[1].splitlines()
    assert lines[0] == "prediction,p(ham),p(spam)"
    assert [line.split(",")[0] for line in lines[1:]] == ["spam", "ham"]


def test_a_table_needs_the_name_of_its_column(run, tmp_path):
    (tmp_path / "flowers.csv").write_text("a,b\n1,2\n")
    code, _, err = run("train", "flowers.csv")
    assert (code, err) == (1, "error: Which column of flowers.csv is to be learned?\nHint: add --target COLUMN\n")


def test_the_command_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "pellucid", "train", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Usage: pellucid train" in done.stdout
