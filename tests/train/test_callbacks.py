import builtins
import io

import numpy as np
import pytest

from pellucid import (
    BatchReport,
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    LearningRateSchedule,
    ReduceOnPlateau,
    TensorBoard,
    load_model,
)
from pellucid.errors import ConfigurationError, MissingDependencyError
from pellucid.optim import SGD
from pellucid.train.callbacks import FunctionCallback, as_callback


class Model:
    """Stands for a model whose single weight is the number of the epoch."""

    def __init__(self):
        self.epoch = 0
        self.stop_training = False
        self.optimizer = SGD(1.0)
        self.saved = []

    def get_weights(self):
        return {"epoch": np.array(self.epoch)}

    def set_weights(self, weights):
        self.epoch = int(weights["epoch"])

    def save(self, path):
        self.saved.append((path, self.epoch))


def play(callback, values, key="val_loss", start=0):
    """Feed a sequence of numbers, one per epoch, until the callback stops the training."""
    model = callback.model = Model()
    callback.on_train_begin()
    for epoch, value in enumerate(values, start):
        model.epoch = epoch
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": 1.0, key: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return model


# EarlyStopping.


def test_early_stopping_restores_the_best_weights():
    callback = EarlyStopping(patience=2)
    model = play(callback, [3.0, 1.0, 2.0, 1.5, 0.5])
    assert model.epoch == 1
    assert (callback.best_epoch, callback.stopped_epoch) == (1, 3)
    assert model.stop_training == (
        "early stopping: val_loss has not improved for 2 epochs; the weights of epoch 2 are restored"
    )


def test_early_stopping_restores_the_best_weights_without_having_stopped():
    callback = EarlyStopping(patience=9)
    assert play(callback, [3.0, 1.0, 2.0]).epoch == 1
    assert callback.stopped_epoch is None


def test_early_stopping_can_keep_the_last_weights():
    model = play(EarlyStopping(patience=1, restore_best_weights=False), [1.0, 2.0, 3.0])
    assert model.epoch == 1
    assert model.stop_training == "early stopping: val_loss has not improved for 1 epochs"


def test_small_changes_do_not_count():
    assert play(EarlyStopping(patience=2, min_delta=0.1), [1.0, 0.95, 0.91, 0.5]).epoch == 0
    assert play(EarlyStopping(patience=2, min_delta=0.0), [1.0, 0.95, 0.91, 0.5]).epoch == 3


def test_the_mode_follows_from_the_name_or_is_given():
    assert play(EarlyStopping("val_accuracy"), [0.5, 0.9, 0.7], "val_accuracy").epoch == 1
    assert play(EarlyStopping("val_mae"), [0.5, 0.9, 0.7], "val_mae").epoch == 0
    assert play(EarlyStopping("val_accuracy", mode="min"), [0.5, 0.9, 0.7], "val_accuracy").epoch == 0
    assert play(EarlyStopping("score", mode="max"), [0.5, 0.9, 0.7], "score").epoch == 1
    with pytest.raises(ConfigurationError, match="Unknown mode 'mxa'; known are: auto, max, min"):
        EarlyStopping(mode="mxa")


def test_nan_is_never_an_improvement():
    callback = EarlyStopping(patience=2)
    assert play(callback, [1.0, np.nan, np.nan, 0.5]).epoch == 0
    assert callback.stopped_epoch == 2


def test_first_epochs_can_be_left_out():
    callback = EarlyStopping(patience=1, start_from_epoch=2)
    assert play(callback, [0.1, 0.2, 3.0, 2.0, 2.5]).epoch == 3


def test_early_stopping_starts_over_in_the_next_fit():
    callback = EarlyStopping(patience=1)
    play(callback, [0.1, 0.2])
    assert play(callback, [3.0, 2.0, 2.5]).epoch == 1


def test_a_quantity_that_is_not_logged_is_named():
    for callback in (EarlyStopping(), ReduceOnPlateau(), Checkpoint("m", save_best_only=True)):
        with pytest.raises(ConfigurationError) as error:
            play(callback, [1.0], "accuracy")
        assert str(error.value) == (
            "Unknown monitored quantity 'val_loss'; known are: accuracy, loss.\n"
            "Hint: pass validation_data or validation_split to fit"
        )
    with pytest.raises(ConfigurationError) as error:
        play(EarlyStopping("val_los"), [1.0])
    assert str(error.value) == (
        "Unknown monitored quantity 'val_los'; known are: loss, val_loss.\nHint: did you mean 'val_loss'?"
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: EarlyStopping(patience=-1), "EarlyStopping: patience must be at least 0, not -1."),
        (lambda: Checkpoint("m", every=0), "Checkpoint: every must be at least 1, not 0."),
        (lambda: ReduceOnPlateau(factor=1.0), "ReduceOnPlateau: factor must lie between 0 and 1, not 1.0."),
    ],
)
def test_settings_are_checked(make, text):
    with pytest.raises(ConfigurationError) as error:
        make()
    assert str(error.value) == text


