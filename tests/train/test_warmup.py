"""The cache of kernels is filled by training the usual models; what is there already is left alone."""

import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from pellucid import cli
from pellucid.backends.cpu import target
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense
from pellucid.train import warmup

COMMAND = "import sys; from pellucid.cli import main; sys.argv = ['pellucid', 'warmup']; main()"
FEW = f"""
from pellucid.train import warmup
usual = list(warmup.usual())
warmup.usual = lambda: [usual[0], next(u for u in usual if u.name == "yes or no")]
{COMMAND}
"""
# A network of other widths, classes, samples and batches than those of the cache.
LENET = """
import numpy as np
from pellucid import Input, Sequential, set_seed
from pellucid.backends.cpu import target
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D
layers = [Conv2D(6, 5, padding="same", activation="relu"), MaxPool2D(2), Conv2D(16, 5, activation="relu")]
layers += [MaxPool2D(2), Flatten(), Dense(120, activation="relu"), Dense(84, activation="relu")]
model = Sequential([Input((28, 28, 1)), *layers, Dense(7, activation="softmax")])
model.compile("categorical_crossentropy", "adam", ["accuracy"], backend="cpu")
x, y = np.random.default_rng(0).normal(size=(160, 28, 28, 1)).astype("float32"), np.arange(160) % 7
model.fit(x, y, batch_size=128, validation_split=0.2, verbose=0)
print(target.EFFORT.kernels)
"""


def run(code, folder):
    """What a process prints whose kernels are in a folder of their own; it writes no errors."""
    environment = {k: v for k, v in os.environ.items() if k != "PELLUCID_PROGRESS"}
    environment |= {"PELLUCID_CACHE": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_command_tells_what_it_compiles_and_how_much_there_is(tmp_path):
    first, second, end, kept = run(FEW, tmp_path)
    assert re.fullmatch(r"classifier, relu +\d+ compiled +\d+\.\d s", first)
    assert re.fullmatch(r"yes or no +\d+ compiled +\d+\.\d s", second)
    count = int(re.fullmatch(r"kernels compiled: (\d+), in \d+\.\d s", end)[1])
    assert count > 20
    files = [path for path in (tmp_path / "kernels").iterdir() if not path.name.startswith("recipe-")]
    assert len(files) == count
    size = sum(path.stat().st_size for path in files)
    assert kept == f"kept in {tmp_path / 'kernels'}: {count} ({size / 1e6:.1f} MB)"

    lines = run(FEW, tmp_path)
    assert [line.split()[-2:] for line in lines[:2]] == [["was", "there"]] * 2
    assert lines[2:] == ["everything was there already", kept]


@pytest.mark.parametrize("progress", ["auto", "off"])
def test_progress_can_be_switched_off(monkeypatch, capsys, progress, tmp_path):
    monkeypatch.setenv("PELLUCID_PROGRESS", progress)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    monkeypatch.setattr(warmup, "usual", lambda: [warmup.Usual("a model", lambda: None)])
    cli.warmup()
    expected = ["everything was there already", f"kept in {tmp_path / 'kernels'}: 0 (0.0 MB)"]
    models = [f"{'a model':<45}was there"] if progress == "auto" else []
    assert capsys.readouterr().out.splitlines() == models + expected


@pytest.mark.slow
def test_after_it_lenet_has_little_to_compile(tmp_path):
    assert run(COMMAND, tmp_path)[-2].startswith("kernels compiled: ")
    assert int(run(LENET, tmp_path)[0]) <= 5  # it needs about 35
    assert run(COMMAND, tmp_path)[-2] == "everything was there already"


def test_the_usual_models_have_names_of_their_own():
    names = [model.name for model in warmup.usual()]
    assert len(set(names)) == len(names)
    assert {"classifier, relu", "LeNet-5", "LSTM", "GRU", "classifier, AdamW()"} <= set(names)


def test_who_is_told_needs_no_line_and_later_there_may_be_one(monkeypatch):
    told, announced = [], []

    def train():
        announced.append(target.EFFORT.announced)
        target.EFFORT.kernels += 3
        target.EFFORT.seconds += 0.25

    monkeypatch.setattr(warmup, "usual", lambda: [warmup.Usual("a model", train)] * 2)
    monkeypatch.setattr(target, "EFFORT", target.Effort())
    found = warmup.warm_up(lambda *what: told.append(what))
    assert told == [("a model", 3, 0.25)] * 2
    assert (found.compiled, found.seconds, found.folder) == (6, 0.5, target.CACHE.folder)
    assert (announced, target.EFFORT.announced) == ([True, True], False)


def test_a_folder_that_cannot_be_used_ends_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    monkeypatch.setattr(target.CACHE, "failed", True)
    monkeypatch.setattr(warmup, "usual", lambda: [warmup.Usual("a model", lambda: None)])
    with pytest.raises(ConfigurationError) as caught:
        warmup.warm_up(print)
    assert str(caught.value) == (
        f"Compiled kernels cannot be kept in {tmp_path / 'kernels'}.\nHint: set PELLUCID_CACHE to a folder of your own"
    )


def test_a_machine_without_the_engine_has_nothing_to_compile(monkeypatch):
    monkeypatch.setitem(sys.modules, "pellucid.backends.cpu", None)
    monkeypatch.delattr("pellucid.backends.cpu")
    monkeypatch.delitem(sys.modules, "pellucid.backends.cpu.target")
    with pytest.raises(ConfigurationError, match="The cpu backend does not work on this machine"):
        warmup.warm_up(print)


def test_a_usual_model_learns(monkeypatch):
    seen = []
    monkeypatch.setattr(warmup.Sequential, "fit", lambda model, x, y, **how: seen.append((model, x, y)))
    warmup._classify((5,), [Dense(3)], partial(warmup.Momentum, 0.1), one_hot=True)
    (model, x, y), (_, x64, y64) = seen
    assert (x.dtype, y.dtype, x64.dtype, y64.dtype) == ("float32", "float32", "float64", "float64")
    assert (x.shape, y.shape, model.predict(x).shape) == ((160, 5), (160, 10), (160, 10))
    np.testing.assert_array_equal(y.sum(axis=1), np.ones(160))
