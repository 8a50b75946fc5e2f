"""What tests of several threads, and of images, share."""

import pytest

from pellucid import set_num_threads
from pellucid.backends.cpu import memory, pace
from pellucid.backends.cpu.layouts import LAYOUTS, Layout


class Shared(pace.Pace):
    """Always on all threads, three steps at a time."""

    def choose(self, steps, may_share):
        return may_share, min(steps, 3)


@pytest.fixture
def every_plan_is_shared(monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    monkeypatch.setattr(memory, "Pace", Shared)
    yield
    set_num_threads(None)


@pytest.fixture
def batch_last(monkeypatch):
    """Images of every graph lie with their samples side by side."""
    monkeypatch.setitem(LAYOUTS, "images", lambda graph, training: Layout(batch_last=True))