def test_the_best_weights_return_after_ctrl_c(classifier, blobs):
    weights = []

    class Interrupt(Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())
            if epoch == 4:
                raise KeyboardInterrupt

    x, y = blobs
    model = classifier(optimizer=SGD(5.0))
    callback = EarlyStopping(patience=99)
    history = model.fit(x, y, epochs=9, validation_split=0.25, seed=0, callbacks=[callback, Interrupt()], verbose=0)
    assert history.interrupted
    assert callback.best_epoch == history.best("val_loss") != 4
    best = weights[callback.best_epoch]
    assert all(np.array_equal(best[key], value) for key, value in model.get_weights().items())


def test_monitors_rest_in_epochs_without_validation(classifier, blobs, tmp_path):
    stop, save = EarlyStopping(patience=1, min_delta=100.0), Checkpoint(tmp_path / "{epoch}", save_best_only=True)
    plateau = ReduceOnPlateau(patience=1, factor=0.5, min_delta=100.0)
    model = classifier(optimizer=SGD(0.25))
    history = model.fit(
        *blobs, epochs=9, validation_split=0.25, validation_every=3, callbacks=[stop, save, plateau], verbose=0
    )
    assert stop.best_epoch == 2
    assert stop.stopped_epoch == 5  # the second validation, the first without improvement
    assert len(history) == 6
    assert min(tmp_path.iterdir()).name == "3"
    assert model.optimizer.learning_rate == 0.125
    with pytest.raises(ConfigurationError, match="pass validation_data"):
        model.fit(*blobs, validation_every=3, callbacks=EarlyStopping(), verbose=0)


# Checkpoint.


def test_checkpoints_are_named_by_epoch_and_numbers(classifier, blobs, tmp_path):
    path = tmp_path / "deep" / "{epoch:02d}-{val_loss:.3f}.safetensors"
    model = classifier()
    history = model.fit(*blobs, epochs=4, validation_split=0.25, callbacks=Checkpoint(path, every=2), verbose=0)
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == [f"{epoch:02d}-{history['val_loss'][epoch - 1]:.3f}.safetensors" for epoch in (2, 4)]
    last = load_model(path.parent / names[-1])
    assert np.array_equal(last.predict(blobs[0]), model.predict(blobs[0]))


def test_only_improvements_are_saved():
    callback = Checkpoint("best-{epoch}", save_best_only=True)
    assert play(callback, [3.0, 2.0, 2.5, np.nan, 1.0]).saved == [("best-1", 0), ("best-2", 1), ("best-5", 4)]
    callback = Checkpoint("best", monitor="val_accuracy", save_best_only=True)
    assert play(callback, [0.1, 0.3, 0.2], "val_accuracy").saved == [("best", 0), ("best", 1)]


@pytest.mark.parametrize("path", ["{val_los}", "{0}", "{epoch:q}"])
def test_a_path_that_cannot_be_filled_in_names_what_is_known(path):
    with pytest.raises(ConfigurationError) as error:
        play(Checkpoint(path), [1.0])
    assert str(error.value).startswith(f"Checkpoint: the path {path!r} cannot be filled in: ")
    assert str(error.value).endswith("; known are: epoch, loss, val_loss.")


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(classifier, blobs, tmp_path, monkeypatch):
    import os

    path = tmp_path / "model"
    model = classifier()
    model.fit(*blobs, callbacks=Checkpoint(path), verbose=0)
    kept = path.read_bytes()

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        model.fit(*blobs, callbacks=Checkpoint(path), verbose=0)
    assert path.read_bytes() == kept
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


# CSVLog.


def test_the_log_has_one_row_per_epoch(classifier, blobs, tmp_path):
    path = tmp_path / "log.csv"
    history = classifier(metrics=["accuracy", "confusion_matrix"]).fit(
        *blobs, epochs=2, validation_split=0.25, callbacks=CSVLog(path), verbose=0
    )
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,accuracy,val_loss,val_accuracy"
    keys = lines[0].split(",")[1:]
    assert [[float(cell) for cell in line.split(",")] for line in lines[1:]] == [
        [epoch + 1, *(history[key][epoch] for key in keys)] for epoch in range(2)
    ]


