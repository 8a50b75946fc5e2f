"""The examples do what they say."""

import runpy
from pathlib import Path

import pytest
from tests.canon.mnist_files import mnist_or_skip

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_lenet5_reaches_99_per_cent_on_the_test_images(monkeypatch, capsys):
    mnist_or_skip(monkeypatch)
    accuracy = runpy.run_path(str(EXAMPLES / "mnist_lenet5.py"))["main"]()
    assert accuracy >= 0.99
    assert " s of training" in capsys.readouterr().out
