"""The MNIST files that may lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid import data
from pellucid.data import Dataset

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"


def mnist_or_skip(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """MNIST from ../shared/data, without a download."""
    if not (FOLDER / "mnist").is_dir():
        pytest.skip("the MNIST files are not in ../shared/data/mnist")
    monkeypatch.setenv("PELLUCID_DATA", str(FOLDER))
    return data.load("mnist")