def test_the_log_is_complete_after_every_epoch(classifier, blobs, tmp_path):
    path = tmp_path / "log.csv"
    sizes = []
    log = CSVLog(path)
    classifier().fit(
        *blobs, epochs=3, callbacks=[log, lambda epoch, logs: sizes.append(path.read_text().count("\n"))], verbose=0
    )
    assert sizes == [2, 3, 4]


def test_a_log_is_continued_or_begun_anew(classifier, blobs, tmp_path):
    path = tmp_path / "log.csv"
    model = classifier()
    model.fit(*blobs, epochs=2, callbacks=CSVLog(path, append=True), verbose=0)
    model.fit(*blobs, epochs=3, initial_epoch=2, callbacks=CSVLog(path, append=True), verbose=0)
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "1", "2", "3"]
    model.fit(*blobs, epochs=1, callbacks=CSVLog(path), verbose=0)
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "1"]


@pytest.mark.parametrize("metrics", [("accuracy", "f1"), ()])
def test_a_log_of_other_columns_is_left_alone(classifier, blobs, tmp_path, metrics):
    path = tmp_path / "log.csv"
    classifier().fit(*blobs, callbacks=CSVLog(path), verbose=0)
    kept = path.read_bytes()
    with pytest.raises(ConfigurationError) as error:
        classifier(metrics=metrics).fit(*blobs, callbacks=CSVLog(path, append=True), verbose=0)
    columns = ",".join(["epoch", "loss", *metrics])
    assert str(error.value) == f"CSVLog: {path} has the columns 'epoch,loss,accuracy', not {columns!r}."
    assert path.read_bytes() == kept


def test_epochs_without_validation_leave_cells_empty(classifier, blobs, tmp_path):
    path = tmp_path / "log.csv"
    options = {"validation_split": 0.25, "validation_every": 2, "verbose": 0}
    model = classifier(metrics=())
    model.fit(*blobs, epochs=2, callbacks=CSVLog(path), **options)
    model.fit(*blobs, epochs=5, initial_epoch=2, callbacks=CSVLog(path, append=True), **options)
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,val_loss"
    assert [line.endswith(",") for line in lines[1:]] == [True, False, True, False, True]
    assert [line.count(",") for line in lines] == [2] * 6


# TensorBoard.


def events(folder):
    """The values of every event in a folder: (tag, step) -> number or histogram; every record's checksum is checked."""
    from tensorboardX.crc32c import crc32c
    from tensorboardX.proto.event_pb2 import Event

    def masked(data):
        value = crc32c(data)
        return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    (path,) = folder.iterdir()
    data, found = path.read_bytes(), {}
    while data:
        length = int.from_bytes(data[:8], "little")
        assert int.from_bytes(data[8:12], "little") == masked(data[:8])
        body = data[12 : 12 + length]
        assert int.from_bytes(data[12 + length : 16 + length], "little") == masked(body)
        event = Event.FromString(body)
        for value in event.summary.value:
            found[value.tag, event.step] = value.histo if value.HasField("histo") else value.simple_value
        data = data[16 + length :]
    return found


def test_tensorboard_files_hold_numbers_and_histograms(classifier, blobs, tmp_path):
    pytest.importorskip("tensorboardX")
    model = classifier(metrics=["accuracy", "confusion_matrix"], optimizer=SGD(0.25))
    history = model.fit(
        *blobs, epochs=2, validation_split=0.25, callbacks=TensorBoard(tmp_path, histograms=2), verbose=0
    )
    found = events(tmp_path)
    for epoch in (0, 1):
        for key, tag in [
            ("loss", "loss/train"),
            ("val_loss", "loss/validation"),
            ("accuracy", "accuracy/train"),
            ("val_accuracy", "accuracy/validation"),
        ]:
            assert found[tag, epoch + 1] == np.float32(history[key][epoch])
        assert found["learning_rate", epoch + 1] == 0.25
    assert ("dense/kernel", 1) not in found
    histogram = found["dense/kernel", 2]
    kernel = model.get_weights()["dense.kernel"]
    assert histogram.num == kernel.size
    assert histogram.sum == pytest.approx(kernel.sum(dtype=float), abs=1e-5)
    assert not any("confusion" in tag for tag, _ in found)


