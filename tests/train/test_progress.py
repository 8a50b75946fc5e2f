import sys

import numpy as np
import pytest

from pellucid.errors import ConfigurationError
from pellucid.train.progress import Bar, Lines, Notebook, Silent, Throttle, display, written


def fit(classifier, blobs, **options):
    classifier(metrics=["accuracy", "confusion_matrix"]).fit(*blobs, epochs=2, seed=0, **options)


def test_lines_tell_each_epoch(classifier, blobs, capsys):
    fit(classifier, blobs, verbose=2)
    first, second = capsys.readouterr().out.splitlines()
    words = first.split()
    assert words[:3] == ["epoch", "1/2", "loss"]
    assert words[4] == "accuracy"
    assert "confusion" not in first
    assert words[-1] == "ms"
    assert second.startswith("epoch 2/2  loss ")


@pytest.mark.parametrize("verbose", [0, False, "off"])
def test_silence_is_silent(classifier, blobs, capsys, verbose):
    fit(classifier, blobs, verbose=verbose)
    assert capsys.readouterr() == ("", "")


def test_a_bar_leaves_a_line_per_epoch(classifier, blobs, capsys):
    fit(classifier, blobs, verbose=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss" in line and "epoch" in line]
    assert any(line.startswith("epoch 1/2  loss ") for line in lines)
    assert any(line.startswith("epoch 2/2  loss ") for line in lines)


def test_a_notebook_gets_one_bar(classifier, blobs, capsys, monkeypatch):
    fit(classifier, blobs, verbose="notebook")
    text = capsys.readouterr().err
    assert "2/2" in text
    assert "accuracy" in text


def test_the_display_suits_the_place_of_output(monkeypatch):
    monkeypatch.delenv("PELLUCID_PROGRESS", raising=False)
    assert type(display("auto")) is Lines
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert type(display("auto")) is Bar
    monkeypatch.setenv("PELLUCID_PROGRESS", "off")
    assert type(display("auto")) is Silent
    monkeypatch.setenv("PELLUCID_PROGRESS", "line")
    with pytest.raises(ConfigurationError) as error:
        display("auto")
    assert str(error.value) == (
        "Unknown value of PELLUCID_PROGRESS 'line'; known are: auto, bar, lines, off.\nHint: did you mean 'lines'?"
    )
    assert type(display(2)) is Lines
    assert type(display(True)) is Bar
    assert type(display("notebook")) is Notebook


def test_other_values_are_refused(monkeypatch):
    for verbose in (3, "loud", None):
        with pytest.raises(ConfigurationError) as error:
            display(verbose)
        text = f"verbose must be 'auto', 0 (nothing), 1 (bar) or 2 (lines), not {verbose!r}."
        assert str(error.value) == text


def test_numbers_are_written_with_four_digits():
    logs = {"a": 0.0, "b": 1e-3, "c": 9.99e-4, "d": 999.9, "e": 1000.0, "f": np.eye(2), "g": float("nan")}
    assert written(logs) == "a 0.0000  b 0.0010  c 9.990e-04  d 999.9000  e 1.000e+03  g nan"


def test_a_throttle_is_due_once_in_an_interval():
    assert [Throttle(None).due() for _ in range(2)] == [False, False]
    slow = Throttle(1e6)
    assert [slow.due() for _ in range(3)] == [True, False, False]
    fast = Throttle(0.0)
    assert [fast.due() for _ in range(3)] == [True, True, True]
