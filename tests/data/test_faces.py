from __future__ import annotations

import sys

import numpy as np
import pytest

from pellucid.data import load
from pellucid.errors import MissingDependencyError


def test_a_hundred_faces_and_a_hundred_others_are_split_by_class() -> None:
    pytest.importorskip("skimage")
    data = load("faces", seed=1)
    assert data.x_train.shape == (160, 25, 25, 1)
    assert data.x_train.dtype == np.float32
    assert np.bincount(data.y_train).tolist() == [80, 80]
    assert np.bincount(data.y_test).tolist() == [20, 20]
    assert data.target_names == ("background", "face")
    assert 0 <= data.x_train.min() < data.x_train.max() <= 1


def test_faces_differ_less_from_their_mean_than_background_does() -> None:
    """The labels are the right way round: faces look alike."""
    pytest.importorskip("skimage")
    data = load("faces")
    spread = [float(data.x_train[data.y_train == label].std(axis=0).mean()) for label in (0, 1)]
    assert spread[1] < spread[0]


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingDependencyError) as caught:
        load("faces")
    assert str(caught.value) == (
        "The data set 'faces' needs the library 'scikit-image', which is not installed.\n"
        "Hint: run: pip install 'pellucid[faces]'"
    )
