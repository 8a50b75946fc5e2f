import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from pellucid import Callback, Input, Sequential, ops
from pellucid.errors import DataError, NonFiniteError
from pellucid.nn import Dense, Lambda
from pellucid.optim import SGD


class Diary(Callback):
    """Writes every call down."""

    def __init__(self, diary, name=""):
        self.diary, self.name = diary, name

    def on_train_begin(self, logs=None):
        self.diary.append(f"{self.name}begin")

    def on_train_end(self, logs=None):
        self.diary.append(f"{self.name}end")

    def on_epoch_begin(self, epoch, logs=None):
        self.diary.append(f"{self.name}epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs=None):
        self.diary.append(f"{self.name}epoch {epoch} end {sorted(logs)}")

    def on_train_batch_end(self, batch, logs=None):
        self.diary.append(f"{self.name}batch {batch} of {logs['size']}")


class StopAt(Callback):
    """Does something after a number of batches."""

    def __init__(self, batches, act):
        self.left, self.act = batches, act

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.act(self.model)


def interrupt(model):
    raise KeyboardInterrupt


def test_callbacks_are_called_in_order(classifier, blobs):
    diary = []
    x, y = blobs
    classifier().fit(
        x[:5],
        y[:5],
        batch_size=3,
        epochs=2,
        validation_data=(x, y),
        callbacks=[Diary(diary, "a "), Diary(diary, "b ")],
        verbose=0,
    )
    keys = "['accuracy', 'loss', 'val_accuracy', 'val_loss']"
    epochs = [[f"epoch {n} begin", "batch 0 of 3", "batch 1 of 2", f"epoch {n} end {keys}"] for n in range(2)]
    expected = ["begin", *epochs[0], *epochs[1], "end"]
    assert diary == [f"{name} {entry}" for entry in expected for name in "ab"]


def test_plain_functions_and_one_callback_alone_will_do(classifier, blobs):
    seen = []
    classifier().fit(*blobs, epochs=2, callbacks=lambda epoch, logs: seen.append((epoch, sorted(logs))), verbose=0)
    assert seen == [(0, ["accuracy", "loss"]), (1, ["accuracy", "loss"])]


def test_a_batch_is_told_its_loss_before_the_update(line):
    losses = []

    class Log(Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    model = line(2.0, optimizer=SGD(0.1))
    model.fit([[1.0], [3.0]], [1.0, 1.0], batch_size=1, shuffle=False, callbacks=Log(), verbose=0)
    # w = 2, b = 0: error 1. Then w = 1.8, b = -0.2: error 1.8 * 3 - 0.2 - 1 = 4.2.
    assert losses == pytest.approx([1.0, 4.2**2])


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples(line):
    history = line(1.0, optimizer=SGD(0.0)).fit([[1.0], [2.0], [3.0]], [0.0, 0.0, 0.0], batch_size=2, verbose=0)
    assert history["loss"] == [pytest.approx(14 / 3)]  # not the mean of the batches' means


def test_stop_training_ends_the_fit_after_the_batch(classifier, blobs, capsys):
    diary = []
    model = classifier()
    stop = StopAt(3, lambda model: setattr(model, "stop_training", "enough"))
    history = model.fit(*blobs, batch_size=10, epochs=9, callbacks=[stop, Diary(diary)], verbose=2)
    assert model.optimizer.iterations == 3
    assert (len(history), history.stopped_by, history.interrupted) == (1, "enough", False)
    assert diary[-2:] == ["epoch 0 end ['accuracy', 'loss']", "end"]
    assert capsys.readouterr().out.splitlines()[-1] == "stopped after epoch 1 (enough)"
    assert len(model.fit(*blobs, epochs=2, verbose=0)) == 2  # the next fit is not stopped


def test_ctrl_c_ends_the_fit_and_returns_the_history(classifier, blobs, capsys):
    diary = []
    model = classifier()
    history = model.fit(*blobs, batch_size=10, epochs=9, callbacks=[StopAt(7, interrupt), Diary(diary)], verbose=2)
    assert (len(history), history.interrupted, history.stopped_by) == (1, True, "interrupted")
    assert model.history is history
    assert model.optimizer.iterations == 7
    assert diary[-1] == "end"
    text = "interrupted after 1 epoch; the model keeps what it has learned"
    assert capsys.readouterr().out.splitlines()[-1] == text
    assert np.isfinite(model.evaluate(*blobs)).all()
    model.fit(*blobs, epochs=1, verbose=0)


SIGNALLED = """
import numpy as np
from pellucid import Callback, Input, Sequential
from pellucid.nn import Dense
model = Sequential([Input((4,)), Dense(3)])
model.compile("mse", "adam")
class Tell(Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3:  # three epochs have been noted; the signal may come before this one is
            print("running", flush=True)
x = np.ones((64, 4))
history = model.fit(x, np.ones((64, 3)), batch_size=1, epochs=10**6, callbacks=[Tell()], verbose=0)
print(history.interrupted, len(history) >= 3, len(history) == len(history["loss"]))
print(np.isfinite(model.predict(x)).all(), len(model.fit(x, np.ones((64, 3)), verbose=0)))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole process groups")
def test_a_real_interrupt_signal_ends_the_fit():
    command = [sys.executable, "-W", "error", "-c", SIGNALLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("True True True\nTrue 1\n", "")


@pytest.mark.parametrize("error", [DataError("broken"), RuntimeError("broken")])
def test_an_error_in_a_callback_reaches_the_user_after_the_others_have_ended(classifier, blobs, error):
    diary = []

    def fail(model):
        raise error

    with pytest.raises(type(error), match="broken"):
        classifier().fit(*blobs, callbacks=[StopAt(1, fail), Diary(diary)], verbose=0)
    assert diary[-1] == "end"


def test_a_loss_that_becomes_nan_is_an_error_and_the_last_good_parameters_stay(line):
    model = line(2.0, optimizer=SGD(1e30))
    good = {}

    class Keep(Callback):
        def on_train_batch_end(self, batch, logs=None):
            good.update(self.model.get_weights())

    with pytest.raises(NonFiniteError) as error:
        model.fit([[1.0], [3.0]], [1.0, 1.0], batch_size=None, epochs=9, callbacks=Keep(), verbose=0, seed=0)
    assert str(error.value) == (
        "The loss became inf in epoch 2, batch 1 (update 2, learning rate 1e+30).\n"
        "  first cause: mul in the loss, forward: sub(...) * sub(...)\n"
        "    of sub(...): float32[2, 1] from -5.4e+31 to -2.2e+31\n"
        "  largest number before the step: 1.6e+31 in the parameter line.kernel\n"
        "  rows of the data: 0, 1\n"
        "  losses of the epochs before: 13\n"
        "  the model keeps the parameters from before this update\n"
        "Hint: losses or weights grew before, so the learning rate is too high: a smaller learning rate or clip_norm= "
        "in the optimiser usually helps"
    )
    assert all(np.array_equal(good[key], value) for key, value in model.get_weights().items())
    assert model.history["loss"] == [13.0]
    assert model.optimizer.iterations == 1


def test_a_parameter_that_becomes_infinite_is_an_error(line):
    model = line(2.0, optimizer=SGD(1e38))
    with pytest.raises(NonFiniteError) as error:
        model.train_on_batch([[1.0], [3.0]], [1.0, 1.0], seed=0)
    assert str(error.value) == (
        'The parameter "line.kernel" became NaN or infinite in update 1 (learning rate 1e+38).\n'
        "  first cause: mul in the optimiser, update: cast(...) * gradient of line.kernel\n"
        "    of cast(...): float32[] = 1e+38\n"
        "    of gradient of line.kernel: float32[1, 1] from 16 to 16; there: 16 at [0, 0]\n"
        "  the model keeps the parameters from before this update\n"
        "Hint: a smaller learning rate or clip_norm= in the optimiser usually helps"
    )
    assert model.get_weights()["line.kernel"].item() == 2.0
    assert model.optimizer.iterations == 0


def test_nan_from_a_layer_is_caught_at_the_first_step():
    model = Sequential([Input((2,)), Dense(2), Lambda(lambda x: ops.log(0 * x - 1))])
    model.compile("mse")
    before = model.get_weights()
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="The loss became nan in epoch 1, batch 1"):
        model.fit([[1.0, 2.0]], [[1.0, 2.0]], verbose=0)
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())
    assert len(model.history) == 0


REPEATED = """
import hashlib
import numpy as np
from pellucid import Input, Sequential, set_seed
from pellucid.nn import BatchNorm, Dense, Dropout
set_seed(11)
layers = [Dense(8, activation="relu", name="a"), BatchNorm(), Dropout(0.5), Dense(2, activation="softmax")]
model = Sequential([Input((6,)), *layers])
model.compile("categorical_crossentropy", "adam", ["accuracy", "f1"])
x = np.random.default_rng(0).normal(size=(50, 6))
history = model.fit(x, x[:, 0] > 0, epochs=3, batch_size=7, validation_split=0.2, verbose=0)
digest = hashlib.sha256(repr(sorted(history.history.items())).encode())
for name, value in model.get_weights().items():
    digest.update(name.encode() + value.tobytes())
print(digest.hexdigest())
"""


def test_fresh_processes_give_bit_identical_models():
    found = set()
    for hash_seed in ("1", "77"):
        done = subprocess.run(
            [sys.executable, "-c", REPEATED],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1
