import sys

import numpy as np
import pytest
from tests.analysis.diagnosis.runs import digits, fit, plain

from pellucid import Sequential, cli, ops
from pellucid.analysis import diagnose, write_report
from pellucid.analysis.diagnosis import DETECTORS
from pellucid.analysis.diagnosis.case import open_run, read_history
from pellucid.errors import ConfigurationError, DataError, FileFormatError
from pellucid.nn import GRU, Activation, Dense
from pellucid.optim import Adam


@pytest.fixture
def train(monkeypatch, tmp_path):
    """Trains by the command line; the run folder."""

    def call(*arguments):
        folder = tmp_path / "run"
        monkeypatch.setattr(sys, "argv", ["pellucid", "train", *map(str, arguments), "--out", str(folder)])
        monkeypatch.setenv("PELLUCID_PROGRESS", "off")
        cli.main()
        return folder

    def quiet(*arguments):
        with pytest.raises(SystemExit) as ended:
            call(*arguments)
        assert not ended.value.code
        return tmp_path / "run"

    return quiet


def test_a_run_folder_knows_its_data_and_settings(train):
    folder = train("iris", "--epochs", 60)
    assert diagnose(folder).names == []
    run = open_run(folder)
    assert (run.case.setup.count, run.case.setup.batch_size) == (108, 16)
    assert len(run.case.setup.validation[0]) == 12
    assert run.case.history.best("val_loss") < 60
    history = run.case.history["val_loss"]
    # The weights of the best epoch were kept.
    assert run.case.model.evaluate(*run.case.setup.validation)[0] == pytest.approx(min(history), rel=1e-4)


def test_a_run_folder_with_a_fault_has_a_finding(train):
    folder = train("digits", "--epochs", 5, "--learning-rate", 1, "--record", "stats")
    found = diagnose(str(folder))
    assert "learning_rate_too_high" in found
    assert "dead_relu" in found
    assert found["dead_relu"].step is not None
    assert "since update" in found["dead_relu"].evidence


def test_a_recording_of_the_fit_dates_the_finding():
    model = plain(optimizer=Adam(1.0))
    history = fit(model, *digits().train, record="stats", every=1).history
    finding = diagnose(model, *digits().train)["dead_relu"]
    frame = history.recording.frame("stats", to="numpy")
    dead = (np.asarray(frame["layer"]) == "dense") & (np.asarray(frame["quantity"]) == "activation")
    steps = np.asarray(frame["step"])[dead][np.asarray(frame["dead"], float)[dead] > 0.6]
    assert finding.step == steps.min()
    assert f"since update {steps.min()}" in finding.evidence


def test_a_table_of_another_encoding_is_refused(train, tmp_path):
    rows = [f"{i},{i * i},{'ab'[i % 2]}" for i in range(40)]
    table = tmp_path / "table.csv"
    table.write_text("x,z,kind\n" + "\n".join(rows) + "\n")
    folder = train(table, "--target", "kind", "--epochs", 2)
    assert open_run(folder).case.feature_names == ("x", "z")
    other = tmp_path / "other.csv"
    other.write_text("x,y,kind\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"but the run was trained on 2 and 2 \(x, z, \.\.\.\)"):
        open_run(folder, str(other))


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"is not the folder of a run"):
        diagnose(tmp_path)
    with pytest.raises(ConfigurationError, match="takes a model, the folder of a run, or what fit returned, not int"):
        diagnose(3)
    with pytest.raises(DataError, match="a model does not keep them"):
        diagnose(plain())


def test_a_damaged_history_is_refused(tmp_path):
    path = tmp_path / "history.csv"
    assert len(read_history(path)) == 0
    for damaged in ("epoch,loss,seconds\n1,much,0.1\n", "loss\n1\n", "epoch,loss,seconds\n1\n"):
        path.write_text(damaged)
        with pytest.raises(FileFormatError, match="is not the history of a run"):
            read_history(path)


def samples(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("layers", "loss", "x", "y"),
    [
        ([Dense(3, "relu"), Dense(1)], "mse", samples(1, 5), samples(1)),
        ([Dense(3, "relu"), Dense(1)], "mse", samples(30, 5).tolist(), samples(30).tolist()),
        ([Dense(3, "relu"), Dense(2, "softmax")], "categorical_crossentropy", samples(30, 5), np.zeros(30, int)),
        ([Dense(3, "relu"), Dense(1)], "mse", samples(30, 5), np.ones(30)),
        ([Dense(3, "relu"), Dense(4, "sigmoid")], "binary_crossentropy", samples(30, 5), samples(30, 4) > 0),
        ([GRU(4, return_sequences=True), Dense(3, "softmax")], "categorical_crossentropy", samples(30, 6, 2),
         np.arange(180).reshape(30, 6) % 3),
        ([Dense(3, lambda z: ops.maximum(z, 0.0)), Dense(1)], lambda y, p: ops.square(y - p), samples(30, 5),
         samples(30, 1)),
        ([Dense(3, trainable=False), Dense(1, trainable=False)], "mse", samples(30, 5), samples(30)),
        ([Activation("tanh")], "mse", samples(30, 5), 0.1 * samples(30, 5)),
    ],
    ids=["one sample", "lists", "one class", "one number", "several labels", "a label per step", "functions", "frozen",
         "no weights"],
)  # fmt: skip
def test_unusual_runs_have_a_diagnosis_a_retry_and_a_report(layers, loss, x, y, tmp_path):
    model = Sequential(layers)
    model.compile(loss, "adam")
    fit(model, x, y, epochs=2)
    found = diagnose(model, x, y)
    assert set(found.checked) | set(found.skipped) == set(DETECTORS)
    for finding in found:
        if finding.can_retry:
            assert len(finding.retry(epochs=1).after) == 1
    assert "<h2>Diagnosis</h2>" in write_report(model, x, y, path=tmp_path / "x.html").read_text()


def test_an_untrained_model_can_be_diagnosed_before_the_first_step():
    found = diagnose(plain(), *digits().train)
    assert found.names == []
    assert "overfitting" in found.skipped