def test_tensorboard_says_what_to_install(monkeypatch, tmp_path):
    load = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tensorboardX":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError) as error:
        TensorBoard(tmp_path / "logs")
    assert str(error.value) == (
        "The TensorBoard callback needs the library 'tensorboardX', which is not installed.\n"
        "Hint: run: pip install 'pellucid[tensorboard]'"
    )
    assert list(tmp_path.iterdir()) == []


# Learning rates.


def rates(callback, values):
    model = callback.model = Model()
    callback.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_loss": value})
        found.append(model.optimizer.current_learning_rate())
    return found


def test_the_rate_falls_on_a_plateau():
    assert rates(ReduceOnPlateau(factor=0.5, patience=2), [3, 2, 2, 2, 2, 2]) == [1, 1, 1, 0.5, 0.5, 0.25]


def test_the_rate_rests_after_a_fall_and_has_a_floor():
    callback = ReduceOnPlateau(factor=0.5, patience=1, cooldown=2, min_learning_rate=0.3)
    assert rates(callback, [1] * 9) == [1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3]


def test_small_changes_are_a_plateau():
    assert rates(ReduceOnPlateau(factor=0.5, patience=1), [1, 0.99995, 0.5]) == [1, 0.5, 0.5]


def test_an_improvement_during_the_rest_counts():
    callback = ReduceOnPlateau(factor=0.5, patience=1, cooldown=1)
    assert rates(callback, [3, 3, 1, 2, 2]) == [1, 0.5, 0.5, 0.25, 0.25]


def test_a_schedule_sets_the_rate_before_each_epoch(line):
    seen = []

    def halved(epoch, rate):
        seen.append((epoch, rate))
        return rate / 2

    model = line(2.0, optimizer=SGD(0.4))
    model.fit([[1.0]], [1.0], epochs=2, callbacks=LearningRateSchedule(halved), verbose=0)
    assert seen == [(0, 0.4), (1, 0.2)]
    # Errors 1 and 1 - 2 * 2 * 0.2 = 0.2, rates 0.2 and 0.1.
    assert model.get_weights()["line.kernel"].item() == pytest.approx(2 - 0.2 * 2 - 0.1 * 0.4)


def test_a_schedule_may_do_without_the_present_rate():
    assert rates(LearningRateSchedule(lambda epoch: 0.5**epoch), [1, 1, 1]) == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("rate", [-1.0, np.nan, np.inf])
def test_a_schedule_must_give_a_rate(line, rate):
    model = line(2.0)
    with pytest.raises(ConfigurationError) as error:
        model.fit([[1.0]], [1.0], callbacks=LearningRateSchedule(lambda epoch, old: rate), verbose=0)
    assert str(error.value) == f"LearningRateSchedule: the rate of epoch 0 is {rate}."
    assert model.get_weights()["line.kernel"].item() == 2.0


# BatchReport.


def test_the_batch_report_has_the_form_of_the_lectures(classifier, blobs):
    x, y = blobs
    out = io.StringIO()
    model = classifier(optimizer=SGD(0.0))
    model.fit(x, y, batch_size=8, epochs=2, callbacks=BatchReport((x, y), every=4, file=out), verbose=0)
    loss, accuracy = model.evaluate(x, y)
    line = f"Loss: {loss:.8f}, Accuracy: {accuracy:.2%}"
    assert out.getvalue().splitlines() == [f"{place} > {line}" for place in ("0-0", "0-4", "1-0", "1-4")]


def test_the_batch_report_prints_and_does_without_accuracy(line, capsys):
    line(2.0, optimizer=SGD(0.0)).fit([[1.0]], [1.0], callbacks=BatchReport(([[1.0]], [1.0])), verbose=0)
    assert capsys.readouterr().out == "0-0 > Loss: 1.00000000\n"


def test_the_batch_report_does_not_disturb_training(classifier, blobs):
    a, b = classifier(dropout=0.5), classifier(dropout=0.5)
    a.fit(*blobs, seed=1, verbose=0)
    b.fit(*blobs, seed=1, callbacks=BatchReport(blobs, every=1, file=io.StringIO()), verbose=0)
    assert all(np.array_equal(a.get_weights()[key], value) for key, value in b.get_weights().items())


# What is a callback.


def test_callbacks_and_functions_are_callbacks():
    callback = Callback()
    assert as_callback(callback) is callback
    seen = []
    made = as_callback(lambda epoch, logs: seen.append((epoch, logs)))
    assert isinstance(made, FunctionCallback)
    made.on_epoch_end(3, {"loss": 1.0})
    assert seen == [(3, {"loss": 1.0})]
