"""The examples do what they say."""

import runpy
from pathlib import Path

import pytest
from tests.canon.mnist_files import mnist_or_skip

from pellucid.classic import Box

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_lenet5_reaches_99_per_cent_on_the_test_images(monkeypatch, capsys):
    mnist_or_skip(monkeypatch)
    accuracy = runpy.run_path(str(EXAMPLES / "mnist_lenet5.py"))["main"]()
    assert accuracy >= 0.99
    assert " s of training" in capsys.readouterr().out


@pytest.mark.slow
def test_the_cascade_finds_the_astronauts_face_and_nothing_else(tmp_path, capsys):
    pytest.importorskip("skimage", reason="the faces come with scikit-image")
    pytest.importorskip("matplotlib").use("Agg")
    found, report = runpy.run_path(str(EXAMPLES / "face_cascade.py"))["main"](str(tmp_path / "face.png"))
    assert [detection.iou(Box(72, 178, 100, 95)) > 0.5 for detection in found] == [True]
    assert report.features_per_window < 10
    assert (tmp_path / "face.png").stat().st_size > 10_000
    assert "stage 10:" in capsys.readouterr().out
