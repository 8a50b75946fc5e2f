import pytest

from benchmarks import boosting


def test_every_way_gives_the_same_result_and_has_a_row(monkeypatch):
    pytest.importorskip("skimage")
    monkeypatch.setattr(boosting, "SAMPLES", 20)
    monkeypatch.setattr(boosting, "FEATURES", 300)
    found = boosting.rows(1)
    assert [who for _, who, _ in found] == [
        "engine", "NumPy", "Python", "scikit-image", "engine", "NumPy", "Python", "engine", "NumPy", "Python",
    ]  # fmt: skip
    assert all(0 < seconds < 1 for *_, seconds in found)
