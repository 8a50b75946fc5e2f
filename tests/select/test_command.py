import csv
import json

import numpy as np
import pytest
from tests.test_cli import run  # noqa: F401 - the fixture that runs the command

from pellucid.errors import ConfigurationError
from pellucid.nn import Dense
from pellucid.select.command import parse_grid, with_hidden
from pellucid.train import Sequential, load_model

ALWAYS = {
    *("folds.png", "history.csv", "learning_curve.png", "model.safetensors"),
    *("results.csv", "run.json", "scores.png", "summary.csv"),
}


def test_a_grid_is_cross_validated_into_a_run_folder(run, tmp_path):  # noqa: F811
    code, out, err = run("cv", "iris", "--folds", 3, "--seeds", 2, "--epochs", 3, "--grid", "hidden=4,8",
                         "learning_rate=0.01,0.001", "--out", "r")  # fmt: skip
    assert (code, err) == (0, "")
    assert "4 configurations x 3 folds x 2 seeds" in out
    assert out.splitlines()[-1] == "run folder: r"
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names == ALWAYS | {"validation_curve_hidden.png", "validation_curve_learning_rate.png"}
    rows = list(csv.DictReader((tmp_path / "r" / "results.csv").read_text().splitlines()))
    assert len(rows) == 24
    summary = list(csv.DictReader((tmp_path / "r" / "summary.csv").read_text().splitlines()))
    best = [r for r in rows if r["configuration"] == summary[0]["configuration"]]
    assert float(summary[0]["mean"]) == pytest.approx(np.mean([float(r["validation_accuracy"]) for r in best]))
    record = json.loads((tmp_path / "r" / "run.json").read_text())
    assert record["results"]["cv_accuracy"] == pytest.approx(float(summary[0]["mean"]))
    assert load_model(tmp_path / "r" / "model.safetensors").layers[1].units == int(summary[0]["hidden"])
    assert run("evaluate", "r", "iris")[0] == 0


def test_the_same_seed_gives_the_same_results(run, tmp_path):  # noqa: F811
    for name in ("a", "b"):
        run("cv", "wine", "--folds", 2, "--epochs", 2, "--patience", 1, "--out", name)
    a, b = (list(csv.DictReader((tmp_path / n / "results.csv").read_text().splitlines())) for n in "ab")
    assert [r["validation_loss"] for r in a] == [r["validation_loss"] for r in b]


@pytest.mark.parametrize(
    ("scheme", "printed"),
    [("bootstrap", "error of the best: out of bag 0."), ("nested", "nested estimate 0."), ("subsampling", "2 folds")],
)
def test_schemes_print_what_they_estimate(run, scheme, printed):  # noqa: F811
    size = ("--folds", 2) if scheme == "nested" else ("--repeats", 2)
    code, out, _ = run("cv", "iris", "--scheme", scheme, *size, "--epochs", 2, "--out", "r")
    assert code == 0
    assert printed in out


def test_a_table_of_numbers_is_cross_validated(run, tmp_path):  # noqa: F811
    r = np.random.default_rng(0)
    x = r.normal(size=(60, 2))
    lines = ["a,b,price", *(f"{a},{b},{100 + 10 * a - 5 * b}" for a, b in x)]
    (tmp_path / "houses.csv").write_text("\n".join(lines))
    code, out, _ = run("cv", "houses.csv", "--target", "price", "--folds", 2, "--epochs", 2, "--out", "r")
    assert code == 0
    assert "mae (smaller is better)" in out


def test_fits_in_processes_give_the_same_results(run, tmp_path):  # noqa: F811
    options = ("--folds", 3, "--epochs", 2, "--grid", "hidden=4,8", "--patience", 1)
    for name, executor in (("a", "threads"), ("b", "processes")):
        code, _, err = run("cv", "iris", *options, "--executor", executor, "--jobs", 2, "--out", name)
        assert (code, err) == (0, "")
    a, b = (list(csv.DictReader((tmp_path / n / "results.csv").read_text().splitlines())) for n in "ab")
    assert [r["validation_loss"] for r in a] == [r["validation_loss"] for r in b]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--executor", "process"), "executor must be one of 'threads', 'processes', 'ray', not 'process'"),
        (("--grid", "hiden=4"), "did you mean 'hidden'"),
        (("--grid", "hidden"), "is not of the form name=value,value"),
        (("--scheme", "kfolds"), "did you mean 'kfold'"),
        (("--scheme", "leave_one_out", "--folds", "3"), "Unknown setting of the scheme"),
        (("--folds", "500"), "cannot split these 120 rows"),
        (("--grid", "learning_rate=fast"), "learning_rate must be a finite number"),
    ],
)
def test_what_cannot_be_asked_for_leaves_no_folder(run, tmp_path, given, message):  # noqa: F811
    code, _, err = run("cv", "iris", *given, "--out", "r")
    assert code == 1
    assert message in err
    assert not (tmp_path / "r").exists()


def test_a_folder_that_was_there_stays_where_nothing_can_be_trained(run, tmp_path):  # noqa: F811
    (tmp_path / "r").mkdir()
    assert run("cv", "iris", "--folds", 500, "--out", "r")[0] == 1
    assert (tmp_path / "r").is_dir()


def test_values_of_a_grid_are_numbers_where_they_look_like_them():
    assert parse_grid(["a=1,1.5,1e-3", "batch-size=8", "c=true,none,relu"]) == {
        "a": [1, 1.5, 0.001],
        "batch_size": [8],
        "c": [True, None, "relu"],
    }
    with pytest.raises(ConfigurationError, match="names 'a' twice"):
        parse_grid(["a=1", "a=2"])


def test_a_model_without_hidden_layers_has_no_hidden_units():
    with pytest.raises(ConfigurationError, match="the model has none"):
        with_hidden(Sequential([Dense(3)]), 4)
